// Goal: no statement changes a setting behind the gateway's back. Names would mean one thing to policy and another to the server, and no mask or
// forbid would hold.
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type AppDatabase, startAppDatabase } from '../testing/app-database.ts';
import { cedarPolicy } from '../testing/cedar-policy.ts';
import { startTarget } from '../testing/harness.ts';

/** The mask is one of the table in `public` alone. */
const POLICIES = `
  @id("all") permit (principal, action, resource) unless { resource == Postgres::Table::"db/app/public/people" };
  @id("mask") @mask("ssn:redact") permit (principal, action, resource == Postgres::Table::"db/app/public/people");`;

const SEED = `
  grant create on database app to gate; alter schema public owner to gate; set role gate;
  create table people (id int primary key, ssn text); insert into people values (1, 'CANARY-1');
  create schema mine; create table mine.people (id int, ssn text);
  create view shown as select name, setting from pg_settings;`;

let server: AppDatabase;
let gate: Awaited<ReturnType<typeof startTarget>>;
beforeAll(async () => {
  server = await startAppDatabase(SEED);
  gate = await startTarget({
    ...server.target,
    policy: cedarPolicy(POLICIES),
  });
});
afterAll(async () => {
  await gate?.close();
  await server?.stop();
});

const TO_PUBLIC = "set setting = 'public' where name = 'search_path'";

it.each([
  ['a block', [`do $$ begin update pg_settings ${TO_PUBLIC}; end $$`]],
  [
    'a function',
    [
      `create function public.f() returns int language sql as $$ update pg_catalog.pg_settings ${TO_PUBLIC}; select 1 $$`,
      'select public.f()',
    ],
  ],
  ['a view', [`update public.shown ${TO_PUBLIC}`]],
  [
    'a view that is made now',
    [`create view public.now as select name, setting from pg_settings`, `update public.now ${TO_PUBLIC}`],
  ],
  ['a view of a view', ['create view public.twice as select * from public.shown', `update public.twice ${TO_PUBLIC}`]],
  ['a temporary view', ['create temp view temporary as select * from pg_settings', `update temporary ${TO_PUBLIC}`]],
  ['a view in a block', [`do $$ begin update public.shown ${TO_PUBLIC}; end $$`]],
])('the search path is not set by %s', async (_, texts) => {
  const client = new pg.Client({ port: gate.port, host: '127.0.0.1', user: 'web', database: 'app' });
  await client.connect();
  await client.query('set search_path = mine');
  for (const text of texts) await client.query(text).catch(() => {});
  const { rows } = await client.query('select upper(ssn) as it from people');
  await client.end();
  expect(rows).toEqual([]);
});
