import { describe, expect, it } from 'vitest';
import type { Quota } from '../../model/index.ts';
import { createManualClock } from '../../std/index.ts';
import { createSharedCounts } from './shared-counts.ts';
import { createSharedDoors } from './shared-doors.ts';

// Goal: whichever worker asks, there are as many as one gateway alone would allow, and what a worker had is free once it is gone.

const web = { identity: 'spiffe://example.org/web', target: 'shop' };
const rate = (most: number) => [{ quota: { policy: 'p1', unit: 'rate', most } satisfies Quota, times: 1 }];
const sessions = (most: number): Quota[] => [{ policy: 'p1', unit: 'sessions', most }];

function start(limits = { sessionsMax: 100, sessionsPerIdentityMax: 100 }) {
  const clock = createManualClock(0);
  const counts = createSharedCounts({ clock, limits, doors: createSharedDoors(() => () => {}) });
  let id = 0;
  return {
    ...{ clock, counts },
    take: (worker: number, most: number) => counts.answer(worker, ++id, { what: 'take', who: web, taken: rate(most) }),
    enter(worker: number, most: number) {
      const own = ++id;
      return { id: own, reply: counts.answer(worker, own, { what: 'enter', who: web, quotas: sessions(most) }) };
    },
    session(worker: number, identity = web.identity) {
      const own = ++id;
      return { id: own, reply: counts.answer(worker, own, { what: 'session', identity }) };
    },
  };
}

it('a door is taken for all, and free of a worker that is gone', () => {
  const { counts } = start();
  const take = (worker: number, target: string) =>
    counts.answer(worker, 100 + worker, { what: 'door', door: { target, address: '0.0.0.0', port: 5433 } });
  for (const worker of [1, 2]) expect(take(worker, 'shop')).toEqual({ entered: true });
  counts.leave(1, 101);
  expect(take(3, 'books')).toEqual({ shut: 'it is the door of target shop' });
  counts.drop(2);
  expect(take(3, 'books')).toEqual({ entered: true });
});

describe('operations a minute', () => {
  it('are those of all workers, also of one that is gone', async () => {
    const { take, counts, clock } = start();
    for (const worker of [1, 2, 1]) expect(take(worker, 3)).toEqual({ taken: true });
    counts.drop(1);
    for (const worker of [1, 2]) expect(take(worker, 3)).toMatchObject({ reached: { most: 3, retryMs: 61_000 } });
    await clock.advance(61_000);
    expect(take(2, 3)).toEqual({ taken: true });
  });
});

describe('sessions of a permit', () => {
  it('are those of all workers; one that is over makes room for one, however often that is said, and by its own worker alone', () => {
    const { enter, counts } = start();
    const [one, two] = [enter(1, 2), enter(2, 2)];
    expect([one.reply, two.reply]).toEqual([{ entered: true }, { entered: true }]);
    expect(enter(1, 2).reply).toMatchObject({ reached: { unit: 'sessions', most: 2 } });
    counts.leave(1, two.id);
    expect(enter(1, 2).reply).toHaveProperty('reached');
    for (let n = 0; n < 3; n++) counts.leave(2, two.id);
    expect(enter(1, 2).reply).toEqual({ entered: true });
    expect(enter(2, 2).reply).toHaveProperty('reached');
  });

  it('of a worker that is gone are no more, those of others are', () => {
    const { enter, counts } = start();
    for (const worker of [1, 1, 2]) enter(worker, 3);
    counts.drop(1);
    for (const expected of ['entered', 'entered', 'reached']) expect(enter(2, 3).reply).toHaveProperty(expected);
  });
});

describe('sessions of the gateway', () => {
  it('are as many over all workers as may be', () => {
    const { session, counts } = start({ sessionsMax: 2, sessionsPerIdentityMax: 100 });
    const first = session(1);
    session(2, 'spiffe://example.org/job');
    expect(session(1).reply).toMatchObject({
      refused: { code: 'limit', what: expect.stringContaining('the gateway') },
    });
    counts.leave(1, first.id);
    expect(session(2).reply).toEqual({ entered: true });
  });

  it('are as many of one identity as may be, and one that is refused takes no place of others', () => {
    const { session } = start({ sessionsMax: 3, sessionsPerIdentityMax: 2 });
    session(1);
    session(2);
    for (let n = 0; n < 5; n++)
      expect(session(1).reply).toEqual({
        refused: { code: 'limit', what: 'this identity has 2 sessions; it may have no more' },
      });
    expect(session(1, 'spiffe://example.org/job').reply).toEqual({ entered: true });
  });
});
