import { IdentityError, parseSpiffeId } from '@countersign/sdk/identity';
import type { EntityRef } from '../../model/index.ts';
import { PolicyError } from '../errors.ts';
import type { KnownEntity } from '../expressions/values.ts';
import type { PolicySchema } from '../schema/compose-schema.ts';
import { identityEntity } from '../schema/identity-entity.ts';
import { resourceFromId } from '../schema/resource-from-id.ts';
import type { ResourceScope } from '../types.ts';
import { scopeFits } from './policy-index.ts';

/** One side of a question: a certain entity, or any that a scope takes in. */
export type Part =
  | { readonly entity: KnownEntity; readonly scope?: undefined }
  | { readonly scope: ResourceScope; readonly entity?: undefined };

/** How much of a part a scope takes in. */
export type Reach = 'all' | 'some' | 'none';

interface Facts {
  readonly schema: PolicySchema;
  /** Types that an entity of the part can have. */
  readonly types: ReadonlySet<string>;
}

/** How much of `part` is in `scope`; `some` where that is not certain. */
export function reachOf(scope: ResourceScope, part: Part, facts: Facts): Reach {
  if (part.entity !== undefined) return scopeFits(scope, part.entity) ? 'all' : 'none';
  const asked = part.scope;
  const possible = typesOf(asked, facts);
  const taken = typesOf(scope, facts);
  if (!Array.from(taken).some((type) => possible.has(type))) return 'none';
  const place = placeOf(scope, asked, facts.schema);
  if (place !== 'all') return place;
  return Array.from(possible).every((type) => taken.has(type)) ? 'all' : 'some';
}

/** The entity that a scope names, when its id tells all about it; undefined for a scope of several, or where it does not. */
export function entityOfScope(scope: ResourceScope, schema: PolicySchema): EntityRef | undefined {
  if (scope.op === 'any' || scope.op === 'is') return undefined;
  // Nothing is in an identity but itself.
  if (scope.op === 'in' && scope.type !== 'Identity') return undefined;
  return entityFromId(scope, schema);
}

/** By the tree of names alone, whatever the types. */
function placeOf(scope: ResourceScope, asked: ResourceScope, schema: PolicySchema): Reach {
  if (scope.op === 'any' || scope.op === 'is') return 'all';
  if (asked.op === 'any' || asked.op === 'is') return 'some';
  const isAbove = linesOf(asked, schema).some((one) => one.type === scope.type && one.id === scope.id);
  if (scope.op === 'equals') {
    const isSame = asked.type === scope.type && asked.id === scope.id;
    if (isSame) return asked.op === 'equals' ? 'all' : 'some';
  } else if (isAbove) return 'all';
  if (asked.op === 'equals') return 'none';
  return linesOf(scope, schema).some((one) => one.type === asked.type && one.id === asked.id) ? 'some' : 'none';
}

/** Those of the types that a scope can take in. */
export function typesOf(scope: ResourceScope, { schema, types }: Facts): ReadonlySet<string> {
  if (scope.op === 'any') return types;
  const fits = (type: string): boolean => {
    if (scope.op === 'in') {
      if (scope.is !== undefined && scope.is !== type) return false;
      return type === scope.type || schema.entityTypes.get(type)?.ancestorTypes.has(scope.type) === true;
    }
    return type === scope.type;
  };
  return new Set(Array.from(types).filter(fits));
}

/** An entity and all that it is in, as its id tells. */
export function linesOf(uid: { readonly type: string; readonly id: string }, schema: PolicySchema): readonly Uid[] {
  const entity = entityFromId(uid, schema);
  if (entity === undefined) return [uid];
  const found: Uid[] = [];
  for (let next: EntityRef | undefined = entity; next !== undefined; next = next.parents[0]) found.push(next);
  return found;
}

interface Uid {
  readonly type: string;
  readonly id: string;
}

function entityFromId({ type, id }: Uid, schema: PolicySchema): EntityRef | undefined {
  try {
    if (type === 'Identity') return identityEntity(parseSpiffeId(id));
    // An identity below it is in it, and in all that it is in.
    if (type === 'IdentityPath') {
      const [path] = identityEntity(parseSpiffeId(`${id}/any`)).parents;
      return path?.id === id ? path : undefined;
    }
    const named = Array.from(schema.namedById).find(([, one]) => one.type === type);
    return named && resourceFromId(schema, { kind: named[0], id });
  } catch (error) {
    // Nothing has such an id.
    if (error instanceof IdentityError || error instanceof PolicyError) return undefined;
    throw error;
  }
}
