import type { Clock, Timer } from '../../../../std/index.ts';

/**
 * A time until which something has to happen, which is set anew with every request: a timer for each would cost more than what it waits for, so
 * one timer stays, and goes on when it finds that there is time left.
 */
export class Deadline {
  readonly #clock: Clock;
  readonly #passed: () => void;
  /** Monotonic milliseconds; undefined: nothing is waited for. */
  #dueMs: number | undefined;
  #timer: { readonly firesMs: number; readonly timer: Timer } | undefined;

  /** `passed` is called when it has come; nothing is waited for then. */
  constructor(clock: Clock, passed: () => void) {
    this.#clock = clock;
    this.#passed = passed;
  }

  /** From now on, in place of what was set before. */
  set(delayMs: number): void {
    const dueMs = this.#clock.monotonicMs() + delayMs;
    this.#dueMs = dueMs;
    if (this.#timer !== undefined && this.#timer.firesMs <= dueMs) return;
    this.#timer?.timer.cancel();
    this.#start(delayMs, dueMs);
  }

  /** Nothing is waited for. */
  clear(): void {
    this.#dueMs = undefined;
  }

  /** The same, for good. */
  stop(): void {
    this.clear();
    this.#timer?.timer.cancel();
    this.#timer = undefined;
  }

  #start(delayMs: number, firesMs: number) {
    this.#timer = { firesMs, timer: this.#clock.after(delayMs, () => this.#fired()) };
  }

  #fired() {
    this.#timer = undefined;
    const dueMs = this.#dueMs;
    if (dueMs === undefined) return;
    const leftMs = dueMs - this.#clock.monotonicMs();
    if (leftMs > 0) return this.#start(leftMs, dueMs);
    this.#dueMs = undefined;
    this.#passed();
  }
}
