import type { AttributeValue, Decision, EntityRef } from './decision.ts';
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
}

/** A question with its answer. */
export interface Asked {
  readonly question: Question;
  readonly decision: Decision;
  /** That nothing permits it is no matter: it was asked for its forbids. */
  readonly forbidsOnly?: boolean;
}

/** Whether an operation may pass, as far as that question goes: of what is asked for its forbids alone, nothing has to permit it. */
export function passes({ decision, forbidsOnly }: Pick<Asked, 'decision' | 'forbidsOnly'>): boolean {
  return decision.allow || (forbidsOnly === true && decision.reason === 'no-permit');
}

/** Everything that policy was asked of one operation. Never changed after it was made: what is recorded of it is worked out once. */
export interface Judged {
  /** Undefined before the first policies came: then everything is denied. */
  readonly set: PolicySet | undefined;
  readonly asked: readonly Asked[];
  /** How many more there were than are kept. */
  readonly omitted: number;
}

/** What is known of something that a client wants of a target, whatever became of it. */
interface Wanted {
  /** The verb that an auditor looks for, namespaced by protocol: a DELETE that also reads is a delete. */
  readonly action: string;
  readonly judged: Judged;
  /** Equal for operations that differ in values only. */
  readonly shape: string | undefined;
  /** SHA-256, hex, of all that the client said of it, values as well; undefined where it could be tried out what they were, or is a secret, such as a password. */
  readonly contentDigest: string | undefined;
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
}
