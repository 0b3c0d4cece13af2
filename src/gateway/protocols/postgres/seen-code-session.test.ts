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
  create table people (id int primary key, ssn text); insert into people values (1, 'CANARY');
  grant all on all tables in schema public to gate; grant create on schema public to gate;`;

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
