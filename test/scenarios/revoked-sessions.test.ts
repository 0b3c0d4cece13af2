/**
 * Revoked and in quarantine, on the real stack: who sleeps at the database is ended there and told why, cannot come back by any way, and others notice
 * nothing; a quarantine is taken back; a gateway that is started anew knows who is revoked, and believes no server that knows less.
 */

import * as fs from 'node:fs';
import * as path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { openRawSession, query } from '../support/raw-session.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { agentWay, directWay, startSvidFiles } from '../support/ways.ts';

const POLICIES = {
  all: '@id("all") permit (principal, action, resource) when { ["/web", "/batch"].contains(principal.path) };',
};

let stack: Stack;

beforeAll(async () => {
  stack = await startStack({ policies: POLICIES });
});
afterAll(async () => {
  await stack?.stop();
});

const WEB = ['--who', 'spiffe://example.org/web', '--yes'];
const sleeping = () => stack.dba(`select 1 from pg_stat_activity where query = 'select pg_sleep(60)'`);
const open = () => openRawSession(agentWay(stack).door, { database: 'shop' });
const asBatch = () => stack.psql('select 1', { user: stack.users.batch });

async function standing(): Promise<readonly { id: string }[]> {
  return JSON.parse((await stack.cli(['revocation', 'list', '--json'])).stdout);
}

it('a quarantine ends who sleeps at the database within a second, keeps them out by each way, and is taken back', async () => {
  const { folder } = await startSvidFiles(stack);
  const session = await open();
  session.send(query('select pg_sleep(60)'));
  await eventually('the statement runs', async () => (await sleeping()).length === 1);
  const quarantining = stack.cli(['quarantine', ...WEB, '--reason', 'a drill']);
  await eventually('it stands', async () => (await standing()).length === 1, { everyMs: 20 });
  const beganMs = performance.now();
  expect((await session.end()).join(' ')).toMatch(/E:57P01:this session is ended: it is in quarantine/);
  await eventually('the backend is gone', async () => (await sleeping()).length === 0);
  expect(performance.now() - beganMs).toBeLessThan(1_000);
  const { code, stdout, stderr } = await quarantining;
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/gateway .*: in effect after \d+ ms/);

  const [one] = await standing();
  const id = one?.id ?? '';
  const [byAgent, direct] = [agentWay(stack), directWay(stack, folder, 'postgres')];
  for (const way of [byAgent, direct])
    await expect(way.connect()).rejects.toMatchObject({ code: '28000', message: expect.stringContaining(id) });
  expect((await asBatch()).code).toBe(0);
  const ledger = await stack.ledger();
  const named = ledger.filter(({ detail }) => detail['revocation'] === id);
  expect(named.map(({ kind }) => kind)).toEqual(['session-close', 'denial', 'denial']);

  expect((await stack.cli(['revocation', 'lift', id])).code).toBe(0);
  await eventually('it may come in again', async () => {
    const client = await byAgent.connect().catch(() => undefined);
    await client?.end();
    return client !== undefined;
  });
});

it('a quarantine that keeps sessions refuses what they do but for what it allows, and they go on after it', async () => {
  const client = await agentWay(stack).connect();
  const quarantined = await stack.cli([...['quarantine', ...WEB, '--keep-running'], ...['--allow', 'postgres:select']]);
  expect(quarantined.code).toBe(0);
  await expect(client.query('create temporary table t (a int)')).rejects.toThrow(/in quarantine/);
  await client.query('select 1');
  const [one] = await standing();
  await stack.cli(['revocation', 'lift', one?.id ?? '']);
  await eventually('it does as before', async () =>
    client.query('select count(*) from pg_class').then(
      () => true,
      () => false,
    ),
  );
  await client.end();
});

it('who is revoked stays so over a restart of the gateway, and gets no identity; the server says when it can be lifted', async () => {
  const session = await open();
  const revoked = await stack.cli(['revocation', 'add', ...WEB, '--reason', 'leaked key']);
  expect(revoked).toMatchObject({ code: 0, stderr: '' });
  expect((await session.end()).join(' ')).toMatch(/E:57P01:this session is ended: its credentials are revoked/);
  const kept = path.join(stack.folder.data.gateway, 'revocations.sealed');
  expect(fs.existsSync(kept)).toBe(true);
  expect(fs.readFileSync(kept, 'latin1')).not.toContain('example.org/web');
  const gateway = stack.roles.gateway;
  expect(await gateway.end('SIGTERM')).toBe(0);
  gateway.start();
  await gateway.ready();
  const [one] = await standing();
  // By its agent, which knows of it too: no gateway is asked.
  await expect(agentWay(stack).connect()).rejects.toMatchObject({
    code: '28000',
    message: expect.stringMatching(new RegExp(`revoked \\(${one?.id}\\)`)),
  });
  expect((await asBatch()).code).toBe(0);
  const lifted = await stack.cli(['revocation', 'lift', one?.id ?? '']);
  expect(lifted.code).not.toBe(0);
});
