// Goal: no text brings the parser down, and none is understood only in part.
import fc from 'fast-check';
import { scanSync } from 'libpg-query';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadParser } from '../index.ts';
import { RefusedText } from '../refusal.ts';
import { extentOf, nestingMax, tokensAtOnceMax, tokensOf } from './nesting.ts';
import { parseText, statementsOf } from './parse.ts';
import { createParseThread } from './parse-thread.ts';
import { piecesOf } from './split.ts';

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
    ['select 1'.padEnd(300_000), 'text-not-at-once'],
    [`select ${Array(tokensAtOnceMax).fill('1').join()}`, 'text-not-at-once'],
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
    for (const depth of [50_000, 20_000, 5_000, 2_000])
      for (let run = 0; run < 5; run += 1)
        expect(['text-too-deep', 'syntax-error', 'text-not-at-once']).toContain(reasonOf(nest?.(depth) ?? ''));
    expect(reasonOf('select 1')).toBe('1');
  });

  it.each(Object.keys(nests).filter((name) => name !== 'labels'))('%s: some nesting is fine', (name) => {
    expect(reasonOf(nests[name]?.(60) ?? '')).toBe('1');
  });

  it('width is no depth', () => {
    const many = 20_000;
    const isShallow = (sql: string) =>
      extentOf(sql, 1_000_000) !== 'deep' && extentOf(`select ${sql.slice(-200_000)}`) !== 'deep';
    expect(isShallow(`select 1 where 1 in (${Array(many).fill('1').join(', ')})`)).toBe(true);
    expect(isShallow(`insert into t values ${Array(many).fill("(1, 'a', now() + 1)").join(', ')}`)).toBe(true);
    expect(isShallow(`select 1 where ${Array(many).fill('(a = 1 and b = 2)').join(' or ')}`)).toBe(true);
    expect(isShallow(`select case ${'when a = 1 then b + 1 '.repeat(many)} else 2 end`)).toBe(true);
    expect(isShallow(`select '${'word '.repeat(many)}'`)).toBe(true);
    expect(isShallow(`select $$${'( word '.repeat(many)}$$`)).toBe(true);
    expect(isShallow(`select e'${"\\'( word ".repeat(many)}'`)).toBe(true);
    expect(isShallow(`select 1 /* ${'( word '.repeat(many)} /* */ */ -- ${'( '.repeat(many)}\n`)).toBe(true);
    expect(isShallow(Array(many).fill('select 1 + 1').join('; '))).toBe(true);
  });

  it(`takes ${nestingMax} brackets and not one more`, () => {
    const nest = (n: number) => `select ${'('.repeat(n)}1${')'.repeat(n)}${' '.repeat(300)}`;
    expect(extentOf(nest(nestingMax))).toBe('short');
    expect(extentOf(nest(nestingMax + 1))).toBe('deep');
  });

  it.each([
    '(select 1 end from a, ',
    '(select 1 case from a, ',
    '(select 1 when, 2 end from a, ',
  ])('a label that is also the end of a CASE hides no bracket: %s', (opening) => {
    expect(extentOf(`select * from ${opening.repeat(2_000)}b${')'.repeat(2_000)}`)).toBe('deep');
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
        ';',
      ],
      ...['-- (\n', '/* ( /* ( */ */', 'x', "n'('", "b'1'", '::', '[', ']', '$1', 'U&"("', "U&'('"],
    );
    fc.assert(
      fc.property(fc.array(piece, { minLength: 1, maxLength: 20 }), (pieces) => {
        const sql = pieces.join(' ');
        const theirs = scanSync(sql).tokens.filter(({ tokenName }) => !tokenName.endsWith('COMMENT'));
        const count = (texts: Iterable<string>, one: string) => Array.from(texts).filter((text) => text === one).length;
        const texts = theirs.map(({ text }) => text);
        for (const one of ['(', ')', ',', '[', ']', ';', 'or', 'select'])
          expect(count(tokensOf(sql), one), `${one} in ${sql}`).toBe(count(texts, one));
      }),
      { numRuns: 500 },
    );
  });
});

describe('pieces of a text', () => {
  it.each([
    ['select 1; select 2', 2],
    ["select ';'; -- ;\n select $a$;$a$ /* ; */;", 2],
    ['create rule r as on insert to t do also (delete from a; delete from b); select 1', 2],
    ['create function f() returns int begin atomic select 1; select case when true then 2 end; end; select 1', 2],
    ['create function f() returns int language sql begin atomic; end; select 1', 2],
    [';;', 2],
    ['/* open', 1],
  ])('%s: %i', (sql, count) => {
    expect([...piecesOf(sql)].filter(({ text }) => text !== ' ')).toHaveLength(count);
  });

  it('cut apart, a text is the statements that PostgreSQL takes it for, or none', () => {
    const word = fc.constantFrom(
      ...[
        'select 1',
        ';',
        'begin',
        'atomic',
        'end',
        'case',
        'when',
        'then',
        '(',
        ')',
        "';'",
        '--;\n',
        '/*',
        '*/',
        '$$',
        "e'\\''",
      ],
      ...['create function f() returns int', 'language sql', 'as', '.', ',', '+', '$1', 'a$', '"', "'"],
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 14 }), (words) => {
        const sql = words.join(' ');
        const kinds = (text: string): readonly string[] | undefined => {
          try {
            return parseText(text).map((node) =>
              JSON.stringify(node, (name, value) => (/location|_len/.test(name) ? 0 : value)),
            );
          } catch {
            return undefined;
          }
        };
        const apart = [...piecesOf(sql)].map(({ text }) => kinds(text));
        if (apart.includes(undefined)) return;
        expect(apart.flat()).toEqual(kinds(sql));
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('the thread for long texts', () => {
  const thread = createParseThread();
  const parsed = async (sql: string) => statementsOf(JSON.parse(await thread.parse(sql)));

  it.each([
    ['a chain of 14,000 operators', `select ${Array(14_000).fill('1').join('+')}`],
    ['10,000 conditions', `select 1 where ${Array(10_000).fill('a = 1').join(' and ')}`],
    ['a CASE of 5,000 branches', `select case ${'when a = 1 then 2 '.repeat(5_000)} end`],
    ['IN with 60,000 values', `select 1 where a in (${Array(60_000).fill('1').join()})`],
    ['20,000 rows of VALUES', `insert into t values ${Array(20_000).fill("(1, 'a', now())").join()}`],
  ])('parses %s', async (_, sql) => {
    expect(await parsed(sql)).toHaveLength(1);
  });

  it('of values alike it tells one, of anything else all', async () => {
    const json = async (sql: string) => JSON.stringify(await parsed(sql));
    expect(await json("insert into t values (1, 'a', x), (2, 'b', x)")).not.toContain("'b'");
    expect((await json('insert into t values (1, x), (2, y)')).match(/ColumnRef/g)).toHaveLength(2);
    expect((await json("insert into t values (1, f('x')), (2, f('y'))")).match(/FuncCall/g)).toHaveLength(2);
    expect((await json('insert into t values (1, 1, 1), (1, 1, 1)')).match(/A_Const/g)).toHaveLength(3);
    expect((await json("select a in (1, 2, 3, b, 'c')")).match(/A_Const/g)).toHaveLength(1);
    expect((await json('select f(1, 2, 3), array[1, 2, 3]')).match(/A_Const/g)).toHaveLength(6);
  });

  it('is there again after a text that is too deep, or too long for its memory', async () => {
    await expect(parsed(`select ${'(select '.repeat(20_000)}1${')'.repeat(20_000)}`)).rejects.toThrow(
      /nests too deeply/,
    );
    await expect(parsed('selec 1')).rejects.toMatchObject({ reason: 'syntax-error', detail: { position: 1 } });
    expect(await parsed('select 1')).toHaveLength(1);
  });
});
