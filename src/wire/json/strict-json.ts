import { isAscii } from 'node:buffer';
import { JsonError } from './errors.ts';
import { foldName } from './fold-name.ts';

/** JSON as `JSON.parse` gives it. */
export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [name: string]: JsonValue };

/** What a reader of strict JSON may be more or less strict in. */
export interface StrictJsonLimits {
  /** Levels of objects and arrays; 64. */
  readonly depth: number;
  /** Whether names that differ only by case or compatibility form count as one; true. */
  readonly foldsNames: boolean;
  /** Whether numbers that not all readers read alike are refused; true. */
  readonly checksNumbers: boolean;
}

/**
 * Reads JSON that every reader reads alike: UTF-8 without a byte order mark, no name twice in one object, in whatever spelling, no half of a
 * surrogate pair, no number beyond 2^53 - 1, not nested without end. Of two members of one name some readers take the first, others the last:
 * then the one who decides and the one who acts would not mean the same.
 * @throws JsonError ERR_JSON_UTF8, ERR_JSON_SYNTAX, ERR_JSON_NAME, ERR_JSON_NUMBER, ERR_JSON_LIMIT
 * @see RFC 8259 §4, §6, §8; RFC 7493
 */
export function readStrictJson(bytes: Buffer, limits: Partial<StrictJsonLimits> = {}): JsonValue {
  const text = decode(bytes);
  let value: JsonValue;
  try {
    value = JSON.parse(text);
  } catch {
    // The cause would quote what stands there.
    throw new JsonError('ERR_JSON_SYNTAX', 'the bytes are not JSON');
  }
  const check: Check = { depth: 64, foldsNames: true, checksNumbers: true, ...limits, members: 0 };
  checkValue(value, check, 0);
  // A member that came twice is there once.
  if (check.members !== membersOf(bytes)) throw twice();
  return value;
}

interface Check extends StrictJsonLimits {
  members: number;
}

function decode(bytes: Buffer): string {
  // Nearly every text is ASCII, which needs no decoder.
  if (isAscii(bytes)) return bytes.toString('latin1');
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    throw new JsonError('ERR_JSON_UTF8', 'the bytes are not UTF-8');
  }
  if (text.startsWith('\ufeff')) throw new JsonError('ERR_JSON_UTF8', 'a byte order mark stands before the JSON');
  return text;
}

function checkValue(value: JsonValue, check: Check, depth: number): void {
  if (typeof value === 'string') checkText(value);
  else if (typeof value === 'number') checkNumber(value, check);
  else if (typeof value === 'object' && value !== null) {
    if (depth >= check.depth) throw new JsonError('ERR_JSON_LIMIT', `the JSON nests deeper than ${check.depth} levels`);
    if (Array.isArray(value)) for (const item of value) checkValue(item, check, depth + 1);
    else if (isObject(value)) {
      const names = Object.keys(value);
      check.members += names.length;
      checkNames(names, check.foldsNames);
      for (const name of names) checkValue(value[name] ?? null, check, depth + 1);
    }
  }
}

function checkNames(names: readonly string[], foldsNames: boolean): void {
  for (const name of names) checkText(name);
  if (!foldsNames) return;
  const seen = new Set<string>();
  for (const name of names) {
    // Bringing combining characters into order takes the square of their number.
    if (name.length > NAME_CHARS_MAX)
      throw new JsonError('ERR_JSON_LIMIT', `a name is longer than ${NAME_CHARS_MAX} characters`);
    const folded = foldName(name);
    if (seen.has(folded)) throw twice();
    seen.add(folded);
  }
}

function checkText(text: string): void {
  if (!text.isWellFormed()) throw new JsonError('ERR_JSON_UTF8', 'a text holds half of a surrogate pair');
}

function checkNumber(value: number, { checksNumbers }: Check): void {
  if (checksNumbers && !(Math.abs(value) <= Number.MAX_SAFE_INTEGER))
    throw new JsonError('ERR_JSON_NUMBER', 'a number is beyond 2^53 - 1');
}

/** How many members stand in a text that is known to be JSON: its colons outside strings. */
function membersOf(bytes: Buffer): number {
  let members = 0;
  for (let i = 0; i < bytes.length; i++) {
    if (bytes[i] === COLON) members++;
    else if (bytes[i] === QUOTE) for (i++; i < bytes.length && bytes[i] !== QUOTE; i++) if (bytes[i] === BACKSLASH) i++;
  }
  return members;
}

function twice(): JsonError {
  return new JsonError('ERR_JSON_NAME', 'an object holds a name twice');
}

/** TypeScript does not conclude from Array.isArray that what is left of readonly types is an object. */
function isObject(value: JsonValue | undefined): value is { readonly [name: string]: JsonValue } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** By default a decoder takes a byte order mark away in silence. */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const QUOTE = 0x22;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const NAME_CHARS_MAX = 1_024;
