import type { SpiffeId } from '@countersign/sdk/identity';
import type { PolicySet } from '../../model/index.ts';
import { type CompiledPolicies, identityEntity } from '../../policy/index.ts';
import { type Clock, createListeners, type Timer } from '../../std/index.ts';
import type { TargetPolicies } from '../protocol.ts';
import type { SessionPolicy } from './session.ts';

/** The policies in force; sessions hold on to this, so that a change reaches all of them. */
export interface CurrentPolicies {
  /** Grows whenever answers may have changed: with other policies, and with the time where policies look at it. */
  readonly version: number;
  /**
   * When questions are asked, epoch milliseconds. It stands still between versions, so that one version has one answer, and moves on from
   * timers alone, so that nothing is judged half by one time and half by the next.
   */
  readonly timeMs: number;
  /** Undefined before the first policies came: then everything is denied. */
  readonly policies: CompiledPolicies | undefined;
  /** Those, and the time at which they are asked; undefined as they are. */
  readonly policySet: PolicySet | undefined;
  /** `revision`: of the declarations with which they came. */
  replace(policies: CompiledPolicies, revision?: number): void;
  /** Calls after each change of `version`; returns how to stop. */
  onChange(listener: () => void): () => void;
  /** Calls when there are other policies; returns how to stop. */
  onReplaced(listener: () => void): () => void;
  stop(): void;
}

/** Creates them; there are none yet. */
export function createCurrentPolicies(clock: Clock): CurrentPolicies {
  const listeners = createListeners();
  const replacedListeners = createListeners();
  let version = 0;
  let policies: CompiledPolicies | undefined;
  let revision = 0;
  let policySet: PolicySet | undefined;
  let timeMs = clock.now();
  let timer: Timer | undefined;
  const move = () => {
    timeMs = clock.now();
    policySet = policies && Object.freeze({ digest: policies.digest, revision, timeMs });
    version++;
    listeners.tell();
  };
  /** By the wall clock, at each step: a timer set hours ago knows nothing of a clock that was put right since. */
  const watch = () => {
    timer?.cancel();
    timer = undefined;
    const untilMs = policies?.nextChange(timeMs);
    if (untilMs === undefined) return;
    timer = clock.after(Math.min(Math.max(untilMs - clock.now(), 0), LOOK_EVERY_MS), () => {
      const nowMs = clock.now();
      if (nowMs >= untilMs || nowMs < timeMs) move();
      watch();
    });
  };
  return {
    get version() {
      return version;
    },
    get timeMs() {
      return timeMs;
    },
    get policies() {
      return policies;
    },
    get policySet() {
      return policySet;
    },
    replace(next, of = 0) {
      // Equal sets decide equally: a repeated push must not empty the sessions' verdict caches.
      if (policies?.digest === next.digest) return;
      policies = next;
      revision = of;
      move();
      replacedListeners.tell();
      watch();
    },
    onChange: listeners.add,
    onReplaced: replacedListeners.add,
    stop: () => timer?.cancel(),
  };
}

/** Policy as one identity's session asks it. */
export function createSessionPolicy(current: CurrentPolicies, identity: SpiffeId): SessionPolicy {
  const principal = identityEntity(identity);
  return {
    get version() {
      return current.version;
    },
    get policySet() {
      return current.policySet;
    },
    principalKey: identity.uri,
    decide(action, resource, context) {
      const { policies, timeMs } = current;
      if (policies === undefined) return { allow: false, reason: 'no-permit', policies: [] };
      return policies.decide({ principal, action, resource, context, timeMs });
    },
    potentialMasks: () => current.policies?.maskBearing(principal, current.timeMs) ?? [],
    onChange: (listener) => current.onChange(listener),
  };
}

/** What the current policies name. */
export function createTargetPolicies(current: CurrentPolicies): TargetPolicies {
  return { names: () => current.policies?.names(), onChange: (listener) => current.onReplaced(listener) };
}

/** As soon as this a clock that was put right is noticed. */
const LOOK_EVERY_MS = 1000;
