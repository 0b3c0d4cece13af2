import type { CallContext } from '../../rpc/index.ts';
import type { Clock } from '../../std/index.ts';
import type { Authorizer } from '../authorize.ts';

/**
 * Keeps a watching client up to date for as long as its call lasts: pushes once at the start, then whenever something called `changed`;
 * changes that come while a push is under way are pushed together. Whether the caller may still watch is decided anew before each
 * push and every few seconds, so that a ban or an expiry ends the stream by itself.
 */
export async function pushUpdates(options: {
  /** Of the rechecks: one for all streams, since each waking of an idle server costs more than a recheck. */
  timers: Pick<Clock, 'after'>;
  context: CallContext;
  authorizer: Pick<Authorizer, 'recheck'>;
  /** Starts listening; returns the ways to stop. */
  subscribe: (changed: () => void) => readonly (() => void)[];
  push: () => Promise<void>;
}): Promise<never> {
  const { context } = options;
  let dirty = true;
  let wake = () => {};
  const changed = () => {
    dirty = true;
    wake();
  };
  const onEnd = () => wake();
  const ends = [context.signal, context.draining];
  for (const end of ends) end.addEventListener('abort', onEnd, { once: true });
  const unsubscribe = options.subscribe(changed);
  try {
    for (;;) {
      for (const end of ends) end.throwIfAborted();
      await options.authorizer.recheck(context);
      if (dirty) {
        dirty = false;
        await options.push();
      }
      if (dirty || ends.some((end) => end.aborted)) continue;
      await new Promise<void>((resolve) => {
        const timer = options.timers.after(RECHECK_MS, resolve);
        wake = () => {
          timer.cancel();
          resolve();
        };
      });
    }
  } finally {
    for (const stop of unsubscribe) stop();
    for (const end of ends) end.removeEventListener('abort', onEnd);
  }
}

/** How long a banned agent or an expired identity may go on watching at most. */
const RECHECK_MS = 5000;
