/** A Cedar value as plain data. */
export type AttributeValue =
  | boolean
  | number
  | string
  | readonly AttributeValue[]
  | { readonly [name: string]: AttributeValue };

/** An entity with what policies may ask of it. `type` is a Cedar type name such as `Postgres::Table`. Parents are its ancestors' direct line. */
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
}

/** What the permits that determined the answer demand; all apply, the stricter wins. */
export interface Obligations {
  /** Column name (as the resource names it) to the kind of mask. */
  readonly masks: ReadonlyMap<string, string>;
  /** Most rows one operation may return; undefined = no limit by policy. */
  readonly rowsMax: number | undefined;
  /** What the ledger keeps of parameters: `digest` unless every determining permit says more. */
  readonly record: 'digest' | 'full';
}

/** An answer of policy, with the ids of the policies that determined it. Anything but `allow: true` is a refusal. */
export type Decision =
  | { readonly allow: true; readonly policies: readonly string[]; readonly obligations: Obligations }
  | {
      readonly allow: false;
      readonly reason: 'no-permit' | 'forbidden' | 'policy-error';
      readonly policies: readonly string[];
    };
