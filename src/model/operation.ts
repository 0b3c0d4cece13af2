import {
  type AttributeValue,
  type Decision,
  type EntityRef,
  isBarred,
  type Limits,
  type LimitUnit,
  type Quota,
  type ReachedLimit,
} from './decision.ts';
import type { IdentityAttributes } from './identity-attributes.ts';
import type { LedgerEvent } from './ledger-event.ts';

/** What policy is asked of one identity: may it do this action to this resource, in this context? */
export interface Question {
  /** Namespaced by protocol: `postgres:select`. */
  readonly action: string;
  readonly resource: EntityRef;
  readonly context: { readonly [name: string]: AttributeValue };
}

/** The policies that answered, and what time it was to them: whoever has both can ask again and gets the same answers. */
export interface PolicySet {
  /** SHA-256, hex, over schema and sources. */
  readonly digest: string;
  /** Of the server's declarations with which it came. */
  readonly revision: number;
  /** Epoch milliseconds. */
  readonly timeMs: number;
  /** What the identity was to them beside its id; undefined: it had no attributes. */
  readonly identity?: ToldIdentity;
  /** The identity was in quarantine to them. */
  readonly isQuarantined?: boolean;
}

/** Attributes that policy was asked with. Equal ones have one digest. */
export interface ToldIdentity {
  /** See `attributesDigest`. */
  readonly digest: string;
  readonly attributes: IdentityAttributes;
}

/** A question with its answer. */
export interface Asked {
  readonly question: Question;
  readonly decision: Decision;
  /** That nothing permits it is no matter: it was asked for its forbids. */
  readonly forbidsOnly?: boolean;
}

/**
 * Whether an operation may pass, as far as that question goes: of what is asked for its forbids alone, nothing has to permit it, nor a quarantine to let
 * its action pass. What forbids it is told in the place of the quarantine.
 */
export function passes({ decision, forbidsOnly }: Pick<Asked, 'decision' | 'forbidsOnly'>): boolean {
  if (decision.allow || forbidsOnly !== true) return decision.allow;
  return decision.reason === 'no-permit' || (isBarred(decision) && decision.reason !== 'revoked');
}

/**
 * Everything that policy was asked of one operation, as `judgedBy` makes it. Never changed after it was made: what is recorded of it is worked out
 * once.
 */
export interface Judged {
  /** Undefined before the first policies came: then everything is denied. */
  readonly set: PolicySet | undefined;
  readonly asked: readonly Asked[];
  /** How many more there were than are kept. */
  readonly omitted: number;
  /** Of all that were asked: of each unit the least. */
  readonly limits: Limits;
  /** Of all that were asked, each once. */
  readonly quotas: readonly Quota[];
  /** Rules of each of which somebody has to approve of the operation itself before it runs: of all that were asked, each once, sorted. */
  readonly approvals: readonly string[];
}

/** What was asked, in the order in which it is kept when there is no room for all. */
export function judgedBy(set: PolicySet | undefined, asked: readonly Asked[]): Judged {
  const limits: { [unit in LimitUnit]?: number } = {};
  const quotas = new Map<string, Quota>();
  const approvals = new Set<string>();
  for (const { decision, forbidsOnly } of asked) {
    if (!decision.allow) continue;
    // Where it is reached by another name as well, as a forbid on it holds there.
    for (const rule of decision.obligations.approvals ?? []) approvals.add(rule);
    if (forbidsOnly === true) continue;
    addLeast(limits, decision.obligations.limits);
    for (const quota of decision.obligations.quotas ?? []) quotas.set(`${quota.unit} ${quota.policy}`, quota);
  }
  const kept = asked.slice(0, ASKED_MAX);
  return {
    ...{ set, asked: kept, omitted: asked.length - kept.length, limits, quotas: Array.from(quotas.values()) },
    approvals: approvals.size === 0 ? NONE : Array.from(approvals).sort(),
  };
}

/** Both were asked of one operation. */
export function judgedTogether(one: Judged, other: Judged): Judged {
  const limits = { ...one.limits };
  addLeast(limits, other.limits);
  const quotas = [...one.quotas, ...other.quotas.filter((quota) => !one.quotas.some((known) => isSame(known, quota)))];
  const asked = [...one.asked, ...other.asked];
  const approvals = Array.from(new Set([...one.approvals, ...other.approvals])).sort();
  return { set: one.set, asked, omitted: one.omitted + other.omitted, limits, quotas, approvals };
}

function addLeast(least: { [unit in LimitUnit]?: number }, limits: Limits): void {
  for (const unit of UNITS) {
    const most = limits[unit];
    if (most !== undefined) least[unit] = Math.min(most, least[unit] ?? most);
  }
}

function isSame(one: Quota, other: Quota): boolean {
  return one.unit === other.unit && one.policy === other.policy;
}

const NONE: readonly string[] = Object.freeze([]);
/** An entry has room for no more. */
const ASKED_MAX = 64;
const UNITS: readonly LimitUnit[] = ['items', 'bytesIn', 'bytesOut', 'duration', 'rate', 'sessions'];

/**
 * What a client said, as its protocol's member understood it. The gate makes a digest of it; a member makes none, so that it can't forget the key.
 */
export interface Content {
  /** The statement, as it goes to the target. */
  readonly text: string;
  /** What was given beside the text, in its order and as it came; null: nothing, which is not the same as an empty value. */
  readonly values: readonly (Buffer | null)[];
  /** How each value is written, by the protocol's numbers; a single one is that of all, and where none is given it is 0. */
  readonly formats: readonly number[];
}

/** What is known of something that a client wants of a target, whatever became of it. */
interface Wanted {
  /** The verb that an auditor looks for, namespaced by protocol: a DELETE that also reads is a delete. */
  readonly action: string;
  readonly judged: Judged;
  /** Equal for operations that differ in values only. */
  readonly shape: string | undefined;
  /** What the client said; undefined where that may be a secret, such as a password, or is told by the shape alone. */
  readonly content: Content | undefined;
  /** What the protocol has to say besides: no secret, and no value unless policy asks for values. */
  readonly detail: LedgerEvent['detail'];
}

/** Something that a client wants of a target and policy allows, as the ledger has it before it happens. */
export interface Operation extends Wanted {
  /** It may leave something changed: it waits for the ledger's disk as configured for changes, not as for reads. */
  readonly changes: boolean;
}

/** Something that was refused, by policy or because it is not understood. */
export interface Denial extends Wanted {
  readonly reason: string;
  /** The protocol's own code of the refusal; undefined where it has none. */
  readonly code: string | undefined;
  /** The policies that refuse it. */
  readonly policies: readonly string[];
  /** Of what was refused for that alone. */
  readonly limit?: ReachedLimit | undefined;
  /** Of what waited for an approval: as which operation, and what the ledger says of that. */
  readonly held?: { readonly operation: string; readonly detail: LedgerEvent['detail'] } | undefined;
}
