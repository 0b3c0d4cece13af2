/** The whole product under a wall clock that is stepped an hour either way while it runs: libfaketime gives the processes their own clock. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { own } from '../support/owned.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';

const LIBRARY = `/usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu/faketime/libfaketimeMT.so.1`;
const EXECUTABLE = join(import.meta.dirname, '../../bin/countersign.js');
const available = existsSync(LIBRARY);

it.runIf(process.env['CI'] === 'true')('has libfaketime, without which nothing here can be shown', () => {
  expect(available).toBe(true);
});

describe.skipIf(!available)('with the clock stepped (skipped without libfaketime, Debian package faketime)', () => {
  const folder = mkdtempSync(join(tmpdir(), 'cs-clock-'));
  const home = join(folder, 'home');
  const setClock = (offset: string) => writeFileSync(join(folder, 'clock'), `${offset}\n`);
  const cli = (args: readonly string[], input = '') =>
    spawnSync(process.execPath, [EXECUTABLE, '--config', join(home, 'countersign.yaml'), ...args], {
      input,
      encoding: 'utf8',
    });
  let postgres: TestPostgres;
  let dev: ChildProcess;
  let log = '';

  beforeAll(async () => {
    postgres = await startPostgres({ users: { app: 'clock-test-password' }, databases: ['shop'] });
    await postgres.query('create table t (id int); insert into t values (1); grant select on t to app', [], 'shop');
    setClock('+0');
    dev = own(
      spawn(process.execPath, [EXECUTABLE, 'dev', '--dir', home, '--json'], {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: {
          ...process.env,
          LD_PRELOAD: LIBRARY,
          FAKETIME_TIMESTAMP_FILE: join(folder, 'clock'),
          FAKETIME_NO_CACHE: '1',
          FAKETIME_DONT_FAKE_MONOTONIC: '1',
        },
      }),
    );
    for (const stream of [dev.stdout, dev.stderr]) stream?.on('data', (chunk) => (log += chunk));
    await eventually('dev runs', async () => log.includes('"running"'));
    writeFileSync(
      join(folder, 'shop.yaml'),
      `kind: Target\nname: shop\nspec: { protocol: postgres, host: ${postgres.host}, port: ${postgres.port}, database: shop, user: app, password: keystore:app }\n`,
    );
    writeFileSync(
      join(folder, 'shop.cedar'),
      '@id("all")\npermit(principal, action in [Action::"postgres:connect", Action::"postgres:select"], resource);\n',
    );
    expect(cli(['target', 'secret', 'app'], 'clock-test-password').status).toBe(0);
    expect(cli(['apply', '-f', join(folder, 'shop.yaml'), '-f', join(folder, 'shop.cedar'), '--yes'])).toMatchObject({
      status: 0,
    });
    await eventually('the first answer', async () => (await read()) === 1);
  });

  afterAll(async () => {
    dev.kill('SIGKILL');
    await postgres.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** One session: the row, or the SQLSTATE and message it was refused with. This process has the gateway's entry: the same user and program. */
  async function read(): Promise<number | { code: string | undefined; message: string }> {
    const client = new pg.Client({ host: join(home, 'run/targets/shop'), user: 'x' });
    client.on('error', () => {}); // A session that is ended says so to its query too.
    try {
      await client.connect();
      return (await client.query<{ id: number }>('select id from t')).rows[0]?.id ?? 0;
    } catch (error) {
      const { code, message } = error as pg.DatabaseError; // What the driver throws.
      return { code, message };
    } finally {
      await client.end().catch(() => {}); // Never opened, or ended already.
    }
  }

  it('an hour on: everything is renewed by itself, and whoever is refused meanwhile gets a SQLSTATE', async () => {
    setClock('+3600');
    const refusals: unknown[] = [];
    await eventually('service again, in the new time', async () => {
      const answer = await read();
      if (answer !== 1) refusals.push(answer);
      return answer === 1 && log.includes('authority.clock.stepped');
    });
    for (const refusal of refusals) expect(refusal).toMatchObject({ code: expect.stringMatching(/^(08|57|28)/) });
  });

  it('back again, and then an hour back: nothing passes unverified, and the refusal says why', async () => {
    setClock('+0');
    await eventually('an answer either way', async () => (await read()) !== undefined);
    setClock('-3600');
    const answer = await eventually('an answer in the past', async () => read());
    if (answer !== 1)
      expect(answer).toMatchObject({
        code: expect.stringMatching(/^(08|57|28)/),
        message: expect.stringMatching(/not-yet-valid|no gateway|identity/),
      });
  });

  it('in the right time again it serves again, and the ledger is whole and in order', async () => {
    setClock('+0');
    await eventually('service again', async () => (await read()) === 1);
    const report = JSON.parse(cli(['ledger', 'verify', '--json']).stdout);
    expect(report).toMatchObject({ ok: true });
    const times = cli(['ledger', 'tail', '-n', '1000', '--json'])
      .stdout.split('\n')
      .filter((line) => line !== '')
      .map((line): number => JSON.parse(line).timeMs);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
  });
});
