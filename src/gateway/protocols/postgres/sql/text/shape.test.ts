// Goal: one verdict for all texts of a shape is the verdict that each of them would get on its own.

import fc from 'fast-check';
import { scanSync } from 'libpg-query';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startPostgres, type TestPostgres } from '../../../../../../test/support/postgres.ts';
import { createCacheBudget } from '../../../../../std/index.ts';
import { createPlanner, loadParser, noSessionFacts, type Plan } from '../index.ts';
import { queryShape, writeShape } from '../testing/query-shapes.ts';
import { createShop, openClient, readCatalog, type Shop, shopSql } from '../testing/shop.ts';
import { parseText } from './parse.ts';
import { isOpenShape, shapeOf } from './shape.ts';

beforeAll(loadParser);

describe('the scanner', () => {
  it('takes out plain integers and strings, and nothing else', () => {
    expect(shapeOf(`select "a1"."x", b2 from t where id = 42 and n in (1,'it''s') and k=$1`)?.text).toBe(
      `select "a1"."x", b2 from t where id = \u0001 and n in (\u0001,\u0002) and k=$1`,
    );
    expect(shapeOf('begin')).toEqual({ text: 'begin', literals: [] });
  });

  it('counts places in bytes, as PostgreSQL does', () => {
    expect(shapeOf("select 'é€😀', 7")).toBeUndefined(); // A pair of surrogates is not plain.
    expect(shapeOf("select 'é€', 7")?.literals).toEqual([
      { kind: 'string', location: 7 },
      { kind: 'integer', location: 16 },
    ]);
  });

  it.each([
    ["select E'a'"],
    ["select U&'a'"],
    ['select U&"a" from t'],
    ["select x'1f'"],
    ["select n'a'"],
    ["select a'b'"],
    ["select 'a\\'"],
    ["select 'a"],
    ["select 'a\u0000'"],
    ["select 'a\u0001'"],
    ['select $$a$$'],
    ['select $a$b$a$'],
    ['select $1a'],
    ['select 1 -- two'],
    ['select /* 1 */ 2'],
    ['select 1.5'],
    ['select .5'],
    ['select 1e5'],
    ['select 0x1f'],
    ['select 1_000'],
    ['select 1234567890'],
    ['select 12$1'],
    ["select 1'a'"],
    ["select 'a' \n 'b'"],
    ['select é'],
    ['select a\u0001b'],
    ['select "a'],
    ['select a$b'],
    ['select 1\u00a0'],
  ])('gives no shape to %j', (sql) => {
    expect(shapeOf(sql)).toBeUndefined();
  });

  it("finds exactly the literals that PostgreSQL's own scanner finds", () => {
    const fragment = fc.constantFrom(
      ...[
        'select',
        'from',
        'a',
        'U',
        'E',
        'x',
        '_b1',
        '"q"',
        '""',
        '"a""b"',
        '1',
        '42',
        '007',
        '123456789',
        '1234567890',
      ],
      ...[
        "'s'",
        "''",
        "'it''s'",
        "'é€'",
        "'--'",
        "'/*'",
        "E'e'",
        "'",
        '"',
        '$1',
        '$',
        '$$',
        '$a$',
        '.',
        '..',
        '::',
        ':=',
      ],
      ...[
        '-',
        '--',
        '/',
        '/*',
        '*/',
        '*',
        '+',
        '&',
        '<>',
        '<=',
        '(',
        ')',
        '[',
        ']',
        ',',
        ';',
        ' ',
        '\n',
        '\t',
        '\\',
        'é',
        '@',
      ],
    );
    let shapes = 0;
    fc.assert(
      fc.property(fc.array(fragment, { maxLength: 12 }), (fragments) => {
        const sql = fragments.join('');
        const shape = shapeOf(sql);
        if (shape === undefined || !isScannable(sql)) return;
        shapes++;
        expect(literalsOf(sql)).toEqual(shape.literals);
        // Whatever stands in the literals, the tokens around them stay.
        const other = shape.text.replaceAll('\u0001', '987654321').replaceAll('\u0002', "'Ω''; drop -- /*'");
        expect(kindsOf(other)).toEqual(kindsOf(sql));
      }),
      { numRuns: 3000 },
    );
    expect(shapes).toBeGreaterThan(100);
  });
});

describe('a verdict is kept for a shape', () => {
  const isOpen = (sql: string): boolean => {
    const [statement] = parseText(sql);
    const shape = shapeOf(sql);
    if (statement === undefined || shape === undefined) throw new Error('no statement, or no shape');
    return isOpenShape(statement, sql, shape.literals);
  };

  it.each([
    ['select a from t where id = 5'],
    ["select a, 'x' from t where id = - 5 and b in (1, 2) and c between 3 and 4 and d like 'q%' limit 10 offset 20"],
    ["insert into t values (1, 'a'), (2, 'b') on conflict (id) do update set a = 'z'"],
    ["update t set a = 'x', n = n + 1 where id = 7 returning 8"],
    ["delete from t where at < '2020-01-01'::date and id in (select 5 from u where v = 6 union all select 7)"],
    ["with w as (select 1 as x) select * from w where x = 0 and (select count(*) from t where b = 'k') > 3"],
  ])('of %s', (sql) => {
    expect(isOpen(sql)).toBe(true);
  });

  it.each([
    ["select set_config('search_path', 'x', false)", 'names of settings'],
    ["select nextval('s')", 'names of relations'],
    ['select a from t order by 1', 'columns by number'],
    ['select a, count(*) from t group by 1', 'columns by number'],
    ['select a::varchar(10) from t', 'type modifiers'],
    ['select -(-5)', 'a sign that is not at the number'],
    ["set search_path to 'x'", 'settings'],
    ["copy t to stdout with (delimiter 'x')", 'options'],
    ['select sum(a) over (rows 5 preceding) from t', 'frames'],
    ["select interval(3) '1 day'", 'precisions'],
  ])('not of %s: %s', (sql) => {
    expect(isOpen(sql)).toBe(false);
  });
});

describe('with the catalog of a real server', () => {
  let server: TestPostgres;
  let shop: Shop;
  beforeAll(async () => {
    server = await startPostgres({ databases: ['shop'] });
    const client = await openClient(server, 'shop');
    await client.query(shopSql);
    shop = createShop(await readCatalog(client, 1));
    await client.end();
  });
  afterAll(() => server?.stop());

  it('whatever the literals, the verdict is that of a planner which has seen no other text', () => {
    const values = fc.record({
      integer: fc.nat(999_999_999),
      text: fc.constantFrom('', 'ssn', 'pg_authid', "o''k", 'Ω'),
    });
    let served = 0;
    fc.assert(
      fc.property(fc.oneof(queryShape, writeShape), values, (sql, { integer, text }) => {
        const shape = shapeOf(`${sql} `);
        if (shape === undefined || shape.literals.length === 0) return;
        const variant = shape.text.replaceAll('\u0001', String(integer)).replaceAll('\u0002', `'${text}'`);
        const seasoned = createPlanner({ target: 'shop', database: 'shop', caches: createCacheBudget(1 << 20) });
        const request = {
          mode: 'simple',
          catalog: shop.catalog,
          decider: shop.decider('web'),
          session: noSessionFacts,
        } as const;
        const first = seasoned.plan({ ...request, sql: `${sql} ` });
        const second = seasoned.plan({ ...request, sql: variant });
        if (first === second && first.verdict === 'forward') served++;
        expect(comparable(second)).toEqual(comparable(shop.plan(variant)));
      }),
      { numRuns: 500 },
    );
    expect(served).toBeGreaterThan(10);
  });

  it('serves a new text without parsing it, and not under another identity', () => {
    const planner = createPlanner({ target: 'shop', database: 'shop', caches: createCacheBudget(1 << 20) });
    const plan = (sql: string, as: string) =>
      planner.plan({ sql, mode: 'simple', catalog: shop.catalog, decider: shop.decider(as), session: noSessionFacts });
    const first = plan('select name from orders o join customers c on c.id = o.customer_id where o.id = 1', 'web');
    expect(plan('select name from orders o join customers c on c.id = o.customer_id where o.id = 22', 'web')).toBe(
      first,
    );
    expect(plan('select name from orders o join customers c on c.id = o.customer_id where o.id = 3', 'plain')).not.toBe(
      first,
    );
  });
});

/** Without the parsed text: that is a sample of the shape, and planned again it gives the same verdict. */
function comparable(plan: Plan): unknown {
  return plan.verdict === 'forward' ? plan.statements : plan;
}

function isScannable(sql: string): boolean {
  try {
    return scanSync(sql).tokens.length > 0;
  } catch {
    return false; // Not SQL: such a text is refused, and no verdict kept for its shape.
  }
}

function literalsOf(sql: string) {
  return scanSync(sql)
    .tokens.filter(({ tokenName }) => tokenName === 'ICONST' || tokenName === 'SCONST' || tokenName === 'FCONST')
    .map(({ start, tokenName }) => ({ kind: tokenName === 'SCONST' ? 'string' : 'integer', location: start }));
}

function kindsOf(sql: string) {
  return scanSync(sql).tokens.map(({ tokenType, text, tokenName }) =>
    tokenName === 'ICONST' || tokenName === 'SCONST' ? tokenName : `${tokenType} ${text}`,
  );
}
