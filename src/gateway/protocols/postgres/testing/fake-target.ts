import { createServer, type Socket } from 'node:net';
import {
  encodeAuthenticationOk,
  encodeBackendKeyData,
  encodeErrorFields,
  encodeParameterStatus,
  encodeReadyForQuery,
  Framer,
  readStartupPacket,
} from '../../../../wire/postgres/index.ts';
import { encodeMessage } from '../../../../wire/postgres/writer.ts';

/** One session as the fake target has it. */
export interface FakeSession {
  readonly socket: Socket;
  /** Start-up parameters. */
  readonly parameters: ReadonlyMap<string, string>;
  /** Messages so far: `Q:select 1`, else the type alone. */
  readonly messages: string[];
  /** All bytes behind the start-up packet. */
  bytes: number;
}

export interface FakeTarget {
  readonly port: number;
  /** Sessions of clients; that of the catalog is served apart. */
  readonly sessions: FakeSession[];
  /** Connections open now, the catalog's too. */
  connections(): number;
  close(): Promise<void>;
}

/** What a client is logged in with by default. */
export const LOGIN = Buffer.concat([
  encodeAuthenticationOk(),
  encodeParameterStatus('client_encoding', 'UTF8'),
  encodeParameterStatus('standard_conforming_strings', 'on'),
  encodeBackendKeyData(7, Buffer.alloc(4, 7)),
  encodeReadyForQuery('I'),
]);

/** The answer to a statement without rows. */
export const done = (tag = 'SELECT 0') => Buffer.concat([encodeMessage('C', tag), encodeReadyForQuery('I')]);

/** What it says of a statement that fails; of a stand-in for a refused one unless told otherwise. */
export function errorOf(sqlstate = '42601'): Buffer {
  const fields = { S: 'ERROR', V: 'ERROR', C: sqlstate, M: 'x' };
  return encodeErrorFields('E', new Map(Object.entries(fields)));
}

/** A message of that type whose header announces `length`. */
export function header(type: string, length: number): Buffer {
  const bytes = Buffer.alloc(5);
  bytes.write(type, 0, 'latin1');
  bytes.writeInt32BE(length | 0, 1);
  return bytes;
}

/** A server that says what it is told to: `login` in place of the usual greeting, `answer` to each message of a client's session. */
export async function startFakeTarget(
  options: {
    login?: (socket: Socket) => void;
    answer?: (session: FakeSession, message: string) => void;
    /** False: messages are not looked at, and only read as fast as the test reads. */
    reads?: boolean;
    catalog?: 'answers' | 'hangs';
  } = {},
): Promise<FakeTarget> {
  const sessions: FakeSession[] = [];
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    socket.on('end', () => socket.end());
    socket.once('data', (first: Buffer) => {
      const packet = readStartupPacket(first)?.packet;
      if (packet?.kind !== 'startup') return socket.destroy();
      const isCatalog = packet.parameters.get('application_name') === 'countersign catalog';
      if (isCatalog) return serveCatalog(socket, options.catalog ?? 'answers');
      const session: FakeSession = { socket, parameters: packet.parameters, messages: [], bytes: 0 };
      sessions.push(session);
      if (options.login === undefined) socket.write(LOGIN);
      else options.login(socket);
      if (options.reads === false) socket.pause();
      else hear(session, options.answer ?? (() => void socket.write(done())));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    sessions,
    connections: () => sockets.size,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

function hear(session: FakeSession, answer: (session: FakeSession, message: string) => void): void {
  const framer = new Framer({ messageBytesMax: 2 ** 31 });
  session.socket.on('data', (chunk: Buffer) => {
    session.bytes += chunk.length;
    framer.push(chunk);
    while (framer.next()) {
      const type = String.fromCharCode(framer.type);
      const text = type === 'Q' ? `:${framer.buffer.toString('utf8', framer.start + 5, framer.end - 1)}` : '';
      session.messages.push(type + text);
      answer(session, type + text);
      if (type === 'X') session.socket.end();
    }
  });
}

function serveCatalog(socket: Socket, how: 'answers' | 'hangs'): void {
  socket.write(LOGIN);
  if (how === 'answers') socket.on('data', () => void socket.write(done()));
}
