import type { Clock } from '../../src/std/index.ts';

/** A clock for years: it jumps, and whatever has come due meanwhile fires once, as in a process that was busy. */
export interface CoarseClock extends Clock {
  jump(byMs: number): void;
}

export function createCoarseClock(startMs: number): CoarseClock {
  let passedMs = 0;
  const timers = new Set<{ readonly dueMs: number; readonly run: () => void }>();
  return {
    now: () => startMs + passedMs,
    monotonicMs: () => passedMs,
    after(delayMs, run) {
      const timer = { dueMs: passedMs + delayMs, run };
      timers.add(timer);
      return { cancel: () => void timers.delete(timer) };
    },
    jump(byMs) {
      passedMs += byMs;
      // Those that these arm wait for the next jump.
      for (const timer of [...timers]) if (timer.dueMs <= passedMs && timers.delete(timer)) timer.run();
    },
  };
}
