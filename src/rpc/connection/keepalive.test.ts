import type { Http2Session } from 'node:http2';
import { beforeEach, describe, expect, it } from 'vitest';
import { createManualClock, type ManualClock } from '../../std/index.ts';
import { type KeepAlive, keepAlive } from './keepalive.ts';

// Goal: who is there is never taken for gone, and who is gone is not taken for there for longer than was asked for.

let clock: ManualClock;
let socket: { bytesRead: number };
let answers: ((error: Error | null) => void)[];
let dead: number;
let alive: KeepAlive;

beforeEach(() => {
  clock = createManualClock(0);
  [socket, answers, dead] = [{ bytesRead: 0 }, [], 0];
  // Stands for a session: only its pings are used.
  const session = { destroyed: false, ping: (answer: (typeof answers)[number]) => answers.push(answer) };
  alive = keepAlive({
    ...{ session: session as unknown as Http2Session, socket, clock },
    ...{ intervalMs: 30_000, timeoutMs: 20_000 },
    dead: () => dead++,
  });
});

const answer = () => answers.shift()?.(null);

describe('a peer', () => {
  it('is asked again and again while it answers', async () => {
    for (let n = 0; n < 3; n++) {
      await clock.advance(30_000);
      expect(answers).toHaveLength(1);
      await clock.advance(19_999);
      answer();
    }
    expect(dead).toBe(0);
  });

  it('is gone when nothing came of it in time', async () => {
    await clock.advance(49_999);
    expect(dead).toBe(0);
    await clock.advance(1);
    expect([dead, clock.pending()]).toEqual([1, 0]);
  });

  it('is there as long as anything comes, though its answer does not, and is asked once', async () => {
    await clock.advance(30_000);
    for (let n = 0; n < 5; n++) {
      socket.bytesRead += 1;
      await clock.advance(20_000);
    }
    expect([dead, answers.length]).toEqual([0, 1]);
    await clock.advance(20_000);
    expect(dead).toBe(1);
  });

  it('is there when this process was held up, and what came meanwhile is still to be read', async () => {
    await clock.advance(30_000);
    const read = clock.after(20_000, () => setImmediate(() => (socket.bytesRead += 17)));
    await clock.advance(20_000);
    read.cancel();
    expect(dead).toBe(0);
  });

  it('is asked at another pace from when that is wanted on, also while an answer is waited for', async () => {
    alive.hasten({ intervalMs: 3_000, timeoutMs: 6_000 });
    await clock.advance(3_000);
    expect(answers).toHaveLength(1);
    answer();
    await clock.advance(8_999);
    expect(dead).toBe(0);
    await clock.advance(1);
    expect(dead).toBe(1);
  });

  it('is asked no more once nobody wants to know', async () => {
    await clock.advance(30_000);
    alive.cancel();
    await clock.advance(100_000);
    expect([dead, clock.pending()]).toEqual([0, 0]);
  });
});
