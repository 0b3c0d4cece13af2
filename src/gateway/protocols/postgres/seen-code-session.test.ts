// Goal: with a mask on a table that they have nothing to do with, migrations and applications use functions, triggers, procedures and DO as without.
import { parseSpiffeId } from '@countersign/sdk/identity';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { composeSchema, identityEntity, loadPolicies } from '../../../policy/index.ts';
import { member } from './index.ts';
import { type AppDatabase, startAppDatabase } from './testing/app-database.ts';
import { startTarget } from './testing/harness.ts';

const POLICIES = `
  @id("all") permit (principal, action, resource);
  @id("mask") @mask("people.ssn:redact") permit (principal, action == Action::"postgres:select", resource);`;

const SEED = `
  alter schema public owner to gate; grant create on database app to gate; set role gate;
  create table people (id int primary key, ssn text, updated_at timestamptz); insert into people values (1, 'CANARY');
  create table audit_log (id serial, of text, at timestamptz default now());
  create function set_updated_at() returns trigger language plpgsql as 'begin new.updated_at := now(); return new; end';
  create function audit() returns trigger language plpgsql as 'begin insert into audit_log (of) values (tg_table_name); return null; end';
  create procedure clean_up() language plpgsql as 'begin create temp table old_ones as select id from people; commit; set work_mem = 4096; end';
  create function count_all(of text) returns int language plpgsql as 'declare n int; begin execute format($$select count(*) from %I$$, of) into n; return n; end';
  create table visits (id int, updated_at timestamptz); create trigger updated before update on visits for each row execute function set_updated_at(); reset role;`;

let server: AppDatabase;
let gate: Awaited<ReturnType<typeof startTarget>>;

beforeAll(async () => {
  server = await startAppDatabase(SEED);
  const compiled = loadPolicies([{ name: 'test', text: POLICIES }], composeSchema([member.policySchema]));
  const principal = identityEntity(parseSpiffeId('spiffe://example.org/web'));
  gate = await startTarget({
    ...server.target,
    policy: {
      principalKey: principal.id,
      decide: (action, resource, context) => compiled.decide({ principal, action, resource, context }),
      potentialMasks: () => compiled.maskBearing(principal),
    },
  });
});
afterAll(async () => {
  await gate?.close();
  await server?.stop();
});

async function connected<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ port: gate.port, host: '127.0.0.1', user: 'web', database: 'app' });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

const rowsOf = async (client: pg.Client, text: string, values?: unknown[]) => (await client.query(text, values)).rows;

it('a migration in one transaction, and what stands on it', async () => {
  await connected(async (client) => {
    for (const text of [
      'begin',
      'create table orders (id int primary key, note text not null, changes int default 0)',
      'create table log (id serial, line text)',
      'create function counted() returns trigger language plpgsql as $$ begin new.changes := old.changes + 1; return new; end $$',
      'create trigger counted before update on orders for each row execute function counted()',
      `create function logged(line text) returns text language plpgsql as $$ declare r record; begin
         for r in select id from orders loop insert into log (line) values (line || r.id); end loop; return line; end $$`,
      'create function either(a text, b text default logged($$b$$)) returns text language sql as $$ select coalesce(a, b) $$',
      "insert into orders values (1, 'x')",
      "update orders set note = 'y' where id = 1",
      "select logged('first '), either(null)",
      'commit',
    ])
      await client.query(text);
    expect(await rowsOf(client, 'select changes from orders')).toEqual([{ changes: 1 }]);
  });
  await connected(async (client) => {
    expect(await rowsOf(client, 'update orders set note = $1 returning changes', ['z'])).toEqual([{ changes: 2 }]);
    expect(await rowsOf(client, 'select logged($1) as l', ['later '])).toEqual([{ l: 'later ' }]);
    expect(await rowsOf(client, 'select line from log order by id')).toEqual(
      ['first 1', 'b1', 'later 1'].map((line) => ({ line })),
    );
    expect(await rowsOf(client, 'select ssn from people')).toEqual([{ ssn: '[redacted]' }]);
  });
});

it('functions of triggers are used by several tables', async () => {
  await connected(async (client) => {
    await client.query(
      'begin; create table items (id int primary key, title text, search tsvector, updated_at timestamptz)',
    );
    for (const made of [
      'create trigger updated before update on items for each row execute function set_updated_at()',
      'create trigger audited after insert or update on items for each row execute function audit()',
      "create trigger search before insert or update on items for each row execute function tsvector_update_trigger(search, 'pg_catalog.english', title)",
      'create trigger same before update on items for each row execute function suppress_redundant_updates_trigger()',
    ])
      await client.query(made);
    await client.query(
      "commit; insert into items values (1, 'The foxes'); update items set title = 'A fox' where id = 1",
    );
    expect(await rowsOf(client, 'select search::text, updated_at is null as never from items')).toEqual([
      { search: "'fox':2", never: false },
    ]);
    expect(await rowsOf(client, 'select count(*)::int from audit_log')).toEqual([{ count: 2 }]);
  });
});

it('functions are altered, granted, replaced and dropped', async () => {
  await connected(async (client) => {
    for (const text of [
      'create schema util',
      'create function slug(t text) returns text language sql immutable as $$ select lower(t) $$',
      'alter function slug(text) owner to gate',
      'alter function slug(text) set search_path = public',
      'alter function slug(text) strict cost 10',
      'grant execute on function slug(text) to public',
      'revoke all on function slug(text) from public',
      "create or replace function slug(t text) returns text language sql immutable as $$ select replace(lower(t), ' ', '-') $$",
      'alter function slug(text) rename to slugged',
      'alter function slugged(text) set schema util',
    ])
      await client.query(text);
    expect(await rowsOf(client, "select util.slugged('A b') as s")).toEqual([{ s: 'a-b' }]);
    await client.query('drop function util.slugged(text); drop schema util');
    await expect(client.query("select util.slugged('A b')")).rejects.toMatchObject({ code: '42883' });
  });
});

it('blocks and procedures write to tables that hold nothing masked', async () => {
  await connected(async (client) => {
    await client.query('create table stock (id int primary key, amount int not null check (amount >= 0), kind text)');
    await client.query(`do $$
      declare n int := 0; r record;
      begin
        insert into stock select g, g * 10, 'new' from generate_series(1, 3) g on conflict (id) do update set amount = excluded.amount;
        for r in select id, amount from stock order by id loop
          if r.amount > 15 then update only stock set kind = 'much' where id = r.id; else continue; end if;
          n := n + 1;
        end loop;
        begin
          update stock set amount = -1 where id = 1;
        exception when check_violation then raise notice 'kept %', n;
        end;
        delete from stock as s where s.id = 3;
        if not found then raise exception 'none'; end if;
      end $$`);
    expect(await rowsOf(client, 'select * from stock order by id')).toEqual([
      { id: 1, amount: 10, kind: 'new' },
      { id: 2, amount: 20, kind: 'much' },
    ]);
    await client.query(`create procedure take(wanted int, inout left_over int default 0) language plpgsql as $$ begin
      update stock set amount = amount - wanted where id = 2 returning amount into strict left_over; end $$`);
    expect(await rowsOf(client, 'call take(5)')).toEqual([{ left_over: 15 }]);
    await expect(client.query('call take(50)')).rejects.toMatchObject({
      code: '23514',
      detail: 'Failing row contains (2, -35, much).',
    });
  });
});

it('one transaction makes tables of every kind, and code for them', async () => {
  await connected(async (client) => {
    for (const text of [
      'begin',
      'create table days (id int not null, day date not null, total int) partition by range (day)',
      "create table days_2030 partition of days for values from ('2030-01-01') to ('2031-01-01')",
      'create unique index on days_2030 (id)',
      'create table copied as select * from days',
      'alter table copied add primary key (id)',
      'create table alike (like copied including all)',
      'alter table alike rename to likewise',
      'alter table likewise add column note text default lower($$NONE$$)',
      'create view recent as select * from days where total > 1',
      'alter view recent owner to gate',
      'create temp table kept as select 1 as id',
      `create function spread() returns trigger language plpgsql as $$ begin
         insert into copied select new.id, new.day, new.total on conflict do nothing;
         insert into likewise (id, day) values (new.id, new.day); return null; end $$`,
      'create trigger spread after insert on days for each row execute function spread()',
      'create trigger spread_too after update on copied for each row execute function spread()',
      "do $$ begin insert into days values (1, '2030-05-05', 2); update kept set id = 3; end $$",
      'commit',
    ])
      await client.query(text);
    expect(await rowsOf(client, 'select id, note from likewise')).toEqual([{ id: 1, note: 'none' }]);
    expect(await rowsOf(client, 'select count(*)::int from recent, copied, kept')).toEqual([{ count: 1 }]);
  });
});

it('what code says is read', async () => {
  await connected(async (client) => {
    const notices: string[] = [];
    client.on('notice', ({ message }) => void notices.push(message ?? ''));
    await client.query("do $$ begin for n in 1..2 loop raise notice 'step %', n; end loop; end $$");
    expect(notices).toEqual(['step 1', 'step 2']);
    await client.query(
      "create procedure refuse(inout a int) language plpgsql as $$ begin if a > 3 then raise exception 'not %', a using hint = 'less'; end if; a := a + 1; end $$",
    );
    expect(await rowsOf(client, 'call refuse(1)')).toEqual([{ a: 2 }]);
    await expect(client.query('call refuse(7)')).rejects.toMatchObject({
      message: 'not 7',
      hint: 'less',
      code: 'P0001',
    });
    await client.query('drop procedure refuse');
    await expect(client.query('call refuse(1)')).rejects.toMatchObject({ code: '42883' });
  });
});

it('what is rolled back is gone, and what is replaced is judged by what it is now', async () => {
  await connected(async (client) => {
    await client.query('begin; create function brief() returns int language sql as $$ select 1 $$');
    expect(await rowsOf(client, 'select brief() as b')).toEqual([{ b: 1 }]);
    await client.query('rollback');
    await expect(client.query('select brief()')).rejects.toMatchObject({ code: '42883' });
    await client.query('create function brief() returns text language sql as $$ select null::text $$');
    await expect(
      client.query('create or replace function brief() returns text language sql as $$ select ssn from people $$'),
    ).rejects.toMatchObject({ code: '42501' });
    expect(await rowsOf(client, 'select brief() as b')).toEqual([{ b: null }]);
    // Whoever may, beside the gateway.
    const replaced = 'create or replace function brief() returns text language sql as $$ select ssn from people $$';
    await server.query(replaced, [], 'app');
    await client.query('create table fresh (id int)'); // With it comes a snapshot.
    await expect(client.query('select brief()')).rejects.toMatchObject({ code: '42501' });
  });
});
