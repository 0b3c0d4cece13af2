import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../../../../../test/support/eventually.ts';
import { openRawClient, query } from '../../../../../test/support/raw-session.ts';
import { createManualClock } from '../../../../std/index.ts';
import { type AppDatabase, startAppDatabase } from '../testing/app-database.ts';
import { startTarget } from '../testing/harness.ts';

let server: AppDatabase;
beforeAll(async () => {
  server = await startAppDatabase('');
  await server.query('create database spare owner gate');
});
afterAll(() => server?.stop());

test('the gateway leaves a database with its last session, sooner than DROP DATABASE gives up waiting', async () => {
  const clock = createManualClock(Date.now());
  const { config, env } = server.target;
  const gate = await startTarget({ config: { ...config, databases: ['spare'] }, env, clock });
  try {
    const parameters: [string, string][] = [
      ['user', 'web'],
      ['database', 'spare'],
    ];
    const client = await openRawClient(gate.port, { parameters });
    client.send(query('select 1'));
    await client.ready();
    const others = () => server.query("select 1 from pg_stat_activity where datname = 'spare'");
    expect(await others()).not.toEqual([]);
    client.close();
    // How long PostgreSQL waits for others: 5 s.
    let advancedMs = 0;
    await eventually('no other is left', async () => {
      if (advancedMs < 4_000) await clock.advance(1_000);
      advancedMs += 1_000;
      return (await others()).length === 0;
    });
    await server.query('drop database spare');
  } finally {
    await gate.close();
  }
});
