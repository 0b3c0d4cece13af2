// Goal: no new function is passed masked values by code that was there before. Each attack is run without a gateway as well, to see that it would be.
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { reasonOf } from './testing/plans.ts';
import { createShop, readCatalog, type ShopServer, startShopServer } from './testing/shop.ts';

const SEED = `
  create table customers (id int primary key, name text, ssn text);
  create table orders (id int primary key, note text); create table notes (id int, note text);
  insert into customers values (1, 'Ann', 'CANARY-1111'); insert into notes values (1, 'n');`;
const POLICIES = `
  @id("mask") @mask("ssn:redact") permit (principal == Identity::"spiffe://example.org/web", action == Action::"postgres:select", resource);
  @id("more") permit (principal == Identity::"spiffe://example.org/web", action, resource);`;

let started: ShopServer;
let client: pg.Client;

beforeAll(async () => {
  started = await startShopServer(SEED);
  client = started.client;
});
afterAll(() => started?.stop());

describe('no function takes the place of one that masked values are passed to', () => {
  const SEEN = 'create table seen (x text);';
  const body = 'language plpgsql as $$ begin insert into seen values (a::text); return a; end $$';
  const taken: readonly (readonly [string, string, string, string])[] = [
    [
      'by a trigger that calls it',
      "create function watch() returns trigger language plpgsql as 'begin perform logged(new.name || new.ssn); return new; end'; create trigger w before update on customers for each row execute function watch(); create function logged(anyelement) returns anyelement language sql as 'select $1'",
      `create function logged(a text) returns text ${body}`,
      'update customers set name = name',
    ],
    [
      'by a function that a trigger calls',
      "create function inner_log(anyelement) returns text language plpgsql as 'begin return logged($1::text); end'; create function logged(anyelement) returns anyelement language sql as 'select $1'; create function watch() returns trigger language plpgsql as 'begin perform inner_log(new.ssn); return new; end'; create trigger w before update on customers for each row execute function watch()",
      `create function logged(a text) returns text ${body}`,
      'update customers set name = name',
    ],
    [
      'by the trigger itself',
      "create function watch() returns trigger language plpgsql as 'begin return new; end'; create trigger w before update on customers for each row execute function watch()",
      'create or replace function watch() returns trigger language plpgsql as $$ begin insert into seen values (new.ssn); return new; end $$',
      'update customers set name = name',
    ],
    [
      'by a policy',
      "create function visible(a text) returns boolean language sql as 'select true'; create policy p on customers using (visible(ssn)); alter table customers enable row level security; alter table customers force row level security; create role clerk; grant all on all tables in schema public to clerk; set role clerk",
      'create or replace function visible(a text) returns boolean language plpgsql as $$ begin insert into seen values (a); return true; end $$',
      'select name from customers',
    ],
    [
      'by a view',
      "create function half(a text) returns text language sql as 'select left(a, 3)'; create view halves as select id, half(ssn) from customers",
      `create or replace function half(a text) returns text ${body}`,
      'select * from halves',
    ],
    [
      'by a check',
      "create function fine(a text) returns boolean language plpgsql as 'begin return true; end'; alter table customers add check (fine(ssn))",
      'create or replace function fine(a text) returns boolean language plpgsql as $$ begin insert into seen values (a); return true; end $$',
      'update customers set name = name',
    ],
    [
      'by an index',
      "create function keyed(a text) returns text language plpgsql immutable as 'begin return a; end'; create index on customers (keyed(ssn))",
      `create or replace function keyed(a text) returns text ${body}`,
      "update customers set ssn = ssn || 'x'",
    ],
    [
      'by an operator',
      "create function alike(a text, b text) returns boolean language plpgsql as 'begin return true; end'; create operator ~=~= (leftarg = text, rightarg = text, function = alike)",
      'create or replace function alike(a text, b text) returns boolean language plpgsql as $$ begin insert into seen values (a); return true; end $$',
      "select name from customers where ssn ~=~= ''",
    ],
    [
      'by an aggregate over them',
      "create function added(a text, b text) returns text language plpgsql as 'begin return a; end'; create aggregate sum_up(text) (sfunc = added, stype = text); create function report() returns text language sql as 'select sum_up(ssn) from customers'",
      'create or replace function added(a text, b text) returns text language plpgsql as $$ begin insert into seen values (b); return a; end $$',
      'select report()',
    ],
    [
      'by a domain',
      "create function ok(a text) returns boolean language plpgsql as 'begin return true; end'; create domain num as text check (ok(value)); create table clients (ssn num)",
      'create or replace function ok(a text) returns boolean language plpgsql as $$ begin insert into seen values (a); return true; end $$',
      "insert into clients values ('CANARY')",
    ],
    [
      'by a function that reads them',
      "create function shaped(anyelement) returns anyelement language sql as 'select $1'; create function report() returns text language sql as 'select max(shaped(ssn)) from customers'",
      `create function shaped(a text) returns text ${body}`,
      'select report()',
    ],
    [
      'by SQL in a string',
      "create function report() returns text language plpgsql as 'declare x text; begin execute $q$ select string_agg(shaped(ssn), $w$,$w$) from notes, customers $q$ into x; return x; end'; create function shaped(anyelement) returns anyelement language sql as 'select $1'",
      `create function shaped(a text) returns text ${body}`,
      'select report()',
    ],
    [
      'by a name that is put together',
      "create function shaped(anyelement) returns anyelement language sql as 'select $1'; create function watch() returns trigger language plpgsql as $$ declare x text; begin execute format('select %I($1)', tg_argv[0] || 'ed') into x using new.ssn; return new; end $$; create trigger w before update on customers for each row execute function watch('shap')",
      `create function shaped(a text) returns text ${body}`,
      'update customers set name = name',
    ],
    [
      "by others' statements that mean PostgreSQL's own",
      "create table clients (ssn varchar(20)); insert into clients values ('CANARY')",
      `create function lower(a varchar) returns varchar ${body}`,
      'select lower(ssn) from clients',
    ],
    [
      "by others' statements that mean an extension's",
      "create extension pgcrypto; create table clients (ssn text); insert into clients values ('CANARY')",
      'create function digest(a text, b name) returns text language plpgsql as $$ begin insert into seen values (a); return a; end $$',
      "select digest(ssn, 'md5'::name) from clients",
    ],
    [
      'by a default of an argument',
      "create function of_all() returns text language sql as 'select ssn from customers limit 1'; create function shaped(a text) returns text language plpgsql as 'begin return a; end'; create function report(a text default shaped(of_all())) returns text language sql as 'select a'",
      `create or replace function shaped(a text) returns text ${body}`,
      'select report()',
    ],
  ];

  it.each(taken)('%s', async (_, before, made, run) => {
    await client.query('begin');
    try {
      await client.query(`${SEEN} grant all on seen to public; ${before}`);
      await client.query('savepoint s; reset role');
      const seen = createShop(await readCatalog(client, 1), POLICIES);
      expect(reasonOf(seen.plan(made))).toBe('masked-ddl');
      // So it would have been.
      await client.query(made);
      if (before.includes('set role')) await client.query('set role clerk');
      await client.query(run);
      await client.query('reset role');
      const { rows } = await client.query('select * from seen');
      expect(JSON.stringify(rows)).toMatch(/CANARY/i);
    } finally {
      await client.query('rollback');
    }
  });

  it('code that runs for other tables hinders nobody', async () => {
    await client.query('begin');
    await client.query(`
      create function audit() returns trigger language plpgsql as $$ begin
        execute format('insert into notes values (1, %L)', tg_table_name); return new; end $$;
      create trigger a after insert on orders for each row execute function audit()`);
    const seen = createShop(await readCatalog(client, 1), POLICIES);
    expect(reasonOf(seen.plan('create function f() returns int language sql as $$ select 1 $$'))).toBe('forward');
    expect(reasonOf(seen.plan("insert into orders values (9, 'x')"))).toBe('forward');
    await client.query('rollback');
  });
});
