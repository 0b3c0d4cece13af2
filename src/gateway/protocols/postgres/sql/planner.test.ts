// Goal: what a text means is found out as PostgreSQL would, and whatever can't be is refused. The database is real, so the names are.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inSession, only, reasonOf, touchesOf } from './testing/plans.ts';
import { createShop, type Shop, type ShopServer, startShopServer } from './testing/shop.ts';

let started: ShopServer;
let shop: Shop;

beforeAll(async () => {
  started = await startShopServer();
  shop = createShop(started.catalog);
});
afterAll(() => started?.stop());

describe('the known ways around a masking gateway are closed, in both protocols', () => {
  // 8 and 9 of the list (layouts remembered or mixed up) and 10 (fastpath) belong to the session: here each plan carries its masks.
  const attacks: readonly (readonly [name: string, sql: string, as: string, reason: string])[] = [
    ['an alias', 'select ssn as x from customers', 'web', 'forward'],
    ['an expression', 'select upper(ssn) from customers', 'web', 'masked-column-use'],
    ['a row as JSON', 'select row_to_json(c) from customers c', 'web', 'masked-column-use'],
    ['a function that reads the table', 'select leak()', 'web', 'unproven-function'],
    ['a value turned around', 'select reverse(ssn) from customers', 'web', 'masked-column-use'],
    ['COPY of the table', 'copy customers to stdout', 'web', 'masked-column-use'],
    ['a cast whose error tells the value', 'select ssn::int from customers', 'web', 'masked-column-use'],
    ['DO with a notice', "do $$ begin raise notice '%', (select ssn from customers); end $$", 'web', 'masked-ddl'],
    ['DO with a delete', 'do $$ begin delete from orders; end $$', 'plain', 'policy-denied'],
    ['DO for somebody without masks', 'do $$ begin delete from orders; end $$', 'admin', 'forward'],
    ['a long comment before DELETE', `/*${'x'.repeat(200_000)}*/ delete from orders`, 'plain', 'policy-denied'],
    ['a second statement', 'select 1; delete from orders', 'plain', 'policy-denied'],
  ];
  it.each(attacks)('%s', (_, sql, as, reason) => {
    expect(reasonOf(shop.plan(sql, { as }))).toBe(reason);
    const parsed = reasonOf(shop.plan(sql, { as, mode: 'parse' }));
    expect(parsed).toBe(sql.startsWith('select 1;') ? 'several-statements' : reason);
  });

  it('an alias changes no mask: it goes by table and attribute', () => {
    const { masks } = only(shop.plan('select ssn as x from customers'));
    const oid = shop.catalog.relation('public', 'customers')?.oid;
    expect(masks?.columnsMasked).toBe(1);
    expect(masks?.byAttribute.get(`${oid ?? 0}:3`)).toBe('redact');
    expect(masks?.byAttribute.get(`${oid ?? 0}:4`)).toBe('email');
  });

  it('a prepared statement has its masks whenever it is planned again', () => {
    const first = shop.plan('select id, ssn from customers where id = $1', { mode: 'parse' });
    expect(only(first).masks?.columnsMasked).toBe(1);
  });
});

describe('a masked column passes as it is, and nothing else of it', () => {
  const refused = [
    'select name from customers where ssn = $1',
    "select name from customers where 'x' like ssn",
    'select id, ssn from customers order by ssn',
    'select id, ssn from customers order by 2',
    'select id, ssn as s from customers order by s',
    'select * from customers order by 3',
    'select ssn from customers group by ssn',
    'select ssn from customers group by 1',
    'select id, ssn from customers group by id, 2',
    'select id, ssn from customers group by (1, 2)',
    'select ssn, count(*) from customers group by rollup ((1, 1))',
    'select ssn, count(*) from customers group by grouping sets ((1, 1), ())',
    'select ssn as x from customers, generate_series(1, 2) group by (x, x)',
    'select count(*) from (select ssn from customers) s group by s',
    'select count(*) from customers c group by rollup (c)',
    'select 1 from (select ssn from customers) s order by s',
    'select distinct on (s) 1 from (select ssn from customers) s',
    'select distinct ssn from customers',
    'select distinct on (id) ssn from customers',
    'select count(ssn) from customers',
    'select count(distinct ssn) from customers',
    'select max(ssn) over () from customers',
    'select id, sum(1) over (partition by ssn) from customers',
    'select id from customers window w as (order by ssn)',
    'select id from customers group by id having max(ssn) > $1',
    'select count(*) filter (where ssn like $1) from customers',
    'select ssn from customers union all select name from customers',
    "select ssn from customers except select 'a'",
    'select (select ssn from customers limit 1)',
    'select array(select ssn from customers)',
    'select 1 where $1 in (select ssn from customers)',
    'select 1 where $1 = any (select ssn from customers)',
    'select exists (select 1 from customers where ssn = $1)',
    'select c from customers c',
    'select c.* is null from customers c',
    'select (c).ssn from customers c',
    'select (c.*)::text from customers c',
    'select c::text from customers c',
    'select row(c.*) from customers c',
    'select c.row_to_json from customers c',
    'select s.row_to_json from (select * from customers join orders using (id)) s',
    'select j.to_json from (customers c join orders using (id)) j',
    // A column that is called like the alias doesn't stand for the row.
    'select row(c.*) from customers c, (values (1)) v(c)',
    'select to_json(public.customers.*) from customers',
    // ON and TABLESAMPLE don't see what stands beside the join: the name is that of the query around.
    "select (select 1 from (values ('x')) s(ssn), orders a join orders b on ssn = 'x') from customers c",
    'select (select 1 from (values (5)) s(ssn), orders tablesample system (ssn::int)) from customers c',
    // Views have no system columns.
    'select (select 1 from staff where ctid is null) from (select ssn as ctid from customers) c',
    'select to_jsonb(customers) from customers',
    'select json_agg(customers.*) from customers',
    'select j from (customers c join orders o on true) as j',
    'select to_json(s) from (select * from customers) s',
    'select upper(b) from (select ssn from customers) as s(b)',
    'select upper(b) from customers as c(a, n, b)',
    'with x as (select ssn as y from customers) select upper(y) from x',
    'with x(y) as (select ssn from customers) select 1 from x where y = $1',
    'with recursive x as (select ssn from customers) select * from x',
    'select * from customers c, lateral (select upper(c.ssn) as u) l',
    'select * from customers c, lateral upper(c.ssn) l',
    "select x.* from customers c, json_table(c.ssn, '$' columns (a text path '$')) x",
    "select x.* from customers c, xmltable('/a' passing (c.ssn::xml) columns b text path 'b') x",
    'select 1 from customers c join legacy l on c.ssn = l.info',
    'select 1 from customers join (select 1 as id, 1 as ssn) s using (ssn)',
    'select 1 from customers natural join orders',
    'select case when ssn is null then 1 end from customers',
    'select coalesce(ssn, name) from customers',
    "select ssn || '' from customers",
    "select json_object('a': ssn) from customers",
    'select xmlelement(name a, ssn) from customers',
    'select id from customers limit (select length(ssn) from customers limit 1)',
    'values ((select ssn from customers limit 1))',
    'select ssn collate "C" from customers',
    'select ssn_tail || name from customers',
    'select upper(secret) from events_1',
    'select upper(secret) from only events',
    'select shout from customer_upper',
    'select upper(tax_number) from customer_all',
    'select upper(ssn) from customer_copy',
    'select 1 from nested where tax_number = $1',
    'select it from via_function',
  ];
  it.each(refused)('%s', (sql) => {
    expect(reasonOf(shop.plan(sql))).toBe('masked-column-use');
  });

  const allowed: readonly (readonly [sql: string, masked: number])[] = [
    ['select * from customers', 3],
    ['table customers', 3],
    ['select c.*, c.ssn from customers c where id = $1 order by name limit 1', 4],
    ['select (ssn) from public.customers', 1],
    ['select id as ssn, name from customers order by id', 0],
    ['select count(*) from customers where name like $1', 0],
    ['select count(*) from (select * from customers where id > 1) s', 0],
    ['select s.ssn, s.name from (select * from customers) s', 1],
    ['with x as (select id, ssn from customers) select ssn, id from x order by 2', 1],
    ['select y from (select ssn from customers) as s(y)', 1],
    ['select j.ssn from (customers c join orders o on o.customer_id = c.id) as j', 1],
    ['select c.ssn, o.total from customers c left join orders o on o.customer_id = c.id order by o.total', 1],
    ['select c.id, l.s from customers c, lateral (select c.ssn as s) l', 1],
    ['select exists (select * from customers)', 0],
    ['select name from customers where id in (select customer_id from orders)', 0],
    ['with customers as (select 1 as ssn) select upper(ssn::text) from customers', -1],
    ['select tax_number from customer_all', 1],
    ['select * from nested', 1],
    ['select * from customer_copy', 1],
    ['select * from customer_names where name = $1', -1],
    ['select secret from events', 1],
    ['select ssn, id from customers group by id', 1],
  ];
  it.each(allowed)('%s', (sql, masked) => {
    const { masks } = only(shop.plan(sql));
    expect(masks?.columnsMasked ?? -1).toBe(masked);
  });
});

describe('writes neither carry a masked value away nor show one', () => {
  it.each([
    'insert into orders (id, note) select id, ssn from customers',
    'insert into orders (id, note) values (1, (select ssn from customers limit 1))',
    'insert into customers (id) values (7) returning ssn',
    'insert into customers (id) values (7) returning *',
    'insert into customers (id, ssn) values (7, $1) on conflict (ssn) do nothing',
    'insert into customers (id, ssn) values (7, $1) on conflict on constraint customers_pkey do nothing',
    'insert into customers (id) values (7) on conflict (id) do update set note = excluded.ssn',
    'insert into customers (id) values (7) on conflict (id) do update set note = customers.ssn',
    'insert into customers (id) values (7) on conflict (id) do update set name = $1 where customers.ssn = $2',
    'update customers set note = ssn',
    'update customers set name = $1 where ssn = $2',
    'update customers set name = $1 returning old.ssn',
    'update orders set note = excluded.ssn from customers excluded where excluded.id = orders.id',
    'update events set secret = excluded.ssn from customers excluded where excluded.id = events.id',
    'update orders set (note, total) = (select ssn, 1 from customers limit 1)',
    'delete from customers where ssn = $1',
    'delete from orders using customers c where c.ssn = orders.note',
    'merge into orders o using customers c on o.id = c.id when matched then update set note = c.ssn',
    'merge into customers c using orders o on o.note = c.ssn when matched then delete',
    'merge into orders o using customers c on o.id = c.id when not matched then insert (id, note) values (c.id, c.ssn)',
    'with w as (update customers set name = $1 returning ssn) select * from w',
    'copy customers (id, ssn) to stdout',
    'copy (select ssn from customers) to stdout',
    'declare c cursor for select ssn from customers',
    'explain select id from customers',
    'explain analyze update customers set name = name',
    'cluster customers using customers_pkey',
    'cluster',
  ])('%s', (sql) => {
    expect(reasonOf(shop.plan(sql))).toBe('masked-column-use');
  });

  it.each([
    'insert into customers (id, ssn) values ($1, $2) on conflict (id) do update set ssn = excluded.ssn, name = excluded.name returning id',
    "update customers set ssn = $1, note = name || '!' where id = $2 returning id, name",
    'delete from customers where id = $1',
    'copy customers (id, name) to stdout',
    'copy customers from stdin',
    'explain select * from orders',
    'insert into orders (id) values (7) on conflict on constraint orders_pkey do nothing',
    'cluster orders using orders_pkey',
    'listen changes',
    'alter table orders rename to purchases',
    'alter table orders rename total to amount',
    'alter index orders_pkey rename to purchases_pkey',
    'alter view staff rename salary to pay',
    'grant select, insert on orders, employees to public with grant option',
    'grant usage, create on schema public, "Odd/Schema" to public',
    'grant select on all tables in schema "Odd/Schema" to public',
    'create extension if not exists "uuid-ossp"',
    'create extension citext with schema "Odd/Schema"',
    'alter type odd add attribute y int, drop attribute if exists x',
    "create database fresh owner postgres encoding 'UTF8' template template0",
    'drop database if exists fresh with (force)',
    'revoke update (note) on orders from public',
  ])('%s is allowed', (sql) => {
    expect(reasonOf(shop.plan(sql))).toBe('forward');
    expect(only(shop.plan(sql)).isMasking).toBe(true);
  });

  it.each([
    ['create table copied as select * from customers', 'masked-column-use'],
    ['create table copied as select id from customers', 'masked-ddl'],
    ['select id into copied from customers', 'masked-ddl'],
    ['create view seen as select ssn from customers', 'masked-column-use'],
    ['create or replace view customer_names as select id, ssn as name from customers', 'masked-column-use'],
    ['create or replace view customer_all as select 1 as id', 'masked-ddl'],
    ['create table child () inherits (customers)', 'masked-ddl'],
    ['create table like_it (like customers including all)', 'masked-ddl'],
    ['create table probe (s text references customers (ssn))', 'masked-ddl'],
    ['create table events_2 partition of events for values from (10) to (20)', 'masked-ddl'],
    ['alter table legacy attach partition orders for values from (1) to (2)', 'masked-ddl'],
    ['create unique index on customers (ssn)', 'masked-ddl'],
    ['alter table customers add column t text generated always as (ssn) stored', 'masked-ddl'],
    ['alter table customers rename column ssn to s', 'masked-ddl'],
    ['alter table customers rename to c2', 'masked-ddl'],
    ['alter schema public rename to p2', 'masked-ddl'],
    ['alter table customers set schema "Odd/Schema"', 'masked-ddl'],
    ["create function f() returns text language sql as 'select 1'", 'masked-ddl'],
    [
      'create trigger t before insert on orders for each row execute function tsvector_update_trigger(a, b, c)',
      'masked-ddl',
    ],
    ['create rule r as on insert to orders do also select ssn from customers', 'masked-ddl'],
    ['grant select on customers to public', 'masked-ddl'],
    // Both are tried on all values there are of the type, in whatever table.
    ["alter domain tax_number add check (value > 'M')", 'masked-ddl'],
    ['alter type odd alter attribute x type text cascade', 'masked-ddl'],
    ['alter type odd add attribute y int, drop attribute x cascade', 'masked-ddl'],
    ['alter type odd rename attribute x to y cascade', 'masked-ddl'],
    ['create database copied template shop', 'masked-ddl'],
    ["create database copied template 'template1'", 'masked-ddl'],
    ['create database copied is_template true oid 77777', 'masked-ddl'],
    ["alter database shop set search_path to 'x'", 'masked-ddl'],
    ['alter table customers rename to others', 'masked-ddl'],
    ['alter table customers rename ssn to shown', 'masked-ddl'],
    ['alter view customer_all rename tax_number to shown', 'masked-ddl'],
    ['alter function leak_one(int) rename to lower', 'masked-ddl'],
    ['grant select on orders, customers to public', 'masked-ddl'],
    ['grant select on customer_all to public', 'masked-ddl'],
    ['grant select on all tables in schema public to public', 'masked-ddl'],
    ['grant pg_read_all_data to public', 'masked-ddl'],
    ['grant execute on function leak_one(int) to public', 'masked-ddl'],
    ['grant execute on all functions in schema "Odd/Schema" to public', 'masked-ddl'],
    ['grant select on all tables in schema "Odd/Schema", public to public', 'masked-ddl'],
    ['revoke select on all tables in schema public from public', 'masked-ddl'],
    ['create extension dblink', 'masked-ddl'],
    ['create type spans as range (subtype = int)', 'masked-ddl'],
    ['create extension if not exists postgres_fdw', 'masked-ddl'],
    ['create extension citext cascade', 'masked-ddl'],
    ["create extension citext version '0.9'", 'masked-ddl'],
    ['alter extension citext update', 'masked-ddl'],
    ['create table d (id uuid default uuid_generate_v4())', 'unknown-function'],
    ["insert into logged values (1, 'x')", 'unproven-rule'],
  ])('%s → %s', (sql, reason) => {
    expect(reasonOf(shop.plan(sql))).toBe(reason);
  });
});

describe('code that is not proven harmless does not run while columns are masked', () => {
  it.each([
    ['select leak_one(1)', 'unproven-function'],
    ["select lower('X')", 'unproven-function'],
    ['select public.lower(1)', 'unproven-function'],
    ['select * from leak() l', 'unproven-function'],
    ['select 1 ### 2', 'unproven-operator'],
    ['select 1 operator(public.###) 2', 'unproven-operator'],
    ['select row(1)::odd::text', 'unproven-cast'],
    ['select * from pg_stats', 'restricted-relation'],
    ['select most_common_vals from pg_catalog.pg_stats', 'restricted-relation'],
    ['select query from pg_stat_activity', 'restricted-relation'],
    ['select a.pid from pg_stat_activity a', 'restricted-relation'],
    ["select pid from pg_stat_activity where query like 'x%'", 'restricted-relation'],
    ['select to_jsonb(pg_stat_activity) from pg_stat_activity', 'restricted-relation'],
    ['select (select query) from pg_stat_activity', 'restricted-relation'],
    ['select pg_stat_get_activity(null)', 'unproven-function'],
    ['select * from pg_largeobject', 'restricted-relation'],
    ["select pg_catalog.brin_summarize_new_values('x')", 'unproven-function'],
    ['fetch all from somebody', 'unknown-cursor'],
  ])('%s → %s', (sql, reason) => {
    expect(reasonOf(shop.plan(sql))).toBe(reason);
  });

  it.each([
    'select pid, state from pg_stat_activity where pid = pg_backend_pid()',
    'select count(*) from pg_stat_activity',
    'select * from pg_prepared_statements, pg_cursors, pg_prepared_xacts, pg_foreign_server',
    "select * from pg_partition_ancestors('events'), pg_partition_tree('events'), pg_options_to_table(array['a=b'])",
    'select pg_terminate_backend(pg_backend_pid())',
  ])('%s shows no value', (sql) => {
    expect(reasonOf(shop.plan(sql))).toBe('forward');
  });

  it("PostgreSQL's own functions of the qualified name stay", () => {
    expect(reasonOf(shop.plan("select pg_catalog.lower('X'), now(), random(), 1 operator(pg_catalog.+) 2"))).toBe(
      'forward',
    );
  });

  it('without masks they are a matter of policy', () => {
    expect(touchesOf(shop.plan('select leak_one(1), 1 ### 2', { as: 'admin' }))).toEqual([
      'postgres:call shop/shop/public/leak_one',
    ]);
    expect(reasonOf(shop.plan('select leak_one(1)', { as: 'plain' }))).toBe('policy-denied');
    expect(only(shop.plan('select leak_one(1)', { as: 'admin' })).writes).toBe(true);
  });
});

describe('what reaches past what the gateway can see is administration, and nobody’s while columns are masked', () => {
  it.each([
    ["copy orders to '/tmp/x'", 'server-file'],
    ["copy orders from '/tmp/x'", 'server-file'],
    ["copy orders from program 'curl x'", 'server-file'],
    ["copy (select 1) to program 'sh'", 'server-file'],
    ["select pg_read_file('x')", 'restricted-function'],
    ["select pg_catalog.pg_ls_dir('.')", 'restricted-function'],
    ["select lo_export(1, 'x')", 'restricted-function'],
    ["select query_to_xml('select 1', true, true, '')", 'restricted-function'],
    ["select table_to_xml('orders', true, true, '')", 'restricted-function'],
    ["select ts_rewrite('a'::tsquery, 'select 1')", 'restricted-function'],
    ["select * from dblink('x', 'select 1') as t(a int)", 'restricted-function'],
    ["select any_schema.dblink_exec('x')", 'restricted-function'],
    ['select pg_temp.lo_export(1)', 'restricted-function'],
    ["select ('x'::text).pg_read_file", 'restricted-function'],
    ["create table t (a text default pg_read_file('x'))", 'restricted-function'],
    ["prepare p as select pg_read_file('x')", 'restricted-function'],
    ["explain select pg_read_file('x')", 'restricted-function'],
    ["select 1 from orders where pg_read_file('x') = ''", 'restricted-function'],
    ['select rolpassword from pg_authid', 'restricted-relation'],
    ['select * from pg_catalog.pg_shadow', 'restricted-relation'],
    ['select umoptions from pg_user_mapping', 'restricted-relation'],
    ['copy pg_authid to stdout', 'restricted-relation'],
    ['create table t as table pg_authid', 'restricted-relation'],
    ["load 'x'", 'policy-denied'],
    ["alter system set x = 'y'", 'policy-denied'],
    ["create subscription s connection 'x' publication p", 'policy-denied'],
    ['alter subscription s disable', 'policy-denied'],
    ['drop subscription s', 'policy-denied'],
    ['update pg_catalog.pg_class set relname = relname where oid = 1', 'statement-refused'],
    ['delete from pg_depend where objid = 1', 'statement-refused'],
    ['insert into pg_authid select * from pg_authid', 'restricted-relation'],
    ['copy pg_class from stdin', 'statement-refused'],
    ['alter table pg_catalog.pg_class add x int', 'statement-refused'],
  ])('%s', (sql, reason) => {
    expect(touchesOf(shop.plan(sql, { as: 'admin' }))).toContain('postgres:admin shop/shop');
    expect(reasonOf(shop.plan(sql, { as: 'admin' }))).toBe('forward');
    expect(only(shop.plan(sql, { as: 'admin' })).writes || /^(prepare|explain)/.test(sql)).toBe(true);
    // `plain` may read and write everything, `web` administer as well: its masks forbid it all the same.
    expect(reasonOf(shop.plan(sql, { as: 'plain' }))).toBe(reason);
    expect(reasonOf(shop.plan(sql, { as: 'web' }))).toMatch(
      /^(masked-ddl|server-file|restricted-\w+|statement-refused)$/,
    );
  });

  it('with a function of that kind in it, a statement is asked for all that it touches besides', () => {
    expect(touchesOf(shop.plan("select pg_read_file('x') from orders", { as: 'admin' }))).toEqual([
      'postgres:select shop/shop/public/orders',
      'postgres:admin shop/shop',
    ]);
  });
});

describe('what nobody here could follow is refused to everybody', () => {
  it.each([
    ["select set_config('search_path', 'other', false) where false", 'setting-refused'],
    ["select case when $1 then set_config('search_path', 'other', false) end", 'setting-refused'],
    ["select set_config('search_path', 'other', $1)", 'setting-refused'],
    ["select set_config('search_path', 'other', false) limit 0", 'setting-refused'],
    ["select coalesce('', set_config('search_path', 'other', false))", 'setting-refused'],
    ["declare c cursor for select set_config('search_path', 'other', false)", 'setting-refused'],
    ["select 1 from orders where set_config('search_path', 'other', false) = ''", 'setting-refused'],
    ["create table t as select set_config('search_path', 'other', false)", 'setting-refused'],
    ["select set_config('ro' || 'le', 'x', false)", 'setting-refused'],
    ["select set_config('search_path', $1, false)", 'setting-refused'],
    ["select set_config('role', $1, false)", 'setting-refused'],
    ["select set_config('role', 'auditor', false) where false", 'setting-refused'],
    ["select set_config('ROLE', 'auditor', $1)", 'setting-refused'],
    ["select coalesce('', set_config('session_authorization', 'auditor', false))", 'setting-refused'],
    ["select note, set_config('role', 'auditor', false) from orders", 'setting-refused'],
    ["declare c cursor for select set_config('role', 'auditor', false)", 'setting-refused'],
    ["select set_config('jit.role'::char(3), $1, false)", 'setting-refused'],
    ["select set_config('search_path', '\"$user\", public'::varchar(7), false)", 'setting-refused'],
    ['set standard_conforming_strings = off', 'setting-refused'],
    ["set client_encoding = 'SJIS'", 'setting-refused'],
    ['select 1 from other_db.public.orders', 'unknown-relation'],
  ])('%s → %s', (sql, reason) => {
    expect(reasonOf(shop.plan(sql, { as: 'admin' }))).toBe(reason);
  });

  it.each([
    ...["set client_encoding = 'LATIN1'", "set names 'euc-jp'", 'set client_min_messages = debug1'],
    ...['set debug_print_plan = on', 'set trace_sort = on'],
  ])('%s is for everybody but those to whom columns are masked: what it changes tells of values', (sql) => {
    expect(reasonOf(shop.plan(sql, { as: 'plain' }))).toBe('forward');
    expect(reasonOf(shop.plan(sql, { as: 'web' }))).toBe('setting-refused');
  });

  it.each([
    ...[
      "set client_encoding = 'SQL_ASCII'",
      'set names default',
      'reset all',
      'reset log_duration',
      'show password_encryption',
    ],
    ...['set track_functions = pl', 'set compute_query_id = off', 'set stats_fetch_consistency = none', 'show all'],
    ...['set force_parallel_mode = off', "set default_tablespace = 'x'", "set password_encryption = 'md5'"],
    ...['set client_min_messages = log', "set timezone_abbreviations = 'India'", 'set plpgsql.extra_warnings = none'],
    ...['set max_stack_depth = 100', 'set track_io_timing = on', 'set session_replication_role = default'],
  ])('%s changes no meaning and shows nothing, so it is for everybody', (sql) => {
    for (const as of ['plain', 'web', 'admin']) expect(reasonOf(shop.plan(sql, { as }))).toBe('forward');
  });

  it.each([
    ["set app.tenant = '7'", 'postgres:set'],
    ["select set_config('app.tenant', $1, false)", 'postgres:set'],
    ['set local_preload_libraries = x', 'postgres:set'],
    ["set log_duration = 'on'", 'postgres:set'],
    ['set session_replication_role = replica', 'postgres:set'],
    ['set transform_null_equals = on', 'postgres:set'],
    ['set lo_compat_privileges = on', 'postgres:set'],
    ['set no_such_variable = 1', 'postgres:set'],
    ['set custom.my_guc = 1', 'postgres:set'],
  ])('%s is for policy to decide, and refused to whom columns are masked', (sql, action) => {
    expect(touchesOf(shop.plan(sql, { as: 'admin' }))).toEqual([`${action} shop/shop`]);
    expect(reasonOf(shop.plan(sql, { as: 'plain' }))).toMatch(/^(setting-refused|policy-denied)$/);
    expect(reasonOf(shop.plan(sql, { as: 'web' }))).toBe('setting-refused');
  });

  it.each([
    'set role none',
    'reset role',
    "select set_config('role', 'none', true), set_config('role', null, false)",
    'set session authorization default',
    'set session authorization postgres',
    'set role postgres',
    "set plpgsql.variable_conflict = 'error'",
    'set hnsw.ef_search = 40',
    "set client_encoding to 'UNICODE'",
    "set names 'utf8'",
  ])('%s is no change that anybody has to allow', (sql) => {
    expect(touchesOf(shop.plan(sql, { as: 'web' }))).toEqual([]);
    expect(reasonOf(shop.plan(sql, { as: 'web' }))).toBe('forward');
  });

  it('as another role, a name of the path may mean that of any schema on it', () => {
    const plans = inSession(
      shop,
      ['set search_path to "Odd/Schema", public', 'set role auditor', 'select * from x'],
      'admin',
    );
    expect(touchesOf(plans[2] ?? shop.plan(''))).toEqual(
      ['pg_temp', 'Odd%2FSchema', 'public'].map((schema) => `postgres:select shop/shop/${schema}/x`),
    );
  });

  it.each([
    [['set role auditor'], ['auditor', 'public']],
    [["select set_config('role', 'auditor', false)"], ['auditor', 'public']],
    [["begin; select set_config('role', 'auditor', true)"], ['auditor', 'public']],
    [["begin; select set_config('role', 'auditor', true); commit"], ['public']],
    [["begin; select set_config('role', 'auditor', false), set_config('role', 'none', true)"], ['public']],
    [
      ["begin; select set_config('role', 'auditor', false), set_config('role', 'none', true); commit"],
      ['auditor', 'public'],
    ],
    [["select set_config('role', 'auditor', false)", 'reset role'], ['public']],
    [
      ["set session authorization 'auditor'", 'reset role'],
      ['auditor', 'public'],
    ],
    [
      ["set session authorization 'auditor'", 'set role clerk', 'set role none'],
      ['auditor', 'public'],
    ],
    [["set session authorization 'auditor'", 'set role postgres'], ['public']],
    [["set session authorization 'auditor'", 'reset session authorization'], ['public']],
  ])('after %j a name means what it means to that role', (texts, schemas) => {
    const plans = inSession(shop, ['set search_path to "$user", public', ...texts, 'select * from x'], 'admin');
    expect(touchesOf(plans.at(-1) ?? shop.plan(''))).toEqual(
      ['pg_temp', ...schemas].map((schema) => `postgres:select shop/shop/${schema}/x`),
    );
  });

  it.each([
    ['select pg_temp.f()', ['call shop/shop/pg_temp/f']],
    ['do $$ begin null; end $$', ['ddl shop/shop', 'call shop/shop/pg_catalog/plpgsql']],
    ['do language plperlu $$ 1 $$', ['admin shop/shop', 'ddl shop/shop', 'call shop/shop/pg_catalog/plperlu']],
    ["prepare transaction 'x'", ['maintain shop/shop']],
    ["commit prepared 'x'", ['maintain shop/shop']],
    ["rollback prepared 'x'", ['maintain shop/shop']],
    [
      'select lo_open(1, 262144), loread(0, 10)',
      ['call shop/shop/pg_catalog/lo_open', 'call shop/shop/pg_catalog/loread'],
    ],
    [
      'create schema s create table t (a int) create view v as select a from t',
      ['ddl shop/shop', 'ddl shop/shop/s/t', 'ddl shop/shop/s/v', 'select shop/shop/s/t'],
    ],
  ])('%s is for policy to decide where no column is masked', (sql, touches) => {
    expect([...touchesOf(shop.plan(sql, { as: 'admin' }))].sort()).toEqual(
      touches.map((touch) => `postgres:${touch}`).sort(),
    );
    expect(reasonOf(shop.plan(sql, { as: 'plain' }))).toBe('policy-denied');
    expect(reasonOf(shop.plan(sql, { as: 'web' }))).not.toBe('forward');
  });

  it('operating the server asks for postgres:admin', () => {
    expect(touchesOf(shop.plan('select pg_terminate_backend(1)', { as: 'admin' }))).toEqual([
      'postgres:admin shop/shop',
    ]);
    expect(reasonOf(shop.plan('select pg_terminate_backend(1)', { as: 'plain' }))).toBe('policy-denied');
    expect(reasonOf(shop.plan('select lo_get(1)', { as: 'plain' }))).toBe('policy-denied');
  });
});

describe('policy is asked what PostgreSQL would need rights for', () => {
  it.each([
    ['select count(*) from orders', ['postgres:select orders']],
    ['update orders set note = $1', ['postgres:update orders']],
    ['update orders set note = $1 where id = 2', ['postgres:select orders', 'postgres:update orders']],
    ['insert into orders (id) select id from employees', ['postgres:insert orders', 'postgres:select employees']],
    ['with d as (delete from orders returning 1) select 1', ['postgres:delete orders']],
    ['select * from orders for update', ['postgres:select orders', 'postgres:update orders']],
    ['truncate employees', ['postgres:truncate employees']],
    ['truncate customers cascade', ['postgres:truncate customers', 'postgres:truncate orders']],
    ['create table fresh (a int)', ['postgres:ddl fresh']],
    ['drop table orders, "Odd/Schema"."Per%cent"', ['postgres:ddl orders', 'postgres:ddl Odd%2FSchema/Per%25cent']],
    ['vacuum orders', ['postgres:maintain orders']],
    ['lock table orders in access share mode', ['postgres:select orders']],
    ['lock table orders in row share mode', ['postgres:maintain orders']],
    ['lock orders', ['postgres:maintain orders']],
    [
      'merge into orders o using employees e on o.id = e.id when matched then delete when not matched then insert (id) values (1)',
      ['postgres:select orders', 'postgres:select employees', 'postgres:delete orders', 'postgres:insert orders'],
    ],
    ['select 1', []],
    ['select * from pg_class', []],
  ])('%s', (sql, touches) => {
    const full = touches.map((one) =>
      one.replace(/ (?:(Odd.*)|(.*))/, (_, odd, name) => ` shop/shop/${odd ?? `public/${name}`}`),
    );
    expect(new Set(touchesOf(shop.plan(sql, { as: 'admin' })))).toEqual(new Set(full));
  });

  it('columns of the context are those read, through aliases, stars, USING and whole rows', () => {
    expect(reasonOf(shop.plan('select id, name from employees', { as: 'plain' }))).toBe('forward');
    for (const sql of [
      'select * from employees',
      'select e from employees e',
      'select e.x from employees as e(a, b, x)',
      'select 1 from employees where salary > 1',
      'select 1 from employees order by salary',
      'select to_json(e) from employees e',
      'select s.salary from (select * from employees) s',
      'select 1 from employees join (select 1 as salary) s using (salary)',
      'select 1 from employees natural join orders',
      'update employees set name = $1 where salary > 1',
      'copy employees to stdout',
      'select e.salaryy(1) from employees e',
    ])
      expect(reasonOf(shop.plan(sql, { as: 'plain' })), sql).not.toBe('forward');
  });

  it('a forbid on a table holds through views and partitions; a missing permit on it does not matter', () => {
    expect(reasonOf(shop.plan('select id from staff', { as: 'plain' }))).toBe('policy-denied');
    const viewOnly = createShop(
      shop.catalog,
      '@id("view") permit (principal, action == Action::"postgres:select", resource == Postgres::Table::"shop/shop/public/staff");' +
        '@id("part") permit (principal, action == Action::"postgres:select", resource == Postgres::Table::"shop/shop/public/events_1");' +
        '@id("no") forbid (principal, action, resource == Postgres::Table::"shop/shop/public/events");',
    );
    expect(reasonOf(viewOnly.plan('select * from staff'))).toBe('forward');
    expect(reasonOf(viewOnly.plan('select * from employees'))).toBe('policy-denied');
    const denied = viewOnly.plan('select * from events_1');
    expect(denied.verdict === 'refuse' && denied.policies).toEqual(['no']);
  });

  it('hasWhere is true only when every place has one', () => {
    expect(reasonOf(shop.plan('delete from orders where id = 1', { as: 'plain' }))).toBe('forward');
    expect(
      reasonOf(
        shop.plan('with a as (delete from orders where id = 1), b as (delete from orders) select 1', { as: 'plain' }),
      ),
    ).toBe('policy-denied');
  });

  it('obligations of all answers come together', () => {
    const plan = only(shop.plan('select id from orders', { as: 'plain' }));
    expect([plan.judged.limits.items, plan.record, plan.policies]).toEqual([100, 'digest', ['plain-read']]);
    expect(only(shop.plan('select id from orders', { as: 'admin' })).record).toBe('full');
    expect(only(shop.plan("alter role x password 'y'", { as: 'admin' })).record).toBe('nothing');
  });

  it('a refused statement is reported with what is known of it, and what came before', () => {
    const plan = shop.plan('select 1; delete from orders', { as: 'plain' });
    expect(plan.statements.map(({ kind, touches }) => [kind, touches.length])).toEqual([
      ['select', 0],
      ['delete', 1],
    ]);
    expect(plan.verdict === 'refuse' && [plan.sqlstate, plan.policies]).toEqual(['42501', ['plain-no-mass-delete']]);
  });
});

describe('an approval that a permit wants', () => {
  const held =
    '@id("a") permit (principal, action, resource); @id("h") @approval("dba") permit (principal, action == Action::"postgres:select", resource == Postgres::Table::"shop/shop/public/customers");';

  it.each([
    'select id from customers',
    'update customers set email = null where id = 1',
    'select * from customer_all',
  ])('is wanted of what reads that table, by whatever name: %s', (sql) => {
    expect(only(createShop(shop.catalog, held).plan(sql)).judged.approvals).toEqual(['dba']);
    expect(only(createShop(shop.catalog, held).plan('select id from orders')).judged.approvals).toEqual([]);
  });
});

describe('masks follow policy', () => {
  const customers = (policies: string) => {
    const made = createShop(shop.catalog, policies);
    return (sql: string) => made.plan(sql);
  };
  it('a permit with a mask and one without: the mask stands', () => {
    const plan = customers(
      '@id("a") permit (principal, action, resource); @id("b") @mask("customers.ssn:last4") permit (principal, action == Action::"postgres:select", resource);',
    );
    expect(only(plan('select ssn from customers')).masks?.columnsMasked).toBe(1);
    expect(reasonOf(plan('select upper(ssn) from customers'))).toBe('masked-column-use');
  });

  it('a mask that only some shapes of the question bring holds for all of them', () => {
    const plan = customers(
      '@id("a") permit (principal, action, resource); @id("b") @mask("customers.ssn:last4") permit (principal, action == Action::"postgres:select", resource) unless { context.hasWhere };',
    );
    expect(only(plan('select ssn from customers where id = 1')).masks?.columnsMasked).toBe(1);
  });

  it('a mask that shows only for the very question asked is applied or refused, never missed', () => {
    const plan = customers(
      '@id("a") permit (principal, action, resource); @id("b") @mask("customers.ssn:last4") permit (principal, action == Action::"postgres:select", resource) unless { context.columns.contains("id") };',
    );
    expect(reasonOf(plan('select ssn from customers'))).toBe('masked-column-use');
  });

  it('a table that may not be read keeps its masks for the views on it', () => {
    const plan = customers(
      '@id("v") permit (principal, action, resource == Postgres::Table::"shop/shop/public/customer_all"); @id("b") @mask("customers.ssn:redact") permit (principal, action == Action::"postgres:select", resource == Postgres::Table::"shop/shop/public/customers") when { context.columns.containsAny(["never"]) };',
    );
    expect(reasonOf(plan('select ssn from customers'))).toBe('policy-denied');
    expect(only(plan('select * from customer_all')).masks?.columnsMasked).toBe(1);
  });

  it('no mask anywhere: rows pass untouched, texts are not withheld, expressions are free', () => {
    const statement = only(shop.plan('select upper(ssn) from customers', { as: 'admin' }));
    expect([statement.masks, statement.withhold, statement.isMasking]).toEqual([undefined, 'nothing', false]);
  });
});
