import { EvaluationError } from './evaluation-error.ts';
import type { Extension } from './extensions.ts';

/**
 * Values while a policy is evaluated. Lists are Cedar sets (order and repetition mean nothing); other objects are records. A Long is a
 * number while it is a safe integer and a bigint beyond, so `===` compares exactly.
 */
export type Value = boolean | Long | string | EntityValue | Extension | SetValue | RecordValue;
/** A 64-bit integer. */
export type Long = number | bigint;
/** A set. */
export type SetValue = readonly Value[];
/** A record. Only own properties count: a request may name a key `constructor`. */
export interface RecordValue {
  readonly [name: string]: Value;
}

/** An entity by name. Those of the request know more: {@link KnownEntity}. */
export class EntityValue {
  readonly type: string;
  readonly id: string;

  constructor(type: string, id: string) {
    this.type = type;
    this.id = id;
  }
}

/** An entity whose attributes, tags and ancestors the request brought. */
export class KnownEntity extends EntityValue {
  readonly attributes: RecordValue;
  /** `untold`: its type has tags, and which ones it has was not said. To a whole request that is none. */
  readonly tags: RecordValue | 'untold';
  /** Attributes that it stands open in: it is many entities. What reads one fails. */
  readonly open: ReadonlySet<string>;
  /** Of those, texts that all of them have, by how they begin; undefined of one that is one. */
  readonly beginnings: ReadonlyMap<string, string> | undefined;
  /** All of them, each once. */
  readonly ancestors: readonly KnownEntity[];

  constructor(
    uid: { readonly type: string; readonly id: string },
    attributes: RecordValue,
    ancestors: readonly KnownEntity[],
    {
      tags = NO_TAGS,
      open = NOTHING_OPEN,
      beginnings,
    }: Partial<Pick<KnownEntity, 'tags' | 'open' | 'beginnings'>> = {},
  ) {
    super(uid.type, uid.id);
    this.attributes = attributes;
    this.tags = tags;
    this.open = open;
    this.beginnings = beginnings;
    this.ancestors = ancestors;
  }

  /** Undefined where it has none of that name. @throws EvaluationError where it is open in it */
  attribute(name: string): Value | undefined {
    if (this.open.has(name)) throw new EvaluationError(`the question does not settle ${name}`);
    return attributeOf(this.attributes, name);
  }

  /** Whether it has one of that name. @throws EvaluationError where it is open in that */
  has(name: string): boolean {
    return this.beginnings?.has(name) === true || this.attribute(name) !== undefined;
  }

  /** As `attribute`, of a tag. */
  tag(key: string): Value | undefined {
    if (this.tags !== 'untold') return attributeOf(this.tags, key);
    if (this.open.size > 0) throw new EvaluationError('the question does not settle the tags');
    return undefined;
  }
}

/** What an expression is evaluated in. */
export interface Environment {
  readonly principal: KnownEntity;
  readonly action: KnownEntity;
  readonly resource: KnownEntity;
  /** But for `time`. */
  readonly context: RecordValue;
  /** `context.time`, epoch milliseconds; undefined when the request does not tell it. */
  readonly timeMs: number | undefined;
}

/** The kind of a value, as messages name it. */
export function kindOf(value: Value): string {
  if (typeof value === 'number' || typeof value === 'bigint') return 'long';
  if (typeof value !== 'object') return typeof value;
  if (value instanceof EntityValue) return 'entity';
  if (isSet(value)) return 'set';
  return isExtension(value) ? value.kind : 'record';
}

/** True for a set. */
export function isSet(value: Value): value is SetValue {
  return Array.isArray(value);
}

/** True for a decimal, address, datetime or duration. */
export function isExtension(value: Value): value is Extension {
  return typeof value === 'object' && EXTENSION in value;
}

/** True for a record. */
export function isRecord(value: Value): value is RecordValue {
  return typeof value === 'object' && !Array.isArray(value) && !(value instanceof EntityValue) && !(EXTENSION in value);
}

/** Cedar's `==`: values of different types are unequal, never an error. */
export function equal(a: Value, b: Value): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object') return false;
  if (a instanceof EntityValue) return b instanceof EntityValue && sameEntity(a, b);
  if (isSet(a)) return isSet(b) && includesAll(a, b) && includesAll(b, a);
  if (isExtension(a)) return isExtension(b) && a.kind === b.kind && a.key === b.key;
  return isRecord(b) && equalRecords(a, b);
}

/** True when both name one entity. */
export function sameEntity(a: EntityValue, b: EntityValue): boolean {
  return a.id === b.id && a.type === b.type;
}

/** True when `set` holds `value`. */
export function includes(set: SetValue, value: Value): boolean {
  if (typeof value !== 'object') return set.includes(value);
  return set.some((element) => equal(element, value));
}

/** True when `set` holds every element of `wanted`. */
export function includesAll(set: SetValue, wanted: SetValue): boolean {
  const lookup = lookupOf(set, wanted.length);
  return wanted.every(lookup);
}

/** True when `set` holds an element of `wanted`. */
export function includesAny(set: SetValue, wanted: SetValue): boolean {
  const lookup = lookupOf(set, wanted.length);
  return wanted.some(lookup);
}

/** An attribute, or undefined when there is none. */
export function attributeOf(record: RecordValue, name: string): Value | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}

/** `entity in ancestor`: reflexive. An entity that the request did not bring is only in itself. */
export function isIn(entity: EntityValue, ancestor: EntityValue): boolean {
  if (sameEntity(entity, ancestor)) return true;
  if (!(entity instanceof KnownEntity)) return false;
  for (const one of entity.ancestors) if (sameEntity(one, ancestor)) return true;
  return false;
}

/** The error of an operand that has the wrong type. */
export function typeError(wanted: string, value: Value): EvaluationError {
  return new EvaluationError(`expected ${wanted}, got ${kindOf(value)}`);
}

function equalRecords(a: RecordValue, b: RecordValue): boolean {
  const names = Object.keys(a);
  if (names.length !== Object.keys(b).length) return false;
  return names.every((name) => {
    const left = attributeOf(a, name);
    const right = attributeOf(b, name);
    return left !== undefined && right !== undefined && equal(left, right);
  });
}

/** Small products are searched; for larger ones the elements that compare by `===` are hashed, so that hostile sizes stay linear. */
function lookupOf(set: SetValue, questions: number): (value: Value) => boolean {
  if (set.length * questions <= SEARCH_MAX) return (value) => includes(set, value);
  const plain = new Set<Value>();
  const others: Value[] = [];
  for (const element of set) {
    if (typeof element === 'object') others.push(element);
    else plain.add(element);
  }
  return (value) => (typeof value === 'object' ? includes(others, value) : plain.has(value));
}

const NO_TAGS: RecordValue = {};
const NOTHING_OPEN: ReadonlySet<string> = new Set();

/** Marks extension values: a symbol, so no record of a request can pretend to be one. */
export const EXTENSION: unique symbol = Symbol('extension');

const SEARCH_MAX = 64;

export function asLong(found: Value): Long {
  if (typeof found === 'number' || typeof found === 'bigint') return found;
  throw typeError('long', found);
}

export function asEntity(found: Value): EntityValue {
  if (found instanceof EntityValue) return found;
  throw typeError('entity', found);
}

export function asSet(found: Value): SetValue {
  if (isSet(found)) return found;
  throw typeError('set', found);
}
