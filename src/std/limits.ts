import { abortError } from './abort.ts';

/** A first-in first-out queue that refuses rather than grows. */
export interface BoundedQueue<T> {
  /** False when the queue is full; the item was not taken. */
  push(item: T): boolean;
  shift(): T | undefined;
  readonly size: number;
}

/** Creates a queue of at most `itemsMax` items. */
export function createBoundedQueue<T>(itemsMax: number): BoundedQueue<T> {
  const items = new Map<number, T>();
  let head = 0;
  let tail = 0;
  return {
    push(item) {
      if (items.size >= itemsMax) return false;
      items.set(tail++, item);
      return true;
    },
    shift() {
      const item = items.get(head);
      if (items.delete(head)) head++;
      return item;
    },
    get size() {
      return items.size;
    },
  };
}

/** Lets at most so many through at once; the rest wait in order. */
export interface Limiter {
  /** Runs `work` when there is room; rejects at once when `waitersMax` already wait, or when the signal aborts while waiting. */
  run<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T>;
  readonly running: number;
  readonly waiting: number;
}

/** Creates a {@link Limiter}. `full` makes the error thrown when too many wait. */
export function createLimiter(options: { runningMax: number; waitersMax: number; full: () => Error }): Limiter {
  const waiters = new Set<() => void>();
  let running = 0;
  const leave = () => {
    running--;
    const next = waiters.values().next();
    if (!next.done) {
      waiters.delete(next.value);
      next.value();
    }
  };
  const enter = (signal: AbortSignal) =>
    new Promise<void>((resolve, reject) => {
      if (signal.aborted) return reject(abortError(signal));
      if (running < options.runningMax) {
        running++;
        return resolve();
      }
      if (waiters.size >= options.waitersMax) return reject(options.full());
      const onAbort = () => {
        waiters.delete(admit);
        reject(abortError(signal));
      };
      const admit = () => {
        signal.removeEventListener('abort', onAbort);
        running++;
        resolve();
      };
      signal.addEventListener('abort', onAbort, { once: true });
      waiters.add(admit);
    });
  return {
    async run(work, signal) {
      await enter(signal);
      try {
        return await work();
      } finally {
        leave();
      }
    },
    get running() {
      return running;
    },
    get waiting() {
      return waiters.size;
    },
  };
}
