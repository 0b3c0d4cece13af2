// Goal: with masks in force row security of unmasked tables is made and changed as without them, by whatever only computes.
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { noSessionFacts } from '../index.ts';
import { inSession, reasonOf, touchesOf } from '../testing/plans.ts';
import { createShop, readCatalog, type Shop, type ShopServer, shopSql, startShopServer } from '../testing/shop.ts';

const SEED = `${shopSql}
  create table tenants (id int primary key, owner text, tags text[]);
  create table plain (id int, mood text); alter table plain enable row level security;
  create table sold (customer int references customers on update cascade);
  create table kinds (name text primary key); alter table customers add kind text references kinds;
  create function owned(text) returns boolean language sql as 'select true';
  create domain told as text check (owned(value));`;

let started: ShopServer;
let client: pg.Client;
let shop: Shop;
beforeAll(async () => {
  started = await startShopServer(SEED);
  client = started.client;
  shop = createShop(started.catalog);
});
afterAll(() => started?.stop());

const plan = (sql: string, as?: string) => reasonOf(shop.plan(sql, as === undefined ? {} : { as }));

describe('a policy that only computes is made', () => {
  it.each([
    'using (true)',
    "using (id = current_setting('app.user')::int)",
    "using (tenants.owner = current_user or owner = pg_catalog.current_setting('app.user', true)) with check (id > 0)",
    "to public using (owner = any (string_to_array(current_setting('app.owners'), ',')))",
    "as restrictive for update using (case when id between 1 and 5 then owner like 'a%' else coalesce(owner, '') <> '' end)",
    "for insert with check (cast(owner as pg_catalog.text) in ('a', 'b') and id is not null and tags[1] = 'x')",
  ])('%s', (policy) => {
    expect(plan(`create policy p on tenants ${policy}`)).toBe('forward');
    expect(plan(`create policy p on public.plain ${policy.replaceAll('tenants.', '')}`)).toBe('forward');
  });

  it.each([
    'alter policy p on tenants using (id = 1)',
    'alter policy p on tenants rename to q',
    'drop policy if exists p on tenants',
    'alter table tenants enable row level security, force row level security',
    'alter table tenants no force row level security, disable row level security',
  ])('and so it is changed and dropped: %s', (sql) => {
    expect(plan(sql)).toBe('forward');
    expect(plan(sql, 'plain')).toBe('policy-denied');
  });

  it('for a table that the session has made, in either order', () => {
    const texts = [
      'create table fresh (id int, owner text)',
      'alter table fresh enable row level security',
      'create policy p on fresh using (owner = current_user)',
    ];
    expect(inSession(shop, texts, 'web').map(reasonOf)).toEqual(['forward', 'forward', 'forward']);
  });

  it('by a chain of operators', () => {
    const chain = Array.from({ length: 500 }, () => 'id').join(' + ');
    expect(plan(`create policy p on tenants using (${chain} > 0)`)).toBe('forward');
  });

  it('where it is permitted to define the table and what is in the database', () => {
    expect(touchesOf(shop.plan('create policy p on tenants using (true)', { as: 'admin' }))).toEqual([
      'postgres:ddl shop/shop/public/tenants',
      'postgres:ddl shop/shop',
    ]);
  });
});

describe('one that may do more is not', () => {
  it.each([
    'owned(owner)',
    "lower(owner) = 'a'",
    "set_config('hnsw.x', owner, false) is not null",
    "nextval('s') > 0",
    "pg_notify('a', owner) is null",
    'owner::told is not null',
    'owner::public.text is not null',
    'owner::tenants.owner%type is not null',
    'id ### 1',
    'id operator(public.=) 1',
    'tenants.owned',
    '(tenants).owned',
    'exists (select)',
    '(select true)',
    'id = all (select 1)',
    'no_such_function(id)',
  ])('%s', (expression) => {
    for (const sql of ['create policy p on tenants using', 'alter policy p on tenants with check'])
      expect(plan(`${sql} (${expression})`)).not.toBe('forward');
  });

  it('nor one by a function that the session has just made', () => {
    const sql = "create policy p on tenants using (upper(owner) = 'A')";
    const session = { ...noSessionFacts, createdNames: new Set(['function upper']) };
    expect(plan(sql)).toBe('forward');
    expect(reasonOf(shop.plan(sql, { session }))).toBe('masked-ddl');
  });
});

describe('row security stays as it is', () => {
  const changes = (table: string) => [
    `create policy p on ${table} using (true)`,
    `alter policy p on ${table} using (true)`,
    `alter policy p on ${table} rename to q`,
    `drop policy p on ${table}`,
    `alter table ${table} enable row level security`,
    `alter table ${table} disable row level security`,
    `alter table ${table} force row level security`,
    `alter table ${table} no force row level security`,
  ];
  it.each([
    'customers',
    'public.customers',
    'events',
    'events_1',
    'kinds',
  ])('of what has or leads to masked columns: %s', (table) => {
    for (const sql of changes(table)) expect(plan(sql)).toBe('masked-ddl');
  });

  it('of any table while code of the database runs on masked rows, since that may write to it', async () => {
    await client.query(`
      create function seen() returns trigger language plpgsql as 'begin return new; end';
      create trigger seen before insert on customers for each row execute function seen()`);
    const watched = createShop(await readCatalog(client, 2));
    expect(reasonOf(watched.plan('create policy p on tenants using (true)'))).toBe('masked-ddl');
    await client.query('drop function seen cascade');
  });
});

describe('what DROP names of a table is a change of that table', () => {
  it.each(['policy', 'trigger', 'rule'])('%s', (kind) => {
    expect(plan(`drop ${kind} p on customers`)).toBe('masked-ddl');
    expect(touchesOf(shop.plan(`drop ${kind} p on public.tenants`, { as: 'admin' }))).toEqual([
      'postgres:ddl shop/shop/public/tenants',
    ]);
  });
});

describe('a check keeps no value of what code on masked rows writes', () => {
  it.each([
    "set_config('hnsw.x', owner, false) is not null",
    "setval('s', ascii(owner)) > 0",
    'random() < 1',
  ])('%s', (check) => {
    expect(plan(`alter table tenants add check (${check})`)).not.toBe('forward');
    expect(plan(`create table fresh (owner text check (${check}))`)).not.toBe('forward');
  });

  it('and may compute what it likes', () => {
    expect(plan("alter table tenants add check (upper(owner) = owner and now() > '2020-01-01')")).toBe('forward');
    expect(plan('create table fresh (id uuid default gen_random_uuid() check (id is not null))')).toBe('forward');
  });

  it.each([
    "set_config('hnsw.x', owner, false)",
    'setval(owner::regclass, id)',
    'nextval(owner::regclass)',
    'pg_sleep(id)',
  ])('nor does a view that may take the place of the table: %s', (call) => {
    for (const kind of ['view', 'temp view', 'or replace view'])
      expect(plan(`create ${kind} fresh as select * from tenants where ${call} is not null`)).toBe('masked-ddl');
    expect(plan(`create view fresh as select * from tenants where ${call} is not null`, 'admin')).toBe('forward');
  });

  it('and a view may look at the clock', () => {
    expect(plan('create view fresh as select *, clock_timestamp() - now() as since from tenants')).toBe('forward');
  });
});
