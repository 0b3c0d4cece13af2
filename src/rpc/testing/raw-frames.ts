import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

/** HTTP/2 as nobody's library would send it: bytes of frames over a socket. @see RFC 9113 §4.1 */
export function frame(type: number, flags: number, stream: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

export const FRAME = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;
export const END_STREAM = 0x1;
export const END_HEADERS = 0x4;

export const PREFACE = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1'), frame(4, 0, 0)]);

export function uint32(value: number): Buffer {
  const out = Buffer.alloc(4);
  out.writeUInt32BE(value >>> 0);
  return out;
}

/** The header block of a gRPC call, with further fields (names lower-case); nothing of it is remembered. */
export function callBlock(path: string, more: readonly (readonly [string, string])[] = []): Buffer {
  const fields = [['te', 'trailers'], ['content-type', 'application/grpc'], ...more] as const;
  return Buffer.concat([
    Buffer.from([0x83, 0x86, 0x04]),
    text(path),
    Buffer.from([0x01]),
    text('localhost'),
    ...fields.map(([name, value]) => Buffer.concat([Buffer.from([0x10]), text(name), text(value)])),
  ]);
}

/** A string not in Huffman's code: RFC 7541 §5.2. */
function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1');
  const length: number[] = [];
  if (bytes.length < 127) length.push(bytes.length);
  else {
    let rest = bytes.length - 127;
    length.push(127);
    for (; rest >= 128; rest >>= 7) length.push((rest & 0x7f) | 0x80);
    length.push(rest);
  }
  return Buffer.concat([Buffer.from(length), bytes]);
}

/** A connection that says what it is told to, and notes what it hears. */
export interface RawClient {
  readonly socket: Socket;
  /** Sends, waiting for room; false when the other side has closed. */
  send(bytes: Uint8Array): Promise<boolean>;
  /** Error codes of the GOAWAY frames that came. */
  readonly goaways: number[];
  /** Streams that headers came on, in their order. */
  readonly answered: number[];
  readonly closed: Promise<void>;
  readonly isClosed: boolean;
}

/** Connects to a unix socket, or over TLS without a certificate. `reads: false`: what is sent to it stays in the kernel. */
export function connectRaw(
  to: string | { readonly host: string; readonly port: number },
  options: { reads?: boolean } = {},
): RawClient {
  const socket =
    typeof to === 'string' ? connect(to) : connectTls({ ...to, rejectUnauthorized: false, ALPNProtocols: ['h2'] });
  const goaways: number[] = [];
  const answered: number[] = [];
  let isClosed = false;
  let held: Buffer = Buffer.alloc(0);
  const closed = new Promise<void>((resolve) =>
    socket.once('close', () => {
      isClosed = true;
      resolve();
    }),
  );
  socket.on('error', () => {});
  if (options.reads ?? true) {
    socket.on('data', (chunk: Buffer) => {
      held = Buffer.concat([held, chunk]);
      while (held.length >= 9 && held.length >= 9 + held.readUIntBE(0, 3)) {
        const bytes = held.readUIntBE(0, 3);
        if (held.readUInt8(3) === FRAME.goaway) goaways.push(held.readUInt32BE(13));
        if (held.readUInt8(3) === FRAME.headers) answered.push(held.readUInt32BE(5));
        held = held.subarray(9 + bytes);
      }
    });
  }
  return {
    socket,
    goaways,
    answered,
    closed,
    get isClosed() {
      return isClosed;
    },
    async send(bytes) {
      if (isClosed || socket.destroyed) return false;
      if (!socket.write(bytes)) {
        await Promise.race([new Promise((resolve) => socket.once('drain', resolve)), closed]);
      }
      return !isClosed;
    },
  };
}
