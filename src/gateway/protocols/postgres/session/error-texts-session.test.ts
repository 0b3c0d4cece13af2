// Goal: with masks in force a client reads what PostgreSQL says, but never a masked value, whoever brings it into a message: the server, a
// trigger, a domain, a row policy, an event trigger; at once, at the end of a pipeline or of the transaction.
import pg from 'pg';
import { serialize } from 'pg-protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../../../../../test/support/eventually.ts';
import { bind, execute, message, openRawClient, parse, sync } from '../../../../../test/support/raw-session.ts';
import { type AppDatabase, startAppDatabase } from '../testing/app-database.ts';
import { cedarPolicy } from '../testing/cedar-policy.ts';
import { kinds, startTarget } from '../testing/harness.ts';

const POLICIES = `
  @id("all") permit (principal, action, resource);
  @id("mask") @mask("people.ssn:redact, people.pin:redact") permit (principal, action == Action::"postgres:select", resource);`;

/** `tell()` says the first masked value in every field that RAISE can set, by the SQLSTATE of a broken key. */
const SEED = `
  create table people (id int primary key, name text not null, ssn varchar(20) unique, pin text check (length(pin) < 12),
    ref int references people, exclude using btree (pin with =));
  insert into people values (1, 'Ann', 'CANARY-1', 'CANARY-2'), (2, 'Bob', 'CANARY-3', 'CANARY-4');
  create table notes (id int primary key, body varchar(5) not null, number int check (number > 0));
  insert into notes values (1, 'one', 1);
  create table refers (id int primary key, note int references notes);
  insert into refers values (1, 1);
  create function tell() returns text language plpgsql security definer as $$ declare v text; begin
    select ssn into v from public.people where id = 1;
    raise exception using errcode = '23505', message = v, detail = v, hint = v, constraint = v, column = v, table = v,
      schema = v, datatype = v; end $$;
  create function cast_it() returns boolean language plpgsql security definer as $$ begin
    return (select ssn::int from public.people where id = 1) > 0; end $$;
  create function run_it() returns boolean language plpgsql security definer as $$ begin
    execute 'select 1 from ' || quote_ident((select ssn from public.people where id = 1)); return true; end $$;
  create function on_write() returns trigger language plpgsql as $$ begin perform tell(); return new; end $$;
  create function say() returns trigger language plpgsql security definer as $$ begin
    raise notice '%', (select ssn from public.people where id = 1); return new; end $$;
  create table triggered (id int); create trigger t before insert on triggered for each row execute function on_write();
  create table saying (id int); create trigger t before insert on saying for each row execute function say();
  create function rethrow() returns trigger language plpgsql security definer as $$ begin
    perform run_it(); return new; exception when others then raise; end $$;
  create table rethrown (id int); create trigger t before insert on rethrown for each row execute function rethrow();
  create table late (id int); create constraint trigger t after insert on late deferrable initially deferred
    for each row execute function on_write();
  create table checked (id int check (cast_it())); create table defaulted (id int, v boolean default run_it());
  create domain told as int check (cast_it()); create table domained (id told);
  create schema elsewhere; create table elsewhere.domained (id int); grant all on schema elsewhere to gate; grant all on elsewhere.domained to gate;
  create domain elsewhere.box as int check (public.cast_it());
  create type pair as (v told); create table paired (id pair);
  create table guarded (id int); insert into guarded values (1); alter table guarded enable row level security;
  create policy p on guarded using (cast_it());
  create table parent (id int primary key); insert into parent values (1);
  create table child (id int references parent on delete cascade); insert into child values (1);
  create trigger t before delete on child for each row execute function on_write();
  create view over_guarded with (security_invoker) as select id from guarded;
  grant all on all tables in schema public to gate; grant create on schema public to gate;`;

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

async function connect(port = gate.port): Promise<pg.Client> {
  const client = new pg.Client({ port, host: '127.0.0.1', user: 'web', database: 'app' });
  await client.connect();
  return client;
}

/** The last error of those texts, run one after the other, with all its fields. */
async function errorOf(texts: readonly string[], values?: readonly unknown[]): Promise<pg.DatabaseError> {
  const client = await connect();
  let last: unknown;
  for (const text of texts)
    await client.query(text, values?.slice()).catch((error: unknown) => {
      last = error;
    });
  await client.query('rollback');
  await client.end();
  if (!(last instanceof pg.DatabaseError)) throw new Error(`no error: ${texts.join('; ')}`);
  return last;
}

describe('what PostgreSQL says of masked tables', () => {
  it.each([
    [
      "insert into people values (1, 'x')",
      'duplicate key value violates unique constraint "people_pkey"',
      'people_pkey',
    ],
    [
      "update people set ssn = 'CANARY-3' where id = 1",
      'duplicate key value violates unique constraint "people_ssn_key"',
      'people_ssn_key',
    ],
    [
      'insert into people values (9, null)',
      'null value in column "name" of relation "people" violates not-null constraint',
      undefined,
    ],
    [
      "insert into people values (9, 'x', null, 'a long, long one')",
      'new row for relation "people" violates check constraint "people_pin_check"',
      'people_pin_check',
    ],
    [
      "insert into people values (9, 'x', null, 'CANARY-2')",
      'conflicting key value violates exclusion constraint "people_pin_excl"',
      'people_pin_excl',
    ],
    [
      "insert into people values (9, 'x', null, null, 77)",
      'insert or update on table "people" violates foreign key constraint "people_ref_fkey"',
      'people_ref_fkey',
    ],
    [
      "insert into people values (9, 'x', 'a number of more than twenty')",
      'value too long for type character varying(20)',
      undefined,
    ],
    ['select 1 / (id - id) from people', 'division by zero', undefined],
    ["select ssn from people where id = 'x'", 'invalid input syntax for type integer: "x"', undefined],
    ['select id from people group by 99', 'GROUP BY position 99 is not in select list', undefined],
  ])('%s: %s', async (sql, message, constraint) => {
    const error = await errorOf([sql]);
    expect([error.message, error.constraint]).toEqual([message, constraint]);
    expect(error.routine).toMatch(/^\w+$/);
    expect(JSON.stringify([error, error.message])).not.toContain('CANARY');
    expect(error.detail).toBe(undefined);
  });

  it('a prepared statement whose table has changed says so, as drivers heal by that sentence', async () => {
    const client = await connect();
    const ask = () => client.query({ name: 'p', text: 'select * from people where id = 1' });
    await ask();
    await server.query('alter table people add column more text', [], 'app');
    await expect(ask()).rejects.toThrow('cached plan must not change result type');
    await server.query('alter table people drop column more', [], 'app');
    await client.end();
  });
});

describe('what it says of others is told whole', () => {
  it.each([
    ['insert into notes values (1, $$x$$)', 'Key (id)=(1) already exists.'],
    ['delete from notes', 'Key (id)=(1) is still referenced from table "refers".'],
    ['insert into notes values (5, $$x$$, -1)', 'Failing row contains (5, x, -1).'],
  ])('%s: %s', async (sql, detail) => {
    expect((await errorOf([sql])).detail).toBe(detail);
  });

  it.each([
    [['create table notes (id int)'], 'relation "notes" already exists'],
    [['drop table nowhere'], 'table "nowhere" does not exist'],
    [['select body::int from notes'], 'invalid input syntax for type integer: "one"'],
    [
      ['begin', 'select 1/0', 'select 1'],
      'current transaction is aborted, commands ignored until end of transaction block',
    ],
    [['begin', 'rollback to nothing'], 'savepoint "nothing" does not exist'],
    [
      ['prepare q (int, text) as select body from notes where id = $1', 'execute q(1)'],
      'wrong number of parameters for prepared statement "q"',
    ],
  ])('%s: %s', async (texts, message) => {
    expect((await errorOf(texts)).message).toBe(message);
  });
});

describe('what the parser says of the text that the client sent is told whole, whatever code would have run', () => {
  it.each([
    ['insert into triggered (nothing) values (1)', 'column "nothing" of relation "triggered" does not exist'],
    ['select 1::nothing', 'type "nothing" does not exist'],
    ["select 'x'::told", 'invalid input syntax for type integer: "x"'],
    ['create table made (id nothing)', 'type "nothing" does not exist'],
  ])('%s: %s', async (sql, message) => {
    expect((await errorOf([sql])).message).toBe(message);
  });

  it.each([
    ['select hash_record(row(1)::costs)', 'could not identify a hash function for type money'],
    ['select hash_record_extended(row(1)::costs, 0)', 'could not identify an extended hash function for type money'],
    ['select hash_array(array[1::money])', 'could not identify a hash function for type money'],
    ["select array['1'::xid] < array['2'::xid]", 'could not identify a comparison function for type xid'],
    ["select array['1'::json] = array['2'::json]", 'could not identify an equality operator for type json'],
  ])('%s: a type that lacks an operation is named, since types have names and no values', async (text, message) => {
    const error = await errorOf(['begin', 'create type costs as (a money)', 'select null::costs', text]);
    expect(error.message).toBe(message);
  });

  it('a description that does not fit what is bound', async () => {
    const client = await openRawClient(gate.port);
    client.send(parse('select id from people'), message('B', '', '', 0, 0, 2, 0, 0), sync());
    expect((await client.ready()).join('\n')).toContain('bind message has 2 result formats but query has 1 columns');
    client.close();
  });
});

describe('what code of the database says is withheld', () => {
  it.each([
    ['a trigger', ['insert into triggered values (1)']],
    ['a trigger that passes on what the parser said of its own text', ['insert into rethrown values (1)']],
    ['a check', ['insert into checked values (1)']],
    ['a default', ['insert into defaulted values (1)']],
    ['a domain of a column', ['insert into domained values (1)']],
    ['a domain of a column of a composite type', ["insert into paired values ('(1)')"]],
    ['a domain that a cast names', ['select 1::told']],
    ['a domain inside of a type that a cast names', ["select '(1)'::pair"]],
    ['a domain that PREPARE names', ['prepare p (told) as select $1', 'execute p(1)']],
    ['a domain that PREPARE is led to by a column', ['prepare p as insert into domained values ($1)', 'execute p(1)']],
    ['a domain that PREPARE is led to by a cast', ['prepare p (int) as select $1, $2::told', 'execute p(1, 1)']],
    ['a domain among others that PREPARE names', ['prepare p (int, told) as select $1, $2', 'execute p(1, 1)']],
    [
      'a domain that PREPARE was led to by a table of another path',
      ['prepare p as insert into domained values ($1)', 'set search_path = elsewhere', 'execute p(1)'],
    ],
    ['a domain called like a type of PostgreSQL, in a cast', ['select 1::elsewhere.box']],
    [
      'a domain called like a type of PostgreSQL, by the path',
      ['set search_path = elsewhere, pg_catalog', 'select cast(1 as "box")'],
    ],
    ['a domain called like a type of PostgreSQL', ['prepare p (elsewhere.box) as select $1', 'execute p(1)']],
    ['a domain of a row that PREPARE names', ['prepare p (pair[]) as select $1', "execute p('{(1)}')"]],
    ['row security', ['select * from guarded']],
    ['row security below a view', ['select * from over_guarded']],
    ['a trigger of a table that a key cascades to', ['delete from parent']],
    ['a deferred trigger, at COMMIT', ['begin', 'insert into late values (1)', 'commit']],
    [
      'a deferred trigger, at SET CONSTRAINTS',
      ['begin', 'insert into late values (1)', 'set constraints all immediate'],
    ],
    ['a deferred trigger, with a statement of its own', ['insert into late values (1)']],
    ['a deferred trigger, in one text', ['insert into late values (1); select 1']],
    ['a held cursor, at COMMIT', ['begin', 'declare c cursor with hold for select id from guarded', 'commit']],
  ])('%s', async (_, texts) => {
    const error = await errorOf(texts);
    expect(error.message).toContain('withheld');
    expect(JSON.stringify([error, error.message])).not.toContain('CANARY');
  });

  it('a domain that a parameter is given as', async () => {
    const [row] = await server.query(`select 'told'::regtype::oid::int as oid`, [], 'app');
    const client = await openRawClient(gate.port);
    client.send(serialize.parse({ text: 'select $1', types: [Number(row?.['oid'])] }), bind(['1']), execute(), sync());
    expect((await client.ready()).join('\n')).toMatch(/E:22P02:.*withheld/);
    client.close();
  });

  it('a deferred trigger, at the end of a pipeline', async () => {
    const client = await openRawClient(gate.port);
    client.send(parse('insert into late values (1)'), bind(), execute(), parse('select 1', 'p'), sync());
    expect((await client.ready()).join('\n')).toMatch(/E:23505:.*withheld/);
    client.close();
  });

  it('a notice, and an event trigger', async () => {
    const client = await connect();
    const notices: (string | undefined)[] = [];
    client.on('notice', (notice) => notices.push(notice.message));
    await client.query('insert into saying values (1)');
    await server.query(
      `create function on_ddl() returns event_trigger language plpgsql as $$ begin perform tell(); end $$;
       create event trigger e on ddl_command_end execute function on_ddl()`,
      [],
      'app',
    );
    await client.query('select 1 from nowhere').catch(() => {});
    await expect(client.query('create table made (id int)')).rejects.toThrow('withheld');
    await server.query('drop event trigger e', [], 'app');
    await client.end();
    expect(notices).toEqual([expect.stringContaining('withheld')]);
  });

  it('the payload of a notification, of which the rest is told', async () => {
    const client = await connect();
    const heard: (readonly [string, string | undefined])[] = [];
    client.on('notification', ({ channel, payload }) => heard.push([channel, payload]));
    await client.query('listen news');
    await server.query("select pg_notify('news', ssn) from people where id = 1", [], 'app');
    await eventually('a notification', () => heard.length > 0);
    expect(heard).toEqual([['news', '']]);
    await client.end();
  });
});

describe('what a client was not shown', () => {
  const withheldOf = async (text: string) => {
    const before = gate.ledger.events.length;
    await errorOf([text]);
    const outcomes = await eventually('an outcome', () => {
      const failed = kinds(gate.ledger.events.slice(before), 'outcome').filter(
        ({ detail }) => detail['status'] === 'failed',
      );
      return failed.length > 0 && failed;
    });
    const sealed = outcomes[0]?.detail['withheld'];
    return sealed === undefined ? undefined : JSON.parse(String(sealed));
  };

  it('is sealed with the outcome: the rest of a sentence that was told', async () => {
    expect(await withheldOf("update people set ssn = 'CANARY-3' where id = 1")).toEqual({
      detail: 'Key (ssn)=(CANARY-3) already exists.',
    });
  });

  it('is sealed with the outcome: all that code of the database says', async () => {
    expect(await withheldOf('insert into triggered values (1)')).toEqual({
      ...{ message: 'CANARY-1', detail: 'CANARY-1', hint: 'CANARY-1', where: expect.stringContaining('tell()') },
      ...{ schema: 'CANARY-1', table: 'CANARY-1', column: 'CANARY-1', dataType: 'CANARY-1', constraint: 'CANARY-1' },
    });
  });

  it('is nothing where all was shown', async () => {
    expect(await withheldOf('select 1/0')).toBeUndefined();
  });
});
