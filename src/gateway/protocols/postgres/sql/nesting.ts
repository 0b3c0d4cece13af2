/**
 * An upper bound of how deep a text nests, before it is parsed. Needed because the parser is WebAssembly on the JavaScript stack: a
 * long chain such as `1+1+1…` overflows that stack in the middle of the module, and after some of these it never returns from the
 * next call. So a text that could do that never reaches it.
 */

/** Parentheses and brackets in each other. */
export const parenthesesMax = 250;
/** Tokens that could lie on one path of the tree; the parser fails at about four times of it, under the whole stack. */
export const pathTokensMax = 2_000;

/** True when the text surely stays within both bounds. Lexes as PostgreSQL does with `standard_conforming_strings` on. */
export function isShallow(sql: string): boolean {
  // No token is shorter than a character, and half of any nesting closes again.
  if (sql.length <= parenthesesMax) return true;
  const levels: Level[] = [];
  let level: Level = { segment: 0, sticky: 0 };
  let outer = 0;
  let before = '';
  for (const token of tokensOf(sql)) {
    if (token === '(' || token === '[') {
      if (levels.length >= parenthesesMax) return false;
      levels.push(level);
      outer += level.segment + level.sticky + 1;
      level = { segment: 0, sticky: 0 };
    } else if (token === ')' || token === ']') {
      const enclosing = levels.pop();
      if (enclosing !== undefined) {
        level = enclosing;
        outer -= level.segment + level.sticky + 1;
        level.segment += 1;
      }
    } else if (token === ',') level.segment = 0;
    else if (token === ';') level = { segment: 0, sticky: 0 };
    else countWord(level, token, before);
    if (outer + level.segment + level.sticky > pathTokensMax) return false;
    before = token;
  }
  return true;
}

/** Tokens of a text: parsing and planning costs some 3 µs each, during which nobody else is served. */
export const tokensMax = 50_000;
/** Statements of a text; each costs a plan, and two entries of the ledger. */
export const statementsMax = 1_000;

/** True when the text has few enough of both. */
export function isBrief(sql: string): boolean {
  if (sql.length <= statementsMax) return true;
  let tokens = 0;
  let statements = 0;
  for (const token of tokensOf(sql)) {
    if (token === ';') statements += 1;
    tokens += 1;
    if (tokens > tokensMax || statements > statementsMax) return false;
  }
  return true;
}

interface Level {
  /** Tokens since the last thing that only puts siblings beside each other. */
  segment: number;
  /** Left-deep joins and set operations, which commas don't separate. */
  sticky: number;
}

function countWord(level: Level, token: string, before: string): void {
  // After a dot or AS a keyword is a plain name: `a.or` must not start a new segment.
  const isName = before === '.' || before === 'as';
  if (!isName && (token === 'and' || token === 'or')) level.segment = 0;
  else if (!isName && stickyWords.has(token)) {
    level.segment = 0;
    level.sticky += 1;
  } else level.segment += 1;
}

const stickyWords = new Set(['union', 'intersect', 'except', 'join']);

/** Words in lower case, single punctuation, `'` for any string or quoted name; comments and space left out. */
export function* tokensOf(sql: string): Generator<string> {
  let at = 0;
  while (at < sql.length) {
    const code = sql.charCodeAt(at);
    if (isSpace(code)) at += 1;
    else if (isWordStart(code)) {
      const end = wordEnd(sql, at);
      const word = end - at <= WORD_LENGTH_MAX ? sql.slice(at, end).toLowerCase() : 'a';
      if (word === 'e' && sql.charCodeAt(end) === QUOTE) {
        at = escapedEnd(sql, end + 1);
        yield "'";
      } else {
        at = end;
        yield word;
      }
    } else if (code === QUOTE || code === DOUBLE_QUOTE) {
      at = quotedEnd(sql, at + 1, code);
      yield "'";
    } else if (code === DASH && sql.charCodeAt(at + 1) === DASH) at = lineEnd(sql, at);
    else if (code === SLASH && sql.charCodeAt(at + 1) === STAR) at = commentEnd(sql, at + 2);
    else if (code === DOLLAR) {
      const end = dollarEnd(sql, at);
      at = end ?? at + 1;
      yield end === undefined ? '$' : "'";
    } else {
      at += 1;
      yield sql[at - 1] ?? '';
    }
  }
}

function isSpace(code: number): boolean {
  return code === 0x20 || (code >= 0x09 && code <= 0x0d);
}

function isWordStart(code: number): boolean {
  return (code >= 0x61 && code <= 0x7a) || (code >= 0x41 && code <= 0x5a) || code === 0x5f || code >= 0x80;
}

function isWordPart(code: number): boolean {
  return isWordStart(code) || (code >= 0x30 && code <= 0x39) || code === DOLLAR;
}

function wordEnd(sql: string, start: number): number {
  let at = start + 1;
  while (at < sql.length && isWordPart(sql.charCodeAt(at))) at += 1;
  return at;
}

/** A doubled quote ends one string and starts the next: the same end, one token more. */
function quotedEnd(sql: string, start: number, quote: number): number {
  const end = sql.indexOf(String.fromCharCode(quote), start);
  return end === -1 ? sql.length : end + 1;
}

function escapedEnd(sql: string, start: number): number {
  let at = start;
  while (at < sql.length) {
    const code = sql.charCodeAt(at);
    if (code === BACKSLASH) at += 2;
    else if (code === QUOTE && sql.charCodeAt(at + 1) === QUOTE) at += 2;
    else if (code === QUOTE) return at + 1;
    else at += 1;
  }
  return sql.length;
}

function lineEnd(sql: string, start: number): number {
  let at = start;
  while (at < sql.length && sql[at] !== '\n' && sql[at] !== '\r') at += 1;
  return at;
}

function commentEnd(sql: string, start: number): number {
  let depth = 1;
  let at = start;
  while (at < sql.length && depth > 0) {
    const pair = sql.slice(at, at + 2);
    if (pair === '*/') depth -= 1;
    else if (pair === '/*') depth += 1;
    at += pair === '*/' || pair === '/*' ? 2 : 1;
  }
  return at;
}

/** End of a dollar-quoted string that starts here; undefined when none does. */
function dollarEnd(sql: string, start: number): number | undefined {
  let at = start + 1;
  if (isWordStart(sql.charCodeAt(at))) {
    while (isWordPart(sql.charCodeAt(at)) && sql.charCodeAt(at) !== DOLLAR) at += 1;
  }
  if (sql.charCodeAt(at) !== DOLLAR) return undefined;
  const tag = sql.slice(start, at + 1);
  const end = sql.indexOf(tag, at + 1);
  return end === -1 ? sql.length : end + tag.length;
}

/** Longer than any keyword that counts. */
const WORD_LENGTH_MAX = 16;
const QUOTE = 0x27;
const DOUBLE_QUOTE = 0x22;
const DASH = 0x2d;
const SLASH = 0x2f;
const STAR = 0x2a;
const DOLLAR = 0x24;
const BACKSLASH = 0x5c;
