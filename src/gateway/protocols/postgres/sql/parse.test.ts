// Goal: no text brings the parser down, and none is understood only in part.
import fc from 'fast-check';
import { scanSync } from 'libpg-query';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadParser } from './index.ts';
import { isShallow, parenthesesMax, pathTokensMax, tokensOf } from './nesting.ts';
import { parseText, textBytesMax } from './parse.ts';
import { RefusedText } from './refusal.ts';

beforeAll(loadParser);

function reasonOf(sql: string): string {
  try {
    return `${parseText(sql).length}`;
  } catch (error) {
    if (error instanceof RefusedText) return error.reason;
    throw error;
  }
}

describe('texts', () => {
  it.each([
    ['', '0'],
    ['  \n', '0'],
    ['-- nothing', '0'],
    [';;', '0'],
    ['select 1; select 2;', '2'],
    ['select 1\0; drop table x', 'text-malformed'],
    ["select '\ud800'", 'text-malformed'],
    ['selec 1', 'syntax-error'],
    ["select 'open", 'syntax-error'],
    [' '.repeat(textBytesMax), '0'],
    [' '.repeat(textBytesMax + 1), 'text-too-long'],
    ['é'.repeat(textBytesMax / 2 + 1), 'text-too-long'],
  ])('case %#', (sql, expected) => {
    expect(reasonOf(sql)).toBe(expected);
  });

  it('a syntax error says where', () => {
    try {
      parseText('select 1 frm x y');
      expect.unreachable();
    } catch (error) {
      expect(error instanceof RefusedText && error.detail.position).toBe(14);
    }
  });
});

/** Ways to nest; each overflowed the parser's stack, or its own limit, at some length. */
const nests: Readonly<Record<string, (depth: number) => string>> = {
  chain: (n) => `select ${Array(n).fill('1').join('+')}`,
  signs: (n) => `select ${'- '.repeat(n)}1`,
  nots: (n) => `select ${'not '.repeat(n)}true`,
  casts: (n) => `select 1${'::int'.repeat(n)}`,
  collates: (n) => `select a${' collate "C"'.repeat(n)}`,
  tests: (n) => `select a${' isnull'.repeat(n)}`,
  unions: (n) => `select 1, 2${' union select 1, 2'.repeat(n)}`,
  joins: (n) => `select * from a${' join b on f(1, 2)'.repeat(n)}`,
  parentheses: (n) => `select ${'('.repeat(n)}1${')'.repeat(n)}`,
  subqueries: (n) => `select ${'(select '.repeat(n)}1${')'.repeat(n)}`,
  cases: (n) => `select ${'case when true and true then '.repeat(n)}1${' end'.repeat(n)}`,
  calls: (n) => `select ${'json_array('.repeat(n)}1${')'.repeat(n)}`,
  arrays: (n) => `select ${'array['.repeat(n)}1${']'.repeat(n)}`,
  names: (n) => `select ${Array(n).fill('a.or').join('+')}`,
  labels: (n) => `select ${Array(n).fill('1 as and').join('+')}`,
  commented: (n) => `select 1${'/*,*/+/* or */1'.repeat(n)}`,
  quoted: (n) => `select 1${`||'a,b''or'`.repeat(n)}`,
  dollars: (n) => `select 1${'||$a$,or$a$'.repeat(n)}`,
};

describe('nesting', () => {
  it.each(Object.keys(nests))('%s: refused in depth before it could overflow, time and again', (name) => {
    const nest = nests[name] ?? nests['chain'];
    for (const depth of [50_000, 20_000, 5_000, pathTokensMax])
      for (let run = 0; run < 5; run += 1)
        expect(['text-too-deep', 'syntax-error', 'text-too-long']).toContain(reasonOf(nest?.(depth) ?? ''));
    expect(reasonOf('select 1')).toBe('1');
  });

  it.each(Object.keys(nests).filter((name) => name !== 'labels'))('%s: some nesting is fine', (name) => {
    expect(reasonOf(nests[name]?.(60) ?? '')).toBe('1');
  });

  it('width is no depth', () => {
    const many = 20_000;
    expect(isShallow(`select 1 where 1 in (${Array(many).fill('1').join(', ')})`)).toBe(true);
    expect(isShallow(`insert into t values ${Array(many).fill("(1, 'a', now() + 1)").join(', ')}`)).toBe(true);
    expect(isShallow(`select 1 where ${Array(many).fill('(a = 1 and b = 2)').join(' or ')}`)).toBe(true);
    expect(isShallow(`select '${'word '.repeat(many)}'`)).toBe(true);
    expect(isShallow(`select $$${'( word '.repeat(many)}$$`)).toBe(true);
    expect(isShallow(`select e'${"\\'( word ".repeat(many)}'`)).toBe(true);
    expect(isShallow(`select 1 /* ${'( word '.repeat(many)} /* */ */ -- ${'( '.repeat(many)}\n`)).toBe(true);
    expect(isShallow(Array(many).fill('select 1 + 1').join('; '))).toBe(true);
  });

  it(`takes ${parenthesesMax} parentheses and not one more`, () => {
    const nest = (n: number) => `select ${'('.repeat(n)}1${')'.repeat(n)}${' '.repeat(300)}`;
    expect(isShallow(nest(parenthesesMax))).toBe(true);
    expect(isShallow(nest(parenthesesMax + 1))).toBe(false);
  });

  it('reads strings, names and comments as PostgreSQL does', () => {
    const piece = fc.constantFrom(
      ...[
        'select',
        'or',
        'a',
        '1',
        '+',
        '(',
        ')',
        ',',
        "'a,(b'",
        "'a''b'",
        "e'a\\'('",
        '"q(("',
        '$$(($$',
        '$t$ $$ ( $t$',
        'a$b$c',
      ],
      ...['-- (\n', '/* ( /* ( */ */', 'x', "n'('", "b'1'", '::', '[', ']', '$1', 'U&"("', "U&'('"],
    );
    fc.assert(
      fc.property(fc.array(piece, { minLength: 1, maxLength: 20 }), (pieces) => {
        const sql = pieces.join(' ');
        const theirs = scanSync(sql).tokens.filter(({ tokenName }) => !tokenName.endsWith('COMMENT'));
        const count = (texts: Iterable<string>, one: string) => Array.from(texts).filter((text) => text === one).length;
        const texts = theirs.map(({ text }) => text);
        for (const one of ['(', ')', ',', '[', ']', 'or', 'select'])
          expect(count(tokensOf(sql), one), `${one} in ${sql}`).toBe(count(texts, one));
      }),
      { numRuns: 500 },
    );
  });
});
