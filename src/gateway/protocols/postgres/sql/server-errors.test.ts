// Goal: a text that PostgreSQL itself refuses is told so by PostgreSQL, with its words and position, as long as policy allows all it could mean.
import { beforeAll, describe, expect, it } from 'vitest';
import { loadParser } from './index.ts';
import { buildCatalog, catalogItems } from './testing/catalog-rows.ts';
import { inSession, reasonOf, touchesOf } from './testing/plans.ts';
import { createShop, type Shop } from './testing/shop.ts';

let shop: Shop;

const policies = `
@id("admin") permit (principal == Identity::"spiffe://example.org/admin", action, resource);
@id("reader") permit (principal == Identity::"spiffe://example.org/reader", action == Action::"postgres:select",
  resource == Postgres::Table::"shop/shop/public/orders");
@id("web") @mask("customers.ssn:redact") permit (principal == Identity::"spiffe://example.org/web", action, resource);
`;

beforeAll(async () => {
  await loadParser();
  shop = createShop(buildCatalog(catalogItems(), 1), policies);
});

describe('what the server refuses is left to it where policy allows all that it could mean', () => {
  it.each([
    ['select * from (select 1 into f) bar', 'postgres:ddl shop/shop', 'statement-not-understood'],
    ['declare c cursor for select 1 into f', 'postgres:ddl shop/shop', 'statement-not-understood'],
    ['insert into orders select 1 into f', 'postgres:ddl shop/shop', 'policy-denied'],
    ['copy (select id into f from orders) to stdout', 'postgres:ddl shop/shop', 'statement-not-understood', 'forward'],
    [
      'copy (select ssn into f from customers) to stdout',
      'postgres:ddl shop/shop',
      'policy-denied',
      'masked-column-use',
    ],
    ['select id from orders tablesample evil(1)', 'postgres:call shop/shop/public/evil', 'unknown-function'],
    [
      'insert into orders as o values (1) returning orders.*',
      'postgres:insert shop/shop/public/orders',
      'policy-denied',
    ],
    ['select row(nowhere.*) from orders', 'postgres:select shop/shop/public/orders', 'forward', 'unknown-relation'],
  ])('%s', (sql, touch, reader, web = reader) => {
    expect(reasonOf(shop.plan(sql, { as: 'admin' }))).toBe('forward');
    expect(touchesOf(shop.plan(sql, { as: 'admin' }))).toContain(touch);
    expect(reasonOf(shop.plan(sql, { as: 'reader' }))).toBe(reader);
    if (web !== 'policy-denied') expect(reasonOf(shop.plan(sql, { as: 'web' }))).toBe(web);
  });

  it.each([
    [
      'delete from orders o where orders.id = 1',
      'invalid reference to FROM-clause entry for table "orders"',
      'Perhaps you meant to reference the table alias "o".',
    ],
    [
      'select (select orders.id) from public.orders as o',
      'invalid reference to FROM-clause entry for table "orders"',
      'Perhaps you meant to reference the table alias "o".',
    ],
    ['select customers.id from orders', 'missing FROM-clause entry for table "customers"', undefined],
    ['select orders.id from customers o', 'missing FROM-clause entry for table "orders"', undefined],
    ['select public.orders.id from orders o', 'missing FROM-clause entry for table "orders"', undefined],
    ['select id from orders tablesample foobar (1)', 'tablesample method foobar does not exist', undefined],
    ['select id from orders tablesample no.bar (1)', 'tablesample method no.bar does not exist', undefined],
  ])('%s: while columns are masked it is told in the words of the server', (sql, message, hint) => {
    const plan = shop.plan(sql, { as: 'web' });
    expect(plan.verdict === 'refuse' && [plan.message, plan.hint]).toEqual([message, hint]);
  });

  it('a sampling method that there is may do anything while columns are masked', () => {
    const sql = (name: string) => `select id from orders tablesample ${name}(1)`;
    for (const name of ['leak', 'public.leak', 'upper', 'public.upper'])
      expect(reasonOf(shop.plan(sql(name), { as: 'web' }))).toBe('restricted-function');
  });

  it('rows of a set operation are locked for nobody', () => {
    const sql = 'select id from orders union select id from orders for update';
    expect(reasonOf(shop.plan(sql, { as: 'reader' }))).toBe('forward');
  });

  it('an unknown row of a relation with a forbidden column is not shown', () => {
    const strict = createShop(
      shop.catalog,
      `${policies} @id("no") forbid (principal, action, resource) when { context has columns && context.columns.contains("note") };`,
    );
    expect(reasonOf(strict.plan('select id from orders', { as: 'reader' }))).toBe('forward');
    expect(reasonOf(strict.plan('select id, nowhere.* from orders', { as: 'reader' }))).toBe('policy-denied');
  });
});

describe('SELECT INTO', () => {
  it('of a set operation makes a table, as any other', () => {
    const plans = inSession(shop, ['select id into fresh from orders union select 1', 'select * from fresh'], 'admin');
    expect(plans.map(reasonOf)).toEqual(['forward', 'forward']);
    expect(touchesOf(plans[0] ?? shop.plan(''))).toContain('postgres:ddl shop/shop/public/fresh');
    expect(touchesOf(plans[1] ?? shop.plan(''))).toContain('postgres:select shop/shop/public/fresh');
    expect(reasonOf(shop.plan('select id into fresh from orders union select 1', { as: 'reader' }))).toBe(
      'policy-denied',
    );
  });

  it('of a set operation over masked columns is refused', () => {
    expect(reasonOf(shop.plan('select ssn into fresh from customers union select 1', { as: 'web' }))).toBe(
      'masked-column-use',
    );
  });
});

describe('CREATE SCHEMA AUTHORIZATION', () => {
  it('has its objects in the schema with the name of the owner', () => {
    const touches = (sql: string) => touchesOf(shop.plan(sql, { as: 'admin' }));
    expect(touches('create schema authorization clerk create table t (a int)')).toContain(
      'postgres:ddl shop/shop/clerk/t',
    );
    expect(touches('create schema authorization current_role create table t (a int)')).toContain(
      'postgres:ddl shop/shop/gateway/t',
    );
    const [, made] = inSession(
      shop,
      ['set role clerk', 'create schema authorization current_user create table t (a int)'],
      'admin',
    );
    expect(touchesOf(made ?? shop.plan(''))).toContain('postgres:ddl shop/shop/clerk/t');
    const unknown = shop.plan('create schema authorization session_user create table t (a int)', { as: 'admin' });
    expect(reasonOf(unknown)).toBe('statement-not-understood');
  });
});
