import type { FixtureClient, RequestKind, Told } from '../../../../../test/conformance/protocol-bed.ts';
import { block, END_HEADERS, END_STREAM, FRAME, frame, PREFACE, pseudo, request, uint32 } from './frames.ts';

const HELLO_STREAM = 1;
const at = (method: string, path: string) => pseudo({ ':method': method, ':path': path, ':authority': 'target' });

/** What a client of HTTP/2 says first. */
export const helloOfHttp2 = Buffer.concat([PREFACE, request(HELLO_STREAM, at('OPTIONS', '*'))]);

/** A client of HTTP/2 that has said that. It takes all that it gets: so it says, which the server needs to go on. */
export function createHttp2Client(
  say: (bytes: Buffer) => void,
  methods: Readonly<Record<RequestKind, string>>,
): FixtureClient {
  let next = HELLO_STREAM;
  const isFine = new Map<number, boolean>();
  let untold = 0;
  let held: Buffer = Buffer.alloc(0);
  const read = (type: number, { flags, stream, payload }: Frame): readonly Told[] => {
    if (type === FRAME.reset) return isFine.has(stream) ? ['refusal'] : [];
    const ends = (flags & END_STREAM) !== 0;
    if (type === FRAME.headers && !isFine.has(stream)) isFine.set(stream, isSuccess(payload));
    else if (type !== FRAME.data) return [];
    const isGood = isFine.get(stream) === true;
    if (type === FRAME.data) untold += payload.length;
    if (untold >= TOLD_BYTES) {
      say(
        Buffer.concat([0, ...(ends ? [] : [stream])].map((one) => frame(FRAME.windowUpdate, 0, one, uint32(untold)))),
      );
      untold = 0;
    }
    const item: Told[] = type === FRAME.data && payload.length > 0 && isGood ? ['item'] : [];
    if (!ends) return item;
    isFine.delete(stream);
    return [...item, isGood ? (stream === HELLO_STREAM ? 'hello' : 'answer') : 'refusal'];
  };
  return {
    request(kind, name) {
      next += 2;
      const fields = at(methods[kind], `/${kind}/${name}`);
      if (kind !== 'heavy') return request(next, fields);
      const half = Buffer.alloc(10_000, 'x'); // A frame has 16 KiB at most.
      return Buffer.concat([
        frame(FRAME.headers, END_HEADERS, next, block([...fields, ['content-length', '20000']])),
        frame(FRAME.data, 0, next, half),
        frame(FRAME.data, END_STREAM, next, half),
      ]);
    },
    read(chunk) {
      const told: Told[] = [];
      held = Buffer.concat([held, chunk]);
      while (held.length >= 9 && held.length >= 9 + held.readUIntBE(0, 3)) {
        const end = 9 + held.readUIntBE(0, 3);
        const [flags, stream, payload] = [held.readUInt8(4), held.readUInt32BE(5), held.subarray(9, end)];
        told.push(...read(held.readUInt8(3), { flags, stream, payload }));
        held = held.subarray(end);
      }
      return told;
    },
  };
}

interface Frame {
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** 200 and 204 stand in HPACK's own table; no refusal does that the gateway gives. */
function isSuccess(payload: Buffer): boolean {
  return payload.at(0) === 0x88 || payload.at(0) === 0x89;
}

/** Half a window, as clients do. */
const TOLD_BYTES = 32 * 1024;
