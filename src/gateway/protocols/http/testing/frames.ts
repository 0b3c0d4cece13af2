import type { Socket } from 'node:net';

/** HTTP/2 as no library would send it: bytes of frames over a socket. @see RFC 9113 §4.1 */
export function frame(type: number, flags: number, stream: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

export const FRAME = {
  ...{ data: 0, headers: 1, priority: 2, reset: 3, settings: 4, ping: 6, goaway: 7, windowUpdate: 8, continuation: 9 },
} as const;
export const END_STREAM = 0x1;
export const END_HEADERS = 0x4;
export const PREFACE = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1'), frame(4, 0, 0)]);

export function uint32(value: number): Buffer {
  const out = Buffer.alloc(4);
  out.writeUInt32BE(value >>> 0);
  return out;
}

export type Pair = readonly [name: string, value: string];

/** The pseudo-headers of a GET, with others in their place. */
export function pseudo(other: Readonly<Record<string, string>> = {}): Pair[] {
  return Object.entries({ ':method': 'GET', ':scheme': 'http', ':path': '/v1/x', ':authority': 'api', ...other });
}

/** A header block of which nothing is remembered: RFC 7541 §6.2.2. */
export function block(fields: readonly Pair[]): Buffer {
  return Buffer.concat(fields.map(([name, value]) => Buffer.concat([Buffer.from([0]), text(name), text(value)])));
}

/** A request, with its body if there is one. */
export function request(stream: number, fields: readonly Pair[], body?: string): Buffer {
  const ends = body === undefined ? END_STREAM : 0;
  return Buffer.concat([
    frame(FRAME.headers, END_HEADERS | ends, stream, block(fields)),
    ...(body === undefined ? [] : [frame(FRAME.data, END_STREAM, stream, Buffer.from(body))]),
  ]);
}

/** A string not in Huffman's code: RFC 7541 §5.2. */
function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1');
  const length: number[] = [];
  let rest = bytes.length - 127;
  length.push(rest < 0 ? bytes.length : 127);
  for (; rest >= 128; rest >>= 7) length.push((rest & 0x7f) | 0x80);
  if (bytes.length >= 127) length.push(rest);
  return Buffer.concat([Buffer.from(length), bytes]);
}

/** What the server said, by kinds. */
export interface Heard {
  /** Streams with the status of their answer, where that is one of HPACK's own. */
  readonly statuses: ReadonlyMap<number, number>;
  readonly bodies: ReadonlyMap<number, string>;
  /** Streams that were reset, with their codes. */
  readonly resets: ReadonlyMap<number, number>;
  readonly goaways: readonly number[];
}

/** Notes what comes over a socket. */
export function hear(socket: Socket): Heard {
  const statuses = new Map<number, number>();
  const bodies = new Map<number, string>();
  const resets = new Map<number, number>();
  const goaways: number[] = [];
  let held: Buffer = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    held = Buffer.concat([held, chunk]);
    while (held.length >= 9 && held.length >= 9 + held.readUIntBE(0, 3)) {
      const end = 9 + held.readUIntBE(0, 3);
      const [type, stream, payload] = [held.readUInt8(3), held.readUInt32BE(5), held.subarray(9, end)];
      if (type === FRAME.goaway) goaways.push(payload.readUInt32BE(4));
      if (type === FRAME.reset) resets.set(stream, payload.readUInt32BE(0));
      if (type === FRAME.data) bodies.set(stream, (bodies.get(stream) ?? '') + payload.toString('latin1'));
      if (type === FRAME.headers) statuses.set(stream, statusOf(payload));
      held = held.subarray(end);
    }
  });
  return { statuses, bodies, resets, goaways };
}

/** Of the statuses that HPACK knows by itself; 1 of another. */
function statusOf(payload: Buffer): number {
  return [200, 204, 206, 304, 400, 404, 500][(payload.at(0) ?? 0) - 0x88] ?? 1;
}
