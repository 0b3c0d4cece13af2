/**
 * Shapes: texts that differ only in the values of plain literals, so that one verdict serves them all. A driver without parameters
 * sends a new text for every row it asks for; parsing and planning each costs a hundred times what finding its shape does.
 *
 * Sound because of two rules. The scanner takes out a literal only where PostgreSQL's lexer, whatever stands in the literal, goes on with
 * the same tokens of the same kinds; anything less plain gives no shape. And a verdict is kept for a shape only if each of its
 * literals is, in the tree, a constant in a place whose value no part of the planner and no rule of the grammar looks at.
 */
import { type Fields, fieldOf, fieldsOf, hasField, isFields, type Node, nodeOf, textOf } from './tree.ts';

export interface Shape {
  /** The text with a mark in place of each literal; the text itself when it has none. */
  readonly text: string;
  readonly literals: readonly Literal[];
}

/** A literal: the byte where it begins, as PostgreSQL counts locations. */
export interface Literal {
  readonly kind: 'integer' | 'string';
  readonly location: number;
}

/** The shape of a text; undefined when it holds anything that is not plain. */
export function shapeOf(sql: string): Shape | undefined {
  if (sql.length > TEXT_LENGTH_MAX) return undefined;
  const literals: Literal[] = [];
  let text = '';
  /** Where the part not copied yet begins. */
  let from = 0;
  /** Bytes beyond one a character so far. */
  let extra = 0;
  let at = 0;
  while (at < sql.length) {
    const code = sql.charCodeAt(at);
    const kind = code < KINDS.length ? KINDS[code] : OTHER;
    const start = at;
    if (kind === PLAIN) at++;
    else if (kind === WORD) at = endOfWord(sql, at);
    else if (kind === DIGIT) at = endOfInteger(sql, at);
    else if (kind === QUOTE) at = endOfString(sql, at);
    else if (kind === DOLLAR) at = endOfParameter(sql, at);
    else if (kind === MAYBE_COMMENT) at = sql.charCodeAt(at + 1) === (code === MINUS ? MINUS : STAR) ? NONE : at + 1;
    else if (kind === DOUBLE_QUOTE) at = endOfName(sql, at);
    else return undefined;
    if (at === NONE) return undefined;
    if (kind !== DIGIT && kind !== QUOTE) continue;
    if (literals.length === LITERALS_MAX) return undefined;
    const isInteger = kind === DIGIT;
    literals.push({ kind: isInteger ? 'integer' : 'string', location: start + extra });
    text += sql.slice(from, start) + (isInteger ? INTEGER_MARK : STRING_MARK);
    from = at;
    if (!isInteger) extra += Buffer.byteLength(sql.slice(start, at)) - (at - start);
  }
  return { text: from === 0 ? sql : text + sql.slice(from), literals };
}

/** True when every literal of the shape is a constant of that statement in a place where its value decides nothing. */
export function isOpenShape(statement: Node, sql: string, literals: readonly Literal[]): boolean {
  if (!STATEMENTS.has(statement.kind)) return false;
  const found = new Map<number, Literal['kind']>();
  collect(statement.fields, statement.kind, (constant) => noteConstant(found, constant, sql));
  return literals.every(({ kind, location }) => found.get(location) === kind);
}

function collect(fields: Fields, kind: string, note: (constant: Fields) => void): void {
  for (const [name, value] of Object.entries(fields)) {
    const isOpen = OPEN_PLACES.has(`${kind}.${name}`) && (kind !== 'A_Expr' || isPlainOperator(fields));
    for (const item of Array.isArray(value) ? value : [value]) visit(item, { isOpen, place: `${kind}.${name}` }, note);
  }
}

function visit(item: unknown, { isOpen, place }: { isOpen: boolean; place: string }, note: (constant: Fields) => void) {
  const node = nodeOf(item);
  if (node === undefined) {
    // Some fields hold a bare message of a known kind, such as a set operation's branches: nothing in them is in an open place by itself.
    if (isFields(item)) collect(item, BARE.get(place) ?? '', note);
  } else if (node.kind === 'A_Const') {
    if (isOpen) note(node.fields);
  } else if (node.kind === 'TypeCast' && isOpen) {
    visit(fieldOf(node.fields, 'arg'), { isOpen, place: 'TypeCast.arg' }, note);
  } else if (node.kind === 'List' && LISTS.has(place)) {
    for (const entry of arrayOf(fieldOf(node.fields, 'items'))) visit(entry, { isOpen, place: '' }, note);
  } else {
    collect(node.fields, node.kind, note);
  }
}

/** The value is only compared or computed with: operators by name, and what is written as one. */
function isPlainOperator(fields: Fields): boolean {
  return OPERATORS.has(textOf(fields, 'kind') ?? '');
}

function noteConstant(found: Map<number, Literal['kind']>, constant: Fields, sql: string): void {
  const location = fieldOf(constant, 'location');
  // A location of 0 is left out, and no statement begins with a constant.
  if (typeof location !== 'number') return;
  if (hasField(constant, 'sval')) found.set(location, 'string');
  else if (hasField(constant, 'ival')) {
    // The grammar folds a minus into the number, and then calls the minus the place.
    const value = fieldOf(fieldsOf(constant, 'ival'), 'ival');
    found.set(typeof value === 'number' && value < 0 ? digitsBehind(sql, location) : location, 'integer');
  }
}

/** Where the digits behind a minus begin; locations are bytes, so only when the text before is as long in both: else nowhere. */
function digitsBehind(sql: string, minus: number): number {
  let at = minus;
  if (sql.charCodeAt(at) !== MINUS || Buffer.byteLength(sql.slice(0, at)) !== at) return NONE;
  at++;
  while (SPACES.has(sql.charCodeAt(at))) at++;
  return at;
}

function arrayOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** A name or a keyword. A quote right behind it makes a string of another kind (E, B, X, N, U&). */
function endOfWord(sql: string, start: number): number {
  let at = start + 1;
  for (;;) {
    const code = sql.charCodeAt(at);
    const kind = code < KINDS.length ? KINDS[code] : at < sql.length ? OTHER : PLAIN;
    if (kind === WORD || kind === DIGIT) at++;
    else return kind === QUOTE || kind === DOLLAR || kind === OTHER ? NONE : isUnicodePrefix(sql, at) ? NONE : at;
  }
}

/** U&'…' and U&"…". */
function isUnicodePrefix(sql: string, at: number): boolean {
  if (sql.charCodeAt(at) !== AMPERSAND) return false;
  const next = sql.charCodeAt(at + 1);
  return next === SINGLE || next === DOUBLE;
}

/** Nine digits always fit into an int4, which is what makes the type of the constant the same. */
function endOfInteger(sql: string, start: number): number {
  if (sql.charCodeAt(start - 1) === DOT) return NONE;
  let at = start + 1;
  while (KINDS[sql.charCodeAt(at)] === DIGIT) at++;
  if (at - start > DIGITS_MAX) return NONE;
  const code = sql.charCodeAt(at);
  const kind = code < KINDS.length ? KINDS[code] : at < sql.length ? OTHER : PLAIN;
  const isPlain = kind !== WORD && kind !== QUOTE && kind !== DOLLAR && kind !== OTHER && kind !== DOUBLE_QUOTE;
  return isPlain && code !== DOT ? at : NONE;
}

/** A plain string; two quotes inside stand for one. Backslashes mean nothing in one as long as nobody turns that off, which is not left to chance here. */
function endOfString(sql: string, start: number): number {
  let at = start + 1;
  for (;;) {
    const code = sql.charCodeAt(at);
    if (code === SINGLE) {
      at++;
      if (sql.charCodeAt(at) !== SINGLE) return isFollowed(sql, at) ? NONE : at;
      at++;
    } else if (code >= 0x20 && code !== BACKSLASH && (code < 0x7f || (code > 0x9f && (code < 0xd800 || code > 0xdfff))))
      at++;
    else return NONE; // Also the end of the text, where the code is no number.
  }
}

/** A name right behind a string, or another string behind white space, which may continue the first. */
function isFollowed(sql: string, end: number): boolean {
  if (sql.charCodeAt(end) === DOUBLE) return true;
  let at = end;
  while (SPACES.has(sql.charCodeAt(at))) at++;
  return sql.charCodeAt(at) === SINGLE;
}

function endOfName(sql: string, start: number): number {
  for (let at = start + 1; ; at++) {
    const code = sql.charCodeAt(at);
    if (code === DOUBLE) return at + 1;
    if (!(code >= 0x20 && code < 0x7f)) return NONE;
  }
}

function endOfParameter(sql: string, start: number): number {
  let at = start + 1;
  while (KINDS[sql.charCodeAt(at)] === DIGIT) at++;
  const kind = KINDS[sql.charCodeAt(at)];
  return at === start + 1 || kind === WORD || kind === DOLLAR || kind === QUOTE ? NONE : at;
}

const NONE = -1;
const [PLAIN, WORD, DIGIT, QUOTE, DOUBLE_QUOTE, DOLLAR, MAYBE_COMMENT, OTHER] = [0, 1, 2, 3, 4, 5, 6, 7];
const [MINUS, STAR, DOT, SINGLE, DOUBLE, AMPERSAND, BACKSLASH] = [0x2d, 0x2a, 0x2e, 0x27, 0x22, 0x26, 0x5c];
const SPACES: ReadonlySet<number> = new Set([0x09, 0x0a, 0x0c, 0x0d, 0x20]);
/** What each ASCII character begins. */
const KINDS = Uint8Array.from({ length: 128 }, (_, code) => {
  const character = String.fromCharCode(code);
  if (/[A-Za-z_]/.test(character)) return WORD;
  if (/[0-9]/.test(character)) return DIGIT;
  if (character === "'") return QUOTE;
  if (character === '"') return DOUBLE_QUOTE;
  if (character === '$') return DOLLAR;
  if (character === '-' || character === '/') return MAYBE_COMMENT;
  return SPACES.has(code) || (code > 0x20 && code < 0x7f) ? PLAIN : OTHER;
});
/** No text that has a shape holds these. */
const INTEGER_MARK = '\u0001';
const STRING_MARK = '\u0002';
const TEXT_LENGTH_MAX = 8192;
const LITERALS_MAX = 1000;
const DIGITS_MAX = 9;

const STATEMENTS: ReadonlySet<string> = new Set(['SelectStmt', 'InsertStmt', 'UpdateStmt', 'DeleteStmt']);
/** Where a constant's value is no name, no position, no type modifier and no option. Not: arguments of functions and of casts. */
const OPEN_PLACES: ReadonlySet<string> = new Set([
  ...['A_Expr.lexpr', 'A_Expr.rexpr', 'ResTarget.val', 'SelectStmt.valuesLists'],
  ...['SelectStmt.limitCount', 'SelectStmt.limitOffset'],
]);
/** Where a list of constants may stand in an open place: IN, BETWEEN, VALUES. */
const LISTS: ReadonlySet<string> = new Set(['A_Expr.rexpr', 'SelectStmt.valuesLists']);
/** Fields that hold a statement without its name around it. */
const BARE: ReadonlyMap<string, string> = new Map([
  ['SelectStmt.larg', 'SelectStmt'],
  ['SelectStmt.rarg', 'SelectStmt'],
]);
const OPERATORS: ReadonlySet<string> = new Set([
  ...['AEXPR_OP', 'AEXPR_IN', 'AEXPR_LIKE', 'AEXPR_ILIKE', 'AEXPR_BETWEEN', 'AEXPR_NOT_BETWEEN', 'AEXPR_DISTINCT'],
  'AEXPR_NOT_DISTINCT',
]);
