import type { LimitUnit } from '../../model/index.ts';

/** A Cedar attribute type in Cedar's JSON schema form. `required` is true unless said otherwise. */
export type CedarTypeJson = (
  | { readonly type: 'String' | 'Long' | 'Boolean' }
  | { readonly type: 'Set'; readonly element: CedarTypeJson }
  | { readonly type: 'Record'; readonly attributes: { readonly [name: string]: CedarTypeJson } }
  /** `name` is a full type name: `Postgres::Table`, `Identity`. */
  | { readonly type: 'Entity'; readonly name: string }
  | { readonly type: 'Extension'; readonly name: 'decimal' | 'ipaddr' | 'datetime' | 'duration' }
) & { readonly required?: boolean };

/** Units of `@limit` by name, and what a protocol calls them. */
export type LimitNames = { readonly [unit in LimitUnit]?: string };

/** The fields of a resource of some type, by their paths. */
export interface ResourceFields {
  /**
   * Attributes of the resource that may stand before a field's own names, all of them or the last ones: with `['schema', 'name']` both
   * `public.customers.ssn` and `customers.ssn` name `ssn`.
   */
  readonly within: readonly string[];
  /**
   * What a field's own names can be: each as it is written here, `*` for any one, a last `**` for one or more. Below `**` a mask
   * may write `*` for every name there, such as the elements of a list: `['body', '**']` takes `body.items.*.card`.
   */
  readonly paths: readonly (readonly string[])[];
  /** A whole path, for messages: `['public', 'customers', 'ssn']`. */
  readonly example: readonly string[];
}

/**
 * What one protocol adds to the policy language. Type names inside a fragment are short (`Table` means `Postgres::Table`);
 * `Target` and other full names reach the base types.
 */
export interface PolicySchemaFragment {
  /** Cedar namespace of the entity types: `Postgres`. */
  readonly namespace: string;
  /** Types that ask for its actions; `Identity` unless said. */
  readonly principals?: readonly string[];
  /** What it says of every `Identity` besides what all say. */
  readonly identityAttributes?: { readonly [name: string]: CedarTypeJson };
  readonly entityTypes: {
    readonly [name: string]: {
      readonly memberOf: readonly string[];
      readonly attributes: { readonly [name: string]: CedarTypeJson };
      /**
       * What the parts of an id are, each an attribute: `['target', 'database', 'schema', 'name']`; slashes separate them, and `/` and
       * `%` inside a part are percent-encoded. With it, tests and explanations name a resource by its id alone; its parents are the
       * `memberOf` types whose path is one part shorter. The path of what is all of a target is `['target']`.
       */
      readonly path?: readonly string[];
      /** The type of each of its tags, which have any key: conditions read them by `hasTag` and `getTag`. Without it, it has none. */
      readonly tags?: CedarTypeJson;
      /** What masks can name in one. Without it there is nothing to mask, and a mask that could be on nothing else is refused. */
      readonly fields?: ResourceFields;
    };
  };
  /** `postgres:select` → the resource types it applies to and what its context holds, beside `time`, which all have. The principal is one of `principals`. */
  readonly actions: {
    readonly [name: string]: {
      readonly resources: readonly string[];
      readonly context: { readonly [name: string]: CedarTypeJson };
      /** By resource type, names of the context of which action, resource and its tags tell all: `{ Route: ['path'] }`. A permit that is written for what was used leaves them out. */
      readonly told?: { readonly [type: string]: readonly string[] };
      /** The units that are kept for it, each with the protocol's own word: `{ items: 'rows' }`. A `@limit` of others is refused. */
      readonly limits?: LimitNames;
    };
  };
  /** The action that opens a session, on a place that all other resources are in or are: without it nobody gets to ask for another one. */
  readonly session?: string;
  /** Action groups: `postgres:read` → its actions or groups. Written `action in Action::"postgres:read"` in a policy. */
  readonly groups?: { readonly [name: string]: readonly string[] };
}
