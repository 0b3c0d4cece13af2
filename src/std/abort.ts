import type { Clock } from './clock.ts';

/** The error to throw for an aborted signal: its reason when that is an error, else an `AbortError`. */
export function abortError(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new DOMException('the operation was aborted', 'AbortError');
}

/** Throws when the signal is aborted already. */
export function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw abortError(signal);
}

/** An abort of one's own that follows others. Whoever makes it ends it, by either of the two. */
export interface FollowingAbort {
  readonly signal: AbortSignal;
  abort(reason?: unknown): void;
  /** Follows no longer: the others may live as long as the process, and would hold it for as long. */
  release(): void;
}

/**
 * Aborts when it is told to, and as soon as any of `others` does. `AbortSignal.any`, and the option `signal` of a listener, tie signals by weak
 * references: what hangs on them stays until a full collection, and that option's listener for good where one comes before its time.
 */
export function followAbort(...others: readonly AbortSignal[]): FollowingAbort {
  const controller = new AbortController();
  const release = () => {
    for (const other of others) other.removeEventListener('abort', follow);
  };
  const abort = (reason?: unknown) => {
    release();
    controller.abort(reason);
  };
  const follow = () => abort(others.find((other) => other.aborted)?.reason);
  if (others.some((other) => other.aborted)) follow();
  else for (const other of others) other.addEventListener('abort', follow, { once: true });
  return { signal: controller.signal, abort, release };
}

/** The end of a time, or of what is done in it. */
export interface TimeLimit {
  readonly signal: AbortSignal;
  /** The time was over before anything else ended it. */
  readonly isOver: boolean;
  /** Drops the timer, and lets go of the others. */
  cancel(): void;
}

/** A signal that aborts with a `TimeoutError` after `delayMs` on `clock`, and as soon as any of `others` does. */
export function timeoutSignal(clock: Clock, delayMs: number, ...others: readonly AbortSignal[]): TimeLimit {
  const { signal, abort, release } = followAbort(...others);
  let isOver = false;
  const timer = clock.after(delayMs, () => {
    isOver = !signal.aborted;
    abort(new DOMException(`no answer within ${delayMs} ms`, 'TimeoutError'));
  });
  return {
    signal,
    get isOver() {
      return isOver;
    },
    cancel() {
      timer.cancel();
      release();
    },
  };
}

/** Settles as `work` does, or rejects as soon as the signal aborts. The work itself is not stopped. */
export function raceAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(abortError(signal));
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    // Always attached: nobody else hears a rejection that comes after the abort.
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
