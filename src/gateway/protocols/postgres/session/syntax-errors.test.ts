// Goal: what is no SQL is told by the server itself, word for word, and nothing of such a text is ever carried out.
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type AppDatabase, startAppDatabase } from '../testing/app-database.ts';
import { kinds, startTarget } from '../testing/harness.ts';

const SEED = `
  create table log (v text); grant all on log to gate;
  create function "json_scalar"(int, int) returns text language sql as 'insert into log values (''json_scalar'') returning v';
  create table t (a int); grant all on t to gate;`;

let server: AppDatabase;
let gate: Awaited<ReturnType<typeof startTarget>>;

beforeAll(async () => {
  server = await startAppDatabase(SEED);
  gate = await startTarget(server.target);
});
afterAll(async () => {
  await gate?.close();
  await server?.stop();
});

/** What a driver tells of an error. */
async function errorOf(port: number, text: string, mode: 'simple' | 'extended') {
  const direct = { host: server.host, user: server.superuser, password: server.password };
  const through = { host: '127.0.0.1', user: 'web' };
  const client = new pg.Client({ port, database: 'app', ...(port === gate.port ? through : direct) });
  await client.connect();
  try {
    await client.query(mode === 'simple' ? text : { text, values: [], name: 'n' });
    return undefined;
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) throw error;
    const { message, code, position, hint, detail, severity } = error;
    return { message, code, position, hint, detail, severity };
  } finally {
    await client.end();
  }
}

const texts = [
  'selec 1',
  'select',
  'select 1 from',
  'select (1',
  "select 'abc",
  'select "abc',
  'select $$ abc',
  'select /* abc',
  "select U&'wrong: \\061'",
  "select E'wrong: \\u061'",
  "select U&'wrong' uescape '+'",
  'select 123abc',
  'create table p (a int) partition by magic (a)',
  'create policy p on t as ugly',
  'drop operator === (int4)',
  'alter table t alter constraint c not valid',
  'select a from t fetch first 2 row with ties',
  'select 1 where ;',
  'select 1; selec 2',
  'ä selec',
  "select 'ä' from from",
  'select countersign countersign countersign',
  'select 1 --',
];

test.each(texts)('%s', async (text) => {
  for (const mode of ['simple', 'extended'] as const)
    expect(await errorOf(gate.port, text, mode), mode).toEqual(await errorOf(server.port, text, mode));
});

test('nothing of it is carried out, whatever the server would take, and each is a denial in the ledger', async () => {
  const before = kinds(gate.ledger.events, 'denial').length;
  const attacks = [
    "insert into log values ('before'); selec",
    "insert into log values ('comment') /*",
    "insert into log values ('quote'); select '",
    "insert into log values ('dollar'); select $a$",
    "insert into log values ('name'); select \"",
    "insert into log values ('escape'); select E'\\'",
    "begin; insert into log values ('commit'); commit; selec",
    // A call to older servers, a construct of its own to newer ones.
    'select json_scalar(1, 2)',
  ];
  for (const text of attacks) {
    expect(await errorOf(gate.port, text, 'simple'), text).toBeDefined();
    expect(await errorOf(gate.port, text, 'extended'), text).toBeDefined();
  }
  expect(await server.query('select v from log', [], 'app')).toEqual([]);
  expect(kinds(gate.ledger.events, 'denial').length - before).toBe(2 * attacks.length);
});
