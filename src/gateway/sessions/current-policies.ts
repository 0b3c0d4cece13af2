import type { SpiffeId } from '@countersign/sdk/identity';
import {
  attributesDigest,
  type EntityRef,
  hasAttributes,
  type IdentityAttributes,
  type PolicySet,
} from '../../model/index.ts';
import { type CompiledPolicies, identityEntity } from '../../policy/index.ts';
import { type Clock, createListeners, type Timer } from '../../std/index.ts';
import type { TargetPolicies } from '../protocol.ts';
import { createKnownIdentities, type PrincipalsUpdate } from './known-identities.ts';
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
  /** What entries say of identities, from now on. Sessions of those that change are judged anew. */
  applyPrincipals(update: PrincipalsUpdate): void;
  attributesOf(uri: string): IdentityAttributes;
  /** Grows whenever answers to that identity may have changed: with `version`, and with what it is. The same for all of its sessions. */
  versionFor(uri: string): number;
  /** Calls after each change of `version` or of some identity's; returns how to stop. */
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
  const identities = createKnownIdentities();
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
    applyPrincipals(update) {
      if (identities.apply(update)) listeners.tell();
    },
    attributesOf: identities.attributesOf,
    versionFor: (uri) => version + identities.versionFor(uri),
    onChange: listeners.add,
    onReplaced: replacedListeners.add,
    stop: () => timer?.cancel(),
  };
}

/** Policy as one identity's session asks it. */
export function createSessionPolicy(current: CurrentPolicies, identity: SpiffeId): SessionPolicy {
  const { uri } = identity;
  /** One object for as long as it stands: it is read once for all decisions. */
  let known: { readonly attributes: IdentityAttributes; readonly principal: EntityRef } | undefined;
  const principalNow = () => {
    const attributes = current.attributesOf(uri);
    if (known?.attributes !== attributes) known = { attributes, principal: identityEntity(identity, attributes) };
    return known.principal;
  };
  let told: { readonly of: PolicySet; readonly attributes: IdentityAttributes; readonly set: PolicySet } | undefined;
  return {
    get version() {
      return current.versionFor(uri);
    },
    get policySet() {
      const { policySet } = current;
      const attributes = current.attributesOf(uri);
      if (policySet === undefined || !hasAttributes(attributes)) return policySet;
      if (told?.of !== policySet || told.attributes !== attributes) {
        const own = Object.freeze({ digest: attributesDigest(attributes), attributes });
        told = { of: policySet, attributes, set: Object.freeze({ ...policySet, identity: own }) };
      }
      return told.set;
    },
    principalKey: uri,
    decide(action, resource, context) {
      const { policies, timeMs } = current;
      if (policies === undefined) return { allow: false, reason: 'no-permit', policies: [] };
      return policies.decide({ principal: principalNow(), action, resource, context, timeMs });
    },
    potentialMasks: () => current.policies?.maskBearing(principalNow(), current.timeMs) ?? [],
    onChange(listener) {
      let seen = current.versionFor(uri);
      return current.onChange(() => {
        const version = current.versionFor(uri);
        if (version === seen) return; // Another identity is another one now.
        seen = version;
        listener();
      });
    },
  };
}

/** What the current policies name. */
export function createTargetPolicies(current: CurrentPolicies): TargetPolicies {
  return { names: () => current.policies?.names(), onChange: (listener) => current.onReplaced(listener) };
}

/** As soon as this a clock that was put right is noticed. */
const LOOK_EVERY_MS = 1000;
