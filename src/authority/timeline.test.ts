import { describe, expect, it } from 'vitest';
import { createManualClock } from '../std/index.ts';
import { createTimeline, DOUBT_MS } from './timeline.ts';

const HOUR_MS = 3_600_000;

describe('a timeline', () => {
  it('is the wall clock while that runs evenly', async () => {
    const clock = createManualClock(1_800_000_000_000);
    const timeline = createTimeline(clock, () => {});
    await clock.advance(5 * HOUR_MS);
    clock.step(1500);
    expect([timeline.earliestMs(), timeline.latestMs()]).toEqual([clock.now(), clock.now()]);
  });

  it.each([
    HOUR_MS,
    -HOUR_MS,
  ])('counts both readings for two hours after a step of %i ms, then believes the clock', async (stepMs) => {
    const clock = createManualClock(1_800_000_000_000);
    const steps: number[] = [];
    const timeline = createTimeline(clock, (each) => steps.push(each));
    clock.step(stepMs);
    expect(timeline.latestMs() - timeline.earliestMs()).toBe(HOUR_MS);
    expect(steps).toEqual([stepMs]);
    await clock.advance(DOUBT_MS - 1);
    expect(timeline.latestMs() - timeline.earliestMs()).toBe(HOUR_MS);
    expect(stepMs > 0 ? timeline.latestMs() : timeline.earliestMs()).toBe(clock.now());
    await clock.advance(1);
    expect([timeline.earliestMs(), timeline.latestMs()]).toEqual([clock.now(), clock.now()]);
  });

  it('never goes back in what it calls the latest when the clock is set back', async () => {
    const clock = createManualClock(1_800_000_000_000);
    const timeline = createTimeline(clock, () => {});
    const before = timeline.latestMs();
    clock.step(-HOUR_MS);
    expect(timeline.latestMs()).toBe(before);
    await clock.advance(1000);
    expect(timeline.latestMs()).toBe(before + 1000);
  });

  it('believes a step of more than a day at once', () => {
    const clock = createManualClock(1_800_000_000_000);
    const timeline = createTimeline(clock, () => {});
    clock.step(86_400_001);
    expect([timeline.earliestMs(), timeline.latestMs()]).toEqual([clock.now(), clock.now()]);
  });

  it('keeps a bounded number of readings under a clock that is stepped all the time', () => {
    const clock = createManualClock(1_800_000_000_000);
    const timeline = createTimeline(clock, () => {});
    for (let step = 0; step < 50; step++) {
      clock.step(10_000);
      timeline.latestMs();
    }
    expect(timeline.latestMs() - timeline.earliestMs()).toBe(80_000);
  });
});
