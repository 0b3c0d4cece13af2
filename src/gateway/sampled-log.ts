import type { Clock, Log, LogFields, Timer } from '../std/index.ts';

/** A log for events that strangers can cause: the first few of each kind in an interval are shown, the others counted. */
export interface SampledLog {
  /** `event` is a constant, never a stranger's word: each one has a share of its own. */
  note(level: 'info' | 'warn' | 'error', event: string, fields: LogFields): void;
  /** Says what was counted and not shown, and goes on no longer. */
  stop(): void;
}

/** Creates one. A line `<event>` with `unshown` tells at the end of an interval how many there were beyond those shown. */
export function createSampledLog(deps: { clock: Clock; log: Log }): SampledLog {
  const { clock, log } = deps;
  const events = new Map<string, { level: 'info' | 'warn' | 'error'; shown: number; unshown: number }>();
  let timer: Timer | undefined;
  const turn = () => {
    timer = undefined;
    for (const [event, { level, unshown }] of events) if (unshown > 0) log[level](event, { unshown });
    events.clear();
  };
  return {
    note(level, event, fields) {
      timer ??= clock.after(INTERVAL_MS, turn);
      const seen = events.get(event) ?? { level, shown: 0, unshown: 0 };
      events.set(event, seen);
      if (seen.shown >= SHOWN_MAX) {
        seen.unshown++;
        return;
      }
      seen.shown++;
      log[level](event, fields);
    },
    stop() {
      timer?.cancel();
      turn();
    },
  };
}

const INTERVAL_MS = 10_000;
/** Enough to see who and why; a flood of a million costs a line more. */
const SHOWN_MAX = 10;
