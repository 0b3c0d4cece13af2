import { abortError } from './abort.ts';
import { type Bag, createBag, type InBag } from './bag.ts';

/** A running timer; cancelling twice, or after it fired, does nothing. */
export interface Timer {
  cancel(): void;
}

/** The only source of time. */
export interface Clock {
  /** Wall-clock time in milliseconds since the Unix epoch; may jump. */
  now(): number;
  /** Milliseconds that never go back; only differences mean anything. */
  monotonicMs(): number;
  /** Calls `run` once after `delayMs` (≥ 0); the timer does not keep the process alive by itself. */
  after(delayMs: number, run: () => void): Timer;
}

/** The machine's clock. */
export function createSystemClock(): Clock {
  return {
    now: () => Date.now(),
    monotonicMs: () => performance.now(),
    after(delayMs, run) {
      if (delayMs > TIMEOUT_MS_MAX) return afterLong(delayMs, run);
      const handle = setTimeout(run, delayMs);
      handle.unref();
      return { cancel: () => clearTimeout(handle) };
    },
  };
}

/** A timer past what Node's own can wait, one stretch after the other. */
function afterLong(delayMs: number, run: () => void): Timer {
  let handle: NodeJS.Timeout | undefined;
  const wait = (leftMs: number) => {
    const stretchMs = Math.min(leftMs, TIMEOUT_MS_MAX);
    handle = setTimeout(() => (leftMs > stretchMs ? wait(leftMs - stretchMs) : run()), stretchMs);
    handle.unref();
  };
  wait(delayMs);
  return { cancel: () => clearTimeout(handle) };
}

/** A clock that moves only when told to: for tests. */
export interface ManualClock extends Clock {
  /** Moves time on, firing each due timer at its own instant, in order; awaits a turn of the event loop after each. */
  advance(byMs: number): Promise<void>;
  /** Steps the wall clock by `byMs` (either way) without passing monotonic time: what a clock correction does. */
  step(byMs: number): void;
  /** Number of timers still waiting. */
  pending(): number;
}

/** Creates a {@link ManualClock} standing at `startMs` (epoch milliseconds). */
export function createManualClock(startMs: number): ManualClock {
  let wallMs = startMs;
  let monoMs = 0;
  const timers = new Set<{ dueMs: number; run: () => void }>();
  const nextDue = (untilMs: number) => {
    let next: { dueMs: number; run: () => void } | undefined;
    for (const timer of timers) if (timer.dueMs <= untilMs && (!next || timer.dueMs < next.dueMs)) next = timer;
    return next;
  };
  return {
    now: () => wallMs,
    monotonicMs: () => monoMs,
    after(delayMs, run) {
      const timer = { dueMs: monoMs + Math.max(0, delayMs), run };
      timers.add(timer);
      return { cancel: () => void timers.delete(timer) };
    },
    async advance(byMs) {
      const untilMs = monoMs + byMs;
      for (let timer = nextDue(untilMs); timer; timer = nextDue(untilMs)) {
        timers.delete(timer);
        wallMs += timer.dueMs - monoMs;
        monoMs = timer.dueMs;
        timer.run();
        await new Promise<void>((resolve) => setImmediate(resolve));
      }
      wallMs += untilMs - monoMs;
      monoMs = untilMs;
      await new Promise<void>((resolve) => setImmediate(resolve));
    },
    step(byMs) {
      wallMs += byMs;
    },
    pending: () => timers.size,
  };
}

/** Waits `delayMs`; rejects with an `AbortError` as soon as the signal aborts, leaving no timer behind. */
export function sleep(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(abortError(signal));
    const onAbort = () => {
      timer.cancel();
      reject(abortError(signal));
    };
    const timer = clock.after(delayMs, () => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    });
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

/**
 * Timers that share the clock's: those that are due within the same `stepMs` run together, at its beginning, so up to that much early.
 * For thousands of timers whose moment matters little: an idle process is then woken once a step, not once a timer.
 */
export function createSharedTimers(clock: Clock, stepMs: number): Pick<Clock, 'after'> {
  const steps = new Map<number, Step>();
  const open = (number: number): Step => {
    const waiting = createBag<SharedTimer>();
    const forget = () => steps.get(number) === step && steps.delete(number);
    const fire = () => {
      forget();
      for (const each of waiting.items()) each.fire();
    };
    const timer = clock.after(Math.max(0, number * stepMs - clock.monotonicMs()), fire);
    const step: Step = {
      waiting,
      drop() {
        timer.cancel();
        forget();
      },
    };
    steps.set(number, step);
    return step;
  };
  return {
    after(delayMs, run) {
      const number = Math.floor((clock.monotonicMs() + delayMs) / stepMs);
      return new SharedTimer(steps.get(number) ?? open(number), run);
    },
  };
}

interface Step {
  readonly waiting: Bag<SharedTimer>;
  /** Nobody waits for it any more. */
  drop(): void;
}

class SharedTimer implements Timer {
  readonly #step: Step;
  readonly #run: () => void;
  readonly #place: InBag;

  constructor(step: Step, run: () => void) {
    this.#step = step;
    this.#run = run;
    this.#place = step.waiting.add(this);
  }

  fire(): void {
    if (this.#place.remove()) this.#run();
  }

  cancel(): void {
    if (this.#place.remove() && this.#step.waiting.size === 0) this.#step.drop();
  }
}

/**
 * Keeps this process alive until the returned function is called: timers and watchers of a clock do not, so a command that only waits for
 * one would end in the middle.
 */
export function holdProcess(): () => void {
  const handle = setInterval(() => {}, TIMEOUT_MS_MAX);
  return () => clearInterval(handle);
}

/** Node fires a timer at once when its delay passes 2^31-1 ms. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1;
