// Goal: whatever clients make and drop, the gateway holds one catalog of a database, and no session leaves anything behind.

import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { heldBytes } from '../../../../../bench/harness/garbage.ts';
import { startPostgres, type TestPostgres } from '../../../../../test/support/postgres.ts';
import { noObligations } from '../../../../model/index.ts';
import { columnMask } from '../sql/testing/column-mask.ts';
import { startTarget } from '../testing/harness.ts';

const RELATIONS = 800;
let server: TestPostgres;
let gate: Awaited<ReturnType<typeof startTarget>>;

beforeAll(async () => {
  server = await startPostgres({
    users: { gate: 'secret' },
    databases: ['app'],
    args: ['-c', 'max_locks_per_transaction=512'],
  });
  await server.query(
    `grant create on schema public to gate;
     do $$ begin for i in 1 .. ${RELATIONS} loop
       execute 'create table filler_' || i || ' (id int, email text, created timestamptz, changed timestamptz, note int)';
     end loop; end $$; grant select on all tables in schema public to gate`,
    [],
    'app',
  );
});
afterAll(() => server.stop());
beforeEach(async () => {
  const { host, port } = server;
  gate = await startTarget({
    config: { host, port, database: 'app', user: 'gate', password: 'env:PW' },
    env: { 'env:PW': 'secret' },
    policy: {
      decide: (action, { id }) => ({
        allow: true,
        policies: ['p'],
        obligations: {
          ...noObligations,
          masks:
            id.endsWith('/filler_7') && action === 'postgres:select'
              ? [{ path: ['public', 'filler_7', 'email'], kind: 'redact' }]
              : [],
        },
      }),
      potentialMasks: () => [columnMask('email', 'redact')],
    },
  });
});
afterEach(() => gate.close());

async function connect(): Promise<pg.Client> {
  const client = new pg.Client({ port: gate.port, host: '127.0.0.1', user: 'web', database: 'app' });
  await client.connect();
  return client;
}

/** Bytes that the process holds more than before, once what is done over and over has been done a few times. */
async function growth(times: number, act: (round: number) => Promise<void>): Promise<number> {
  for (let i = 0; i < 3; i++) await act(i);
  const before = heldBytes();
  for (let i = 3; i < times + 3; i++) await act(i);
  return heldBytes() - before;
}

it('tables that come and go, and are read meanwhile, leave nothing in memory', async () => {
  const client = await connect();
  const grown = await growth(40, async (round) => {
    await client.query(`create table made_${round} (id int)`);
    await client.query(`select id from made_${round}`);
    await client.query(`drop table made_${round}`);
    await client.query('select id from filler_1');
  });
  await client.end();
  expect(grown / 1e6).toBeLessThan(8);
});

it('short sessions with temporary tables and statements of their own leave nothing in memory', async () => {
  const grown = await growth(40, async (round) => {
    const client = await connect();
    await client.query(`create temp table mine (id int); create temp table heir_${round} () inherits (mine)`);
    await client.query({ name: `statement ${round}`, text: `select id as it_${round} from filler_1` });
    await client.query('select 1 from mine');
    await client.end();
  });
  expect(grown / 1e6).toBeLessThan(8);
});
