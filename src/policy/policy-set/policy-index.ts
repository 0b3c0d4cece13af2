import { conjunctsOf, type EqualityKey } from '../expressions/conjuncts.ts';
import {
  attributeOf,
  type Environment,
  type KnownEntity,
  type RecordValue,
  type Value,
} from '../expressions/values.ts';
import type { ResourceScope } from '../types.ts';
import type { CompiledPolicy } from './compile-policy.ts';

/** Finds the policies whose scope fits a request, without looking at the others. */
export interface PolicyIndex {
  /** Every policy that could match; each still has to be asked whether it `holds`. Each at most once, in no order. */
  candidates(environment: Environment): CompiledPolicy[];
  /** Every policy whose principal scope fits, whatever action and resource. */
  forPrincipal(principal: KnownEntity): CompiledPolicy[];
}

/**
 * Builds the index: action, then principal, then resource, then the attribute that most policies of a bucket compare with a literal.
 * All steps are hash look-ups. `isValidated` false leaves the attributes out: a condition may be skipped unevaluated only where the
 * validator proved that those before it can not fail.
 */
export function indexPolicies(
  policies: readonly CompiledPolicy[],
  options: { readonly isValidated: boolean },
): PolicyIndex {
  const leaf = (bucket: readonly CompiledPolicy[]) =>
    attributeIndex(options.isValidated ? bucket.map(keyed) : bucket.map(unkeyed));
  const resources = (bucket: readonly CompiledPolicy[]) => scopeIndex(bucket, (policy) => policy.resource, leaf);
  const principals = (bucket: readonly CompiledPolicy[]) => scopeIndex(bucket, (policy) => policy.principal, resources);
  const byAction = new Map<string, CompiledPolicy[]>();
  for (const policy of policies) for (const action of policy.actions) pushTo(byAction, action, policy);
  const actions = new Map(Array.from(byAction, ([action, bucket]) => [action, principals(bucket)]));
  const bearers = scopeIndex(
    policies,
    (policy) => policy.principal,
    (bucket) => bucket,
  );
  return {
    candidates(environment) {
      const found: CompiledPolicy[] = [];
      const byPrincipal = actions.get(environment.action.id);
      if (byPrincipal === undefined) return found;
      for (const byResource of lookUp(byPrincipal, environment.principal))
        for (const bucket of lookUp(byResource, environment.resource)) collect(bucket, environment, found);
      return found;
    },
    forPrincipal: (principal) => lookUp(bearers, principal).flat(),
  };
}

/** True when an entity fits a scope. */
export function scopeFits(scope: ResourceScope, entity: KnownEntity): boolean {
  switch (scope.op) {
    case 'any':
      return true;
    case 'is':
      return entity.type === scope.type;
    case 'equals':
      return entity.type === scope.type && entity.id === scope.id;
    case 'in': {
      if (scope.is !== undefined && entity.type !== scope.is) return false;
      return [entity, ...entity.ancestors].some((one) => one.type === scope.type && one.id === scope.id);
    }
    default:
      return scope satisfies never;
  }
}

/** Buckets by one part of the scope. `within` is keyed by the type that `is` narrows to, the empty string for none. */
interface ScopeIndex<Bucket> {
  readonly any: Bucket | undefined;
  readonly is: ReadonlyMap<string, Bucket>;
  readonly equals: ReadonlyMap<string, ReadonlyMap<string, Bucket>>;
  readonly within: ReadonlyMap<string, ReadonlyMap<string, ReadonlyMap<string, Bucket>>>;
}

function scopeIndex<Bucket>(
  policies: readonly CompiledPolicy[],
  scopeOf: (policy: CompiledPolicy) => ResourceScope,
  bucketOf: (policies: readonly CompiledPolicy[]) => Bucket,
): ScopeIndex<Bucket> {
  const any: CompiledPolicy[] = [];
  const is = new Map<string, CompiledPolicy[]>();
  const equals = new Map<string, Map<string, CompiledPolicy[]>>();
  const within = new Map<string, Map<string, Map<string, CompiledPolicy[]>>>();
  for (const policy of policies) {
    const scope = scopeOf(policy);
    if (scope.op === 'any') any.push(policy);
    else if (scope.op === 'is') pushTo(is, scope.type, policy);
    else if (scope.op === 'equals') pushTo(innerMap(equals, scope.type), scope.id, policy);
    else pushTo(innerMap(innerMap(within, scope.type), scope.id), scope.is ?? '', policy);
  }
  const buckets = (map: ReadonlyMap<string, CompiledPolicy[]>) => mapValues(map, bucketOf);
  return {
    any: any.length === 0 ? undefined : bucketOf(any),
    is: buckets(is),
    equals: mapValues(equals, buckets),
    within: mapValues(within, (byId) => mapValues(byId, buckets)),
  };
}

function lookUp<Bucket>(index: ScopeIndex<Bucket>, entity: KnownEntity): Bucket[] {
  const found: Bucket[] = [];
  const add = (bucket: Bucket | undefined) => {
    if (bucket !== undefined) found.push(bucket);
  };
  add(index.any);
  if (index.is.size > 0) add(index.is.get(entity.type));
  if (index.equals.size > 0) add(index.equals.get(entity.type)?.get(entity.id));
  if (index.within.size > 0) {
    for (let i = -1; i < entity.ancestors.length; i++) {
      const place = i < 0 ? entity : entity.ancestors[i];
      const narrowed = place === undefined ? undefined : index.within.get(place.type)?.get(place.id);
      if (narrowed === undefined) continue;
      add(narrowed.get(''));
      add(narrowed.get(entity.type));
    }
  }
  return found;
}

/** A bucket by attribute: policies that compare it with a literal are under that literal, all others are `always` asked. */
interface AttributeIndex {
  readonly always: readonly CompiledPolicy[];
  readonly branches: readonly { readonly key: EqualityKey; readonly byValue: ReadonlyMap<Value, AttributeIndex> }[];
}

interface Keyed {
  readonly policy: CompiledPolicy;
  /** Attributes that must equal a literal, not yet used on the way down. */
  readonly keys: readonly { readonly key: EqualityKey; readonly value: Value }[];
}

function keyed(policy: CompiledPolicy): Keyed {
  return { policy, keys: conjunctsOf(policy.json) };
}

function unkeyed(policy: CompiledPolicy): Keyed {
  return { policy, keys: [] };
}

function attributeIndex(policies: readonly Keyed[]): AttributeIndex {
  let rest = policies;
  const branches: { key: EqualityKey; byValue: ReadonlyMap<Value, AttributeIndex> }[] = [];
  while (rest.length > BUCKET_SEARCHED_MAX) {
    const key = bestKey(rest);
    if (key === undefined) break;
    const byValue = new Map<Value, Keyed[]>();
    const others: Keyed[] = [];
    for (const { policy, keys } of rest) {
      const used = keys.find((one) => sameKey(one.key, key));
      if (used === undefined) others.push({ policy, keys });
      else pushTo(byValue, used.value, { policy, keys: keys.filter((one) => one !== used) });
    }
    branches.push({ key, byValue: mapValues(byValue, attributeIndex) });
    rest = others;
  }
  return { always: rest.map((one) => one.policy), branches };
}

/** The attribute that tells most policies apart: a value shared by all tells nothing. */
function bestKey(policies: readonly Keyed[]): EqualityKey | undefined {
  const seen = new Map<string, { key: EqualityKey; policies: number; values: Set<Value> }>();
  for (const { keys } of policies) {
    for (const { key, value } of keys) {
      const name = `${key.variable}.${key.attribute}`;
      const entry = seen.get(name) ?? { key, policies: 0, values: new Set<Value>() };
      entry.policies += 1;
      entry.values.add(value);
      seen.set(name, entry);
    }
  }
  let best: { key: EqualityKey; values: Set<Value> } | undefined;
  for (const entry of seen.values())
    if (entry.values.size > 1 && entry.values.size > (best?.values.size ?? 0)) best = entry;
  return best?.key;
}

function collect(index: AttributeIndex, environment: Environment, found: CompiledPolicy[]): void {
  for (const policy of index.always) found.push(policy);
  for (const { key, byValue } of index.branches) {
    if (isOpenIn(key, environment)) {
      // Each of them has to fail: a forbid that was left out would not refuse.
      for (const next of byValue.values()) collect(next, environment, found);
      continue;
    }
    const value = attributeOf(recordOf(key, environment), key.attribute);
    const next = value === undefined ? undefined : byValue.get(value);
    if (next !== undefined) collect(next, environment, found);
  }
}

function isOpenIn({ variable, attribute }: EqualityKey, { principal, resource }: Environment): boolean {
  if (variable === 'context') return false;
  return (variable === 'principal' ? principal : resource).open.has(attribute);
}

function recordOf(key: EqualityKey, environment: Environment): RecordValue {
  switch (key.variable) {
    case 'principal':
      return environment.principal.attributes;
    case 'resource':
      return environment.resource.attributes;
    case 'context':
      return environment.context;
    default:
      return key.variable satisfies never;
  }
}

function sameKey(a: EqualityKey, b: EqualityKey): boolean {
  return a.variable === b.variable && a.attribute === b.attribute;
}

function pushTo<Key, Item>(map: Map<Key, Item[]>, key: Key, item: Item): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [item]);
  else list.push(item);
}

function innerMap<Key, Inner>(map: Map<Key, Map<string, Inner>>, key: Key): Map<string, Inner> {
  const inner = map.get(key) ?? new Map<string, Inner>();
  map.set(key, inner);
  return inner;
}

function mapValues<Key, From, To>(map: ReadonlyMap<Key, From>, change: (value: From) => To): ReadonlyMap<Key, To> {
  return new Map(Array.from(map, ([key, value]) => [key, change(value)]));
}

/** Asking a few policies costs less than another look-up. */
const BUCKET_SEARCHED_MAX = 4;
