// Goal: an operator of the database's own never runs while masks are in force, and its name alone refuses nothing.
// The database has operators for types of its own under the names of PostgreSQL's; each raises an error, so that it is seen when one runs.
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applySessionEffects, noSessionFacts } from '../index.ts';
import { reasonOf } from '../testing/plans.ts';
import { createShop, type Shop, type ShopServer, startShopServer } from '../testing/shop.ts';

const NAMES = ['=', '<', '<>', '>=', '+', '||', '~'];
const TYPES = [
  'int',
  'bigint',
  'numeric',
  'float8',
  'text',
  'varchar(9)',
  'char(3)',
  'bytea',
  'date',
  'timestamptz',
  'uuid',
  'jsonb',
  'inet',
];
const own = (type: string, schema: string) =>
  [
    `create function ${schema}.ran(${type}, ${type}) returns boolean language plpgsql as $$ begin raise exception 'RAN'; end $$;`,
    ...NAMES.map(
      (name) => `create operator ${schema}.${name} (leftarg = ${type}, rightarg = ${type}, function = ${schema}.ran);`,
    ),
  ].join('\n');
const SEED = `
  create type span as range (subtype = int4); ${own('span', 'public')}
  create schema hidden; ${own('int', 'hidden')}
  create domain number as int; create schema domains; ${own('number', 'domains')}
  create type unasked as range (subtype = int8); create schema implied;
  create function implied.made(bytea) returns unasked language sql immutable as $$ select 'empty'::unasked $$;
  create cast (bytea as unasked) with function implied.made(bytea) as implicit; ${own('unasked', 'implied')}
  create table customers (id int, ssn text); create table spans (id int, v span); insert into spans values (1, 'empty');
  create table plain (id int, ${TYPES.map((type, index) => `c${index} ${type}`).join(', ')}); insert into plain values (1);
  create function ran_by(texts text[]) returns setof text language plpgsql as $$ declare one text; begin
    foreach one in array texts loop
      begin execute one; exception when others then if sqlerrm = 'RAN' then return next one; end if; end;
    end loop; end $$;
  create view shown as select id, v from spans; create view equal as select p.id from plain p where p.id = 1;`;

let started: ShopServer;
let client: pg.Client;
let shop: Shop;

beforeAll(async () => {
  started = await startShopServer(SEED);
  client = started.client;
  shop = createShop(started.catalog);
});
afterAll(() => started?.stop());

/** Plans it under that path. */
function planned(sql: string, path = 'public') {
  const set = shop.plan(`set search_path to ${path}`);
  if (set.verdict === 'refuse') throw new Error(set.message);
  const session = set.statements.reduce((facts, { effects }) => applySessionEffects(facts, effects), noSessionFacts);
  return shop.plan(sql, { session });
}

describe('where no value of its types is about', () => {
  it.each([
    'select id from plain where id = 1 and c4 = $1 and c3 between 1 and 2',
    "select * from plain a join plain b on a.c5 = b.c4 where a.c4 || 'x' = 'ax' and $1 = $2",
    'select id from equal where id in (1, 2)',
    'update plain set c4 = c4 || $1 where id = 1',
    "select relname from pg_class where relname ~ '^x' and oid = 1",
  ])('%s passes', (sql) => {
    expect(reasonOf(planned(sql))).toBe('forward');
  });

  it("none of PostgreSQL's types, nor a value of unknown type, makes it run", async () => {
    const operands = [
      ...TYPES.map((_, index) => `c${index}`),
      "'1'",
      'null',
      '1',
      '1.5',
      '(select null)',
      'row(1)',
      "array['1']",
    ];
    expect(reasonOf(planned(`select ${NAMES.map((name) => `c0 ${name} $1`).join(', ')} from plain`))).toBe('forward');
    const texts = NAMES.flatMap((name) =>
      operands.flatMap((left) => operands.map((right) => `select ${left} ${name} ${right} from plain`)),
    );
    const { rows: failed } = await client.query('select * from ran_by($1)', [texts]);
    expect(failed).toEqual([]);
  });
});

describe('where one may be, it is refused as before', () => {
  it.each([
    'select id from spans where v = v',
    'select id from shown where v = v',
    'select id from spans where id = 1',
    "select 'empty'::span = 'empty'",
    "select cast('empty' as span) < 'empty' from plain",
    'select 1 operator(public.=) 2',
    'prepare p (span) as select $1 = $1',
    'select * from plain order by c4 using operator(public.<)',
  ])('%s', (sql) => {
    // The type's own cast, from range to multirange, may be the first reason.
    expect(reasonOf(planned(sql))).toMatch(/^(unproven-(operator|cast)|masked-column-use)$/);
  });

  it.each([
    ['hidden', 'for a type of PostgreSQL'],
    ['domains', 'for a domain, which any value of its type becomes'],
    ['implied', 'for a type that others become unasked'],
  ])('an operator in %s: %s', (schema) => {
    expect(reasonOf(planned('select id = 1 from plain', `public, ${schema}`))).toBe('unproven-operator');
    expect(reasonOf(planned('select c7 = c7 from plain', `public, ${schema}`))).toBe('unproven-operator');
  });
});
