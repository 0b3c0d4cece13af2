/**
 * A label revoked over two gateways of the real stack: it holds at both and at the agent for an identity of which one entry has it and another has not,
 * whatever becomes of the entry; a gateway that was killed is named.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { openRawSession, query } from '../support/raw-session.ts';
import { createSecondGateway } from '../support/second-gateway.ts';
import { type Stack, type StackRole, startStack } from '../support/stack.ts';
import { agentWay } from '../support/ways.ts';

let stack: Stack;
let second: StackRole;

beforeAll(async () => {
  stack = await startStack({
    policies: {
      all: '@id("all") permit (principal, action, resource) when { ["/web", "/batch"].contains(principal.path) };',
    },
    // Both gateways are on one machine, where one port can't be that of both.
    target: { listen: undefined },
  });
  second = await createSecondGateway(stack);
  second.start();
  await second.ready();
});
afterAll(async () => {
  await second?.end('SIGKILL');
  await stack?.stop();
});

it('holds everywhere for whoever has had it once, and a gateway that was killed is named', async () => {
  const made = await stack.cli([
    ...[
      'entry',
      'create',
      '--spiffe-id',
      'spiffe://example.org/web',
      '--parent-id',
      'spiffe://example.org/elsewhere',
      '--selector',
      'unix:uid:4711',
      '--id',
      'red',
    ],
    ...['--label', 'team=red', '--json'],
  ]);
  expect(made.code).toBe(0);
  const session = await openRawSession(agentWay(stack).door, { database: 'shop' });
  session.send(query('select pg_sleep(60)'));
  const sleeping = () => stack.dba(`select 1 from pg_stat_activity where query = 'select pg_sleep(60)'`);
  await eventually('the statement runs', async () => (await sleeping()).length === 1);

  const revoked = await stack.cli(['revocation', 'add', '--label', 'team=red', '--yes', '--json']);
  expect(revoked).toMatchObject({ code: 0, stderr: '' });
  const { revocation, verifiers } = JSON.parse(revoked.stdout);
  expect(revocation.identities).toBe(1);
  expect(verifiers.map(({ kind, state }: Record<string, string>) => `${kind} ${state}`).toSorted()).toEqual([
    ...['agent in-effect', 'gateway in-effect', 'gateway in-effect'],
  ]);
  expect((await session.end()).join(' ')).toMatch(/E:57P01:this session is ended: its credentials are revoked/);
  await eventually('the backend is gone', async () => (await sleeping()).length === 0);

  expect((await stack.cli(['entry', 'delete', 'red'])).code).toBe(0);
  await expect(agentWay(stack).connect()).rejects.toMatchObject({
    code: '28000',
    message: expect.stringContaining(revocation.id),
  });
  expect((await stack.psql('select 1', { user: stack.users.batch })).code).toBe(0);

  await second.end('SIGKILL');
  const quarantined = await stack.cli(['quarantine', '--who', 'spiffe://example.org/batch', '--wait', '3', '--yes']);
  expect(quarantined.code).toBe(69);
  expect(quarantined.stderr).toMatch(/gateway .* is unreachable; it does not end there by itself/);
  expect(quarantined.stdout).toMatch(/in effect at 2 of 3/);
});
