import type { Decision, DecisionRequest, EntityRef } from '../model/index.ts';
import type { PolicyErrorCode } from './errors.ts';
import type { PermitLimit } from './obligations/limits.ts';
import type { MaskKind } from './obligations/masks.ts';
import type { FieldReading, WrittenField } from './schema/fields.ts';

/** One policy text: `name` is what messages call it (a file name or the name of the declared resource). At most 1 MiB. */
export interface PolicySource {
  readonly name: string;
  readonly text: string;
}

/** Where a policy stands: 1-based line and column in its source, columns in UTF-16 units. */
export interface PolicyPosition {
  readonly source: string;
  readonly line: number;
  readonly column: number;
}

/** One thing wrong with a policy text. `message` says it all but the place; `help` is Cedar's hint, when it has one. */
export interface PolicyProblem {
  readonly severity: 'error' | 'warning';
  readonly code: PolicyErrorCode;
  readonly message: string;
  readonly help: string | undefined;
  readonly policy: string | undefined;
  readonly position: PolicyPosition;
}

/** What is known of one loaded policy. */
export interface PolicySummary {
  /** `@id("…")`, else `<source name>#<n>` counted from 1. */
  readonly id: string;
  readonly effect: 'permit' | 'forbid';
  readonly position: PolicyPosition;
  readonly description: string | undefined;
  /** Why it was granted. */
  readonly reason: string | undefined;
  /** From then on a permit does not apply, epoch milliseconds. */
  readonly expiresMs: number | undefined;
  /** The policy's own text, without leading comments. */
  readonly text: string;
}

/** A loaded set of policies. Immutable; a change of policy is a new set. */
export interface CompiledPolicies {
  /** SHA-256, hex, over schema and sources: equal digests decide equally. */
  readonly digest: string;
  /** Sorted by id. */
  readonly policies: readonly PolicySummary[];
  /** Answers one request. Pure, synchronous, never throws: what can not be evaluated is a refusal. */
  decide(request: DecisionRequest): Decision;
  /** Answers like {@link decide}, and says of every policy why it did or did not take part. Linear in the policies. */
  explain(request: DecisionRequest): Explanation;
  /**
   * Every mask that any answer to this principal could carry, whatever the resource and the context: may name masks that never
   * apply, never leaves one out. Ask {@link maskCovers} whether one could reach a certain resource. `timeMs`: without permits that have
   * expired then.
   */
  maskBearing(principal: EntityRef, timeMs?: number): readonly PotentialMask[];
  /**
   * The first moment after `timeMs` (both epoch milliseconds) from which an answer may be another one, all else being equal: Infinity when
   * there is none, undefined when no policy looks at the time at all.
   */
  nextChange(timeMs: number): number | undefined;
  /** Who may do an action to a resource. Linear in the policies, and in those about it for each identity. @throws RequestError */
  whoCan(question: WhoCanQuestion): WhoCan;
  /** What an identity may do. Linear in the policies, and in those about it for each place that they name. @throws RequestError */
  whatCan(identity: EntityRef, timeMs?: number): WhatCan;
  /** What the policies say of all requests of one kind. */
  access(question: AccessQuestion): Access;
  /** What permits on a resource demand, joined: the stricter wins. Conditions that only a request settles are taken to hold. */
  demandsOn(asked: {
    readonly actions: readonly string[];
    readonly resource: PartOfAccess;
    readonly timeMs: number;
  }): Demands;
  /** Columns of a resource, fields of one name, that the policies mask or look for in `context.columns`, in order. Linear in the policies. */
  columnsNamed(resource: EntityRef): readonly string[];
  /** What a policy is about; undefined for an id that none has. */
  scopesOf(id: string): PolicyScopes | undefined;
  /** Which of those forbids reach into what those permits allow. Linear in each of the two for each of the other. */
  hindrances(between: {
    readonly permits: ReadonlySet<string>;
    readonly forbids: ReadonlySet<string>;
  }): readonly Hindrance[];
  /** What the policies name of the world outside, for whoever knows what there is. Linear in the policies the first time it is asked. */
  names(): PolicyNames;
}

/** Whom and what a policy is about; groups of actions are resolved. */
export interface PolicyScopes {
  readonly principal: ResourceScope;
  readonly actions: readonly string[];
  readonly resource: ResourceScope;
}

/** Everything that a set of policies names, by policy in order of id. */
export interface PolicyNames {
  readonly entities: readonly PolicyName[];
  /** The masks of all permits. */
  readonly masks: readonly PotentialMask[];
  /** What conditions read of a resource's tags. */
  readonly tags: readonly TagRead[];
}

/** A tag of the resource that a policy reads, once for each policy. */
export interface TagRead {
  readonly policy: string;
  /** What the policy's scope says of the resource. */
  readonly scope: ResourceScope;
  readonly tag: string;
}

/** An entity that a policy names, once for each policy. Actions are not among them: unknown ones are errors. */
export interface PolicyName {
  readonly policy: string;
  /** The policy is a forbid or bears a mask: where it does not apply by mistake, something is open that should not be. */
  readonly hides: boolean;
  readonly type: string;
  readonly id: string;
  /** `attribute`: as the literal that an attribute is compared with, `principal.trustDomain == "example.org"`. */
  readonly written: 'entity' | 'attribute';
}

/** A mask as a policy writes it: leading names of the path may be left out. */
export interface WrittenMask extends WrittenField {
  readonly kind: MaskKind;
}

/** One mask of one permit, with what the permit's scope says of the resource. */
export interface PotentialMask extends WrittenMask {
  readonly policy: string;
  /** The field reads as NULL inside of expressions, where every mask on it says so; else it may not stand in one. */
  readonly derived?: 'null';
  /** What its path means, by type of resource: no other type has such a field. */
  readonly on: ReadonlyMap<string, FieldReading>;
  readonly scope: ResourceScope;
}

/** The resource part of a policy's scope. */
export type ResourceScope =
  | { readonly op: 'any' }
  | { readonly op: 'is'; readonly type: string }
  | { readonly op: 'equals'; readonly type: string; readonly id: string }
  /** `is`, when present, narrows `in`: `resource is T in E`. */
  | { readonly op: 'in'; readonly type: string; readonly id: string; readonly is?: string };

/** A certain entity, or all of a scope. */
export type PartOfAccess = EntityRef | ResourceScope;

export interface WhoCanQuestion {
  readonly action: string;
  readonly resource: PartOfAccess;
  /** One of those that the operation works with, by the attribute of the context that holds them all. */
  readonly column?: { readonly attribute: string; readonly name: string } | undefined;
  /** Those that are asked about one by one. */
  readonly identities: readonly EntityRef[];
  /** Permits that have expired then are left out, as all that expire are without it. */
  readonly timeMs?: number | undefined;
}

export interface WhoCan {
  /** As asked, in that order. */
  readonly identities: readonly {
    readonly identity: EntityRef;
    readonly access: Access;
    readonly session: SessionAccess | undefined;
  }[];
  /** By scopes of permits: what holds for every other identity in one, which may be in several. */
  readonly others: readonly {
    readonly scope: ResourceScope;
    readonly access: Access;
    readonly session: SessionAccess | undefined;
  }[];
}

/** By action and scope of permits: an identity may do what one of them that takes in the resource says. */
export type WhatCan = readonly {
  readonly action: string;
  readonly resource: ResourceScope;
  readonly access: Access;
  readonly session: SessionAccess | undefined;
}[];

/** All requests of one kind. */
export interface AccessQuestion {
  readonly principal: PartOfAccess;
  readonly action: string;
  readonly resource: PartOfAccess;
  /** Permits that have expired then are left out, as all that expire are without it. */
  readonly timeMs: number | undefined;
}

/** What has to be allowed before: who may not open a session gets to ask for nothing else. Undefined where an action needs none. */
export interface SessionAccess {
  readonly action: string;
  readonly resource: ResourceScope;
  readonly access: Access;
}

/** What a new permit has to demand so that it opens no more than those that are there. */
export interface Demands {
  readonly masks: readonly WrittenMask[];
  readonly derived: 'null' | undefined;
  readonly limits: readonly PermitLimit[];
  readonly record: 'digest' | 'full';
  /** The rule of one of them, where any has one. */
  readonly approval: string | undefined;
  /** The ids of those whose demands these are. */
  readonly policies: readonly string[];
}

/**
 * What policies say of all requests of some kind: one is allowed when one of the permits applies to it, and none of the forbids; at once, when none of
 * the permits that apply wants an approval. `always` (at once) and `never` hold for each of them; no session is held, so there what wants an approval
 * refuses.
 */
export interface Access {
  readonly verdict: 'always' | 'sometimes' | 'never';
  readonly permits: readonly AccessPolicy[];
  readonly forbids: readonly AccessPolicy[];
}

/** A policy that applies to all of those requests, or to some, and what it demands then. */
export interface AccessPolicy {
  readonly policy: string;
  /** Parts of its scope that take in some of them only, in Cedar's notation: `principal in TrustDomain::"example.org"`. */
  readonly within: readonly string[];
  /** What only the request itself settles, all of it: `when context.hasWhere`. A forbid applies as well where that can't be evaluated. */
  readonly when: readonly string[];
  readonly masks: readonly WrittenMask[];
  readonly limits: readonly PermitLimit[];
  /** Undefined for a forbid. */
  readonly record: 'digest' | 'full' | undefined;
  /** Of a permit that wants an approval, by which rule: then nothing runs without where it applies, whatever else permits. */
  readonly approval: string | undefined;
  readonly expiresMs: number | undefined;
}

/** A forbid that refuses what a permit allows, all of it (`isCertain`) or some; `actions` are those of which it does. */
export interface Hindrance {
  readonly permit: string;
  readonly forbid: string;
  readonly actions: readonly string[];
  readonly isCertain: boolean;
}

/** Why a request was answered as it was. */
export interface Explanation {
  readonly decision: Decision;
  /** Why the request was refused before any policy was asked: it does not fit the schema. */
  readonly invalid?: string;
  /** One entry a policy, sorted by id. */
  readonly policies: readonly PolicyExplanation[];
}

/** What one policy made of a request. `outcome` is `error` when it could not be evaluated. */
export interface PolicyExplanation {
  readonly id: string;
  readonly effect: 'permit' | 'forbid';
  readonly outcome: 'matched' | 'not-matched' | 'error';
  /** The part that decided: for a match the whole policy, else the first scope or condition that failed. */
  readonly why: {
    readonly part: 'all' | 'principal' | 'action' | 'resource' | 'expires' | 'when' | 'unless';
    /** The deciding part in Cedar's notation; of a condition the smallest expression that settles it. */
    readonly expression: string;
    /** Values that the expression read: `resource.name` → `"users"`. */
    readonly values: readonly { readonly path: string; readonly value: string }[];
    readonly error?: string;
  };
}
