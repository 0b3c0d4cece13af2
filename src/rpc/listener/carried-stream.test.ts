import { Duplex } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import { callBlock, connectRaw, END_HEADERS, END_STREAM, FRAME, frame, PREFACE } from '../testing/raw-frames.ts';
import { type Started, start } from '../testing/start.ts';
import { pacedStream } from './carried-stream.ts';
import { createTurns } from './turns.ts';

// Goal: what somebody unknown sends is worked off in small pieces, each in its turn; nothing of it is lost or reordered, and it ends as the socket does.

let started: Started | undefined;
afterEach(async () => {
  await started?.stop();
  started = undefined;
});

const later = () => new Promise((resolve) => setImmediate(resolve));

function begin() {
  const due: (() => void)[] = [];
  const socket = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
  const stream = pacedStream(
    socket,
    createTurns((run) => void due.push(run)),
    'a',
  );
  const got: Buffer[] = [];
  let ended = false;
  stream
    .on('data', (piece: Buffer) => void got.push(piece))
    .on('end', () => {
      ended = true;
    });
  /** Lets one turn of the event loop end. */
  const turn = async () => {
    for (const run of due.splice(0)) run();
    await later();
  };
  return { socket, stream, got, turn, isEnded: () => ended };
}

describe('a paced stream', () => {
  it('hands on two kilobytes in a turn, in their order, and then the end', async () => {
    const { socket, got, turn, isEnded } = begin();
    const sent = Buffer.from(Array.from({ length: 5_000 }, (_, n) => n % 251));
    socket.push(sent);
    socket.push(null);
    await later();
    expect(got).toEqual([]);
    await turn();
    expect(got.map(({ length }) => length)).toEqual([2048]);
    await turn();
    expect(isEnded()).toBe(false);
    await turn();
    expect(Buffer.concat(got).equals(sent)).toBe(true);
    await later();
    expect(isEnded()).toBe(true);
  });

  it('reads no more of the socket while some of it waits', async () => {
    const { socket, turn, got } = begin();
    socket.push(Buffer.alloc(3000));
    await later();
    expect(socket.isPaused()).toBe(true);
    await turn();
    expect(socket.isPaused()).toBe(true);
    await turn();
    expect([socket.isPaused(), Buffer.concat(got).length]).toEqual([false, 3000]);
  });

  it('hands on nothing of a socket that is gone', async () => {
    const { socket, stream, turn, got } = begin();
    socket.push(Buffer.alloc(3000));
    await later();
    socket.destroy();
    await later();
    await turn();
    expect([got, stream.destroyed]).toEqual([[], true]);
  });
});

it('the calls of strangers that come all at once are not all served in one turn of the event loop', async () => {
  let inTurn = 0;
  let most = 0;
  let all = 0;
  const test = await start('tls', {
    async interceptor(_context, next) {
      if (inTurn === 0) setImmediate(() => (inTurn = 0));
      most = Math.max(most, ++inTurn);
      all++;
      await next();
    },
  });
  started = test;
  if ('unix' in test.connect) throw new Error('this is about TLS');
  const { host, port } = test.connect;
  const call = (stream: number) =>
    Buffer.concat([
      frame(FRAME.headers, END_HEADERS, stream, callBlock('/grpc.health.v1.Health/Check')),
      frame(FRAME.data, END_STREAM, stream, Buffer.alloc(5)),
    ]);
  const words = Buffer.concat([PREFACE, ...Array.from({ length: CALLS }, (_, n) => call(1 + 2 * n))]);
  const strangers = Array.from({ length: STRANGERS }, () => connectRaw({ host, port }));
  await Promise.all(strangers.map((stranger) => stranger.send(words)));
  await expect.poll(() => all).toBe(STRANGERS * CALLS);
  expect(most).toBeLessThan(CALLS);
  for (const { socket } of strangers) socket.destroy();
});

const STRANGERS = 10;
/** As many as a stranger may have open, in ten kilobytes. */
const CALLS = 100;
