import type { AttributeValue, EntityRef } from './decision.ts';
import type { LedgerEvent } from './ledger-event.ts';

/** What policy is asked of one identity: may it do this action to this resource, in this context? */
export interface Question {
  /** Namespaced by protocol: `postgres:select`. */
  readonly action: string;
  readonly resource: EntityRef;
  readonly context: { readonly [name: string]: AttributeValue };
}

/** Something that a client wants of a target and policy allows, as the ledger has it before it happens. */
export interface Operation {
  /** The verb that an auditor looks for, namespaced by protocol: a DELETE that also reads is a delete. */
  readonly action: string;
  /** It may leave something changed: it waits for the ledger's disk as configured for changes, not as for reads. */
  readonly changes: boolean;
  /** What is done to what, and why it is allowed: no secret, and no value unless policy asks for values. */
  readonly detail: LedgerEvent['detail'];
}
