import type { Clock } from './clock.ts';

/** The error to throw for an aborted signal: its reason when that is an error, else an `AbortError`. */
export function abortError(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new DOMException('the operation was aborted', 'AbortError');
}

/** Throws when the signal is aborted already. */
export function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw abortError(signal);
}

/** A signal that aborts with a `TimeoutError` after `delayMs` on `clock`. `cancel` drops the timer. */
export function timeoutSignal(clock: Clock, delayMs: number): { signal: AbortSignal; cancel(): void } {
  const controller = new AbortController();
  const timer = clock.after(delayMs, () => {
    controller.abort(new DOMException(`no answer within ${delayMs} ms`, 'TimeoutError'));
  });
  return { signal: controller.signal, cancel: () => timer.cancel() };
}

/** A signal that aborts when any of `signals` does. */
export function anySignal(...signals: readonly AbortSignal[]): AbortSignal {
  return AbortSignal.any([...signals]);
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
