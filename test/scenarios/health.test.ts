/** Something breaks in each role while all processes run: /ready, metric, doctor and log say so, and no more once it is mended. */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { expectCondition, expectWell, problemsOf } from '../support/health.ts';
import { ALLOW_ALL, type Stack, startStack } from '../support/stack.ts';

const LIBRARY = `/usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu/faketime/libfaketimeMT.so.1`;
const hasFaketime = fs.existsSync(LIBRARY);
const clocks = fs.mkdtempSync(path.join(os.tmpdir(), 'cs-health-'));
const clockFile = path.join(clocks, 'server');
const setServerClock = (offset: string) => fs.writeFileSync(clockFile, `${offset}\n`, { mode: 0o644 });
const faked = {
  ...{ LD_PRELOAD: LIBRARY, FAKETIME_TIMESTAMP_FILE: clockFile },
  ...{ FAKETIME_NO_CACHE: '1', FAKETIME_DONT_FAKE_MONOTONIC: '1' },
};

let stack: Stack;

beforeAll(async () => {
  fs.chmodSync(clocks, 0o755);
  setServerClock('+0');
  const seed = 'create table customers (id int, ssn text); grant select on customers to shop_app;';
  stack = await startStack({ seed, ...(hasFaketime ? { env: { server: faked } } : {}) });
});
afterAll(async () => {
  await stack?.stop();
  fs.rmSync(clocks, { recursive: true });
});

it('all is well to begin with', async () => {
  for (const role of ['server', 'agent', 'gateway'] as const) {
    const problems = (await problemsOf(stack, role)).filter(({ condition }) => !MACHINE.has(condition));
    expect(problems).toEqual([]);
  }
});

it('a mask on a column that is not there: apply and the gateway name policy, table and column', async () => {
  const typo =
    '@id("typo") @mask("customers.snn:redact") permit(principal, action == Action::"postgres:select", resource in Target::"shop");';
  const applied = await stack.apply({ 'web-all.cedar': ALLOW_ALL, 'typo.cedar': typo });
  expect((await stack.psql('select id from customers')).stderr).toContain('no such column');
  const found = /policy "typo" masks column "public\.customers\.snn" of database "shop", which is not there/;
  // Nobody had a session there: the gateway has looked by itself.
  expect(JSON.parse(applied.stdout)).toMatchObject({
    applied: true,
    gateways: [
      { taken: true, findings: [{ condition: 'masks', what: 'target shop', found: expect.stringMatching(found) }] },
    ],
  });
  const told = await expectCondition(stack, 'gateway', { condition: 'masks', severity: 'degraded', found });
  expect(told.remedy).toContain('Mend the column');
  await stack.apply({ 'web-all.cedar': ALLOW_ALL, 'typo.cedar': typo.replace('snn', 'ssn') });
  await expectWell(stack, 'gateway', 'masks');
  expect((await stack.psql('select id from customers')).code).toBe(0);
});

it('a server whose store is away says so, and no more when it is back', async () => {
  await stack.postgres.query('alter database control allow_connections false');
  await stack.postgres.query(`select pg_terminate_backend(pid) from pg_stat_activity where datname = 'control'`);
  const found = /the store does not answer: .*goes on with what it holds/s;
  await expectCondition(stack, 'server', { condition: 'store', severity: 'degraded', found });
  await stack.postgres.query('alter database control allow_connections true');
  await expectWell(stack, 'server', 'store');
});

it.skipIf(!hasFaketime)(
  'a server whose clock is three hours ahead: it, the agent and the gateway say by how much',
  async () => {
    setServerClock('+10800');
    const ofServer = {
      condition: 'clock',
      severity: 'degraded',
      found: /the clock of the database is 3h behind that of this machine/,
    };
    await expectCondition(stack, 'server', ofServer);
    const found =
      /the clock of the server is 3h ahead of that of this machine\. Likely wrong is the clock of the server/;
    await expectCondition(stack, 'agent', { condition: 'clock', severity: 'degraded', found, withinMs: 100_000 });
    await expectCondition(stack, 'gateway', { condition: 'clock', severity: 'degraded', found });
    setServerClock('+0');
    await expectWell(stack, 'server', 'clock');
    for (const role of ['agent', 'gateway'] as const) await expectWell(stack, role, 'clock', 100_000);
  },
);

it('a server that lost its keystore does not start, and says what to do; agent and gateway say that it is away', async () => {
  const keystore = path.join(stack.folder.data.server, 'keystore');
  await stack.roles.server.end('SIGTERM');
  fs.renameSync(keystore, `${keystore}-away`);
  stack.roles.server.start();
  expect(await eventually('the server to end', () => stack.roles.server.exitCode)).toBe(78);
  expect(stack.roles.server.logs()).toMatch(/the keystore has no key of the authority \w+, which agents know/);
  const found = /no news from the server at .*ECONNREFUSED.*good until 20/s;
  for (const role of ['agent', 'gateway'] as const)
    await expectCondition(stack, role, { condition: 'server-link', severity: 'degraded', found });
  expect((await stack.psql('select 1')).stdout).toBe('1\n');
  fs.rmSync(keystore, { recursive: true, force: true });
  fs.renameSync(`${keystore}-away`, keystore);
  stack.roles.server.start();
  await stack.roles.server.ready();
  for (const role of ['agent', 'gateway'] as const) await expectWell(stack, role, 'server-link');
  await eventually('the gateway to say again what it has taken', async () => {
    const { gateways } = JSON.parse((await stack.cli(['target', 'list', '--json'])).stdout);
    return gateways[0].connected && gateways[0].revision > 0;
  });
});

/** What the machine that runs the tests may well be short of. */
const MACHINE = new Set(['room', 'event-loop', 'descriptors']);
