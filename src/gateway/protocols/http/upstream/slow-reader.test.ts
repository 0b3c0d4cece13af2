/** An answer that an upstream of HTTP/2 has said to its end is there for whoever reads slowly, wherever he stands when that upstream goes. */
import { Duplex } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { eventually } from '../../../../../test/support/eventually.ts';
import { createManualClock } from '../../../../std/index.ts';
import { block, END_HEADERS, END_STREAM, FRAME, frame, type Pair, uint32 } from '../testing/frames.ts';
import { speakHttp2 } from './h2-upstream.ts';

const PIECE = Buffer.alloc(16_000, 'y');
const PIECES = 12;
const BODY_BYTES = PIECE.length * PIECES;
const head = (fields: readonly Pair[] = [], flags = 0) =>
  frame(FRAME.headers, END_HEADERS | flags, 1, block([[':status', '200'], ...fields]));
const trailers = frame(FRAME.headers, END_HEADERS | END_STREAM, 1, block([['grpc-status', '0']]));
const body = Array.from({ length: PIECES }, () => frame(FRAME.data, 0, 1, PIECE));
const goaway = frame(FRAME.goaway, 0, 0, Buffer.concat([uint32(1), uint32(0)]));
const LENGTH: Pair = ['content-length', String(BODY_BYTES)];

const OFTEN = { everyMs: 1 };
const turnsOf = async (turns: number) => {
  for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
};

/** A socket whose other end is the test's. */
function openSocket() {
  const socket: Duplex = new Duplex({
    read() {},
    write: (_chunk, _encoding, done) => done(),
    final: (done) => done(),
  });
  socket.on('error', () => {});
  return socket;
}

const answers = {
  'with trailers': { bytes: [head(), ...body, trailers], end: '\r\n0\r\ngrpc-status: 0\r\n\r\n' },
  'of chunks': { bytes: [head(), ...body, frame(FRAME.data, END_STREAM, 1)], end: '\r\n0\r\n\r\n' },
  'of a length': {
    bytes: [head([LENGTH]), ...body.slice(1), frame(FRAME.data, END_STREAM, 1, PIECE)],
    end: 'y',
  },
} as const;
const ends: Readonly<Record<string, (socket: Duplex) => void>> = {
  'ends its side': (socket) => socket.push(null),
  'says goodbye and ends its side': (socket) => {
    socket.push(goaway);
    socket.push(null);
  },
  'breaks its connection': (socket) => socket.destroy(new Error('ECONNRESET')),
};

/** Reads so many bytes, or one read more than that, and then nothing until the upstream has gone. */
async function readThrough(
  answer: { readonly bytes: readonly Buffer[]; readonly end: string },
  { end, stopBytes, turns }: { end: (socket: Duplex) => void; stopBytes: number; turns: number },
): Promise<string> {
  const socket = openSocket();
  const clock = createManualClock(0);
  const connection = speakHttp2(socket, { clock, scheme: 'http' });
  let text = '';
  let isOver = false;
  connection
    .on('error', () => {})
    .on('end', () => {
      isOver = true;
    })
    .on('close', () => {
      isOver = true;
    });
  connection.write('GET / HTTP/1.1\r\nhost: api\r\n\r\n');
  await turnsOf(1);
  connection.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    if (text.length >= stopBytes && !socket.destroyed) connection.pause();
  });
  if (stopBytes === 0) connection.pause();
  for (const bytes of [frame(FRAME.settings, 0, 0), frame(FRAME.settings, 1, 0), ...answer.bytes]) {
    socket.push(bytes);
    await turnsOf(turns);
  }
  // The end of a socket is told behind all that came, and not in the same turn.
  await eventually('all has come', () => socket.readableLength === 0, OFTEN);
  await turnsOf(3);
  end(socket);
  await turnsOf(4);
  await clock.advance(10_000);
  await eventually('its socket has gone', () => socket.destroyed, OFTEN);
  await turnsOf(5);
  connection.resume();
  await eventually('its end', () => isOver, OFTEN);
  return text;
}

describe.each(Object.entries(answers))('an answer %s', (_, answer) => {
  describe.each(Object.entries(ends))('of an upstream that %s behind it', (_name, end) => {
    const points = [0, 1, 100, ...Array.from({ length: PIECES }, (_x, at) => (at + 1) * PIECE.length)];
    it.each([0, 2])('is whole for a reader who stands still at any point, %i turns between frames', async (turns) => {
      for (const stopBytes of points) {
        const text = await readThrough(answer, { end, stopBytes, turns });
        expect(text.endsWith(answer.end), `stopped at ${stopBytes}: ${text.length} bytes`).toBe(true);
        expect(text.split('y').length - 1).toBe(BODY_BYTES);
      }
    });
  });
});
