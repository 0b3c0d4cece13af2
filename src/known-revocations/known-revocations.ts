import {
  type CurrentRevocations,
  createRevocationIndex,
  type RevocationFacts,
  type RevocationState,
} from '../model/index.ts';
import { type Clock, createListeners, type Log } from '../std/index.ts';

/** The revocations that stand, as far as this verifier was told; nothing is known in the beginning. */
export interface KnownRevocations extends CurrentRevocations {
  /** Undefined before the first. */
  readonly state: RevocationState | undefined;
  /**
   * Takes a state, which was verified and comes from the one before. `asOfMs`: when a server has said so, by the monotonic clock; undefined: before this
   * process was. Whoever asks gets the new answers before this returns.
   */
  take(state: RevocationState, asOfMs: number | undefined): void;
}

export function createKnownRevocations({ clock, log }: { clock: Clock; log: Log }): KnownRevocations {
  const listeners = createListeners((error) => log.error('revocations.listener_failed', { error }));
  let state: RevocationState | undefined;
  let index = createRevocationIndex([]);
  let version = 0;
  let asOfMs = Number.NEGATIVE_INFINITY;
  return {
    get state() {
      return state;
    },
    get sequence() {
      return state?.sequence ?? 0;
    },
    get version() {
      return version;
    },
    verdictOn: (facts: RevocationFacts) => index.find(facts),
    ageMs: () => clock.monotonicMs() - asOfMs,
    onChange: listeners.add,
    take(next, saidAtMs) {
      const isSame = state !== undefined && state.incarnation === next.incarnation && state.sequence === next.sequence;
      state = next;
      // What was said later may come from a server that was slower to say it.
      if (saidAtMs !== undefined) asOfMs = Math.max(asOfMs, saidAtMs);
      if (isSame) return;
      index = createRevocationIndex(next.revocations);
      version++;
      listeners.tell();
    },
  };
}
