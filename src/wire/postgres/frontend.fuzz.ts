import {
  encodeCancelRequest,
  encodeDescribe,
  encodeFlush,
  encodeParse,
  encodeQuery,
  encodeSslRequest,
  encodeStartup,
  Framer,
  Frontend,
  PostgresWireError,
  readBind,
  readEmpty,
  readExecute,
  readNamed,
  readParse,
  readQuery,
  readStartupPacket,
} from './index.ts';

/** What a hostile client can send: the first byte says where the stream is cut, the rest is the stream, start-up packet first. */
export function fuzz(input: Uint8Array): void {
  const cut = input[0] ?? 0;
  const stream = Buffer.from(input.subarray(1));
  try {
    const first = readStartupPacket(stream);
    const rest = stream.subarray(first?.bytes ?? 0);
    const whole = walk([rest]);
    const parts = walk([rest.subarray(0, cut % (rest.length + 1)), rest.subarray(cut % (rest.length + 1))]);
    if (whole !== parts) throw new Error('where a stream is cut changes what is read of it');
  } catch (error) {
    if (!(error instanceof PostgresWireError)) throw error;
  }
}

/** Reads all messages; what was read, or which error ended it, as one text. */
function walk(chunks: readonly Buffer[]): string {
  const framer = new Framer({
    messageBytesMax: 4096,
    keptBytesMax: (type) => (type === Frontend.query ? 64 : undefined),
  });
  let seen = '';
  try {
    for (const chunk of chunks) {
      framer.push(chunk);
      while (framer.next()) seen += `${framer.type}:${framer.oversize ? 'oversize' : JSON.stringify(read(framer))};`;
    }
  } catch (error) {
    if (!(error instanceof PostgresWireError)) throw error;
    return seen + error.code;
  }
  return seen;
}

function read(framer: Framer): unknown {
  try {
    switch (framer.type) {
      case Frontend.query:
        return readQuery(framer);
      case Frontend.parse:
        return readParse(framer);
      case Frontend.bind:
        return readBind(framer);
      case Frontend.describe:
      case Frontend.close:
        return readNamed(framer);
      case Frontend.execute:
        return readExecute(framer);
      default:
        return readEmpty(framer);
    }
  } catch (error) {
    if (!(error instanceof PostgresWireError)) throw error;
    return error.code;
  }
}

const startup = encodeStartup(0, [['user', 'web']]);
export const seeds: readonly Uint8Array[] = [
  Buffer.concat([Buffer.from([3]), startup, encodeQuery('select 1'), encodeFlush()]),
  Buffer.concat([Buffer.from([9]), startup, encodeParse('s', 'select $1'), encodeDescribe('P', 'p')]),
  Buffer.concat([Buffer.from([0]), encodeSslRequest()]),
  Buffer.concat([Buffer.from([0]), encodeCancelRequest(7, Buffer.alloc(32))]),
];

export const tokens = [
  'Q',
  'P',
  'B',
  'D',
  'E',
  'C',
  'S',
  'H',
  'X',
  'd',
  'c',
  'f',
  '\0',
  'S\0',
  'P\0',
  Buffer.from([0, 0, 0, 4]),
  Buffer.from([0, 1, 0, 1]),
  Buffer.from([255, 255, 255, 255]),
];
