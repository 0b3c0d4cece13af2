/** A Cedar value as plain data. Entity references are `{ __entity: { type, id } }`; numbers are safe integers; lists are sets. */
export type AttributeValue =
  | boolean
  | number
  | string
  | readonly AttributeValue[]
  | { readonly [name: string]: AttributeValue };

/**
 * An entity with what policies may ask of it. `type` is a Cedar type name such as `Postgres::Table`. Parents are its ancestors'
 * direct line. Never changed after it was made: what policy learned of one is kept as long as the object lives.
 */
export interface EntityRef {
  readonly type: string;
  readonly id: string;
  readonly attributes: { readonly [name: string]: AttributeValue };
  /** Values under keys that no schema lists, such as labels; all are of the one type that the schema says of them. */
  readonly tags?: { readonly [key: string]: AttributeValue };
  /**
   * Attributes of which it is not settled whether it has them and which: it stands for many entities that differ in these. A policy that reads one
   * can not be evaluated, so such a permit permits nothing and such a forbid refuses. So it is with tags where none are told.
   */
  readonly open?: readonly string[];
  /**
   * Of those, texts that all of them have, and how each of them begins: `like` and `==` are answered where the beginning settles them for all, and
   * `has` with true.
   */
  readonly beginnings?: { readonly [name: string]: string };
  readonly parents: readonly EntityRef[];
}

/** One question to policy: may this principal do this action to this resource, in this context? */
export interface DecisionRequest {
  readonly principal: EntityRef;
  /** Namespaced by protocol: `postgres:select`. */
  readonly action: string;
  readonly resource: EntityRef;
  readonly context: { readonly [name: string]: AttributeValue };
  /** When it is asked, epoch milliseconds. Without it no permit that expires applies, and conditions on `context.time` fail. */
  readonly timeMs?: number | undefined;
}

/** What a masked value shows, from the strictest (`null`) to the mildest; their exact meaning is `maskKinds` of policy. */
export type MaskKind = 'null' | 'redact' | 'hash' | 'last4' | 'email';

/** One field of a resource and what is shown in its place. */
export interface FieldMask {
  /**
   * Names down to the field, all that the resource's type declares: `['public', 'customers', 'ssn']` of a table, `['body', 'items', '*', 'card']` of a
   * route. Where fields nest, `*` is every name there, and of several masks that find one field the strictest applies.
   */
  readonly path: readonly string[];
  readonly kind: MaskKind;
  /** It reads as NULL inside of expressions, as all permits say that mask it; else it may not stand in one. */
  readonly derived?: 'null';
}

/** What a limit counts: items of an answer, bytes, the time of one operation (milliseconds), operations a minute, sessions at once. */
export type LimitUnit = 'items' | 'bytesIn' | 'bytesOut' | 'duration' | 'rate' | 'sessions';

/** A limit that was reached, as it is recorded and told. */
export interface ReachedLimit {
  readonly unit: LimitUnit;
  readonly most: number;
}

/** The most of each; what is not there has no limit by policy. */
export type Limits = { readonly [unit in LimitUnit]?: number };

/** Units that count over more than one operation. */
export type QuotaUnit = Extract<LimitUnit, 'rate' | 'sessions'>;

/** A limit on all that one identity does by a permit, not on one operation: `most` a minute, or at once. */
export interface Quota {
  readonly policy: string;
  readonly unit: QuotaUnit;
  readonly most: number;
}

/** What the permits that determined the answer demand; all apply, the stricter wins. */
export interface Obligations {
  /** Each field once. */
  readonly masks: readonly FieldMask[];
  readonly limits: Limits;
  /** Whose the limits of `rate` and `sessions` are, each permit's own; without any it lacks this. */
  readonly quotas?: readonly Quota[];
  /** Rules of each of which somebody has to approve before it runs, sorted; without any it lacks this. */
  readonly approvals?: readonly string[];
  /** What the ledger keeps of parameters: `digest` unless every determining permit says more. */
  readonly record: 'digest' | 'full';
}

/** Of an answer that demands nothing. */
export const noObligations: Obligations = { masks: [], limits: {}, record: 'digest' };

/**
 * An answer of policy, with the sorted ids of the policies that determined it. Anything but `allow: true` is a refusal.
 * `policy-error`: a forbid could not be evaluated, no permit could, or the request does not fit the schema (then `policies` is empty).
 */
export type Decision =
  | { readonly allow: true; readonly policies: readonly string[]; readonly obligations: Obligations }
  | {
      readonly allow: false;
      readonly reason: 'no-permit' | 'forbidden' | 'policy-error';
      readonly policies: readonly string[];
    }
  /** Permitted, and a permit that applies wants somebody's approval, where nobody can be asked: `rules` names by whose, sorted. See {@link withoutApproval}. */
  | {
      readonly allow: false;
      readonly reason: 'approval-needed';
      readonly policies: readonly string[];
      readonly rules: readonly string[];
    }
  | Barred;

/**
 * Not policy's answer: whoever asks is `revoked`, or in quarantine (`quarantined`), which does not let that action pass; or nobody here knows since
 * when that may be so (`revocations-stale`). `revocation`: the id of the one that says so; undefined of the last.
 */
export interface Barred {
  readonly allow: false;
  readonly reason: 'revoked' | 'quarantined' | 'revocations-stale';
  readonly policies: readonly string[];
  readonly revocation: string | undefined;
}

/** An answer where nothing can be held until somebody approves: what needs that is refused. */
export function withoutApproval(decision: Decision): Decision {
  if (!decision.allow || decision.obligations.approvals === undefined) return decision;
  const { policies, obligations } = decision;
  return { allow: false, reason: 'approval-needed', policies, rules: obligations.approvals ?? [] };
}

/** Whether it was not policy that refused: see {@link Barred}. */
export function isBarred(decision: Decision): decision is Barred {
  return !decision.allow && 'revocation' in decision;
}
