import type { SpiffeId } from '@countersign/sdk/identity';
import { type CompiledPolicies, identityEntity } from '../policy/index.ts';
import type { TargetPolicies } from './protocol.ts';
import type { SessionPolicy } from './session.ts';

/** The policies in force; sessions hold on to this, so that a change reaches all of them. */
export interface PolicyBoard {
  readonly version: number;
  /** Undefined before the first policies came: then everything is denied. */
  readonly policies: CompiledPolicies | undefined;
  replace(policies: CompiledPolicies): void;
  onChange(listener: () => void): () => void;
}

/** Creates an empty board. */
export function createPolicyBoard(): PolicyBoard {
  const listeners = new Set<() => void>();
  let version = 0;
  let policies: CompiledPolicies | undefined;
  return {
    get version() {
      return version;
    },
    get policies() {
      return policies;
    },
    replace(next) {
      // Equal sets decide equally: a repeated push must not empty the sessions' verdict caches.
      if (policies?.digest === next.digest) return;
      policies = next;
      version++;
      for (const listener of [...listeners]) listener();
    },
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}

/** Policy as one identity's session asks it. */
export function createSessionPolicy(board: PolicyBoard, identity: SpiffeId): SessionPolicy {
  const principal = identityEntity(identity);
  return {
    get version() {
      return board.version;
    },
    principalKey: identity.uri,
    decide(action, resource, context) {
      const { policies } = board;
      if (policies === undefined) return { allow: false, reason: 'no-permit', policies: [] };
      return policies.decide({ principal, action, resource, context });
    },
    potentialMasks: () => board.policies?.maskBearing(principal) ?? [],
    onChange: (listener) => board.onChange(listener),
  };
}

/** What the board's policies name. */
export function createTargetPolicies(board: PolicyBoard): TargetPolicies {
  return { names: () => board.policies?.names(), onChange: (listener) => board.onChange(listener) };
}
