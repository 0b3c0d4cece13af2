import { type Clock, type Log, messageOf, type Timer } from '../../std/index.ts';
import type { LoginProblem, Target } from '../protocol.ts';

/**
 * Whether a target lets the gateway in, by the last login to each of its places. Logins for sessions tell it; but an operator should
 * hear of a target that is away before its clients do, so the gateway logs in by itself: at once, from then on whenever nobody has for some
 * minutes, and to what fails again and again until it succeeds.
 */
export interface TargetHealth {
  /** A login to that place is over. */
  attempted(place: string, problem: LoginProblem | undefined): void;
  /** What the last login to each place failed of. */
  problems(): readonly LoginProblem[];
  /** Begins to log in. */
  start(): void;
  /** Resolves when the logins that are under way are over; at once when none are. */
  settled(): Promise<void>;
  /** Stops that; what is told afterwards counts no more. */
  close(): void;
}

export interface TargetHealthDeps {
  readonly clock: Clock;
  readonly log: Log;
  /** The target's own, by which `attempted` is told. */
  readonly check: Target['check'];
}

/** Creates the one of a target. */
export function createTargetHealth(deps: TargetHealthDeps): TargetHealth {
  return new Watch(deps);
}

class Watch implements TargetHealth {
  readonly #deps: TargetHealthDeps;
  readonly #failing = new Map<string, LoginProblem>();
  readonly #closing = new AbortController();
  #attemptedMs = Number.NEGATIVE_INFINITY;
  /** Rounds of logins since something began to fail. */
  #rounds = 0;
  #isUnderWay = false;
  #round: Promise<void> = Promise.resolve();
  #timer: Timer | undefined;

  constructor(deps: TargetHealthDeps) {
    this.#deps = deps;
  }

  attempted(place: string, problem: LoginProblem | undefined): void {
    const { clock, log } = this.#deps;
    if (this.#closing.signal.aborted) return;
    this.#attemptedMs = clock.monotonicMs();
    const failed = this.#failing.size > 0;
    if (problem === undefined) this.#failing.delete(place);
    else this.#failing.set(place, problem);
    if (this.#failing.size > 0 === failed) return;
    // Once for all tries: what it fails of now is among the problems.
    if (failed) log.info('gateway.target.reached');
    else log.warn('gateway.target.unreached', { place, reason: problem?.what });
    this.#rounds = 0;
    if (!this.#isUnderWay) this.#schedule();
  }

  problems(): readonly LoginProblem[] {
    return [...this.#failing.values()];
  }

  start(): void {
    this.#begin();
  }

  settled(): Promise<void> {
    return this.#round;
  }

  close(): void {
    this.#closing.abort();
    this.#timer?.cancel();
    this.#failing.clear();
  }

  #begin(): void {
    this.#round = this.#logIn();
  }

  async #logIn(): Promise<void> {
    const { clock, log, check } = this.#deps;
    const { signal } = this.#closing;
    this.#isUnderWay = true;
    const isQuiet = clock.monotonicMs() - this.#attemptedMs >= QUIET_MS;
    const places = this.#failing.size > 0 ? [...this.#failing.keys()] : isQuiet ? [undefined] : [];
    for (const place of places) {
      try {
        if (!signal.aborted) await check(signal, place);
      } catch (error) {
        // A check that throws has a bug, which must not cost more than what it would have told.
        log.error('gateway.target.check_failed', { problem: messageOf(error) });
      }
    }
    this.#isUnderWay = false;
    if (this.#failing.size > 0) this.#rounds++;
    this.#schedule();
  }

  #schedule(): void {
    this.#timer?.cancel();
    if (this.#closing.signal.aborted) return;
    const { clock } = this.#deps;
    const sinceMs = clock.monotonicMs() - this.#attemptedMs;
    const restMs = Number.isFinite(sinceMs) ? Math.max(QUIET_MS - sinceMs, RETRY_MS) : QUIET_MS;
    const delayMs = this.#failing.size > 0 ? Math.min(RETRY_MS * 2 ** this.#rounds, RETRY_MS_MAX) : restMs;
    this.#timer = clock.after(delayMs, () => this.#begin());
  }
}

/** A target that nobody has logged in to for this long is looked at: it costs a login, and whoever comes next may be spared a surprise. */
const QUIET_MS = 5 * 60_000;
const RETRY_MS = 2_000;
/** It is told soon that a target is back; a refused password fills no log, and locks no account that a client's tries would not. */
const RETRY_MS_MAX = 60_000;
