/** A permit that holds, on the real stack: an unmodified psql waits, somebody answers by the command line, and what was approved runs once. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { openRawSession, query, type RawSession } from '../support/raw-session.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { agentWay } from '../support/ways.ts';

let stack: Stack;

beforeAll(async () => {
  stack = await startStack({
    seed: `create table kept (id int); insert into kept select generate_series(1, 9); grant all on kept to shop_app;`,
    policies: {
      held: '@id("held") @approval("careful") permit (principal, action == Action::"postgres:delete", resource) when { principal.path == "/web" };',
      rest: '@id("rest") permit (principal, action, resource) when { principal.path == "/web" && !(action == Action::"postgres:delete") };',
    },
  });
  const rule = 'kind: ApprovalRule\nname: careful\nspec:\n  approvers: [operator]\n  for: 5m\n';
  expect((await stack.apply({ 'careful.yaml': rule }, { wait: false })).stderr).toBe('');
});
afterAll(() => stack?.stop());

it('waits until somebody has approved it, and runs that once', async () => {
  const session = await openRawSession(agentWay(stack).door, { database: 'shop' });
  session.send(query('delete from kept where id = 7'));
  const waiting = await waits();
  expect(waiting).toMatchObject({ identity: 'spiffe://example.org/web', target: 'shop' });
  expect(await ids()).toContain(7);
  // Reads that come by another session are not in its way.
  const other = await openRawSession(agentWay(stack).door, { database: 'shop' });
  other.send(query('select count(*) from kept'));
  expect((await other.ready()).join(' ')).toContain('D:9');
  await answer('approve', waiting);
  expect((await session.ready()).slice(-2)).toEqual(['C:DELETE 1', 'Z:I']);
  expect(await ids()).not.toContain(7);

  // The same statement is asked about again.
  session.send(query('delete from kept where id = 7'));
  const again = await waits();
  expect(again['id']).not.toBe(waiting['id']);
  await answer('deny', again);
  expect(refusalOf(await session.ready())).toMatch(/^E:42501:/);
  await goesOn(session);
  session.socket.destroy();
});

it('outlives the server that was asked', async () => {
  const session = await openRawSession(agentWay(stack).door, { database: 'shop' });
  session.send(query('delete from kept where id = 3'));
  const waiting = await waits();
  await stack.roles.server.end('SIGKILL');
  stack.roles.server.start();
  await stack.roles.server.ready();
  expect((await waits())['id']).toBe(waiting['id']);
  expect(await ids()).toContain(3);
  await answer('approve', waiting);
  expect((await session.ready()).slice(-2)).toEqual(['C:DELETE 1', 'Z:I']);
  session.socket.destroy();
});

it('is over when its client is gone, and when its gateway is', async () => {
  const gone = await openRawSession(agentWay(stack).door, { database: 'shop' });
  gone.send(query('delete from kept where id = 4'));
  await waits();
  gone.socket.destroy();
  await eventually('nothing waits', async () => (await list()).length === 0);

  const session = await openRawSession(agentWay(stack).door, { database: 'shop' });
  session.send(query('delete from kept where id = 4'));
  await waits();
  await stack.roles.gateway.end('SIGKILL');
  await eventually('nothing waits', async () => (await list()).length === 0, { withinMs: 60_000 });
  stack.roles.gateway.start();
  await stack.roles.gateway.ready();
  expect(await ids()).toContain(4);
});

async function list(): Promise<readonly Record<string, unknown>[]> {
  const { code, stdout, stderr } = await stack.cli(['approval', 'list', '--json']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout);
}

async function waits(): Promise<Record<string, unknown>> {
  let found: Record<string, unknown> | undefined;
  await eventually('one waits', async () => {
    [found] = await list();
    return found !== undefined;
  });
  return found ?? {};
}

async function answer(verb: 'approve' | 'deny', { id, digest }: Record<string, unknown>): Promise<void> {
  const { code, stderr } = await stack.cli(['approval', verb, String(id), '--digest', String(digest)]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
}

async function ids(): Promise<readonly unknown[]> {
  return (await stack.dba('select id from kept')).map(({ id }) => id);
}

function refusalOf(answered: readonly string[]): string {
  return answered.find((message) => message.startsWith('E:')) ?? '';
}

async function goesOn(session: RawSession): Promise<void> {
  session.send(query('select 1'));
  expect((await session.ready()).slice(-2)).toEqual(['C:SELECT 1', 'Z:I']);
}
