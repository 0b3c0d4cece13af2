// Goal: every name that the server's scanner finds in a text is found here, or the text counts as one that nobody can read.
import fc from 'fast-check';
import { scanSync } from 'libpg-query';
import { beforeAll, describe, expect, it } from 'vitest';
import { codeLengthMax, createCodeReader } from './code-text.ts';
import { loadParser } from './index.ts';

const read = (text: string, language: 'sql' | 'plpgsql' = 'plpgsql') => createCodeReader()(text, language);

beforeAll(loadParser);

/** The names by PostgreSQL's own scanner, without those that are cut; undefined for what it refuses. */
function scanned(text: string): readonly string[] | undefined {
  try {
    const bytes = Buffer.from(text);
    return scanSync(text).tokens.flatMap(({ start, end }) => {
      const token = bytes.toString('utf8', start, end);
      if (/^"/.test(token)) return [token.slice(1, -1).replaceAll('""', '"')];
      // The letter before a string of another kind is a token of its own where it is an N.
      const isLetter = /^n$/i.test(token) && bytes.toString('utf8', end, end + 1) === "'";
      const isWord = /^[a-z_\u0080-\uffff]/i.test(token) && !/^[a-z]&?'/i.test(token) && !isLetter;
      return isWord ? [token.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase())] : [];
    });
  } catch {
    return undefined;
  }
}

const piece = fc.constantFrom(
  ...["'", "''", "E'", "e'", "\\'", '\\', "N'", "B'", "x'", "U&'", 'U&"', '"', '""', '$$', '$a$', '$', '$1', 'a$'],
  ...[
    '/*',
    '*/',
    '--',
    '\n',
    '\r',
    ' ',
    '\t',
    ';',
    ':',
    ':=',
    '.',
    '..',
    '(',
    ',',
    '1',
    '1.',
    '.5',
    '1e5',
    '0x1F',
    '1_0',
  ],
  ...['+', '-', '*', '/', '=', '>>', '#', '@-', '|', 'a', 'B', 'cust', 'Omers', '_x', 'é', 'É', 'from', 'e', 'u', 'n'],
);

it('finds what the scanner of PostgreSQL finds, whatever it is made of', () => {
  let compared = 0;
  fc.assert(
    fc.property(fc.array(piece, { minLength: 1, maxLength: 14 }), (pieces) => {
      const text = pieces.join('');
      const expected = scanned(text);
      const code = read(text);
      if (expected === undefined || code === undefined || code.isLoose) return;
      compared += expected.length;
      for (const name of expected) if (name !== 'from') expect(code.names).toContain(name);
    }),
    { numRuns: 40_000, seed: 23 },
  );
  expect(compared).toBeGreaterThan(5_000);
});

describe('names', () => {
  it.each([
    ['a', ['a']],
    ['A.B', ['a', 'b']],
    ['"A""b" . "select"', ['A"b', 'select']],
    ["'a' || E'\\'b' || $$c$$ || $x$ $$ d $x$", []],
    ['e1 /* a /* b */ c */ d -- e\nf', ['e1', 'd', 'f']],
    ['select x.order from y', ['x', 'order', 'y']],
    ['a$b$c', ['a$b$c']],
    ['É', ['É', 'é']],
    ['new.a := 1..10', ['new', 'a']],
  ])('of %s', (text, names) => {
    expect(read(text)).toMatchObject({ names, isLoose: false });
  });
});

describe('what can not be read', () => {
  it.each([
    'EXECUTE x',
    'return query/**/execute x',
    'U&"x"',
    'U&"x" uescape \'!\'',
    "'a",
    '"a',
    '""',
    '$a$ b',
    "E'a'\n'\\''",
    '1a',
    '1.5a',
    '1e5a',
    '$1a',
    `a${'b'.repeat(63)}`,
    `"${'b'.repeat(64)}"`,
    'é'.repeat(16),
    'do $$ $$',
    'do language x $$ $$',
    'set x = 1',
    'update t set a = 1; set x = 1',
    'if a then set x = 1',
    'begin set x = 1',
    '<<l>> set x = 1',
    'fetch c into x',
    'move c',
    'close c',
    'load $$x$$',
    'commit',
  ])('%s', (text) => {
    expect(read(text)?.isLoose).toBe(true);
  });

  it.each([
    'select 1 into t',
    'declare c cursor for select 1',
    'with x as (select 1) select * into t from x',
  ])('in SQL: %s', (text) => {
    expect(read(text, 'sql')?.isLoose).toBe(true);
    expect(read(text, 'plpgsql')?.isLoose).toBe(false);
  });

  it.each([
    'insert into t values (1) on conflict do nothing',
    'insert into t values (1) on conflict (a) do update set a = 1',
    'update t set a = (select max(b) from c), d = 1 where e',
    'merge into t using s on true when matched then update set a = 1 when not matched then insert values (1)',
    'update t as x set (a, b) = (1, 2)',
    'load := 1',
    'a.security',
    `a${'b'.repeat(62)}`,
  ])('does not mean %s', (text) => {
    expect(read(text, 'sql')?.isLoose).toBe(false);
  });

  it('is any other language', () => {
    expect(createCodeReader()("plpy.execute('select Logged(x)')", 'plpython3u')).toBeUndefined();
  });

  it('is what is too long', () => {
    expect(read(' '.repeat(codeLengthMax))).toMatchObject({ names: [] });
    expect(read(' '.repeat(codeLengthMax + 1))).toBeUndefined();
  });
});

it.each([
  ['select a from b for share', 'nothing'],
  ['insert into a values (1)', 'inserts'],
  ['update a set b = 1', 'rows'],
  ['delete from a', 'rows'],
  ['merge into a using b on true when matched then delete', 'rows'],
  ['delete from a; truncate b', 'tables'],
])('%s changes %s', (text, changes) => {
  expect(read(text)?.changes).toBe(changes);
});

it.each([
  ...['commit', 'set work_mem = 4', 'create temp table a (b int)', 'fetch c into r', 'copy a from stdin', 'analyze'],
  ...["select 'a'\n'b'", "load 'a'", "do 'begin end'", 'prepare a as select 1', 'cluster', 'checkpoint'],
])('%s is not followed', (text) => {
  expect(read(text)?.isLoose).toBe(true);
});

describe('what a text writes to', () => {
  it.each([
    ['insert into a values (1)', ['a']],
    ['insert into s.a (x) select y from b', ['a']],
    ['with w as (insert into a values (1) returning x) select * from w', ['a']],
    [
      'merge into only a using b on true when matched then update set x = 1 when not matched then insert values (1)',
      ['a'],
    ],
    ['delete from only (s.a) using b', ['a']],
    ['delete from a', ['a']],
    ['update a set x = 1', ['a']],
    ['update /* b */ "A b" as c set x = 1', ['A b']],
    ['update s.only set x = 1', ['only']],
    ['update only a * set (x, y) = (1, 2)', ['a']],
    ['insert into a values (1) on conflict (x) do update set x = 1', ['a']],
    ['select x from b for update of b', []],
    ['select x from b for no key update', []],
    ['for r in update a set x = 1 returning y loop delete from c; end loop', ['a', 'c']],
  ])('%s', (text, written) => {
    expect(read(text, 'plpgsql')).toMatchObject({ written, isLoose: false });
  });

  it.each([
    'update set set x = 1',
    'update set s set x = 1',
    'open c for update a set x = 1 returning y',
    'open c for no key update a set x = 1',
    'declare c cursor (update a) for update b set x = 1 returning x; begin',
    'open c for update a update set x = 1 returning x',
    'open c for update a "update" set x = 1 returning x',
    'select "update"; set x = 1',
    'delete from',
    'insert into',
    'insert into (a) values (1); update',
    'update 1 set x = 1',
  ])('is not told of %s', (text) => {
    expect(read(text, 'plpgsql')?.isLoose).toBe(true);
  });
});

it('takes no longer for what never ends', () => {
  for (const text of ["'", '"', '$a$ ', '/*', "E'\\", "'' ", '$a', '-', '1.'])
    expect(read(text.repeat(codeLengthMax / text.length))).toBeDefined();
});
