import type { Clock, Log, LogFields } from '../std/index.ts';

/**
 * A log for lines that strangers can cause: of each event the first few in an interval are written, the others counted, and their number
 * is written when the interval ends. So a flood of refusals can neither fill the disk nor hide what else happens.
 */
export function createSampledLog(clock: Clock, log: Log): Log {
  const seen = new Map<string, { shown: number; unshown: number }>();
  const write = (level: 'debug' | 'info' | 'warn' | 'error', event: string, fields?: LogFields) => {
    const known = seen.get(event);
    if (known === undefined) {
      const count = { shown: 1, unshown: 0 };
      seen.set(event, count);
      clock.after(INTERVAL_MS, () => {
        seen.delete(event);
        if (count.unshown > 0) log[level](event, { unshown: count.unshown });
      });
    } else if (known.shown < SHOWN_MAX) known.shown++;
    else {
      known.unshown++;
      return;
    }
    log[level](event, fields);
  };
  return {
    debug: (event, fields) => write('debug', event, fields),
    info: (event, fields) => write('info', event, fields),
    warn: (event, fields) => write('warn', event, fields),
    error: (event, fields) => write('error', event, fields),
    child: (fields) => createSampledLog(clock, log.child(fields)),
  };
}

const INTERVAL_MS = 10_000;
/** Enough to see who and why. */
const SHOWN_MAX = 10;
