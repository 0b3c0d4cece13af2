// Goal: code whose text can be read runs while columns are masked, as long as it names nothing that could show a masked value. Each attack is run without
// a gateway as well, to see that it would show one.
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applySessionEffects, noSessionFacts, type SessionFacts } from './index.ts';
import { inSession, only, reasonOf, touchesOf } from './testing/plans.ts';
import { createShop, readCatalog, type Shop, type ShopServer, startShopServer } from './testing/shop.ts';

const LONG = `c${'u'.repeat(62)}`;
const SEED = `
  create table customers (id int primary key, name text, ssn text not null check (length(ssn) < 30));
  create table customers_old () inherits (customers);
  create table people (id int primary key, name text); create table staff (badge text) inherits (people);
  create table events (id int, ssn text) partition by range (id); create table events_1 partition of events for values from (0) to (9);
  create view shown as select id, ssn as number from customers; create view names as select id, name from customers;
  create materialized view kept as select id, ssn from customers;
  create table orders (id int primary key, note text, updated_at timestamptz);
  create table notes (id int, note text);
  create table shops (id int primary key, name text);
  create table clerks (id int primary key, shop int references shops on update cascade, ssn text not null check (shop < 100));
  create table towns (id int primary key, name text); create table clerks_2 (id int, town int references towns, ssn text);
  create function leak() returns text language sql as 'select ssn from customers limit 1';
  create function leak_in(int) returns text language plpgsql as 'begin return (select ssn from customers limit 1); end';
  create function leak_row(notes) returns text language sql as 'select ssn from customers limit 1';
  create function calls_leak() returns text language sql as 'select leak()';
  create function ping(n int) returns text language plpgsql as 'begin if n > 5 then return leak(); end if; return pong(n + 1); end';
  create function pong(n int) returns text language plpgsql as 'begin return ping(n + 1); end';
  create function bounce(n int, m text) returns text language plpgsql as 'begin if n = 0 then return m; end if; return about(n - 1, m); end';
  create function about(n int, m text) returns text language plpgsql as 'begin return bounce(n, m); end';
  create function calls_late() returns text language plpgsql as 'begin return late_one(); end';
  create function op_late(int, int) returns text language plpgsql as 'begin return late_one(); end';
  create function on_late() returns trigger language plpgsql as 'begin perform late_one(); return new; end';
  create table lated (id int); create trigger l before insert on lated for each row execute function on_late();
  create function told(sql text) returns text language plpgsql as 'declare x text; begin execute sql into x; return x; end';
  create function atomic() returns text language sql begin atomic select ssn from customers limit 1; end;
  create function by_default(a text default leak()) returns text language sql as 'select a';
  create function unquoted() returns text language sql set standard_conforming_strings = off as $$ select '\\'' || (select ssn from customers limit 1) --' $$;
  create function op_leak(int, int) returns text language sql as 'select ssn from customers limit 1';
  create function op_plain(int, int) returns text language sql as 'select null::text';
  create function into_sum(a text, b int) returns text language sql as 'select coalesce(a, (select ssn from customers limit 1))';
  create function into_max(a int, b int) returns int language sql as 'select greatest(a, b)';
  create function trap() returns trigger language plpgsql as $$ begin raise exception '%', (select ssn from customers limit 1); end $$;
  create type pair as (a int, b text); create domain small as int check (value < 10);
  create schema other; create function other.again() returns text language sql as 'select ssn from public.customers limit 1';
  create function again() returns text language sql as $$ select 'nothing' $$;
  create schema late;
  create table "Odd ""name" (ssn text); create table ${LONG} (ssn text);
  insert into customers values (1, 'Ann', 'CANARY-1111'); insert into customers_old values (2, 'Old', 'CANARY-old');
  insert into events values (1, 'CANARY-event'); insert into "Odd ""name" values ('CANARY-odd'); insert into ${LONG} values ('CANARY-long');
  insert into shops values (1, 'one'); insert into clerks values (1, 1, 'CANARY-clerk'); insert into orders values (1, 'o'); insert into notes values (1, 'n');
  insert into towns values (1, 'one'); refresh materialized view kept; insert into people values (1, 'p'); insert into staff values (2, 's', 'b');
  analyze;`;
const POLICIES = `
  @id("mask") @mask("ssn:redact") permit (principal == Identity::"spiffe://example.org/web", action == Action::"postgres:select", resource);
  @id("more") permit (principal == Identity::"spiffe://example.org/web", action, resource);
  @id("reader") @mask("ssn:redact") permit (principal == Identity::"spiffe://example.org/reader", action in [Action::"postgres:read", Action::"postgres:write"], resource);`;

let started: ShopServer;
let client: pg.Client;
let shop: Shop;
const notices: string[] = [];

beforeAll(async () => {
  started = await startShopServer(SEED);
  client = started.client;
  client.on('notice', ({ message }) => void notices.push(message ?? ''));
  shop = createShop(started.catalog, POLICIES);
});
afterAll(() => started?.stop());

const SSN = '(select ssn from customers limit 1)';
const block = (body: string, declared = '') => `do $b$ ${declared} begin ${body} end $b$`;
const sqlFunction = (body: string) => `create function f() returns text language sql as $f$ ${body} $f$`;
const plFunction = (body: string, declared = '') =>
  `create function f() returns text language plpgsql as $f$ ${declared} begin ${body} end $f$`;
const fAndCall = (definition: string) => [definition, 'select f()'];

/** Runs them without a gateway; all that came back, errors and notices with it. */
async function without(statements: readonly string[]): Promise<string> {
  notices.length = 0;
  const seen: unknown[] = [];
  await client.query('begin');
  for (const sql of statements)
    try {
      const answers = await client.query(sql);
      seen.push([answers].flat().map(({ rows }) => rows));
    } catch (error) {
      seen.push(Object.entries(Object(error)), String(error));
      break;
    }
  await client.query('rollback');
  return JSON.stringify([seen, notices]);
}

describe('code that could show a masked value is refused', () => {
  const attacks: readonly (readonly [string, readonly string[]])[] = [
    ['a function that names the table', fAndCall(sqlFunction(`select ssn from customers`))],
    ['in capitals', fAndCall(sqlFunction(`SELECT SSN FROM PUBLIC.CUSTOMERS`))],
    ['in quotes', fAndCall(sqlFunction(`select "ssn" from "customers"`))],
    ['with quotes in quotes', fAndCall(sqlFunction(`select ssn from "Odd ""name"`))],
    ['by code points', fAndCall(sqlFunction(String.raw`select ssn from U&"\0063ustomers"`))],
    ['by code points of its own sign', fAndCall(sqlFunction(`select ssn from U&"!0063ustomers" uescape '!'`))],
    ['cut to 63 bytes', fAndCall(sqlFunction(`select ssn from ${LONG}xyz`))],
    ['cut to 63 bytes, in quotes', fAndCall(sqlFunction(`select ssn from "${LONG}xyz"`))],
    ['behind a comment in a comment', fAndCall(sqlFunction(`/* /* */ ' */ select ssn from customers --'`))],
    ['behind an operator and a comment', fAndCall(sqlFunction(`select 1 -/**/1 || ssn from customers`))],
    ['behind an escaped quote', fAndCall(sqlFunction(String.raw`select E'\'' || ssn || '' from customers`))],
    [
      'behind a backslash that escapes nothing',
      fAndCall(sqlFunction(String.raw`select '\' || ssn || '' from customers`)),
    ],
    [
      'behind a string that goes on with its backslashes',
      fAndCall(sqlFunction(`select E'a'\n'\\'' || ${SSN} || E'\\''`)),
    ],
    ['behind a tag that is none', fAndCall(sqlFunction(`select a$x$ from (select ssn as a$x$ from customers) y`))],
    ['a child by its own name', fAndCall(sqlFunction('select ssn from customers_old'))],
    ['a partition by its own name', fAndCall(sqlFunction('select ssn from events_1'))],
    ['a view', fAndCall(sqlFunction('select number from shown'))],
    ['a materialized view', fAndCall(sqlFunction('select ssn from kept'))],
    ['TABLE', fAndCall(plFunction('return (select t::text from (table customers) t limit 1);'))],
    [
      'the row type',
      fAndCall(plFunction(`select * into c from customers; return c.ssn;`, 'declare c customers%rowtype;')),
    ],
    ['PL/pgSQL', fAndCall(plFunction(`return ${SSN};`))],
    [
      'a loop',
      fAndCall(plFunction(`for r in select * from customers loop return r.ssn; end loop;`, 'declare r record;')),
    ],
    [
      'a cursor of its own',
      fAndCall(
        plFunction(`open c; fetch c into x; return x;`, 'declare x text; c cursor for select ssn from customers;'),
      ),
    ],
    ['EXECUTE', fAndCall(plFunction(`execute 'select ssn from custo' || 'mers' into x; return x;`, 'declare x text;'))],
    [
      'EXECUTE in capitals with a comment',
      fAndCall(plFunction(`EXECUTE/**/'select ssn from custo' || 'mers' into x; return x;`, 'declare x text;')),
    ],
    [
      'RETURN QUERY EXECUTE',
      [
        `create function f() returns setof text language plpgsql as $$ begin return query execute 'select ssn from custo' || 'mers'; end $$`,
        'select f()',
      ],
    ],
    [
      'FOR IN EXECUTE',
      fAndCall(
        plFunction(`for x in execute 'select ssn from custo' || 'mers' loop return x; end loop;`, 'declare x text;'),
      ),
    ],
    [
      'OPEN FOR EXECUTE',
      fAndCall(
        plFunction(
          `open c for execute 'select ssn from custo' || 'mers'; fetch c into x; return x;`,
          'declare x text; c refcursor;',
        ),
      ),
    ],
    [
      'a prepared statement of the session',
      [
        `prepare p as select 1`,
        fAndCall(plFunction(`execute 'execute p'; return null;`))[0] ?? '',
        'select f(), leak()',
      ],
    ],
    [
      'SQL in a string, by a builtin',
      fAndCall(sqlFunction(`select query_to_xml('select ssn from custo' || 'mers', true, true, '')::text`)),
    ],
    [
      'a table in a string',
      fAndCall(sqlFunction(`select table_to_xml(('custo' || 'mers')::regclass, true, true, '')::text`)),
    ],
    [
      'SQL in a string, by an attribute',
      fAndCall(
        sqlFunction(`select string_agg(x.w::text, ' ') from (select (y.q).ts_stat as w
        from (select 'select to_tsvector(''simple'', ssn) from custo' || 'mers' as q) y) x`),
      ),
    ],
    [
      'a session cursor over masked rows',
      [
        'declare c cursor for select ssn from customers',
        fAndCall(plFunction(`fetch c into x; return x;`, `declare x text; c refcursor := 'c';`))[0] ?? '',
        'select f()',
      ],
    ],
    [
      'a cursor in XML',
      [
        'declare c cursor for select ssn from customers',
        fAndCall(sqlFunction(`select cursor_to_xml('c', 1, true, true, '')::text`))[0] ?? '',
        'select f()',
      ],
    ],
    ['a function of the DBA', ['select leak()']],
    ['a function that calls one', ['select calls_leak()']],
    ['functions that call each other', ['select ping(1)']],
    ['a new function that calls one', fAndCall(sqlFunction('select leak()'))],
    ['a new function that calls one in quotes', fAndCall(sqlFunction('select "leak"()'))],
    ['an attribute that is one', fAndCall(sqlFunction('select n.leak_row from notes n'))],
    ['an attribute of a value', fAndCall(sqlFunction('select (1).leak_in'))],
    ['one with the same name in another schema', ['set search_path to other, public', 'select again()']],
    [
      'a path of its own',
      ['create function f() returns text language sql set search_path = other as $$ select again() $$', 'select f()'],
    ],
    ['a function that runs what it is told', ["select told('select ssn from customers')"]],
    ['standard SQL, bound when it was made', ['select atomic()']],
    [
      'standard SQL, made now',
      ['create function f() returns text begin atomic select ssn from customers limit 1; end', 'select f()'],
    ],
    ['standard SQL with RETURN', [`create function f() returns text return ${SSN}`, 'select f()']],
    ['a default of an argument', ['select by_default()']],
    [
      'a default of a new function',
      ['create function f(a text default leak()) returns text language sql as $$ select a $$', 'select f()'],
    ],
    [
      'a default of a new function, of a query in it',
      [`create function f(a text default leak_in(1)) returns text language sql as $$ select a $$`, 'select f()'],
    ],
    ['strings that end elsewhere', ['select unquoted()']],
    [
      'a nested function',
      fAndCall(
        plFunction(
          `create function pg_temp.g() returns text language sql as 'select ssn from public.custo${''}mers'; return pg_temp.g();`,
        ),
      ),
    ],
    ['a nested block', fAndCall(plFunction(`do $x$ begin raise notice '%', ${SSN}; end $x$; return null;`))],
    [
      'a masked table that its key changes, whose error is caught',
      fAndCall(
        plFunction(
          `update shops set id = 500; return null; exception when others then get stacked diagnostics d = pg_exception_detail; return d;`,
          'declare d text;',
        ),
      ),
    ],
    ['statistics', fAndCall(sqlFunction(`select string_agg(x::text, '') from pg_catalog.pg_stats x`))],
    [
      'samples of the values',
      fAndCall(sqlFunction('select string_agg(stavalues1::text, $$$$) from pg_statistic'.replaceAll('$$$$', "','"))),
    ],
    [
      'texts of others',
      [
        `select 'CANARY'`,
        fAndCall(sqlFunction(`select query || 'CANARY' from pg_stat_activity limit 1`))[0] ?? '',
        'select f()',
      ],
    ],
    ['DO that says it', [block(`raise notice '%', ${SSN};`)]],
    [
      'DO that is told what to run',
      [block(`execute 'do $x$ begin raise notice ''%'', (select ssn from custo' || 'mers limit 1); end $x$';`)],
    ],
    ['DO that calls', [block(`raise notice '%', leak();`)]],
    ['DO with a declaration', [block(`raise notice '%', x;`, `declare x text := ${SSN};`)]],
    ['DO that sets the path', [block(`set search_path to other; raise notice '%', again();`)]],
    ['a procedure', [`create procedure p() language plpgsql as $$ begin raise notice '%', ${SSN}; end $$`, 'call p()']],
    [
      'a procedure with a result',
      [`create procedure p(inout x text) language plpgsql as $$ begin x := ${SSN}; end $$`, 'call p(null)'],
    ],
    [
      'a trigger that reads it',
      [
        `create function f() returns trigger language plpgsql as $$ begin new.note := ${SSN}; return new; end $$`,
        'create trigger t before insert on notes for each row execute function f()',
        'insert into notes values (2) returning note',
      ],
    ],
    [
      'a condition of a trigger',
      [
        'create function f() returns trigger language plpgsql as $$ begin return new; end $$',
        `create trigger t before insert on notes for each row when (leak() > 'Z') execute function f()`,
        `insert into notes values (2)`,
        'select leak()',
      ],
    ],
    [
      'a trigger on the table',
      [
        `create function f() returns trigger language plpgsql as $$ begin raise notice '%', new.ssn; return new; end $$`,
        'create trigger t before update on customers for each row execute function f()',
        'update customers set name = name',
      ],
    ],
    [
      'a trigger on a child of it',
      [
        `create function f() returns trigger language plpgsql as $$ begin raise notice '%', new.ssn; return new; end $$`,
        'create trigger t before update on customers_old for each row execute function f()',
        'update customers set name = name',
      ],
    ],
    [
      'a trigger on a partition',
      [
        `create function f() returns trigger language plpgsql as $$ begin raise notice '%', new; return new; end $$`,
        'create trigger t before update on events_1 for each row execute function f()',
        'update events set id = id',
      ],
    ],
    [
      'a trigger of a view over it',
      [
        `create function f() returns trigger language plpgsql as $$ begin raise notice '%', new; return new; end $$`,
        'create trigger t instead of update on shown for each row execute function f()',
        'update shown set id = id',
      ],
    ],
    [
      'rows of a statement on it',
      [
        `create function f() returns trigger language plpgsql as $$ begin raise notice '%', (select n.ssn from n limit 1); return null; end $$`,
        'create trigger t after update on customers referencing new table as n for each statement execute function f()',
        'update customers set name = name',
      ],
    ],
    [
      'an argument',
      ['create function f(a text) returns text language sql as $$ select a $$', 'select f(ssn) from customers'],
    ],
    [
      'an argument that is the row',
      [
        'create function f(a record) returns text language plpgsql as $$ begin return a::text; end $$',
        'select f(c) from customers c',
      ],
    ],
    [
      'an attribute of the row',
      [
        'create function f(a customers) returns text language plpgsql as $$ begin return a::text; end $$',
        'select c.f from customers c',
      ],
    ],
    [
      'any element',
      [
        'create function f(a anyelement) returns text language plpgsql as $$ begin return a::text; end $$',
        'select f(c) from customers c',
      ],
    ],
    ['a view that calls', ['create view v as select leak() as l', 'select * from v']],
    ['a default that calls', ['create table t (a int, b text default leak())', 'insert into t values (1) returning b']],
  ];

  it.each(attacks)('%s', async (_, statements) => {
    expect(await without(statements)).toMatch(/CANARY/i);
    const plans = inSession(shop, statements, 'web');
    expect(plans.map(reasonOf).filter((reason) => reason !== 'forward')).not.toEqual([]);
  });

  it.each([
    ['a search path', "perform set_config('search_path', 'other', false);"],
    ['a role', 'set role postgres;'],
    ['a setting', 'set local work_mem = 100;'],
    ['a setting behind THEN', 'if true then set search_path to other; end if;'],
    ['a setting behind a label', '<<a>> begin set search_path to other; end;'],
    ['RESET', 'reset all;'],
    ['DISCARD', 'discard plans;'],
    ['COMMIT', 'commit;'],
    ['ROLLBACK', 'rollback;'],
    ['a copy', "copy notes to '/tmp/x';"],
    ['a table', 'perform 1; create table t (a int);'],
    ['DROP', 'perform 1; drop table notes;'],
    ['ALTER', 'perform 1; alter table notes add x int;'],
    ['GRANT', 'perform 1; grant select on notes to public;'],
    ['a library', "load 'x';"],
    ['a label', "security label on table notes is 'x';"],
    ['a foreign schema', 'import foreign schema x from server y into z;'],
    ['CLOSE', 'close c;'],
    ['MOVE', 'move next from c;'],
    ['its own text', 'perform current_query();'],
    ['cursors of the session', 'perform 1 from pg_cursors;'],
    ['statements of the session', 'perform 1 from pg_prepared_statements;'],
    ['what only the session has', 'perform pg_temp.f();'],
    ['a value in several rows', 'perform 1 from pg_toast.pg_toast_1;'],
    ['a large object', 'perform lo_get(1);'],
    ['a type named in a string', "perform pg_input_is_valid('1', 'small');"],
    ['a number that runs into a name', 'perform 1 from (select 1customers) x;'],
  ])('a block that touches the session or the catalog is refused: %s', (_, body) => {
    expect(reasonOf(shop.plan(block(body)))).toBe('masked-ddl');
  });

  it.each([
    'create function f() returns text language c as $$x$$, $$y$$',
    "create function f() returns text language internal as 'pg_read_file'",
    "create function f() returns text language plpython3u as 'return 1'",
    "create function f() returns text as 'select 1'",
    "create function f(internal) returns internal language sql as 'select null' support g",
    "create function f() returns int language sql window as 'select 1'",
    "create function f() returns int language sql transform for type hstore as 'select 1'",
    "create function f() returns int language sql set role = postgres as 'select 1'",
    "create function f() returns int language sql set session_replication_role = replica as 'select 1'",
    "create function f() returns int language sql set standard_conforming_strings = off as 'select 1'",
    "create function pg_temp.f() returns int language sql as 'select 1'",
    "create function pg_catalog.f() returns int language sql as 'select 1'",
    "create function f() returns setof customers language sql as 'select null'",
    "create function f(a customers.ssn%type) returns int language sql as 'select 1'",
    "create function f() returns table (a customers) language sql as 'select null'",
    'create domain d as text check (about(1, value) is null)',
    "create function f() returns int language sql as 'select 1 into t'",
    "create function f() returns int language sql as 'declare c cursor for select 1'",
    `create function f() returns int language sql as 'select ${'1+'.repeat(40_000)}1'`,
  ])('a function that nobody here can read is not made: %s', (sql) => {
    expect(reasonOf(shop.plan(sql))).toBe('masked-ddl');
  });
});

describe('code that names nothing masked passes', () => {
  const migration = [
    'create function touched() returns trigger language plpgsql as $$ begin new.updated_at = now(); return new; end $$',
    'create trigger touched before insert or update on orders for each row execute function touched()',
    "insert into orders values (7, 'x') returning updated_at",
  ];

  it('a migration, and what stands on it later', async () => {
    expect(inSession(shop, ['begin', ...migration, 'commit'], 'web').map(reasonOf)).toEqual(Array(5).fill('forward'));
    for (const sql of migration) await client.query(sql);
    const later = createShop(await readCatalog(client, 1), POLICIES);
    for (const sql of migration.map((one) => one.replace('create ', 'create or replace '))) {
      const plan = later.plan(sql);
      expect(reasonOf(plan)).toBe('forward');
      expect(only(plan).withhold).toBe('nothing');
    }
    await client.query('drop function touched cascade; delete from orders where id = 7');
  });

  it('a function made in the transaction is called in it, and no longer once that is undone', () => {
    const made = "create function f(a int) returns int language plpgsql as 'begin return a; end'";
    expect(inSession(shop, ['begin', made, 'select f(1)', 'rollback', 'select f(1)'], 'web').map(reasonOf)).toEqual([
      ...['forward', 'forward', 'forward', 'forward', 'unknown-function'],
    ]);
    expect(touchesOf(inSession(shop, [made, 'select f(1)'], 'web')[1] ?? shop.plan(''))).toContain(
      'postgres:call shop/shop/public/f',
    );
    expect(reasonOf(shop.plan(`${made}; select f(1); create table t (a int default f(1))`))).toBe('forward');
  });

  it('two functions made in the transaction that call each other', () => {
    const [ping, pong] = ['ping2', 'pong2'].map(
      (name, index, all) =>
        `create function ${name}(n int) returns int language plpgsql as 'begin return ${all[1 - index]}(n); end'`,
    );
    expect(inSession(shop, [ping ?? '', pong ?? '', 'select ping2(1)'], 'web').map(reasonOf)).toEqual([
      ...['forward', 'forward', 'forward'],
    ]);
  });

  it.each([
    'select bounce(3, $$x$$), about(2, $$y$$)',
    'select again()',
    'create view v as select again() as a',
    'create table t (a int, b text default again())',
    block("raise notice 'hello %', 1;"),
    block("insert into notes values (3, 'x'); if found then update notes set note = 'y' where id = 3; end if;"),
    block(
      `for r in select id, note from notes order by id limit 3 loop n := n + r.id; perform about(1, 'x'); end loop;`,
      'declare r record; n int := 0;',
    ),
    block(
      `begin insert into notes values (1, 'x'); exception when unique_violation then raise notice 'there'; when others then get stacked diagnostics d = message_text; raise; end;`,
      'declare d text;',
    ),
    block("insert into notes values (1, 'x') on conflict do nothing;"),
    block('perform id from orders for update;'),
    block("if exists (select from pg_class where relname = 'x') then null; end if;"),
    block(
      'x := 1; case x when 1 then null; else null; end case; while x < 5 loop x := x + 1; exit when x = 3; end loop;',
      'declare x small; y pair;',
    ),
    block("delete from towns where name = 'x'; update towns set name = 'y';"),
    block('perform id, name from people; perform name from shops;'),
    block('for r in c loop null; end loop;', 'declare c cursor for select id from notes; r record;'),
    `create function f() returns setof orders language sql stable strict security definer set search_path = public, pg_temp as $$ select * from orders $$`,
    `create procedure p(a int, inout b text) language plpgsql as $$ begin b := a::text; insert into notes values (a, b); end $$`,
    `create function f(a int default 1, variadic b text[] default '{}') returns table (c int, d text) language plpgsql as $$ begin return query select id, note from notes; end $$`,
  ])('%s', async (sql) => {
    const plan = shop.plan(sql);
    expect(reasonOf(plan)).toBe('forward');
    expect(only(plan).isMasking).toBe(true);
    expect(only(plan).withhold).toBe('nothing');
    await client.query('begin');
    await client.query(sql);
    await client.query('rollback');
  });

  it('policy is asked as without masks', () => {
    expect(touchesOf(shop.plan('select again()'))).toEqual(['postgres:call shop/shop/public/again']);
    expect(reasonOf(shop.plan('select again()', { as: 'reader' }))).toBe('policy-denied');
    expect(reasonOf(shop.plan(block('null;'), { as: 'reader' }))).toBe('policy-denied');
    expect(reasonOf(shop.plan(plFunction('return null;'), { as: 'reader' }))).toBe('policy-denied');
    expect(touchesOf(shop.plan(block('null;')))).toEqual([
      ...['postgres:ddl shop/shop', 'postgres:call shop/shop/pg_catalog/plpgsql'],
    ]);
  });

  it('what it says where masked rows are touched besides is withheld', () => {
    expect(only(shop.plan('select about(1, name) from customers')).withhold).toBe('values');
  });
});

it('what only the session has is not what has its name elsewhere', () => {
  const made = 'create function f() returns trigger language plpgsql as $$ begin return new; end $$';
  const trigger = (name: string) => `create trigger t before insert on notes for each row execute function ${name}()`;
  const reasons = (...texts: string[]) => inSession(shop, texts, 'web').map(reasonOf);
  expect(reasons(made, trigger('f'), trigger('pg_temp.f'))).toEqual(['forward', 'forward', 'masked-ddl']);
  expect(reasons(made, 'select f()', 'select pg_temp.f()')).toEqual(['forward', 'forward', 'unproven-function']);
});

it('what the session has made, and nobody can read, is not called by what was proven before', () => {
  const session = { ...noSessionFacts, createdNames: new Map([['function late_one', undefined]]) };
  const cached = createShop(shop.catalog, POLICIES, 1 << 20);
  expect(reasonOf(cached.plan('select calls_late()'))).toBe('forward');
  expect(reasonOf(cached.plan('select calls_late()', { session }))).toBe('unproven-function');
  expect(reasonOf(cached.plan('select late_one()', { session }))).toBe('unknown-function');
  expect(only(cached.plan('insert into lated values (1)')).withhold).toBe('nothing');
  expect(only(cached.plan('insert into lated values (1)', { session })).withhold).toBe('values');
});

it('what is undone in a transaction is judged as it was before', () => {
  let session: SessionFacts = noSessionFacts;
  const plan = (sql: string) => {
    const made = shop.plan(sql, { session });
    if (made.verdict === 'forward')
      for (const { effects } of made.statements) session = applySessionEffects(session, effects);
    return reasonOf(made);
  };
  const f = (body: string) => `create or replace function f() returns text language sql as '${body}'`;
  expect(['begin', f('select null::text'), 'savepoint s', 'select f()'].map(plan)).toEqual(Array(4).fill('forward'));
  expect(plan(f('select ssn from customers'))).toBe('masked-ddl');
  expect(['rollback to s', 'select f()', 'release s', 'rollback'].map(plan)).toEqual(Array(4).fill('forward'));
  expect(plan('select f()')).toBe('unknown-function');
});
