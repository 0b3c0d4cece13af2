import { type CurrentRevocations, createRevocationIndex, type Revocation } from '../../model/index.ts';
import { createListeners } from '../../std/index.ts';

/** Revocations that are as a test says, at once. */
export function createTestRevocations() {
  const listeners = createListeners();
  let index = createRevocationIndex([]);
  let version = 0;
  const state = { ageMs: 0 };
  const current: CurrentRevocations = {
    verdictOn: (facts) => index.find(facts),
    sequence: 0,
    get version() {
      return version;
    },
    ageMs: () => state.ageMs,
    onChange: listeners.add,
  };
  return {
    current,
    state,
    /** These stand, and no others. */
    now(...all: readonly Revocation[]) {
      index = createRevocationIndex(all);
      version++;
      listeners.tell();
    },
  };
}

/** One of that identity, in all that is not given. */
export function testRevocation(spiffeId: string, given: Partial<Revocation> = {}): Revocation {
  return {
    ...{ id: 'r1', subject: { kind: 'identity', spiffeId }, mode: 'revoked', allow: [], running: 'end' },
    ...{ reason: '', by: 'ann', sequence: 1, atMs: 0 },
    ...given,
  };
}
