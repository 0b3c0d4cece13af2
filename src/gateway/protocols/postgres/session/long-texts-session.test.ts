// Goal: long texts pass as they are, through a real session; others are served meanwhile, and over a limit the session lives on.
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { startPostgres, type TestPostgres } from '../../../../../test/support/postgres.ts';
import { kinds, ownOf, startTarget } from '../testing/harness.ts';

let server: TestPostgres;
let gate: Awaited<ReturnType<typeof startTarget>>;
let client: pg.Client;

/** The stack of the server ends before ours with its default of 2 MB: at some 4,000 terms. */
beforeAll(async () => {
  server = await startPostgres({ users: { gate: 'secret' }, databases: ['app'], args: ['-c', 'max_stack_depth=6MB'] });
  await server.query('grant create on schema public to gate', [], 'app');
});
afterAll(() => server.stop());
beforeEach(() => open({}));
afterEach(async () => {
  await client.end();
  await gate.close();
});

async function open(limits: Record<string, number>): Promise<void> {
  const { host, port } = server;
  gate = await startTarget({
    config: { host, port, database: 'app', user: 'gate', password: 'env:PW', limits },
    env: { 'env:PW': 'secret' },
  });
  client = await connect();
  await client.query('create temp table t (id int, note text)');
}

async function connect(): Promise<pg.Client> {
  const made = new pg.Client({ port: gate.port, host: '127.0.0.1', user: 'web', database: 'app' });
  await made.connect();
  return made;
}

const ids = (count: number) => Array.from({ length: count }, (_, index) => index);

it('a sum of 5,000 terms, a CASE of 500 branches, a chain of 5,000 texts', async () => {
  const sum = await client.query(`select ${Array(5_000).fill('1').join('+')} as it`);
  expect(sum.rows).toEqual([{ it: 5_000 }]);
  const branches = ids(500).map((id) => `when id = ${id} then ${id}`);
  expect((await client.query(`select case ${branches.join(' ')} end from t`)).rows).toEqual([]);
  const text = await client.query(`select length(${Array(5_000).fill("'a'").join('||')}) as it`);
  expect(text.rows).toEqual([{ it: 5_000 }]);
});

it('an insert of 65,535 parameters, IN with 60,000 values, 20,000 rows of VALUES', async () => {
  const many = ids(65_535);
  const inserted = await client.query(`insert into t (id) values ${many.map((id) => `($${id + 1})`)}`, many);
  expect(inserted.rowCount).toBe(65_535);
  const found = await client.query(`select count(*)::int as it from t where id in (${ids(60_000)})`);
  expect(found.rows).toEqual([{ it: 60_000 }]);
  const rows = await client.query(`insert into t values ${ids(20_000).map((id) => `(${id}, 'note ''${id}''')`)}`);
  expect(rows.rowCount).toBe(20_000);
});

it('a text of many statements is carried out, and another session is served meanwhile', async () => {
  const other = await connect();
  const text = ids(20_000)
    .map((id) => `insert into t values (${id}, 'a')`)
    .join(';');
  let isDone = false;
  const long = client.query(text).finally(() => {
    isDone = true;
  });
  let served = 0;
  while (!isDone) {
    await other.query('select 1');
    served += 1;
  }
  await long;
  await other.end();
  expect(served).toBeGreaterThan(3);
  expect((await client.query('select count(*)::int as it from t')).rows).toEqual([{ it: 20_000 }]);
});

it('a hundred thousand alike statements in a row are one entry of the ledger, and one outcome of them all', async () => {
  const text = [
    ids(60_000).map((id) => `insert into t values (${id}, 'it''s ${id}')`),
    ids(40_000).map((id) => `select ${id}`),
    ['begin; select 1; select 2; commit'],
    ids(3_000).map((id) => `select 1 / ${2_000 - id}`),
    ids(3_000).map((id) => `select ${id}`),
  ]
    .flat()
    .join(';');
  const before = gate.ledger.events.length;
  await expect(client.query(text)).rejects.toMatchObject({ code: '22012' });
  const events = gate.ledger.events.slice(before);
  const told = (kind: 'intent' | 'outcome') =>
    kinds(events, kind).map(({ detail }) => {
      const own = ownOf(detail);
      return [own['statement'] ?? detail['status'], own['statements'], detail['items']];
    });
  expect(told('intent')).toEqual([
    ['insert', 60_000, undefined],
    ['select', 40_000, undefined],
    ['begin', undefined, undefined],
    ['select', 2, undefined],
    ['commit', undefined, undefined],
    ['select', 3_000, undefined],
    ['select', 3_000, undefined],
  ]);
  expect(told('outcome')).toEqual([
    ['done', 60_000, 60_000],
    ['done', 40_000, 40_000],
    ['done', undefined, 0],
    ['done', 2, 2],
    ['done', undefined, 0],
    ['failed', 2_000, 2_000],
    ['skipped', 0, 0],
  ]);
  expect((await client.query('select count(*)::int as it from t')).rows).toEqual([{ it: 60_000 }]);
});

it('over a limit of the target, the error says what to do and the session lives on', async () => {
  await client.end();
  await gate.close();
  await open({ textBytes: 1 << 16, statements: 10, words: 12_000 });
  const cases = [
    [`select '${'x'.repeat(1 << 18)}'`, 'textBytes'],
    [`select ${ids(7_000)}`, 'words'],
    [`${'select 1;'.repeat(11)}${' '.repeat(60_000)}${'select 1;'.repeat(11)}`, undefined],
    [Array(2_500).fill('select 1; values (1)').join(';'), 'statements'],
  ] as const;
  for (const [sql, limit] of cases) {
    const error = await client.query(sql).then(
      () => undefined,
      (failure: unknown) => failure,
    );
    if (limit === undefined) expect(error).toBeUndefined();
    else expect(error).toMatchObject({ code: '54000', hint: expect.stringContaining(`limits.${limit}`) });
    expect((await client.query('select 1 as it')).rows).toEqual([{ it: 1 }]);
  }
});

it('a long statement runs by its name in SQL, and a long query by FETCH', async () => {
  const values = ids(7_000);
  const text = `insert into t (id) values ${values.map((id) => `($${id + 1})`)}`;
  await client.query({ name: 'long', text, values });
  const constants = values.map((id) => `(${id})`).join();
  await client.query(`prepare same as insert into t (id) values ${constants}; execute same`);
  await client.query('execute same');
  await client.query(`begin; declare c cursor for select id from t where id in (${values}) order by id`);
  expect((await client.query('fetch 2 from c')).rows).toEqual([{ id: 0 }, { id: 0 }]);
  const several: unknown = await client.query('select 1; fetch 1 from c; move 5 in c; fetch 1 from c; commit');
  expect(several).toMatchObject([{}, { rows: [{ id: 0 }] }, {}, { rows: [{ id: 2 }] }, {}]);
  expect((await client.query('select count(*)::int as it from t')).rows).toEqual([{ it: 21_000 }]);
});
