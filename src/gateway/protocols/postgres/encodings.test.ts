import { afterAll, beforeAll, expect, test } from 'vitest';
import { startPostgres, type TestPostgres } from '../../../../test/support/postgres.ts';
import { openRawClient, query } from '../../../../test/support/raw-session.ts';
import { startTarget } from './testing/harness.ts';

// Goal: what the gateway says of a database is what its sessions find, whatever the database's own defaults are.

let server: TestPostgres;
beforeAll(async () => {
  server = await startPostgres({ users: { gate: 'secret' } });
  for (const encoding of ['LATIN1', 'SQL_ASCII'])
    await server.query(
      `create database ${encoding} template template0 encoding '${encoding}' lc_collate 'C' lc_ctype 'C'`,
    );
  await server.query('create database strings');
  await server.query('alter database strings set standard_conforming_strings = off');
});
afterAll(() => server?.stop());

test.each([
  'latin1',
  'sql_ascii',
  'strings',
])('the database %s is served, and a look at it says so', async (database) => {
  const { host, port } = server;
  const config = { host, port, database, user: 'gate', password: 'env:PW' };
  const gate = await startTarget({ config, env: { 'env:PW': 'secret' } });
  try {
    expect(await gate.target.check(AbortSignal.timeout(10_000))).toBeUndefined();
    const client = await openRawClient(gate.port);
    client.send(query('select 1'));
    expect(await client.ready()).toEqual(expect.arrayContaining(['D:1', 'C:SELECT 1', 'Z:I']));
    client.close();
  } finally {
    await gate.close();
  }
});
