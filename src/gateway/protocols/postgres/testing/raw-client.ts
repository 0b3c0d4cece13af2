import { connect, type Socket } from 'node:net';
import { encodeStartup, Framer } from '../../../../wire/postgres/index.ts';

/** A client that sends bytes as told and shows each message it gets: `Z:I`, `E:42501`, `C:SELECT 1`, `D:a|b`, else the type alone. */
export interface RawClient {
  readonly socket: Socket;
  send(...parts: readonly Buffer[]): void;
  /** Messages up to and with the next ReadyForQuery. */
  untilReady(): Promise<string[]>;
  /** Messages until one that starts so, or the end of the connection. */
  until(prefix: string): Promise<string[]>;
  /** Messages until the other side closes. */
  untilClosed(): Promise<string[]>;
  close(): void;
}

export async function openRawClient(
  port: number,
  options: { parameters?: readonly (readonly [string, string])[]; minor?: number; start?: boolean } = {},
): Promise<RawClient> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  const client = listen(socket);
  if (options.start !== false) {
    client.send(encodeStartup(options.minor ?? 0, options.parameters ?? [['user', 'web']]));
    await client.untilReady();
  }
  return client;
}

/** A client on a connection that is there already. */
export function listen(socket: Socket): RawClient {
  const framer = new Framer({ messageBytesMax: 100_000_000 });
  const seen: string[] = [];
  let wake = () => {};
  let closed = false;
  socket.on('error', () => {});
  socket.on('data', (chunk) => {
    framer.push(chunk);
    while (framer.next()) seen.push(show(framer));
    wake();
  });
  const over = () => {
    closed = true;
    wake();
  };
  socket.on('end', over).on('close', over);
  const until = async (done: (message: string) => boolean) => {
    for (;;) {
      const at = seen.findIndex(done);
      if (at >= 0) return seen.splice(0, at + 1);
      if (closed) return seen.splice(0);
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  return {
    socket,
    send: (...parts) => void socket.write(Buffer.concat(parts)),
    untilReady: () => until((message) => message.startsWith('Z')),
    until: (prefix) => until((message) => message.startsWith(prefix)),
    untilClosed: () => until(() => false),
    close: () => void socket.destroy(),
  };
}

function show(framer: Framer): string {
  const type = String.fromCharCode(framer.type);
  const body = framer.buffer.subarray(framer.start + 5, framer.end);
  if (type === 'Z') return `Z:${body.toString('latin1')}`;
  if (type === 'C') return `C:${body.toString('utf8', 0, body.length - 1)}`;
  if (type === 'd') return `d:${body.toString('utf8').trimEnd()}`;
  if (type === 'E' || type === 'N') {
    const fields = body.toString('utf8').split('\0');
    const field = (letter: string) => fields.find((text) => text.startsWith(letter))?.slice(1) ?? '';
    return `${type}:${field('C')}:${field('M')}`;
  }
  if (type === 'D') {
    const values: string[] = [];
    let offset = 2;
    for (let count = body.readUInt16BE(0); count > 0; count--) {
      const bytes = body.readInt32BE(offset);
      offset += 4;
      values.push(bytes < 0 ? 'NULL' : body.toString('utf8', offset, offset + bytes));
      offset += Math.max(bytes, 0);
    }
    return `D:${values.join('|')}`;
  }
  return type;
}
