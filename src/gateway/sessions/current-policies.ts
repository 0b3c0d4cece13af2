import type { SpiffeId } from '@countersign/sdk/identity';
import {
  attributesDigest,
  type EntityRef,
  hasAttributes,
  type IdentityAttributes,
  type PolicySet,
  type RevocationFacts,
  withoutApproval,
} from '../../model/index.ts';
import { type CompiledPolicies, identityEntity } from '../../policy/index.ts';
import { type Clock, createListeners, type Timer } from '../../std/index.ts';
import type { TargetPolicies } from '../protocol.ts';
import { createKnownIdentities, type PrincipalsUpdate } from './known-identities.ts';
import type { SessionPolicy } from './session.ts';
import { barredBy, type Standing, type Standings } from './standing.ts';

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
  /** Somebody can be asked to approve: without, what needs an approval is refused. */
  readonly canHold: boolean;
  /** Grows whenever answers to that identity may have changed: with `version`, and with what it is. The same for all of its sessions. */
  versionFor(uri: string): number;
  /** Calls after each change of `version` or of some identity's; returns how to stop. */
  onChange(listener: () => void): () => void;
  /** Calls when there are other policies; returns how to stop. */
  onReplaced(listener: () => void): () => void;
  stop(): void;
}

/** Creates them; there are none yet. */
export function createCurrentPolicies(clock: Clock, { canHold = false } = {}): CurrentPolicies {
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
    canHold,
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

/** Whom a session is for, and what may stand against it. */
export interface SessionPrincipal {
  readonly identity: SpiffeId;
  /** What tells it from others of that identity. */
  readonly facts: Omit<RevocationFacts, 'labels'>;
  readonly standings: Standings;
}

/** Policy as one identity's session asks it; without `session`, as that identity asks against which nothing stands. */
export function createSessionPolicy(
  current: CurrentPolicies,
  identity: SpiffeId,
  session?: Omit<SessionPrincipal, 'identity'>,
): SessionPolicy {
  const { uri } = identity;
  const standingNow = createStandingNow(current, uri, session);
  /** One object for as long as it stands: it is read once for all decisions. */
  let known: { attributes: IdentityAttributes; isQuarantined: boolean; principal: EntityRef } | undefined;
  const principalNow = (isQuarantined: boolean) => {
    const attributes = current.attributesOf(uri);
    if (known?.attributes !== attributes || known.isQuarantined !== isQuarantined)
      known = { attributes, isQuarantined, principal: identityEntity(identity, attributes, { isQuarantined }) };
    return known.principal;
  };
  let told: { of: PolicySet; attributes: IdentityAttributes; isQuarantined: boolean; set: PolicySet } | undefined;
  const keyOf = (standing: Standing | undefined) => (standing === undefined ? uri : `${uri} ${standing.key}`);
  const decideAlone: SessionPolicy['decide'] = (action, resource, context) => {
    const { policies, timeMs } = current;
    if (policies === undefined) return { allow: false, reason: 'no-permit', policies: [] };
    const principal = principalNow(standingNow()?.reason === 'quarantined');
    const decision = policies.decide({ principal, action, resource, context, timeMs });
    return current.canHold ? decision : withoutApproval(decision);
  };
  return {
    get version() {
      return current.versionFor(uri);
    },
    get alone() {
      const { version, policySet } = this;
      return { version, policySet, principalKey: `${keyOf(standingNow())} alone`, decide: decideAlone };
    },
    get policySet() {
      const { policySet } = current;
      const attributes = current.attributesOf(uri);
      const isQuarantined = standingNow()?.reason === 'quarantined';
      if (policySet === undefined || !(hasAttributes(attributes) || isQuarantined)) return policySet;
      if (told?.of !== policySet || told.attributes !== attributes || told.isQuarantined !== isQuarantined)
        told = { of: policySet, attributes, isQuarantined, set: ownSet(policySet, attributes, isQuarantined) };
      return told.set;
    },
    get principalKey() {
      return keyOf(standingNow());
    },
    get standing() {
      return standingNow();
    },
    decide(action, resource, context) {
      const standing = standingNow();
      if (standing?.reason === 'revoked') return barredBy(standing);
      const decision = decideAlone(action, resource, context);
      if (standing === undefined || standing.allow.has(action)) return decision;
      // Where a policy forbids it too, that is told: what is asked for its forbids alone goes by them.
      return !decision.allow && (decision.reason === 'forbidden' || decision.reason === 'policy-error')
        ? decision
        : barredBy(standing);
    },
    potentialMasks() {
      const isQuarantined = standingNow()?.reason === 'quarantined';
      return current.policies?.maskBearing(principalNow(isQuarantined), current.timeMs) ?? [];
    },
    onChange(listener) {
      const now = () => `${current.versionFor(uri)} ${keyOf(standingNow())}`;
      let seen = now();
      const look = () => {
        const version = now();
        if (version === seen) return; // Another identity is another one now.
        seen = version;
        listener();
      };
      const stops = [current.onChange(look), session?.standings.onChange(look)];
      return () => {
        for (const stop of stops) stop?.();
      };
    },
  };
}

/** The policies, and what this identity is to them. */
function ownSet(policySet: PolicySet, attributes: IdentityAttributes, isQuarantined: boolean): PolicySet {
  const identity = Object.freeze({ digest: attributesDigest(attributes), attributes });
  return Object.freeze({
    ...policySet,
    ...(hasAttributes(attributes) ? { identity } : {}),
    ...(isQuarantined ? { isQuarantined } : {}),
  });
}

/** Looks anew whenever revocations or the identity's labels have changed. */
function createStandingNow(
  current: CurrentPolicies,
  uri: string,
  session: Omit<SessionPrincipal, 'identity'> | undefined,
): () => Standing | undefined {
  if (session === undefined) return () => undefined;
  const { standings, facts } = session;
  let known:
    | { readonly version: number; readonly attributes: IdentityAttributes; readonly standing: Standing | undefined }
    | undefined;
  return () => {
    const attributes = current.attributesOf(uri);
    const { version } = standings;
    if (known?.version !== version || known.attributes !== attributes)
      known = { version, attributes, standing: standings.of({ ...facts, labels: [attributes.labels] }) };
    return standings.now(known.standing);
  };
}

/** What the current policies name. */
export function createTargetPolicies(current: CurrentPolicies): TargetPolicies {
  return { names: () => current.policies?.names(), onChange: (listener) => current.onReplaced(listener) };
}

/** As soon as this a clock that was put right is noticed. */
const LOOK_EVERY_MS = 1000;
