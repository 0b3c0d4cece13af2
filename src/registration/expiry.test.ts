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

  it('names an entry once, at the end that was noted last, and not at all when it has none any more', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.integer({ min: 0, max: 50 })), { maxLength: 60 }),
        async (notes) => {
          const clock = createManualClock(0);
          const due: [string, number][] = [];
          const schedule = createExpirySchedule(clock, (ids) => {
            for (const id of ids) due.push([id, clock.now() / 1000]);
          });
          for (const [id, atS] of notes) schedule.add(id, atS);
          await clock.advance(100_000);
          expect(due.toSorted()).toEqual([...new Map(notes)].filter(([, atS]) => atS > 0).toSorted());
          expect(clock.pending()).toBe(0);
        },
      ),
      { numRuns: 100 },
    );
  });

  it('keeps a few notes of entries that are given a later end every minute for a year', () => {
    const schedule = createExpirySchedule(createManualClock(0), () => {});
    for (let minute = 1; minute <= 525_600; minute++) schedule.add(`${minute % 10}`, (minute + 1440) * 60);
    expect(schedule.size).toBeLessThan(2_000);
  });

  it('keeps nothing of entries that come and go before they expire', () => {
    const schedule = createExpirySchedule(createManualClock(0), () => {});
    for (let entry = 0; entry < 100_000; entry++) {
      schedule.add(`${entry}`, 1_000_000 + entry);
      schedule.add(`${entry}`, 0);
    }
    expect(schedule.size).toBeLessThan(2_000);
  });
});
