// Goal: a name means to policy what it means to the server, also after somebody changed the search path that logins get.

import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../../../../../test/support/eventually.ts';
import { startPostgres, type TestPostgres } from '../../../../../test/support/postgres.ts';
import { noObligations } from '../../../../model/index.ts';
import { createLog, createManualClock, type ManualClock } from '../../../../std/index.ts';
import { catalogQueries } from '../sql/catalog/queries.ts';
import { startTarget } from '../testing/harness.ts';

let server: TestPostgres;
let clock: ManualClock;
let gate: Awaited<ReturnType<typeof startTarget>>;
let lines: string[];
const clients: pg.Client[] = [];

beforeAll(async () => {
  server = await startPostgres({ users: { gate: 'secret' }, databases: ['app'] });
  await server.query(
    `create schema free; create table free.people as select 'free' as name;
     create schema closed; create table closed.people as select 'closed' as name;
     grant usage on schema free, closed to gate; grant select on free.people, closed.people to gate`,
    [],
    'app',
  );
});
afterAll(() => server.stop());
beforeEach(async () => {
  await server.query('alter role gate set search_path = free');
  clock = createManualClock(0);
  lines = [];
  const { host, port } = server;
  gate = await startTarget({
    config: { host, port, database: 'app', user: 'gate', password: 'env:PW' },
    env: { 'env:PW': 'secret' },
    clock,
    log: createLog({ level: 'info', write: (line) => lines.push(line) }),
    policy: {
      decide: (_action, resource) =>
        resource.id.includes('closed')
          ? { allow: false, reason: 'no-permit', policies: [] }
          : {
              allow: true,
              policies: ['p1'],
              obligations: noObligations,
            },
    },
  });
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client.end().catch(() => {}); // The gate may have closed it.
  await gate.close();
});

async function connect(): Promise<pg.Client> {
  const client = new pg.Client({ port: gate.port, host: '127.0.0.1', user: 'web', database: 'app' });
  client.on('error', () => {});
  await client.connect();
  clients.push(client);
  return client;
}

/** What the client reads, or why it reads nothing. */
const people = (client: pg.Client): Promise<string> =>
  client.query('select name from people').then(
    ({ rows }) => String(rows[0]?.name),
    (error: { code?: string }) => String(error.code),
  );

/** Lets more time pass as long as it takes: the next look is due ten seconds after the last one was over, whenever that was. */
const noticed = () =>
  eventually('a change of the search path is noticed', async () => {
    if (lines.join().includes('gateway.postgres.search_path_changed')) return true;
    await clock.advance(1_000);
    return false;
  });

/** The query that a snapshot ends with. */
const LAST_QUERY = `with i as (${catalogQueries.findLast(({ lasting }) => lasting !== true)?.sql ?? ''}`.slice(0, 200);

/** Lets the ten seconds pass after which a snapshot is taken, and waits until the server has answered all of it. */
async function passToNextSnapshot() {
  const [row] = await server.query('select clock_timestamp()::text as now');
  await clock.advance(10_000);
  await eventually('the snapshot is taken', async () => {
    const answered = await server.query(
      `select 1 from pg_stat_activity where application_name = 'countersign catalog' and state = 'idle'
       and query_start > $1::timestamptz and starts_with(query, $2)`,
      [row?.['now'], LAST_QUERY],
    );
    return answered.length === 1;
  });
}

describe('after ALTER ROLE … SET search_path', () => {
  it('sessions made before read on, and new ones are decided under the new path within ten seconds', async () => {
    const before = await connect();
    expect(await people(before)).toBe('free');
    await passToNextSnapshot(); // Its login is over, and this one has proven its path since.
    expect(await people(before)).toBe('free');
    await server.query('alter role gate set search_path = closed');
    await clock.advance(10_000);
    await noticed();
    expect(await people(await connect())).toBe('42501');
    expect(await people(before)).toBe('free');
  });

  it('a session made before that was noticed is ended then, since nobody knows its path, so that its pool makes a new one', async () => {
    const holds = await connect();
    await server.query('alter role gate set search_path = closed');
    const late = await connect();
    await clock.advance(10_000);
    await noticed();
    expect(await people(late)).toBe('57P01');
    expect(await people(holds)).toBe('57P01');
    expect(await people(await connect())).toBe('42501');
  });

  it('the first session after a while is decided under the new path', async () => {
    const before = await connect();
    await before.end();
    await gate.served();
    await server.query('alter role gate set search_path = closed');
    await clock.advance(2_000);
    expect(await people(await connect())).toBe('42501');
  });

  it('sessions are ended when the connection that had their path is lost', async () => {
    const before = await connect();
    await clock.advance(10_000);
    await eventually('it is free', async () => (await people(before)) === 'free');
    await server.query('alter role gate set search_path = closed');
    await server.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'countersign catalog'`,
    );
    await clock.advance(10_000);
    await noticed();
    expect(await people(before)).toBe('57P01');
    expect(await people(await connect())).toBe('42501');
  });
});

describe('the path of the next login', () => {
  it.each([
    ['alter role gate set search_path = closed', 'alter role gate set search_path = free'],
    ['alter role gate in database app set search_path = closed', 'alter role gate in database app reset search_path'],
    ['alter role gate reset search_path', 'alter role gate set search_path = free'],
  ])('is another after %s', async (change, back) => {
    const client = await login();
    expect(await isSame(client)).toBe('true');
    await server.query(change);
    expect(await isSame(client)).toBe('false');
    await server.query(back);
    expect(await isSame(client)).toBe('true');
  });

  it.each([
    ['alter database app set search_path = closed', 'alter database app reset search_path'],
    ['alter role all set search_path = closed', 'alter role all reset search_path'],
  ])('is another after %s, unless the role has its own', async (change, back) => {
    const special = await login();
    await server.query(change);
    expect(await isSame(special)).toBe('true');
    await server.query(back);
    await server.query('alter role gate reset search_path');
    const client = await login();
    await server.query(change);
    expect(await isSame(client)).toBe('false');
    const later = await login();
    expect(await isSame(later)).toBe('true');
    await server.query(back);
    expect(await isSame(later)).toBe('false');
  });

  it('is the same after another setting, or that of another role or database, was changed', async () => {
    const client = await login();
    await server.query(`alter role gate set work_mem = '8MB'`);
    await server.query('alter role postgres in database postgres set search_path = closed');
    await server.query('alter database postgres set search_path = closed');
    expect(await isSame(client)).toBe('true');
    await server.query('alter role gate reset work_mem');
    await server.query('alter role postgres in database postgres reset search_path');
    await server.query('alter database postgres reset search_path');
  });
});

async function login(): Promise<pg.Client> {
  const { host, port } = server;
  const client = new pg.Client({ host, port, user: 'gate', password: 'secret', database: 'app' });
  await client.connect();
  clients.push(client);
  return client;
}

async function isSame(client: pg.Client): Promise<unknown> {
  const sql = catalogQueries.find(({ name }) => name === 'settings')?.sql ?? '';
  const { rows } = await client.query<unknown[]>({ text: sql, rowMode: 'array' });
  return rows[0]?.[5];
}
