import type { AttributeValue, DecisionRequest, EntityRef } from '../../model/index.ts';
import { EvaluationError } from '../expressions/evaluation-error.ts';
import { constructorOf, extensionFunctions } from '../expressions/extensions.ts';
import {
  EntityValue,
  type Environment,
  equal,
  KnownEntity,
  kindOf,
  type RecordValue,
  sameEntity,
  type Value,
} from '../expressions/values.ts';
import type { ActionFacts, EntityTypeFacts, PolicySchema } from './compose-schema.ts';
import type { CedarTypeJson } from './schema.ts';

/**
 * Holds requests against the schema and makes them ready to be evaluated. The validator proved the policies right for requests that
 * fit the schema, and for no others: what does not fit is refused, not evaluated.
 */
export interface RequestReader {
  /** @throws RequestError */
  read(request: DecisionRequest): Environment;
  /** An entity alone, for questions that are not whole. @throws RequestError */
  readEntity(entity: EntityRef): KnownEntity;
  /** An action that is no group. @throws RequestError */
  readAction(action: string): KnownEntity;
}

/** Why a request does not fit the schema. */
export class RequestError extends Error {}

/** Creates the reader of one schema. */
export function createRequestReader(schema: PolicySchema): RequestReader {
  const types = new Map(Array.from(schema.entityTypes, ([name, facts]) => [name, entityReader(name, facts)]));
  const actions = actionReaders(schema.actions);
  // An entity is read once and kept as long as its object lives: a session asks about the same principal at every operation.
  const entities = new WeakMap<EntityRef, KnownEntity>();

  function entity(ref: EntityRef, depth: number): KnownEntity {
    const done = entities.get(ref);
    if (done !== undefined) return done;
    const type = types.get(ref.type);
    if (type === undefined) throw new RequestError(`the schema has no entity type ${ref.type}`);
    if (typeof ref.id !== 'string') throw new RequestError(`an entity of type ${ref.type} has an id that is no string`);
    if (depth > ANCESTRY_DEPTH_MAX)
      throw new RequestError(`parents of ${ref.type} nest more than ${ANCESTRY_DEPTH_MAX} deep`);
    const ancestors: KnownEntity[] = [];
    for (const parentRef of ref.parents) {
      const parent = entity(parentRef, depth + 1);
      for (const one of [parent, ...parent.ancestors]) addAncestor(ancestors, one);
    }
    for (const one of ancestors)
      if (!type.ancestorTypes.has(one.type)) throw new RequestError(`${ref.type} can not be in ${one.type}`);
    const made = type.make(ref, ancestors);
    entities.set(ref, made);
    return made;
  }

  function actionOf(action: string) {
    const facts = actions.get(action);
    if (facts === undefined) throw new RequestError(`the schema has no action ${action}`);
    return facts;
  }

  return {
    read({ principal, action, resource, context, timeMs }) {
      const facts = actionOf(action);
      if (!facts.principals.has(principal.type))
        throw new RequestError(`a principal is an ${[...facts.principals].join(' or ')}, not ${principal.type}`);
      if (!facts.resources.has(resource.type)) throw new RequestError(`${action} does not apply to ${resource.type}`);
      return {
        principal: entity(principal, 0),
        action: facts.entity,
        resource: entity(resource, 0),
        context: facts.readContext(context),
        timeMs: timeMs === undefined ? undefined : wholeSecond(timeMs),
      };
    },
    readEntity: (ref) => entity(ref, 0),
    readAction: (action) => actionOf(action).entity,
  };
}

type ReadValue = (value: AttributeValue) => Value;
type ReadRecord = (value: unknown) => RecordValue;

function entityReader(name: string, { ancestorTypes, attributes, tags }: EntityTypeFacts) {
  const readAttributes = recordReader(attributes, name).read;
  const readTags = tags === undefined ? undefined : tagsReader(tags, name);
  return {
    ancestorTypes,
    make(ref: EntityRef, ancestors: readonly KnownEntity[]): KnownEntity {
      if (readTags === undefined && ref.tags !== undefined) throw new RequestError(`${name} has no tags in the schema`);
      const open =
        ref.open === undefined
          ? {}
          : { open: openNames(ref, attributes, name), beginnings: beginningsOf(ref, attributes, name) };
      const own = ref.open === undefined ? readAttributes(ref.attributes) : readRest(ref, attributes, name);
      if (readTags === undefined) return new KnownEntity(ref, own, ancestors, open);
      const told = ref.tags === undefined ? 'untold' : readTags(ref.tags);
      return new KnownEntity(ref, own, ancestors, { ...open, tags: told });
    },
  };
}

/** What an entity is open in is not told as well. */
function openNames({ open = [], attributes }: EntityRef, declared: EntityTypeFacts['attributes'], name: string) {
  for (const one of open) {
    if (!Object.hasOwn(declared, one)) throw new RequestError(`${name} has no attribute ${one} in the schema`);
    if (Object.hasOwn(attributes, one)) throw new RequestError(`${name} has ${one}, and is open in it`);
  }
  return new Set(open);
}

/** Of texts alone, in which it is open. */
function beginningsOf({ open = [], beginnings }: EntityRef, declared: EntityTypeFacts['attributes'], name: string) {
  if (beginnings === undefined) return undefined;
  const entries = Object.entries(beginnings);
  for (const [one, text] of entries) {
    if (!open.includes(one)) throw new RequestError(`${name} has a beginning of ${one}, and is not open in it`);
    if (declared[one]?.type !== 'String' || typeof text !== 'string')
      throw new RequestError(`${name} has a beginning of ${one}, which is no text`);
  }
  return new Map(entries);
}

/** All but what it is open in. */
function readRest({ open = [], attributes }: EntityRef, declared: EntityTypeFacts['attributes'], name: string) {
  const rest = Object.entries(declared).filter(([one]) => !open.includes(one));
  return recordReader(Object.fromEntries(rest), name).read(attributes);
}

/** Any key may be there: each value is of the one type. */
function tagsReader(type: CedarTypeJson, name: string): ReadRecord {
  const path = `a tag of ${name}`;
  const { read } = valueReader(type, path);
  return (given) => {
    if (typeof given !== 'object' || given === null || Array.isArray(given))
      return misfit(`the tags of ${name}`, 'a record', given);
    const entries = Object.entries(given);
    if (entries.length > TAGS_MAX) throw new RequestError(`${name} has more than ${TAGS_MAX} tags`);
    const made: Record<string, Value> = Object.create(null);
    for (const [key, value] of entries) made[key] = read(value);
    return made;
  };
}

function actionReaders(facts: ReadonlyMap<string, ActionFacts>) {
  const group = (id: string) => new KnownEntity({ type: 'Action', id }, {}, []);
  const readers = new Map<
    string,
    Pick<ActionFacts, 'principals' | 'resources'> & { entity: KnownEntity; readContext: ReadRecord }
  >();
  for (const [id, action] of facts) {
    if (action.isGroup) continue;
    const entity = new KnownEntity({ type: 'Action', id }, {}, action.groups.map(group));
    const { principals, resources } = action;
    readers.set(id, { principals, resources, entity, readContext: recordReader(action.context, 'context').read });
  }
  return readers;
}

/** An entity that is reached twice has to be the same both times, or the answer would depend on the way. */
function addAncestor(ancestors: KnownEntity[], one: KnownEntity): void {
  const before = ancestors.find((known) => sameEntity(known, one));
  if (before === undefined) {
    if (ancestors.length === ANCESTORS_MAX) throw new RequestError(`an entity has at most ${ANCESTORS_MAX} ancestors`);
    ancestors.push(one);
    return;
  }
  if (
    before !== one &&
    !(equal(before.attributes, one.attributes) && sameTags(before, one) && sameAncestors(before, one))
  )
    throw new RequestError(`the entity ${one.type}::${JSON.stringify(one.id)} is there twice, with differences`);
}

function sameTags({ tags: a }: KnownEntity, { tags: b }: KnownEntity): boolean {
  return equal(a, b);
}

function sameAncestors(a: KnownEntity, b: KnownEntity): boolean {
  return a.ancestors.length === b.ancestors.length && equal([...a.ancestors], [...b.ancestors]);
}

/** `isPlain`: a value that fits is used as it came, without a copy. */
interface Reader<Read> {
  readonly read: Read;
  readonly isPlain: boolean;
}

function valueReader(type: CedarTypeJson, path: string): Reader<ReadValue> {
  switch (type.type) {
    case 'String':
      return plain((value) => (typeof value === 'string' ? value : misfit(path, 'a string', value)));
    case 'Boolean':
      return plain((value) => (typeof value === 'boolean' ? value : misfit(path, 'a boolean', value)));
    case 'Long':
      return plain((value) =>
        typeof value === 'number' && Number.isSafeInteger(value) ? value + 0 : misfit(path, 'a safe integer', value),
      );
    case 'Set':
      return setReader(valueReader(type.element, `${path}[]`), path);
    case 'Record': {
      const { read, isPlain } = recordReader(type.attributes, path);
      return { read, isPlain };
    }
    case 'Entity':
      return { isPlain: false, read: (value) => readEntityName(value, type.name, path) };
    case 'Extension':
      return { isPlain: false, read: (value) => readExtension(value, type.name, path) };
    default:
      return type satisfies never;
  }
}

function plain(read: ReadValue): Reader<ReadValue> {
  return { read, isPlain: true };
}

function setReader(element: Reader<ReadValue>, path: string): Reader<ReadValue> {
  const { isPlain } = element;
  return {
    isPlain,
    read(value) {
      if (!Array.isArray(value)) return misfit(path, 'a list', value);
      if (value.length > SET_ELEMENTS_MAX)
        throw new RequestError(`${path} holds more than ${SET_ELEMENTS_MAX} elements`);
      if (!isPlain) return value.map((one) => element.read(one));
      for (const one of value) element.read(one);
      return value;
    },
  };
}

function recordReader(attributes: { readonly [name: string]: CedarTypeJson }, path: string): Reader<ReadRecord> {
  const readers = Object.entries(attributes).map(([name, type]) => ({
    name,
    isRequired: type.required !== false,
    ...valueReader(type, `${path}.${name}`),
  }));
  const names = new Set(Object.keys(attributes));
  const isPlain = readers.every((reader) => reader.isPlain);
  return {
    isPlain,
    read(record) {
      if (typeof record !== 'object' || record === null || Array.isArray(record))
        return misfit(path, 'a record', record);
      // Just established: an object that is no list.
      const given = record as { readonly [name: string]: AttributeValue };
      for (const name in given)
        if (!names.has(name)) throw new RequestError(`${path} has no attribute ${name} in the schema`);
      const made: Record<string, Value> = isPlain ? NO_VALUES : Object.create(null);
      for (const { name, isRequired, read } of readers) {
        const value = Object.hasOwn(given, name) ? given[name] : undefined;
        if (value !== undefined) {
          const fit = read(value);
          if (!isPlain) made[name] = fit;
        } else if (isRequired) throw new RequestError(`${path} lacks ${name}`);
      }
      // Every attribute was read above and each is the very value that was given.
      return isPlain ? (given as RecordValue) : made;
    },
  };
}

function readEntityName(value: AttributeValue, type: string, path: string): Value {
  if (isObject(value) && '__entity' in value) {
    const uid = value['__entity'];
    if (isObject(uid) && 'type' in uid && 'id' in uid && uid['type'] === type && typeof uid['id'] === 'string')
      return new EntityValue(type, uid['id']);
  }
  return misfit(path, `{ __entity: { type: "${type}", id } }`, value);
}

/** Takes the text alone, or Cedar's `{ __extn: { fn, arg } }`. */
function readExtension(value: AttributeValue, type: keyof typeof constructorOf, path: string): Value {
  let text: AttributeValue | undefined = value;
  if (isObject(value) && '__extn' in value) {
    const call = value['__extn'];
    text =
      isObject(call) && 'arg' in call && 'fn' in call && call['fn'] === constructorOf[type] ? call['arg'] : undefined;
  }
  const construct = extensionFunctions.get(constructorOf[type]);
  if (typeof text !== 'string' || construct === undefined) return misfit(path, `the text of a ${type}`, value);
  try {
    return construct.call(text, text);
  } catch (error) {
    if (error instanceof EvaluationError) throw new RequestError(`${path}: ${error.message}`);
    throw error;
  }
}

/** Requests are typed, but where they come from files the type is only hoped for: null has to be told from objects. */
function isObject(value: unknown): value is { readonly [name: string]: AttributeValue } {
  return typeof value === 'object' && value !== null;
}

function misfit(path: string, wanted: string, value: unknown): never {
  // The kind, not the value: requests carry what the ledger may only keep as a digest.
  const found =
    value === null ? 'null' : typeof value === 'object' && !Array.isArray(value) ? 'an object' : kindOfGiven(value);
  throw new RequestError(`${path} is ${wanted} in the schema; the request has ${found}`);
}

function kindOfGiven(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'number' ? `a number (${kindOf(value)})` : `a ${typeof value}`;
}

/** As policies see a time: what they say can then change once a second at most. @throws RequestError */
function wholeSecond(timeMs: number): number {
  if (!Number.isSafeInteger(Math.floor(timeMs))) throw new RequestError('the time of a request is no time');
  return Math.floor(timeMs / 1000) * 1000;
}

/** A SPIFFE ID has at most 2,048 bytes; sixty-four steps of a path are far more than anyone names. */
const ANCESTORS_MAX = 80;
const ANCESTRY_DEPTH_MAX = 80;
/** A PostgreSQL table has at most 1,600 columns. */
const SET_ELEMENTS_MAX = 4096;
/** Labels are for people to look through. */
const TAGS_MAX = 1024;
/** Never written: only plain records use it, and those keep what was given. */
const NO_VALUES: Record<string, Value> = {};
