import type { RevocationFacts, RevocationVerdict } from './revocation-index.ts';

/** The revocations that stand, as a verifier knows them now: what it asks at each use of a credential. */
export interface CurrentRevocations {
  /** What stands against a credential and whoever uses it; undefined: nothing. */
  verdictOn(facts: RevocationFacts): RevocationVerdict | undefined;
  /** Of the state that answers come from; 0 before the first, and of a store that never had a revocation. */
  readonly sequence: number;
  /** Grows with each change of what stands. */
  readonly version: number;
  /**
   * How old what is known is, in milliseconds by a clock that nobody sets: since a server has last said that this is all; `Infinity` when none has since
   * this process was started.
   */
  ageMs(): number;
  /** Calls after each change of what stands, in the same turn; returns how to stop. */
  onChange(listener: () => void): () => void;
}
