import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Plan } from '../index.ts';
import { createShop, type Shop, type ShopServer, startShopServer } from '../testing/shop.ts';

// Goal: with masks in force DO does nothing that its definitions could not do by themselves.

let started: ShopServer;
let client: pg.Client;
let shop: Shop;
beforeAll(async () => {
  started = await startShopServer();
  client = started.client;
  shop = createShop(started.catalog);
});
afterAll(() => started?.stop());

const reasonOf = (plan: Plan) => (plan.verdict === 'refuse' ? plan.reason : plan.verdict);
const ENUM = "create type mood as enum ('low', 'high');";
const HANDLER = 'exception when duplicate_object then null;';

describe('while columns are masked', () => {
  it.each([
    `do $$ begin ${ENUM} ${HANDLER} end $$`,
    `DO 'BEGIN CREATE TYPE "public"."mood" AS ENUM(''low'', ''high''); EXCEPTION WHEN duplicate_object THEN null; END';`,
    `do language plpgsql $$ begin ${ENUM} end; $$`,
    `do $$ begin ${ENUM} exception when duplicate_object or duplicate_table then raise notice 'it is there'; end $$`,
    'do $$ begin alter table orders add constraint own foreign key (customer_id) references employees (id); exception when duplicate_object then null; end $$',
    `do $$ begin if not exists (select from pg_type where typname = 'mood') then ${ENUM} end if; end $$`,
    'do $$ begin create table made (id int); create index on made (id); end $$',
    "do $$ begin raise notice 'it''s %, %', 'a', 1; end $$",
    "do $$ begin raise warning 'careful' using errcode = '01004', hint = 'none'; create type mood as enum (); end $$",
    "do $$ begin if true then raise notice 'so'; end if; exception when others then raise notice '%', 'x'; end $$",
    'do $$ begin create table made (id int); /* end */ -- and more\n drop table made; end $$',
  ])('a block of definitions passes: %s', async (sql) => {
    expect(reasonOf(shop.plan(sql))).toBe('forward');
    expect(reasonOf(shop.plan(sql, { as: 'plain' }))).toBe('policy-denied');
    await client.query('begin');
    await client.query(sql); // The server reads it as it was read here.
    await client.query('rollback');
  });

  it.each([
    'do $$ begin perform leak(); end $$',
    'do $$ begin create table made as select ssn from customers; end $$',
    "do $$ begin raise notice '%', (select ssn from customers limit 1); end $$",
    `do $$ begin ${ENUM} perform leak(); ${HANDLER} end $$`,
    `do $$ begin ${ENUM} exception when others then perform leak(); end $$`,
    `do $$ begin ${ENUM} exception when others then raise notice '%', leak(); end $$`,
    `do $$ begin ${ENUM} exception when others then raise notice 'x' using hint = (select ssn from customers); end $$`,
    `do $$ begin ${ENUM} exception when others then null; when duplicate_object then perform leak(); end $$`,
    `do $$ begin ${ENUM} /* ${HANDLER} end */ perform leak(); end $$`,
    `do $$ begin ${ENUM} -- exception when others then null; end\n perform leak(); end $$`,
    "do $$ begin raise notice '%', current_setting('x'); end $$",
    "do $$ begin raise notice '%', (select ssn from customers limit 1); end $$",
    "do $$ begin raise notice 'x' using hint = leak(); end $$",
    "do $$ begin raise notice 'x' using hint = 'a' || leak(); end $$",
    "do $$ begin raise notice 'x', 'y' || leak_one(1); end $$",
    'do $$ begin raise notice $x$%$x$, leak(); end $$',
    "do $$ begin raise notice E'\\'', leak(), ''; end $$",
    "do $$ begin raise notice '\\', leak(), ''; end $$",
    `do $$ begin execute 'create type mood as enum ()'; end $$`,
    `do $$ declare x text := leak(); begin ${ENUM} end $$`,
    `do $$ <<l>> begin ${ENUM} end $$`,
    `do $$ begin begin ${ENUM} end; end $$`,
    `do $$ #option dump\nbegin ${ENUM} end $$`,
    `do $$ begin if leak_one(1) = 'x' then ${ENUM} end if; end $$`,
    `do $$ begin if exists (select from customers where ssn = 'x') then ${ENUM} end if; end $$`,
    `do $$ begin if true then ${ENUM} else perform leak(); end if; end $$`,
    `do $$ begin if true then perform leak(); end if; ${ENUM} end $$`,
    `do $$ begin if case when true then true end then ${ENUM} end if; end $$`,
    'do $$ begin alter table customers add column t text; end $$',
    'do $$ begin create unique index on customers (ssn); exception when unique_violation then null; end $$',
    "do $$ begin create function f() returns text language sql as 'select 1'; end $$",
    'do $$ begin create table made (id int default leak_one(1)); end $$',
    'do $$ begin create table into (id int); end $$',
    'do $$ begin commit; end $$',
    `do language sql $$ begin ${ENUM} end $$`,
    'do $$ begin create extension dblink; end $$',
    `do $$ begin ${ENUM} ${' '.repeat(10_000)} end $$`,
  ])('anything else is refused: %s', (sql) => {
    expect(reasonOf(shop.plan(sql))).not.toBe('forward');
  });
});

it('asks policy for the block and for what is in it', () => {
  const plan = shop.plan('do $$ begin create table made (id int); end $$');
  const touches = plan.verdict === 'forward' ? plan.statements.flatMap((one) => one.touches) : [];
  expect(touches.map(({ action, resource }) => `${action} ${resource}`)).toEqual([
    'postgres:ddl shop/shop',
    'postgres:call shop/shop/pg_catalog/plpgsql',
    'postgres:ddl shop/shop/public/made',
  ]);
});
