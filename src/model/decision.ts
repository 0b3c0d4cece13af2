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

/** What the permits that determined the answer demand; all apply, the stricter wins. */
export interface Obligations {
  /** Column name (as the resource names it) to the kind of mask. */
  readonly masks: ReadonlyMap<string, MaskKind>;
  /** Most rows one operation may return; undefined = no limit by policy. */
  readonly rowsMax: number | undefined;
  /** What the ledger keeps of parameters: `digest` unless every determining permit says more. */
  readonly record: 'digest' | 'full';
}

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
    };
