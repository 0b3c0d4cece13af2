import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createManualClock } from '../std/index.ts';
import { createExpirySchedule } from './expiry.ts';

describe('the schedule of expiries', () => {
  it('names each entry at its time, whatever the order they came in', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 100 }), { maxLength: 50 }), async (times) => {
        const clock = createManualClock(0);
        const due: [number, string][] = [];
        const schedule = createExpirySchedule(clock, (ids) => {
          for (const id of ids) due.push([clock.now() / 1000, id]);
        });
        for (const [place, atS] of times.entries()) schedule.add(`${place}`, atS);
        await clock.advance(200_000);
        expect(due.map(([atS]) => atS)).toEqual(times.toSorted((a, b) => a - b));
        for (const [atS, id] of due) expect(times[Number(id)]).toBe(atS);
        expect(clock.pending()).toBe(0);
      }),
      { numRuns: 50 },
    );
  });

  it('notices within a minute that the clock was set forward', async () => {
    const clock = createManualClock(0);
    const due: string[] = [];
    createExpirySchedule(clock, (ids) => due.push(...ids)).add('a', 7200);
    clock.step(7_200_000);
    await clock.advance(60_000);
    expect(due).toEqual(['a']);
  });

  it('says nothing after it stopped', async () => {
    const clock = createManualClock(0);
    const due: string[] = [];
    const schedule = createExpirySchedule(clock, (ids) => due.push(...ids));
    schedule.add('a', 1);
    schedule.stop();
    await clock.advance(5000);
    expect(due).toEqual([]);
  });
});
