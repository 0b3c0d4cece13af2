import type { Clock } from '../std/index.ts';

/**
 * What time it may be. The wall clock can be stepped, by a correction or by mistake, and nothing here can tell which of the two it was. So for
 * a while after a step both readings count: what begins, begins by the earlier one, and what ends, has ended by the later one.
 */
export interface Timeline {
  /** Epoch milliseconds, not later than the true time if either reading is right: for `notBefore`, and for forgetting what expired. */
  earliestMs(): number;
  /** Not earlier than the true time if either reading is right: for expiry. */
  latestMs(): number;
}

/**
 * Creates a {@link Timeline}. The second reading is the wall clock carried on by monotonic time from before the step. It is believed for
 * {@link DOUBT_MS}; after that the stepped clock is. A step of more than a day is no correction of a running clock: keeping both readings
 * would make authorities that live for years, so the clock is believed as it is.
 */
export function createTimeline(clock: Clock, onStep: (stepMs: number) => void): Timeline {
  let offsetMs = clock.now() - clock.monotonicMs();
  // Readings that are in doubt: how far they are from monotonic time, and since when.
  let doubted: readonly { readonly offsetMs: number; readonly sinceMonoMs: number }[] = [];
  const readings = () => {
    const monoMs = clock.monotonicMs();
    const currentMs = clock.now() - monoMs;
    const stepMs = currentMs - offsetMs;
    if (Math.abs(stepMs) >= STEP_MS) {
      if (Math.abs(stepMs) <= DOUBT_STEP_MS_MAX) {
        doubted = [...doubted.slice(1 - DOUBTED_MAX), { offsetMs, sinceMonoMs: monoMs }];
      }
      onStep(stepMs);
    }
    offsetMs = currentMs;
    doubted = doubted.filter((reading) => monoMs - reading.sinceMonoMs < DOUBT_MS);
    return [currentMs, ...doubted.map((reading) => reading.offsetMs)].map((each) => each + monoMs);
  };
  return {
    earliestMs: () => Math.min(...readings()),
    latestMs: () => Math.max(...readings()),
  };
}

/** Longer than the default life of an SVID: whatever was issued on the wrong reading has been replaced by then. */
export const DOUBT_MS = 2 * 3_600_000;
/** Smaller changes between two looks are the slewing of a disciplined clock. */
const STEP_MS = 2000;
const DOUBT_STEP_MS_MAX = 86_400_000;
/** A clock that is stepped more often than this has no time to be right about. */
const DOUBTED_MAX = 8;
