/**
 * How long a text is and an upper bound of how deep it nests, before it is parsed. Needed because the parser is WebAssembly on the
 * JavaScript stack: a long chain such as `1+1+1…` overflows that stack in the middle of the module, and after some of these it never
 * returns from the next call. So a text that could do that never reaches it.
 */

/** Parentheses, brackets and CASEs in each other: each costs every walk some frames. */
export const nestingMax = 250;
/** Tokens that could lie on one path of the tree. The parser fails at about four times of it, under the whole stack of the process. */
const pathTokensMax = 2_000;
/** As `pathTokensMax`, for the parser in a thread of its own: a chain of 10,000 operators and more. PostgreSQL's own stack ends earlier. */
const longPathTokensMax = 50_000;
/** Tokens of a text that is planned in one go: some 3 µs each, during which nobody else is served. */
export const tokensAtOnceMax = 10_000;
/** Characters of one: a literal is but one token, and yet each of its characters is copied a few times. */
const lengthAtOnceMax = 256 * 1024;

/** How a text is to be taken. */
export type Extent =
  | 'short'
  /** Longer or deeper than is dealt with while all others wait. */
  | 'long'
  /** Deeper than anybody deals with. */
  | 'deep';

/** What a text takes. An upper bound of its depth: whatever the answer, no stack ends. Lexes as PostgreSQL does with `standard_conforming_strings` on. */
export function extentOf(sql: string, atOnceMax = tokensAtOnceMax): Extent {
  // No token is shorter than a character, and half of any nesting closes again.
  if (sql.length <= nestingMax) return 'short';
  const levels: Level[] = [];
  let level = newLevel('');
  let outer = 0;
  let before = '';
  let tokens = 0;
  let extent: Extent = sql.length > lengthAtOnceMax ? 'long' : 'short';
  for (const token of tokensOf(sql)) {
    tokens += 1;
    // After a dot or AS a keyword is a plain name: `a.or` must not start a new segment.
    const word = before === '.' || before === 'as' ? '' : token;
    if (openings.has(word)) {
      if (levels.length >= nestingMax) return 'deep';
      levels.push(level);
      outer += level.segment + level.sticky + 1;
      level = newLevel(word);
      // A CASE ends with END; both may also be bare labels, which must not end a bracket.
    } else if (word === ')' || word === ']' || (word === 'end' && level.opening === 'case')) {
      const enclosing = levels.pop();
      if (enclosing !== undefined) {
        level = enclosing;
        outer -= level.segment + level.sticky + 1;
        level.segment += 1;
      }
    } else if (word === ';') level = newLevel(level.opening);
    else if (separators.has(word)) level.segment = 0;
    else if (stickyWords.has(word)) {
      level.segment = 0;
      level.sticky += 1;
    } else level.segment += 1;
    const path = outer + level.segment + level.sticky;
    if (path > longPathTokensMax) return 'deep';
    if (path > pathTokensMax || tokens > atOnceMax) extent = 'long';
    before = token;
  }
  return extent;
}

interface Level {
  readonly opening: string;
  /** Tokens since the last thing that only puts siblings beside each other. */
  segment: number;
  /** Left-deep joins and set operations, which commas don't separate. */
  sticky: number;
}

function newLevel(opening: string): Level {
  return { opening, segment: 0, sticky: 0 };
}

const openings: ReadonlySet<string> = new Set(['(', '[', 'case']);
/** What only puts siblings beside each other; the branches of a CASE are. */
const separators: ReadonlySet<string> = new Set([',', 'and', 'or', 'when', 'then', 'else']);
const stickyWords: ReadonlySet<string> = new Set(['union', 'intersect', 'except', 'join']);

/** Words in lower case, single punctuation, `'` for any string or quoted name; comments and space left out. */
export function* tokensOf(sql: string, place: { at: number } = { at: 0 }): Generator<string> {
  let at = 0;
  while (at < sql.length) {
    place.at = at;
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
