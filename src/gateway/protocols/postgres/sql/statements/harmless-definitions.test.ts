// Goal: with masks in force a range type is made only where nothing could take its functions for what was there before.
import type pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { reasonOf } from '../testing/plans.ts';
import { createShop, readCatalog, type ShopServer, startShopServer } from '../testing/shop.ts';

const SEED = 'create table customers (id int, ssn text); create type there as range (subtype = int)';

let started: ShopServer;
let client: pg.Client;
beforeAll(async () => {
  started = await startShopServer(SEED);
  client = started.client;
});
afterAll(() => started?.stop());

const RANGE = 'create type spans as range (subtype = text, collation = "C", multirange_type_name = many_spans)';

it('a range of values in their own order is made', async () => {
  const shop = createShop(await readCatalog(client, 1));
  expect(reasonOf(shop.plan(RANGE))).toBe('forward');
  expect(reasonOf(shop.plan('create type spans as range (subtype = float8, subtype_diff = float8mi)'))).toBe('forward');
  expect(reasonOf(shop.plan(RANGE, { as: 'plain' }))).toBe('policy-denied');
});

it('values of a range type are made by its own functions and casts, and by nothing that only looks so', async () => {
  await client.query(`
    create function leak(int, int) returns there language sql as 'select null::there';
    create function range_constructor2(int, int) returns there language sql as 'select null::there';
    create function difference(int, int) returns float8 language sql immutable as 'select 0::float8';
    create type seen as range (subtype = int, subtype_diff = difference);`);
  const shop = createShop(await readCatalog(client, 1));
  for (const sql of ["select '[1,2)'::there, there(1, 2)", "select there(1, 2, '[]'), '{}'::there_multirange"])
    expect(reasonOf(shop.plan(sql))).toBe('forward');
  for (const sql of ['select leak(1, 2)', 'select range_constructor2(1, 2)', 'select seen(1, 2)'])
    expect(reasonOf(shop.plan(sql))).toBe('unproven-function');
  expect(reasonOf(shop.plan('select seen_multirange(null::seen)'))).toMatch(/^unproven/);
  await client.query('drop function leak; drop function range_constructor2; drop type seen; drop function difference');
});

it.each([
  'create type spans as range (subtype = int, subtype_diff = difference)',
  'create type spans as range (subtype = int, subtype_diff = public.int4mi)',
  'create type spans as range (subtype = int, canonical = own)',
  'create type spans as range (subtype = int, subtype_opclass = own)',
])('%s would run what nobody here can read', async (sql) => {
  expect(reasonOf(createShop(await readCatalog(client, 1)).plan(sql))).toBe('masked-ddl');
});

it.each([
  "create function late() returns trigger language plpgsql as 'begin perform spans(new.ssn, $$x$$); return new; end'",
  "create function late(int) returns int language sql as 'select 1'",
])('none is made beside code that finds functions by their names: %s', async (sql) => {
  await client.query(sql);
  expect(reasonOf(createShop(await readCatalog(client, 1)).plan(RANGE))).toBe('masked-ddl');
  await client.query('drop function late');
});
