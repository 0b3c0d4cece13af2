import { beforeEach, describe, expect, it } from 'vitest';
import { createManualClock, type ManualClock } from '../std/index.ts';
import { createShippingBound, type ShippingBound } from './shipping-bound.ts';

// Goal: a gateway that is cut off goes on for as long as it may, to the millisecond, and one that ships is never held up.

const MOST_MS = 60_000;
let clock: ManualClock;
let bound: ShippingBound;
let written: number;

beforeEach(() => {
  clock = createManualClock(1_000_000);
  bound = createShippingBound(clock, MOST_MS);
  written = 0;
});

function write(): 'taken' | string {
  const refusal = bound.refusal(written);
  if (refusal !== undefined) return refusal.code;
  written++;
  return 'taken';
}

describe('a ledger of which nothing is shipped', () => {
  it('takes entries for as long as it may, and then none', async () => {
    expect(write()).toBe('taken');
    await clock.advance(MOST_MS);
    expect(write()).toBe('taken');
    await clock.advance(1);
    expect(write()).toBe('ERR_LEDGER_UNSHIPPED');
    expect(bound.refusal(written)?.message).toBe(
      'entries of the last 1m are not shipped to the record, so nothing new is accepted',
    );
  });

  it('takes entries again once they are shipped', async () => {
    write();
    await clock.advance(MOST_MS + 1);
    expect(write()).toBe('ERR_LEDGER_UNSHIPPED');
    bound.shipped(written);
    expect(write()).toBe('taken');
  });

  it('counts from its oldest entry, not from when it was last shipped', async () => {
    write();
    bound.shipped(written);
    await clock.advance(10 * MOST_MS);
    expect(write()).toBe('taken');
    await clock.advance(MOST_MS);
    expect(write()).toBe('taken');
    await clock.advance(1);
    expect(write()).toBe('ERR_LEDGER_UNSHIPPED');
  });

  it('is not helped by a record that has more than was written', async () => {
    bound.shipped(1000);
    write();
    await clock.advance(MOST_MS + 1);
    expect(write()).toBe('ERR_LEDGER_UNSHIPPED');
  });
});

describe('a ledger that is shipped', () => {
  it('takes all, though there is always something that is not shipped yet', async () => {
    for (let second = 0; second < 600; second++) {
      for (let n = 0; n < 5; n++) expect(write()).toBe('taken');
      bound.shipped(written - 3);
      await clock.advance(1000);
    }
  });

  it('slower than it is written takes nothing more when its oldest entry is too old', async () => {
    let shipped = 0;
    let second = 0;
    while (write() === 'taken') {
      for (let n = 0; n < 9; n++) write();
      shipped += 5;
      bound.shipped(shipped);
      await clock.advance(1000);
      second++;
    }
    // What was written at second s is shipped at second 2s.
    expect(second).toBeGreaterThan(MOST_MS / 1000);
    expect(second).toBeLessThanOrEqual((2 * MOST_MS) / 1000 + 2);
  });
});
