import { beforeEach, describe, expect, it } from 'vitest';
import { createManualClock, createSilentLog, type ManualClock, raceAbort } from '../../std/index.ts';
import { createDrain } from './drain.ts';

// Goal: a stop disturbs nobody who has somewhere to go and time to do so, and takes no longer than that.

let clock: ManualClock;
/** Of how many other gateways the server tells. */
let others: PromiseWithResolvers<number | undefined>;
let empty: PromiseWithResolvers<void>;

beforeEach(() => {
  clock = createManualClock(0);
  others = Promise.withResolvers();
  empty = Promise.withResolvers();
});

function leave() {
  const drain = createDrain({
    ...{ clock, log: createSilentLog(), delayMs: 15_000 },
    gateway: {
      leave: (signal) => raceAbort(empty.promise, signal).catch(() => {}),
      sessions: () => [{ id: 'a', identity: 'spiffe://example.org/web', target: 'shop', door: 'agent', startedMs: 0 }],
    },
    reports: { leave: () => others.promise },
  });
  const seen = { over: false };
  expect(drain.findings()).toEqual([]);
  void drain.leave().then(() => {
    seen.over = true;
  });
  return { drain, seen };
}

describe('a gateway that leaves', () => {
  it('waits for its sessions for so long, and tells so', async () => {
    const { drain, seen } = leave();
    others.resolve(1);
    expect(drain.findings()).toMatchObject([{ severity: 'failed', found: expect.stringMatching(/1 session$/) }]);
    await clock.advance(14_999);
    expect(seen.over).toBe(false);
    await clock.advance(1);
    expect(seen.over).toBe(true);
  });

  it('waits no longer than they are there', async () => {
    const { seen } = leave();
    empty.resolve();
    await clock.advance(0);
    expect([seen.over, clock.pending()]).toEqual([true, 0]);
  });

  it('waits for nobody when there is no other gateway, since its sessions are better off when it is back soon', async () => {
    const { seen } = leave();
    await clock.advance(500);
    expect(seen.over).toBe(false);
    others.resolve(0);
    await clock.advance(0);
    expect([seen.over, clock.pending()]).toEqual([true, 0]);
  });

  it('waits when nobody can tell', async () => {
    const { seen } = leave();
    others.resolve(undefined);
    await clock.advance(14_999);
    expect(seen.over).toBe(false);
  });

  it('waits for nobody when it is told to hurry', async () => {
    const { drain, seen } = leave();
    drain.hurry();
    await clock.advance(0);
    expect(seen.over).toBe(true);
  });
});
