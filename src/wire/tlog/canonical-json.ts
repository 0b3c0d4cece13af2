import { TlogError } from './errors.ts';

/** What canonical JSON may hold here: RFC 8785 restricted to safe integers, so that no two programs print a number differently. */
export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [name: string]: JsonValue };

/**
 * The one text of a value: keys sorted by UTF-16 code units, no spaces. Refuses fractions, unsafe integers, -0, `undefined`, lone
 * surrogates, non-plain objects and depth over 32. @throws ERR_TLOG_JSON @see RFC 8785 §3.2
 */
export function formatCanonicalJson(value: JsonValue): string {
  return format(value, 0);
}

/** Reads bytes that are exactly the canonical text of a value: any other spelling of it is refused. @throws ERR_TLOG_JSON */
export function parseCanonicalJson(bytes: Uint8Array): JsonValue {
  let value: JsonValue;
  let text: string;
  try {
    text = utf8.decode(bytes);
    value = JSON.parse(text);
  } catch (cause) {
    throw new TlogError('ERR_TLOG_JSON', `${bytes.length} bytes are not JSON in UTF-8`, { cause });
  }
  if (format(value, 0) !== text) throw new TlogError('ERR_TLOG_JSON', 'the JSON is valid but not in canonical form');
  return value;
}

function format(value: JsonValue, depth: number): string {
  if (typeof value === 'string') return formatString(value);
  if (typeof value === 'number') {
    // String(-0) is '0': two values would share one text.
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) {
      throw new TlogError('ERR_TLOG_JSON', `number ${value} is not a safe integer`);
    }
    return String(value);
  }
  if (value === null) return 'null';
  if (typeof value === 'boolean') return value ? 'true' : 'false';
  if (depth >= DEPTH_MAX) throw new TlogError('ERR_TLOG_JSON', `nesting is deeper than ${DEPTH_MAX}`);
  if (typeof value !== 'object') throw new TlogError('ERR_TLOG_JSON', `a ${typeof value} is not a JSON value`);
  return isArray(value) ? formatArray(value, depth) : formatObject(value, depth);
}

function formatString(value: string): string {
  if (PLAIN.test(value)) return `"${value}"`;
  // RFC 8785 §3.2.2.2: a lone surrogate has no UTF-8 form, so it must end in an error.
  if (!value.isWellFormed()) throw new TlogError('ERR_TLOG_JSON', 'a string holds a lone surrogate');
  return JSON.stringify(value);
}

function formatArray(values: readonly JsonValue[], depth: number): string {
  return Object.isFrozen(values) ? frozenText(values, depth) : formatItems(values, depth);
}

/** What can't change has one text for good: what policy was asked of a statement comes with each of its entries. */
function frozenText(value: readonly JsonValue[] | { readonly [name: string]: JsonValue }, depth: number): string {
  // A kept text says nothing of how deep it goes.
  const isShallow = depth + FROZEN_DEPTH_MAX <= DEPTH_MAX;
  const known = isShallow ? frozenTexts.get(value) : undefined;
  if (known !== undefined) return known;
  const text = isArray(value) ? formatItems(value, depth) : formatMembers(value, depth);
  if (isShallow && isFrozenThrough(value, FROZEN_DEPTH_MAX)) frozenTexts.set(value, text);
  return text;
}

function isFrozenThrough(value: JsonValue, depthMax: number): boolean {
  if (typeof value !== 'object' || value === null) return true;
  return (
    depthMax > 0 && Object.isFrozen(value) && Object.values(value).every((item) => isFrozenThrough(item, depthMax - 1))
  );
}

function formatItems(values: readonly JsonValue[], depth: number): string {
  let text = '[';
  // By index, so that a hole is seen as the `undefined` it is.
  for (let i = 0; i < values.length; i++) {
    text += (i === 0 ? '' : ',') + format(present(values[i], `item ${i}`), depth + 1);
  }
  return `${text}]`;
}

function formatObject(value: { readonly [name: string]: JsonValue }, depth: number): string {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    throw new TlogError('ERR_TLOG_JSON', 'an object with a prototype of its own is not a JSON value');
  }
  return Object.isFrozen(value) ? frozenText(value, depth) : formatMembers(value, depth);
}

function formatMembers(value: { readonly [name: string]: JsonValue }, depth: number): string {
  let text = '';
  for (const key of sorted(Object.keys(value))) {
    text += (text === '' ? nameText('{', key) : nameText(',', key)) + format(present(value[key], key), depth + 1);
  }
  return text === '' ? '{}' : `${text}}`;
}

/** A name between what opens it and its colon. Names are few, and come again and again. */
function nameText(opener: '{' | ',', name: string): string {
  const texts = opener === ',' ? nextNames : firstNames;
  const known = texts.get(name);
  if (known !== undefined) return known;
  const text = `${opener}${formatString(name)}:`;
  if (texts.size < NAMES_MAX && name.length <= NAME_LENGTH_MAX) texts.set(name, text);
  return text;
}

/** By UTF-16 code units, as `<` and Array.prototype.sort without a comparator order: RFC 8785 §3.2.3. Mostly they are in order. */
function sorted(keys: string[]): string[] {
  for (let i = 1; i < keys.length; i++) if ((keys[i - 1] ?? '') > (keys[i] ?? '')) return keys.sort();
  return keys;
}

function present(value: JsonValue | undefined, name: string): JsonValue {
  if (value === undefined) throw new TlogError('ERR_TLOG_JSON', `${name} is undefined`);
  return value;
}

/** Array.isArray does not narrow a readonly array. */
function isArray(value: object): value is readonly JsonValue[] {
  return Array.isArray(value);
}

/** Printable ASCII that JSON writes as it is. */
const PLAIN = /^[ !#-[\]-~]*$/;

const frozenTexts = new WeakMap<object, string>();
/** Texts are kept of what nests no deeper. */
const FROZEN_DEPTH_MAX = 16;

const firstNames = new Map<string, string>();
const nextNames = new Map<string, string>();
/** Bounds what names of a stranger's choosing can take. */
const NAMES_MAX = 1000;
const NAME_LENGTH_MAX = 64;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Events are flat; what nests deeper is a mistake or an attack on recursion. */
const DEPTH_MAX = 32;
