// Goal: a mask that names a table and no column of it refuses the table, whichever way it is reached; it never just does nothing.

import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startPostgres, type TestPostgres } from '../../../../../../test/support/postgres.ts';
import { createCacheBudget } from '../../../../../std/index.ts';
import { createPlanner, loadParser, noSessionFacts } from '../index.ts';
import { inSession, only, reasonOf } from '../testing/plans.ts';
import { createShop, openClient, readCatalog, shopSql } from '../testing/shop.ts';

let server: TestPostgres;
let client: pg.Client;
let version = 0;
let catalog: Awaited<ReturnType<typeof readCatalog>>;

beforeAll(async () => {
  await loadParser();
  server = await startPostgres({ databases: ['shop'] });
  client = await openClient(server, 'shop');
  await client.query(`${shopSql}
    create schema crm;
    create table crm.customers (id int, tax text);
    create table "Mixed Case" (id int, "SSN" text);
    create table base (id int, note text);
    create table derived (extra text) inherits (base);
    create table invoices (id int primary key);
    create table lines (id int primary key, invoice int references invoices);`);
  catalog = await takeCatalog();
});
afterAll(async () => {
  await client?.end();
  await server?.stop();
});

function takeCatalog() {
  version += 1;
  return readCatalog(client, version);
}

/** Plans as an identity that may do everything, with this mask on every answer. */
function masked(mask: string, { resource = 'resource', when = '' } = {}) {
  const shop = createShop(
    catalog,
    `@id("all") permit (principal, action, resource);
     @id("typo") @mask(${JSON.stringify(mask)}) permit (principal, action == Action::"postgres:select", ${resource}) ${when};`,
  );
  return { shop, reason: (sql: string) => reasonOf(shop.plan(sql)) };
}

const table = (schema: string, name: string) => `resource == Postgres::Table::"shop/shop/${schema}/${name}"`;
const REASON = 'mask-without-column';

describe('a mask for a column that its table has not', () => {
  it('is refused as insufficient privilege, and tells which mask of which policy to mend', () => {
    expect(masked('customers.snn:redact').shop.plan('select ssn from public.customers')).toMatchObject({
      verdict: 'refuse',
      reason: REASON,
      sqlstate: '42501',
      message: 'policy masks "public.customers.snn", and there is no such column; mend the policy',
      policies: ['typo'],
    });
  });

  it.each([
    'select id from public.customers',
    'select count(*) from public.customers',
    'table public.customers',
    'select 1 from orders where exists (select 1 from public.customers)',
    'with c as (select id from public.customers) select 1',
    'insert into public.customers (id) values (9)',
    'update public.customers set note = $1',
    'delete from public.customers where id = 1',
    'merge into public.customers c using orders o on o.id = c.id when matched then delete',
    'truncate public.customers cascade',
    'copy public.customers to stdout',
    'copy public.customers from stdin',
    'copy (select id from public.customers) to stdout',
    'declare c cursor for select id from public.customers',
    'prepare p as select id from public.customers',
    'explain select id from public.customers',
    'lock table public.customers in access share mode',
    'vacuum public.customers',
    'create table copied as select id from public.customers',
    'alter table public.customers add column snn text',
    'drop table public.customers',
    'create index on public.customers (id)',
    'create table more (id int references public.customers)',
    'select 1; select id from public.customers',
  ])('refuses whatever touches the table: %s', (sql) => {
    expect(masked('customers.snn:redact').reason(sql)).toBe(REASON);
  });

  it.each([
    'select name from customer_names',
    'select * from customer_all',
    'select * from nested',
    'select * from customer_copy',
    "insert into logged values (1, 'x')",
  ])('refuses what leads to the table: %s', (sql) => {
    expect(masked('public.customers.snn:redact').reason(sql)).toBe(REASON);
  });

  it('says which table a view leads to', () => {
    const plan = masked('public.customers.snn:redact').shop.plan('select * from nested');
    expect(plan).toMatchObject({ message: expect.stringContaining('"public.customers.snn"') });
    expect(plan).toMatchObject({ hint: expect.stringContaining('"public.nested" leads to that table') });
  });

  it('counts as a mask in force: code that could read the table unseen does not run', () => {
    const { reason, shop } = masked('public.customers.snn:redact');
    expect(reason('select leak()')).toBe('unproven-function');
    expect(only(shop.plan('select id from orders')).isMasking).toBe(true);
  });

  it.each([
    'alter table public.customers rename to elsewhere',
    'alter table public.customers rename column ssn to other',
    'alter table public.customers alter column ssn type int',
  ])('can not be got rid of by whom it is for: %s', (sql) => {
    expect([REASON, 'masked-ddl']).toContain(masked('customers.snn:redact').reason(sql));
  });

  it('leaves other tables alone', () => {
    const { shop, reason } = masked('public.customers.snn:redact, orders.note:redact');
    expect(only(shop.plan('select id, note from orders')).masks?.columnsMasked).toBe(1);
    expect(reason('select upper(name) from employees')).toBe('forward');
    expect(reason('create table fresh (a int)')).toBe('forward');
  });

  it('does not concern whom the policy does not concern', () => {
    const shop = createShop(
      catalog,
      `@id("all") permit (principal, action, resource);
       @id("typo") @mask("customers.snn:redact") permit (principal == Identity::"spiffe://example.org/web", action, resource);`,
    );
    expect(reasonOf(shop.plan('select ssn from public.customers', { as: 'plain' }))).toBe('forward');
    expect(reasonOf(shop.plan('select ssn from public.customers', { as: 'web' }))).toBe(REASON);
  });

  it('refuses beside masks that are right, and names every policy that has such a mask', () => {
    const shop = createShop(
      catalog,
      `@id("b") @mask("customers.ssn:redact, customers.mail:email") permit (principal, action, resource);
       @id("a") @mask("customers.mail:null, email:email") permit (principal, action, resource);
       @id("c") @mask("customers.ssn:redact") permit (principal, action, resource);`,
    );
    expect(shop.plan('select ssn from public.customers')).toMatchObject({ reason: REASON, policies: ['a', 'b'] });
  });
});

describe('which table a mask names', () => {
  it.each([
    ['without a schema, every table of that name', 'customers.ssn:redact', 'select * from crm.customers', REASON],
    [
      'which does not concern those that have it',
      'customers.ssn:redact',
      'select ssn from public.customers',
      'forward',
    ],
    ['with a schema, that table alone', 'public.customers.ssn:redact', 'select * from crm.customers', 'forward'],
    ['in quotes, the very letters', '"Mixed Case"."SSN":redact', 'select "SSN" from "Mixed Case"', 'forward'],
    ['and not others', '"Mixed Case".ssn:redact', 'select "SSN" from "Mixed Case"', REASON],
    ['a view', 'customer_all.tax_numbr:redact', 'select id from customer_all', REASON],
    ['a view, not the tables below it', 'customer_all.tax_numbr:redact', 'select id from public.customers', 'forward'],
    ['no system column', 'orders.ctid:redact', 'select id from orders', REASON],
    ['a column alone, none', 'snn:redact', 'select ssn from public.customers', 'forward'],
    ['one that is nowhere', 'custmers.ssn:redact', 'select ssn from public.customers', 'forward'],
  ])('%s: %s, %s', (_, mask, sql, expected) => {
    expect(masked(mask).reason(sql)).toBe(expected);
  });

  it('the one that the policy is about, when the mask names only a column', () => {
    const one = masked('snn:redact', { resource: table('public', 'customers') });
    expect(one.reason('select id from public.customers')).toBe(REASON);
    expect(one.reason('select id from crm.customers')).toBe('forward');
    const within = masked('snn:redact', { resource: 'resource in Postgres::Table::"shop/shop/public/customers"' });
    expect(within.reason('select id from public.customers')).toBe(REASON);
    const schema = masked('snn:redact', { resource: 'resource in Postgres::Schema::"shop/shop/public"' });
    expect(schema.reason('select id from public.customers')).toBe('forward');
  });

  it('none that the policy is not about', () => {
    const { reason } = masked('customers.ssn:redact', { resource: 'resource in Postgres::Schema::"shop/shop/public"' });
    expect(reason('select * from crm.customers')).toBe('forward');
    const byCondition = masked('customers.ssn:redact', { when: 'when { resource.schema == "public" }' });
    expect(byCondition.reason('select * from crm.customers')).toBe('forward');
    expect(byCondition.reason('select ssn from public.customers')).toBe('forward');
  });

  it('also one that may not be read itself, but through a view', () => {
    const shop = createShop(
      catalog,
      `@id("view") permit (principal, action, ${table('public', 'customer_all')});
       @id("typo") @mask("customers.snn:redact") permit (principal, action == Action::"postgres:select", ${table('public', 'customers')}) when { context.columns.contains("never") };`,
    );
    expect(reasonOf(shop.plan('select id from customer_all'))).toBe(REASON);
  });

  it('and only for the questions that bring it', () => {
    const rare = masked('public.customers.snn:redact', { when: 'unless { context.columns.contains("id") }' });
    expect(rare.reason('select id, ssn from public.customers')).toBe('forward');
    expect(rare.reason('select ssn from public.customers')).toBe(REASON);
  });
});

describe('tables that share rows', () => {
  it('a mask in vain on one holds for all of them', () => {
    for (const mask of ['events.secrte:redact', 'events_1.secrte:redact']) {
      const { reason } = masked(mask);
      expect(reason('select id from events')).toBe(REASON);
      expect(reason('select id from events_1')).toBe(REASON);
    }
  });

  it('a column that only the child has is masked at the child', () => {
    const { shop } = masked('derived.extra:redact');
    expect(only(shop.plan('select extra from derived')).masks?.columnsMasked).toBe(1);
    expect(reasonOf(shop.plan('select id from base'))).toBe('forward');
    expect(masked('base.extra:redact').reason('select extra from derived')).toBe(REASON);
    expect(masked('base.note:redact').reason('select extra from derived')).toBe('forward');
  });

  it('TRUNCATE reaches those that reference a table', () => {
    const { reason } = masked('lines.amuont:redact');
    expect(reason('truncate invoices cascade')).toBe(REASON);
    expect(reason('select id from invoices')).toBe('forward');
  });
});

describe('a table of the session', () => {
  // With the column it has no origin to be masked by yet, which is a refusal of its own.
  it('is refused under a mask for a column that it was not given', () => {
    const { shop } = masked('fresh.ssn:redact');
    const reasons = (columns: string) =>
      inSession(shop, [`create table fresh (${columns})`, 'select id from fresh'], 'web').map(reasonOf);
    expect(reasons('id int, snn text')).toEqual(['forward', REASON]);
    expect(reasons('id int, ssn text')).toEqual(['forward', 'masked-column-use']);
    expect(reasons('id int')).toEqual(['forward', REASON]);
  });
});

describe('a column that comes and goes', () => {
  it('works and is refused with the snapshot that shows it, whatever verdicts are kept', async () => {
    const { shop } = masked('moving.ssn:redact');
    const decider = shop.decider('web');
    const planner = createPlanner({ target: 'shop', database: 'shop', caches: createCacheBudget(1 << 20) });
    const verdict = (snapshot: typeof catalog, id: number) => {
      const sql = `select id from moving where id = ${id}`;
      return reasonOf(planner.plan({ sql, mode: 'simple', catalog: snapshot, decider, session: noSessionFacts }));
    };
    await client.query('create table moving (id int, ssn text)');
    const first = await takeCatalog();
    expect([verdict(first, 1), verdict(first, 2)]).toEqual(['forward', 'forward']);
    await client.query('alter table moving drop column ssn');
    const without = await takeCatalog();
    expect([verdict(without, 1), verdict(without, 2), verdict(without, 2)]).toEqual([REASON, REASON, REASON]);
    await client.query('alter table moving add column ssn text');
    const again = await takeCatalog();
    expect([verdict(again, 1), verdict(again, 2)]).toEqual(['forward', 'forward']);
  });
});
