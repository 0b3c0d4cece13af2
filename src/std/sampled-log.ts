import type { Clock, Timer } from './clock.ts';
import type { Log, LogFields, LogLevel } from './log.ts';

/** A log for lines that strangers can cause. Its events are constants, never a stranger's word: each has a share of its own. */
export interface SampledLog extends Log {
  /** Writes what was counted so far and waits no longer. */
  stop(): void;
}

/**
 * Creates one: of each event the first few in an interval are written, the others counted, and a line of the event with their number as
 * `unshown` ends the interval. So a flood can neither fill the disk nor hide what else happens. Children share the counts.
 */
export function createSampledLog(deps: { readonly clock: Clock; readonly log: Log }): SampledLog {
  const { clock, log } = deps;
  const seen = new Map<string, { readonly level: LogLevel; shown: number; unshown: number }>();
  let timer: Timer | undefined;
  const endInterval = () => {
    timer?.cancel();
    timer = undefined;
    for (const [event, { level, unshown }] of seen) if (unshown > 0) log[level](event, { unshown });
    seen.clear();
  };
  const writeTo = (target: Log): Log => {
    const write = (level: LogLevel, event: string, fields?: LogFields) => {
      timer ??= clock.after(INTERVAL_MS, endInterval);
      const counted = seen.get(event) ?? { level, shown: 0, unshown: 0 };
      seen.set(event, counted);
      if (counted.shown >= SHOWN_MAX) {
        counted.unshown++;
        return;
      }
      counted.shown++;
      target[level](event, fields);
    };
    return {
      debug: (event, fields) => write('debug', event, fields),
      info: (event, fields) => write('info', event, fields),
      warn: (event, fields) => write('warn', event, fields),
      error: (event, fields) => write('error', event, fields),
      child: (fields) => writeTo(target.child(fields)),
    };
  };
  return { ...writeTo(log), stop: endInterval };
}

const INTERVAL_MS = 10_000;
/** Enough to see who and why; a flood of a million costs a line more. */
const SHOWN_MAX = 10;
