import { createHash } from 'node:crypto';
import { PolicyError } from '../errors.ts';
import { fieldsProblem } from './fields.ts';
import type { CedarTypeJson, LimitNames, PolicySchemaFragment, ResourceFields } from './schema.ts';

/** The whole schema, in Cedar's JSON form, with what the evaluator asks of it. Made by {@link composeSchema}. */
export interface PolicySchema {
  readonly json: SchemaJson;
  /** SHA-256, hex, of the JSON, of what masks can name and limits can count. */
  readonly digest: string;
  /** By full type name. */
  readonly entityTypes: ReadonlyMap<string, EntityTypeFacts>;
  /** By action id; groups have no `resources`. */
  readonly actions: ReadonlyMap<string, ActionFacts>;
  /** Resource types that an id alone tells all about, by short lower-case name: `table`. */
  readonly namedById: ReadonlyMap<string, NamedById>;
}

/** A resource type whose id spells out its attributes. */
export interface NamedById {
  /** Full type name. */
  readonly type: string;
  readonly path: readonly string[];
  /** Full names of the types it is directly in. */
  readonly memberOf: readonly string[];
  /** What actions of the fragment start with: `postgres`. */
  readonly protocol: string;
}

/** What the schema says of an entity type. */
export interface EntityTypeFacts {
  readonly attributes: { readonly [name: string]: CedarTypeJson };
  /** Full names of every type that an ancestor may have. */
  readonly ancestorTypes: ReadonlySet<string>;
  /** The type of each tag; undefined: it has none. */
  readonly tags: CedarTypeJson | undefined;
  /** What masks can name in one; undefined: nothing. */
  readonly fields: ResourceFields | undefined;
}

/** What the schema says of an action or group. */
export interface ActionFacts {
  readonly isGroup: boolean;
  /** Full names of the types that may ask for it. */
  readonly principals: ReadonlySet<string>;
  /** Full names of the resource types it applies to. */
  readonly resources: ReadonlySet<string>;
  /** But for `time`, which every one has. */
  readonly context: { readonly [name: string]: CedarTypeJson };
  /** Units of `@limit` that are kept for it. */
  readonly limits: LimitNames;
  /** Every group it is in, directly or not. */
  readonly groups: readonly string[];
  /** By full type name of the resource, names of the context of which action, resource and its tags tell all. */
  readonly told: ReadonlyMap<string, readonly string[]>;
  /** The action that has to be allowed before; undefined for that one itself, and where a protocol has none. */
  readonly session: string | undefined;
}

/** Cedar's JSON schema: namespace → definitions. */
export type SchemaJson = Readonly<Record<string, NamespaceJson>>;

interface NamespaceJson {
  readonly entityTypes: Readonly<Record<string, EntityTypeJson>>;
  readonly actions: Readonly<Record<string, ActionJson>>;
}

interface EntityTypeJson {
  readonly memberOfTypes: string[];
  readonly shape: RecordJson;
  readonly tags?: CedarTypeJson;
}

interface RecordJson {
  readonly type: 'Record';
  readonly attributes: { readonly [name: string]: CedarTypeJson };
}

interface ActionJson {
  readonly memberOf: { readonly id: string }[];
  readonly appliesTo?: { principalTypes: string[]; resourceTypes: string[]; context: RecordJson };
}

/**
 * Joins the protocols' fragments with the base types: `Identity` (in its `TrustDomain` and in an `IdentityPath` for each step of its
 * path) as the principal of whatever names no other, and `Target`.
 * What Cedar finds wrong with it shows when the first policy is loaded.
 * @throws PolicyError ERR_POLICY_SCHEMA when fragments contradict each other or name what nobody declares
 */
export function composeSchema(fragments: readonly PolicySchemaFragment[]): PolicySchema {
  const json: Record<string, NamespaceJson> = {};
  const actions: Record<string, ActionJson> = {};
  const rootTypes = Object.entries(baseTypes(fragments)).map(
    ([name, type]) => [name, entityType(type, (member) => member)] as const,
  );
  json[''] = { entityTypes: Object.fromEntries(rootTypes), actions };
  for (const fragment of fragments) {
    if (Object.hasOwn(json, fragment.namespace))
      throw broken(`two fragments have the namespace ${JSON.stringify(fragment.namespace)}`);
    const full = (name: string) => fullTypeName(fragment, name);
    const types = Object.entries(fragment.entityTypes).map(([name, type]) => [name, entityType(type, full)] as const);
    json[fragment.namespace] = { entityTypes: Object.fromEntries(types), actions: {} };
    for (const [name, action] of actionEntries(fragment, full)) {
      if (Object.hasOwn(actions, name)) throw broken(`two fragments declare the action ${JSON.stringify(name)}`);
      actions[name] = action;
    }
  }
  const fields = fieldsByType(fragments);
  const limits = limitsByAction(fragments);
  const digest = createHash('sha256')
    .update(JSON.stringify([json, Array.from(fields), Array.from(limits)]))
    .digest('hex');
  const namedById = new Map(fragments.flatMap(typesNamedById));
  return {
    json,
    digest,
    entityTypes: entityTypeFacts(json, fields),
    actions: actionFacts(actions, { sessions: sessionActions(fragments), limits, told: toldByAction(fragments) }),
    namedById,
  };
}

function baseTypes(fragments: readonly PolicySchemaFragment[]): PolicySchemaFragment['entityTypes'] {
  const added = Object.assign({}, ...fragments.map(({ identityAttributes }) => identityAttributes));
  const { Identity, ...others } = BASE_TYPES;
  return { ...others, Identity: { ...Identity, attributes: { ...added, ...Identity.attributes } } };
}

function typesNamedById(fragment: PolicySchemaFragment): [string, NamedById][] {
  const [protocol = ''] = Object.keys(fragment.actions)[0]?.split(':') ?? [];
  const full = (name: string) => fullTypeName(fragment, name);
  return Object.entries(fragment.entityTypes).flatMap(([name, { path, memberOf }]): [string, NamedById][] =>
    path === undefined
      ? []
      : [[name.toLowerCase(), { type: full(name), path, memberOf: memberOf.map(full), protocol }]],
  );
}

function* actionEntries(
  fragment: PolicySchemaFragment,
  full: (name: string) => string,
): Generator<[string, ActionJson]> {
  const groups = Object.entries(fragment.groups ?? {});
  for (const [group, members] of groups)
    for (const member of members)
      if (!Object.hasOwn(fragment.actions, member) && !Object.hasOwn(fragment.groups ?? {}, member))
        throw broken(`group ${group} of ${fragment.namespace} holds ${member}, which the fragment does not declare`);
  const principalTypes = (fragment.principals ?? ['Identity']).map(full);
  const memberOf = (name: string) => groups.filter(([, members]) => members.includes(name)).map(([id]) => ({ id }));
  for (const [name, action] of Object.entries(fragment.actions)) {
    const resourceTypes = action.resources.map(full);
    if (Object.hasOwn(action.context, TIME)) throw broken(`${name} declares context.${TIME}, which every action has`);
    const context: RecordJson = { type: 'Record', attributes: { ...action.context, [TIME]: DATETIME } };
    yield [name, { memberOf: memberOf(name), appliesTo: { principalTypes, resourceTypes, context } }];
  }
  for (const [name] of groups) yield [name, { memberOf: memberOf(name) }];
}

function entityType(
  { memberOf, attributes, tags }: PolicySchemaFragment['entityTypes'][string],
  full: (name: string) => string,
): EntityTypeJson {
  const shape = { type: 'Record', attributes } as const;
  return { memberOfTypes: memberOf.map(full), shape, ...(tags === undefined ? {} : { tags }) };
}

function fullTypeName(fragment: PolicySchemaFragment, name: string): string {
  if (name.includes('::')) return name;
  if (Object.hasOwn(fragment.entityTypes, name)) return `${fragment.namespace}::${name}`;
  if (Object.hasOwn(BASE_TYPES, name)) return name;
  throw broken(`fragment ${fragment.namespace} names the entity type ${name}, which neither it nor the base declares`);
}

function entityTypeFacts(json: SchemaJson, fields: ReadonlyMap<string, ResourceFields>): Map<string, EntityTypeFacts> {
  const types = new Map(
    Object.entries(json).flatMap(([namespace, { entityTypes }]) =>
      Object.entries(entityTypes).map(
        ([name, type]) => [namespace === '' ? name : `${namespace}::${name}`, type] as const,
      ),
    ),
  );
  const parents = (name: string) => types.get(name)?.memberOfTypes ?? [];
  return new Map(
    Array.from(types, ([name, { shape, tags }]) => [
      name,
      { attributes: shape.attributes, tags, ancestorTypes: closure(name, parents), fields: fields.get(name) },
    ]),
  );
}

/** @throws PolicyError ERR_POLICY_SCHEMA */
function fieldsByType(fragments: readonly PolicySchemaFragment[]): ReadonlyMap<string, ResourceFields> {
  return new Map(
    fragments.flatMap(({ namespace, entityTypes }) =>
      Object.entries(entityTypes).flatMap(([name, type]): [string, ResourceFields][] => {
        const { fields } = type;
        if (fields === undefined) return [];
        const problem = fieldsProblem(fields, type);
        if (problem !== undefined) throw broken(`${namespace}::${name}: ${problem}`);
        return [[`${namespace}::${name}`, fields]];
      }),
    ),
  );
}

function limitsByAction(fragments: readonly PolicySchemaFragment[]): ReadonlyMap<string, LimitNames> {
  return new Map(
    fragments.flatMap(({ actions }) =>
      Object.entries(actions).flatMap(([name, { limits }]): [string, LimitNames][] =>
        limits === undefined ? [] : [[name, limits]],
      ),
    ),
  );
}

/** @throws PolicyError ERR_POLICY_SCHEMA */
function toldByAction(fragments: readonly PolicySchemaFragment[]): ReadonlyMap<string, ActionFacts['told']> {
  return new Map(
    fragments.flatMap((fragment) =>
      Object.entries(fragment.actions).map(([action, { told = {}, context }]) => {
        const names = Object.values(told).flat();
        if (!names.every((name) => Object.hasOwn(context, name)))
          throw broken(`${action} says that of its context is told what it has not: ${names.join(', ')}`);
        return [action, new Map(Object.entries(told).map(([type, of]) => [fullTypeName(fragment, type), of]))];
      }),
    ),
  );
}

/** By each other action of its fragment. @throws PolicyError ERR_POLICY_SCHEMA */
function sessionActions(fragments: readonly PolicySchemaFragment[]): ReadonlyMap<string, string> {
  return new Map(
    fragments.flatMap(({ namespace, session, actions }): [string, string][] => {
      if (session === undefined) return [];
      if (!Object.hasOwn(actions, session))
        throw broken(`the session of ${namespace} is opened by ${session}, which the fragment does not declare`);
      return Object.keys(actions).flatMap((name) => (name === session ? [] : [[name, session]]));
    }),
  );
}

function actionFacts(
  actions: Readonly<Record<string, ActionJson>>,
  more: {
    readonly sessions: ReadonlyMap<string, string>;
    readonly limits: ReadonlyMap<string, LimitNames>;
    readonly told: ReadonlyMap<string, ActionFacts['told']>;
  },
): Map<string, ActionFacts> {
  const parents = (name: string) => actions[name]?.memberOf.map((group) => group.id) ?? [];
  return new Map(
    Object.entries(actions).map(([name, action]) => [
      name,
      {
        isGroup: action.appliesTo === undefined,
        principals: new Set(action.appliesTo?.principalTypes),
        resources: new Set(action.appliesTo?.resourceTypes),
        context: withoutTime(action.appliesTo?.context.attributes ?? {}),
        groups: Array.from(closure(name, parents)),
        limits: more.limits.get(name) ?? {},
        told: more.told.get(name) ?? new Map(),
        session: more.sessions.get(name),
      },
    ]),
  );
}

/** It comes with the request, not with what the operation shows of itself. */
function withoutTime({ [TIME]: _, ...attributes }: ActionFacts['context']): ActionFacts['context'] {
  return attributes;
}

function closure(name: string, parents: (name: string) => readonly string[]): Set<string> {
  const reached = new Set<string>();
  const open = [...parents(name)];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (reached.has(next)) continue;
    reached.add(next);
    open.push(...parents(next));
  }
  return reached;
}

function broken(message: string): PolicyError {
  return new PolicyError('ERR_POLICY_SCHEMA', message);
}

const TIME = 'time';
const DATETIME = { type: 'Extension', name: 'datetime' } as const;
const STRING = { type: 'String' } as const;
const OPTIONAL_STRING = { type: 'String', required: false } as const;

const BASE_TYPES = {
  TrustDomain: { memberOf: [], attributes: {} },
  IdentityPath: { memberOf: ['IdentityPath', 'TrustDomain'], attributes: {} },
  Identity: {
    memberOf: ['IdentityPath', 'TrustDomain'],
    attributes: {
      ...{ uri: STRING, trustDomain: STRING, path: STRING },
      ...{ owner: OPTIONAL_STRING, environment: OPTIONAL_STRING, quarantined: { type: 'Boolean' } },
    },
    tags: STRING,
  },
  Target: { memberOf: [], attributes: { name: STRING, protocol: STRING } },
} satisfies PolicySchemaFragment['entityTypes'];
