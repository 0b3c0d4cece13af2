/**
 * What names stand in the text of a function. It is cut into tokens as PostgreSQL's scanner does, which PL/pgSQL uses as well, and no grammar is
 * asked for: what a text may reach follows from the names in it, wherever they stand (decision 0025).
 */
import type { Changes } from './reach.ts';

/** The names of one text. */
export interface CodeText {
  /** As the server folds them, quoted or not, each once; reserved words that name nothing are left out. */
  readonly names: readonly string[];
  /** It runs SQL that stands in a string, or does what changes the session or the catalog: what follows from it, the names don't tell. */
  readonly isLoose: boolean;
  /** Through keys that refer to them it may do it to rows of others. */
  readonly changes: Changes;
  /** Last names of what it inserts into, updates, deletes from or merges into. */
  readonly written: readonly string[];
}

/** Characters of a text; a longer one is not looked at. */
export const codeLengthMax = 65_536;

export type CodeLanguage = 'sql' | 'plpgsql';

export function isCodeLanguage(language: string): language is CodeLanguage {
  return language === 'sql' || language === 'plpgsql';
}

/** Reads texts; names that many share are held once for all that are read by one reader. Undefined for one that is too long. */
export function createCodeReader(): (text: string, language: string) => CodeText | undefined {
  const shared = new Map<string, string>();
  const share = (name: string) => {
    const known = shared.get(name);
    if (known !== undefined) return known;
    // A part of a text holds the whole text in memory.
    const own = Buffer.from(name).toString();
    shared.set(own, own);
    return own;
  };
  return (text, language) => {
    if (text.length > codeLengthMax || !isCodeLanguage(language)) return undefined;
    const gathered = gather(text, language);
    const held = (names: ReadonlySet<string>) => (names.size === 0 ? none : Array.from(names, share));
    return {
      names: held(gathered.names),
      isLoose: gathered.isLoose,
      changes: changesOf(gathered),
      written: held(gathered.written),
    };
  };
}

function changesOf({ names }: Gathered): Changes {
  if (names.has('truncate')) return 'tables';
  if (['update', 'delete', 'merge'].some((word) => names.has(word))) return 'rows';
  return names.has('insert') ? 'inserts' : 'nothing';
}

interface Gathered {
  readonly names: Set<string>;
  readonly written: Set<string>;
  isLoose: boolean;
}

function gather(text: string, language: CodeLanguage): Gathered {
  const gathered: Gathered = { names: new Set(), written: new Set(), isLoose: false };
  const statement = new Statement(language);
  const targets = new Targets(gathered.written);
  let isAttribute = false;
  for (const token of tokensOf(text)) {
    switch (token.kind) {
      case 'name':
        if (token.isQuoted || isAttribute || !reservedWords.has(token.text)) gathered.names.add(token.text);
        // A server whose encoding has one byte for each letter folds others than those of ASCII as well.
        if (!token.isQuoted && !ASCII.test(token.text)) gathered.names.add(token.text.toLowerCase());
        break;
      case 'odd':
        gathered.isLoose = true;
        break;
      default:
        break;
    }
    isAttribute = token.text === '.';
    const isTaken = statement.takes(token);
    if (!targets.takes(token) || !isTaken) gathered.isLoose = true;
  }
  if (!targets.ends()) gathered.isLoose = true;
  return gathered;
}

/** Which words of a statement run SQL in a string, move a cursor of the session, or change the session or the catalog. */
class Statement {
  readonly #language: CodeLanguage;
  #before = '';
  #isUpdate = false;

  constructor(language: CodeLanguage) {
    this.#language = language;
  }

  /** False when what the token begins, or goes on with, isn't followed here. */
  takes(token: Token): boolean {
    const before = this.#before;
    const word = token.kind === 'string' ? STRING : token.kind === 'name' && token.isQuoted ? QUOTED : token.text;
    this.#before = word;
    // On another line it goes on with the first, in which backslashes may count.
    if (before === STRING && token.kind === 'string' && token.isPlain) return false;
    if (boundaries.has(word)) this.#isUpdate = false;
    // What is opened FOR UPDATE may be one that is not followed: then no SET of its own passes.
    if (word === 'update') this.#isUpdate = before !== 'for' && before !== 'key';
    if (loosePairs.get(before) === word) return false;
    if (before === 'do' && word !== 'nothing' && word !== 'update') return false;
    if (word === 'set') return this.#takesSet();
    if (this.#language === 'sql' && word === 'into') return before === 'insert' || before === 'merge';
    if (this.#language === 'sql' && word === 'declare') return false;
    return !looseWords.has(word);
  }

  /** One of each UPDATE, so that none has `set` for its name. */
  #takesSet(): boolean {
    const isOwn = this.#isUpdate;
    this.#isUpdate = false;
    return isOwn;
  }
}

type Expected = 'nothing' | 'name' | 'name or SET' | 'attribute' | 'dot';

/** What is written to: the name behind INSERT INTO, MERGE INTO, DELETE FROM and UPDATE. */
class Targets {
  readonly #written: Set<string>;
  #before = '';
  #expects: Expected = 'nothing';
  #name = '';

  constructor(written: Set<string>) {
    this.#written = written;
  }

  /** False when no name stands where one is written to. */
  takes(token: Token): boolean {
    const before = this.#before;
    this.#before = token.kind === 'string' || (token.kind === 'name' && token.isQuoted) ? '' : token.text;
    if (this.#expects === 'dot') {
      if (token.text === '.') return this.#expect('attribute');
      this.#written.add(this.#name);
      this.#expect('nothing');
    }
    if (this.#expects !== 'nothing') return this.#begins(token);
    // Of MERGE and ON CONFLICT, UPDATE has no name of its own, and FOR UPDATE locks.
    if (this.#before === 'update' && !lockingWords.has(before))
      return this.#expect(before === 'then' ? 'name or SET' : 'name');
    return this.#expect(targetPairs.get(this.#before)?.has(before) === true ? 'name' : 'nothing');
  }

  /** False when a name had to follow. */
  ends(): boolean {
    return this.takes({ kind: 'sign', text: ';' });
  }

  #begins(token: Token): boolean {
    if (this.#expects === 'name or SET' && this.#before === 'set') return this.#expect('nothing');
    if (this.#expects !== 'attribute' && (this.#before === 'only' || this.#before === '(')) return this.#expect('name');
    // An alias that is called `update` may stand before SET.
    if (token.kind !== 'name' || this.#before === 'set') return false;
    this.#name = token.text;
    return this.#expect('dot');
  }

  #expect(next: Expected): true {
    this.#expects = next;
    return true;
  }
}

const targetPairs: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  ['into', new Set(['insert', 'merge'])],
  ['from', new Set(['delete'])],
]);
const lockingWords: ReadonlySet<string> = new Set(['for', 'key', 'do']);

/** Anywhere in a text: they are hardly ever names of anything. */
const looseWords: ReadonlySet<string> = new Set([
  ...['execute', 'prepare', 'deallocate', 'copy', 'create', 'alter', 'drop', 'grant', 'revoke', 'reset', 'discard'],
  ...['fetch', 'move', 'close', 'commit', 'rollback', 'savepoint', 'vacuum', 'reindex', 'reassign'],
  // Without a name they are about all there is.
  ...['analyze', 'analyse', 'cluster', 'checkpoint'],
]);
/** With the word behind them. */
const STRING = "'";
const QUOTED = '"';
const loosePairs: ReadonlyMap<string, string> = new Map([
  ['security', 'label'],
  ['import', 'foreign'],
  ['load', STRING],
]);
/** What a statement can stand behind, in both languages. */
const boundaries: ReadonlySet<string> = new Set([';', 'begin', 'then', 'else', 'loop', '>>']);

type Token =
  | { readonly kind: 'name'; readonly text: string; readonly isQuoted: boolean }
  | { readonly kind: 'operator' | 'sign' | 'number'; readonly text: string }
  /** `isPlain`: with no letter before its first quote. */
  | { readonly kind: 'string'; readonly text: string; readonly isPlain: boolean }
  /** What versions of PostgreSQL cut in different ways, or names that other bytes make. */
  | { readonly kind: 'odd'; readonly text: string };

/** As the server's scanner with `standard_conforming_strings` on. */
function* tokensOf(text: string): Generator<Token> {
  for (let at = 0; at < text.length; ) {
    TOKEN.lastIndex = at;
    const [whole = '', space, string, tag, oddName, name, quotedName, number] = TOKEN.exec(text) ?? [];
    at += whole.length;
    if (name !== undefined) yield nameToken(name);
    else if (space !== undefined) continue;
    else if (string !== undefined) yield stringToken(string);
    else if (quotedName !== undefined) yield quotedToken(quotedName);
    else if (tag !== undefined) {
      const end = text.indexOf(tag, at);
      yield end === -1 ? oddToken : { kind: 'string', text: text.slice(at, end), isPlain: false };
      if (end !== -1) at = end + tag.length;
    } else if (oddName !== undefined) yield oddToken;
    // Older versions begin a name right behind a number.
    else if (number !== undefined) yield NAME_START.test(text.charAt(at)) ? oddToken : numberToken;
    else if (text.startsWith('/*', at)) at = commentEnd(text, at + 2);
    else {
      const sign = signAt(text, at);
      yield sign;
      at += Math.max(sign.text.length, 1);
    }
  }
}

const oddToken: Token = { kind: 'odd', text: '' };
const numberToken: Token = { kind: 'number', text: '0' };

/** In UTF8 the server folds the letters of ASCII alone; in other encodings it may fold more, and count other bytes. */
function nameToken(name: string): Token {
  if (isCut(name)) return oddToken;
  const folded = LARGE.test(name) ? name.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase()) : name;
  return { kind: 'name', text: folded, isQuoted: false };
}

function stringToken(string: string): Token {
  return { kind: 'string', text: string.slice(1, -1), isPlain: string.startsWith("'") };
}

function quotedToken(quoted: string): Token {
  const name = quoted.slice(1, -1).replaceAll('""', '"');
  return isCut(name) ? oddToken : { kind: 'name', text: name, isQuoted: true };
}

/** Cut by the server, in whatever encoding; or the name of an array, where that of the elements' type is longer. */
function isCut(name: string): boolean {
  if (name.startsWith('_') && name.length >= NAME_BYTES_MAX / CHARACTER_BYTES_MAX) return true;
  if (name.length * CHARACTER_BYTES_MAX <= NAME_BYTES_MAX) return false;
  return !ASCII.test(name) || name.length > NAME_BYTES_MAX;
}

function signAt(text: string, at: number): Token {
  const operator = operatorAt(text, at);
  if (operator !== '') return { kind: 'operator', text: operator };
  const sign = text.charAt(at);
  // A quote that no other ends.
  if (sign === "'" || sign === '"' || sign === '$') return oddToken;
  return { kind: 'sign', text: text.startsWith(':=', at) ? ':=' : sign };
}

/** Up to where a comment begins. */
function operatorAt(text: string, at: number): string {
  let end = at;
  while (end < text.length && OPERATOR_SIGNS.includes(text.charAt(end))) {
    const pair = text.slice(end, end + 2);
    if (pair === '--' || pair === '/*') break;
    end += 1;
  }
  return text.slice(at, end);
}

/** Comments nest. */
function commentEnd(text: string, start: number): number {
  let depth = 1;
  COMMENT_SIGN.lastIndex = start;
  for (let found = COMMENT_SIGN.exec(text); found !== null; found = COMMENT_SIGN.exec(text)) {
    depth += found[0] === '/*' ? 1 : -1;
    if (depth === 0) return COMMENT_SIGN.lastIndex;
  }
  return text.length;
}

const COMMENT_SIGN = /\/\*|\*\//g;
const WORD = String.raw`A-Za-z_\u0080-\uffff`;
const NAME_START = new RegExp(`[${WORD}]`);
const TOKEN = new RegExp(
  [
    String.raw`((?:[ \t\n\r\f\v]|--[^\n\r]*)+)`,
    // Strings, with backslashes only behind an E.
    String.raw`([eE]'[^'\\]*(?:(?:\\[^]|'')[^'\\]*)*'|(?:[bBxXnN]|[uU]&)?'[^']*(?:''[^']*)*')`,
    String.raw`(\$(?:[${WORD}][${WORD}0-9]*)?\$)`,
    '([uU]&")',
    `([${WORD}][${WORD}0-9$]*)`,
    '("(?!"(?!"))[^"]*(?:""[^"]*)*")',
    // And parameters. A number may end in a dot, but of two dots none is its own.
    String.raw`(\$\d+|\d+(?:\.(?!\.)\d*)?(?:[eE][+-]?\d+)?)`,
    '',
  ].join('|'),
  'y',
);
const OPERATOR_SIGNS = '~!@#^&|`?+-*/%<>=';
const LARGE = /[A-Z]/;
const ASCII = /^[ -~]*$/;
const NAME_BYTES_MAX = 63;
/** Of any encoding. */
const CHARACTER_BYTES_MAX = 4;
const none: readonly string[] = [];

/** Without quotes they name nothing. */
const reservedWords: ReadonlySet<string> = new Set([
  ...['all', 'and', 'any', 'as', 'asc', 'both', 'case', 'cast', 'check', 'collate', 'column', 'constraint', 'default'],
  ...['desc', 'distinct', 'do', 'else', 'end', 'except', 'false', 'for', 'foreign', 'from', 'group', 'having', 'in'],
  ...['initially', 'intersect', 'into', 'lateral', 'leading', 'limit', 'not', 'null', 'offset', 'on', 'only', 'or'],
  ...['order', 'placing', 'primary', 'references', 'returning', 'select', 'some', 'table', 'then', 'to', 'trailing'],
  ...['true', 'union', 'unique', 'using', 'when', 'where', 'window', 'with'],
]);
