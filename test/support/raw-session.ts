/** A PostgreSQL client that sends exactly the bytes it is told to and keeps every byte it gets. */
import * as net from 'node:net';
import * as tls from 'node:tls';
import { encodeStartup, Framer } from '../../src/wire/postgres/index.ts';

/** Messages are shown as text: `Z:I`, `E:42501:message`, `C:SELECT 1`, `D:a|b`, `d:line`, `K:<process id>:<key in hex>`, else the type alone. */
export interface RawSession {
  readonly socket: net.Socket;
  send(...messages: readonly Buffer[]): void;
  /** Messages up to and with the next that starts so; all that came when the connection ends before. */
  until(prefix: string): Promise<string[]>;
  /** Messages up to and with the next ReadyForQuery. */
  ready(): Promise<string[]>;
  /** Messages until the other side closes. */
  end(): Promise<string[]>;
  /** All bytes received so far. */
  received(): Buffer;
  close(): void;
}

/** Where to: a unix socket, TLS at once, or TLS after an SSLRequest was answered with S. */
export type Door =
  | { readonly path: string }
  | { readonly port: number; readonly tls: tls.ConnectionOptions; readonly negotiate: 'request' | 'direct' };

/** Connects without sending a start-up packet. */
export async function openDoor(door: Door): Promise<RawSession> {
  const stream = 'path' in door ? net.connect(door.path) : await openTls(door);
  if ('path' in door) await once(stream, 'connect');
  return rawSessionOn(stream);
}

/** Connects and starts a session; fails when it is refused. */
export async function openRawSession(
  door: Door,
  parameters: Readonly<Record<string, string>> = {},
): Promise<RawSession & { readonly started: readonly string[] }> {
  const session = await openDoor(door);
  session.send(encodeStartup(0, Object.entries({ user: 'workload', ...parameters })));
  const started = await session.ready();
  if (!started.at(-1)?.startsWith('Z')) throw new Error(`refused: ${started.join(' ')}`);
  return { ...session, started };
}

/** Connects to a port of this machine without TLS and, unless told otherwise, starts a session. */
export async function openRawClient(
  port: number,
  options: { parameters?: readonly (readonly [string, string])[]; minor?: number; start?: boolean } = {},
): Promise<RawSession> {
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
  await once(socket, 'connect');
  const session = rawSessionOn(socket);
  if (options.start !== false) {
    session.send(encodeStartup(options.minor ?? 0, options.parameters ?? [['user', 'web']]));
    await session.ready();
  }
  return session;
}

async function openTls(door: Exclude<Door, { path: string }>): Promise<tls.TLSSocket> {
  const socket = net.connect(door.port, '127.0.0.1');
  await once(socket, 'connect');
  if (door.negotiate === 'request') {
    socket.write(Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]));
    const answer = await new Promise<Buffer>((resolve, reject) => {
      socket.once('data', resolve);
      socket.once('error', reject);
    });
    if (answer.toString() !== 'S') throw new Error(`the request for TLS was answered with ${answer.toString('hex')}`);
  }
  const secured = tls.connect({ ...door.tls, socket, ALPNProtocols: ['postgresql'] });
  await once(secured, 'secureConnect');
  return secured;
}

/** A session on a connection that is there already. */
export function rawSessionOn(stream: net.Socket): RawSession {
  const framer = new Framer({ messageBytesMax: 100_000_000 });
  const seen: string[] = [];
  const chunks: Buffer[] = [];
  let wake = () => {};
  let closed = false;
  stream.on('error', () => {}); // The end of the connection says it too.
  stream.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    framer.push(chunk);
    while (framer.next()) seen.push(show(framer));
    wake();
  });
  const over = () => {
    closed = true;
    wake();
  };
  stream.on('end', over).on('close', over);
  let isWaitedFor = false;
  const until = async (done: (message: string) => boolean) => {
    if (isWaitedFor) throw new Error('somebody waits already: each of the two would take what the other waits for');
    isWaitedFor = true;
    try {
      return await next(done);
    } finally {
      isWaitedFor = false;
    }
  };
  const next = async (done: (message: string) => boolean) => {
    const timeout = AbortSignal.timeout(PATIENCE_MS);
    for (;;) {
      const at = seen.findIndex(done);
      if (at >= 0) return seen.splice(0, at + 1);
      if (closed) return seen.splice(0);
      if (timeout.aborted) throw new Error(`nothing more came within ${PATIENCE_MS} ms after: ${seen.join(' ')}`);
      await new Promise<void>((resolve) => {
        wake = resolve;
        timeout.addEventListener('abort', () => resolve(), { once: true });
      });
    }
  };
  return {
    socket: stream,
    send: (...messages) => void stream.write(Buffer.concat(messages)),
    until: (prefix) => until((message) => message.startsWith(prefix)),
    ready: () => until((message) => message.startsWith('Z')),
    end: () => until(() => false),
    received: () => Buffer.concat(chunks),
    close: () => void stream.destroy(),
  };
}

/** A message of the given type around that body. */
export function message(type: string, ...body: readonly (Buffer | string | number)[]): Buffer {
  const parts = body.map((part) => (typeof part === 'string' ? Buffer.from(`${part}\0`) : bytesOf(part)));
  const content = Buffer.concat(parts);
  const head = Buffer.alloc(5);
  head.write(type, 0, 'latin1');
  head.writeInt32BE(content.length + 4, 1);
  return Buffer.concat([head, content]);
}

export const parse = (text: string, name = '') => message('P', name, text, 0);
/** Text parameters; results as text, or binary. */
export const bind = (
  values: readonly string[] = [],
  options: { portal?: string; name?: string; binary?: boolean } = {},
) =>
  message(
    'B',
    options.portal ?? '',
    options.name ?? '',
    0,
    values.length,
    ...values.flatMap((value) => [int32(Buffer.byteLength(value)), Buffer.from(value)]),
    ...(options.binary ? [1, 1] : [0]),
  );
export const describeStatement = (name = '') => message('D', Buffer.from('S'), name);
export const describePortal = (name = '') => message('D', Buffer.from('P'), name);
export const execute = (portal = '', rowsMax = 0) => message('E', portal, int32(rowsMax));
export const sync = () => message('S');
export const flush = () => message('H');
export const query = (text: string) => message('Q', text);

/** Parse, Bind, Describe, Execute, Sync of one statement. */
export const extended = (text: string, values: readonly string[] = [], binary = false) =>
  Buffer.concat([parse(text), bind(values, { binary }), describePortal(), execute(), sync()]);

function bytesOf(part: Buffer | number): Buffer {
  if (Buffer.isBuffer(part)) return part;
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(part);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function once(stream: net.Socket, event: string): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.once(event, () => resolve());
    stream.once('error', reject);
  });
}

function show(framer: Framer): string {
  const type = String.fromCharCode(framer.type);
  const body = framer.buffer.subarray(framer.start + 5, framer.end);
  switch (type) {
    case 'Z':
      return `Z:${body.toString('latin1')}`;
    case 'K':
      return `K:${body.readUInt32BE(0)}:${body.toString('hex', 4)}`;
    case 'C':
      return `C:${body.toString('utf8', 0, body.length - 1)}`;
    case 'd':
      return `d:${body.toString('utf8').trimEnd()}`;
    case 'E':
    case 'N': {
      const fields = body.toString('utf8').split('\0');
      const field = (letter: string) => fields.find((text) => text.startsWith(letter))?.slice(1) ?? '';
      return `${type}:${field('C')}:${field('M')}`;
    }
    case 'D':
      return `D:${cellsOf(body).join('|')}`;
    default:
      return type;
  }
}

function cellsOf(body: Buffer): string[] {
  const cells: string[] = [];
  let offset = 2;
  for (let count = body.readUInt16BE(0); count > 0; count--) {
    const bytes = body.readInt32BE(offset);
    offset += 4;
    cells.push(bytes < 0 ? 'NULL' : body.toString('utf8', offset, offset + bytes));
    offset += Math.max(bytes, 0);
  }
  return cells;
}

const PATIENCE_MS = 60_000;
