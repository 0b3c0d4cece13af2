// Small things that drivers rely on, against a real server.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { eventually } from '../../../../../test/support/eventually.ts';
import {
  bind,
  describePortal,
  execute,
  message,
  openRawClient,
  parse,
  query,
  type RawSession,
  sync,
} from '../../../../../test/support/raw-session.ts';
import { encodeCancelRequest, encodeStartup } from '../../../../wire/postgres/index.ts';
import { type AppDatabase, startAppDatabase } from '../testing/app-database.ts';
import { cedarPolicy } from '../testing/cedar-policy.ts';
import { startTarget } from '../testing/harness.ts';

const POLICIES = `
  permit (principal, action, resource);
  @mask("v:redact") permit (principal == Identity::"spiffe://example.org/web", action == Action::"postgres:select", resource == Postgres::Table::"db/app/public/elsewhere");
  forbid (principal, action, resource == Postgres::Table::"db/app/public/hidden");`;
const SEED = `
  create table elsewhere (v text);
  create table written (a int); grant all on written to gate;
  create table hidden (v text);
  create function twice(int) returns int language sql as 'select 2 * $1';`;

type Gate = Awaited<ReturnType<typeof startTarget>>;
let server: AppDatabase;
let gate: Gate;

beforeAll(async () => {
  server = await startAppDatabase(SEED);
});
beforeEach(async () => {
  gate = await startTarget(server.target);
  return () => gate.close();
});
afterAll(() => server?.stop());

async function ask(client: RawSession, ...messages: readonly Buffer[]): Promise<string[]> {
  client.send(...messages);
  return client.ready();
}

test('parameters of the type void are none of a function’s arguments', async () => {
  const client = await openRawClient(gate.port);
  const types = Buffer.from([0, 2, 0, 0, 0x08, 0xe6, 0, 0, 0, 23]);
  const values = message('B', '', '', 0, 2, Buffer.from([255, 255, 255, 255, 0, 0, 0, 1]), Buffer.from('4'), 0);
  const text = message('P', '', 'select * from twice($1, $2) as result', types);
  expect(await ask(client, text, values, describePortal(), execute(), sync())).toContain('D:8');
  client.close();
});

test('NOTIFY does not wait for the disk; what changes something does', async () => {
  const client = await openRawClient(gate.port);
  const release = gate.ledger.hold();
  expect(await ask(client, query("notify c, 'x'"))).toEqual(['C:NOTIFY', 'Z:I']);
  expect(await ask(client, query("select pg_notify('c', 'x')"))).toEqual(['T', 'D:', 'C:SELECT 1', 'Z:I']);
  client.send(query('insert into written values (1)'));
  await eventually('the row is there', async () => (await server.query('table written', [], 'app')).length === 1);
  expect(client.received().toString('latin1')).not.toContain('INSERT');
  release();
  expect(await client.ready()).toContain('C:INSERT 0 1');
  client.close();
});

test('the process of BackendKeyData is the server’s own, also in notifications', async () => {
  const client = await openRawClient(gate.port, { start: false });
  client.send(encodeStartup(0, [['user', 'web']]));
  const key = (await client.ready()).find((one) => one.startsWith('K:'))?.split(':') ?? [];
  expect(await ask(client, query('select pg_backend_pid()'))).toContain(`D:${key[1]}`);
  await ask(client, query('listen c'));
  const before = client.received().length;
  await ask(client, query('notify c'));
  const at = client.received().indexOf('A', before, 'latin1');
  expect(client.received().readUInt32BE(at + 5)).toBe(Number(key[1]));
  client.close();
});

test('a query is cancelled by that process’s key, and by no other', async () => {
  const client = await openRawClient(gate.port, { start: false });
  client.send(encodeStartup(0, [['user', 'web']]));
  const [, pid = '', hex = ''] = (await client.ready()).find((one) => one.startsWith('K:'))?.split(':') ?? [];
  const cancelBy = async (key: Buffer) => {
    const other = await openRawClient(gate.port, { start: false });
    other.send(encodeCancelRequest(Number(pid), key));
    await other.end();
  };
  const key = Buffer.from(hex, 'hex');
  client.send(query('select pg_sleep(60)'));
  await eventually(
    'it runs',
    async () =>
      (await server.query("select 1 from pg_stat_activity where query = 'select pg_sleep(60)' and state = 'active'"))
        .length === 1,
  );
  const wrong = Buffer.from(key);
  wrong[0] = (wrong[0] ?? 0) ^ 1;
  await cancelBy(wrong);
  expect(
    await server.query("select 1 from pg_stat_activity where query = 'select pg_sleep(60)' and state = 'active'"),
  ).toHaveLength(1);
  await cancelBy(key);
  expect(await client.ready()).toContainEqual(expect.stringMatching(/^E:57014/));
  client.close();
});

test('a goodbye as the first message closes without a word, in one piece or in two', async () => {
  for (const parts of [[5], [1, 5], [4, 5]]) {
    const client = await openRawClient(gate.port, { start: false });
    let from = 0;
    for (const to of parts) {
      client.send(Buffer.from([0x58, 0, 0, 0, 4]).subarray(from, to));
      from = to;
    }
    expect(await client.end()).toEqual([]);
    expect(client.received()).toHaveLength(0);
  }
});

test.each([
  false,
  true,
])('after a denial an aborted transaction says what PostgreSQL says; with masks: %s', async (isMasked) => {
  const denying = await startTarget({
    ...server.target,
    policy: cedarPolicy(POLICIES, isMasked ? 'web' : 'plain'),
  });
  const client = await openRawClient(denying.port);
  await ask(client, query('begin'));
  expect(await ask(client, query('table hidden'))).toContainEqual(expect.stringMatching(/^E:42501/));
  for (const messages of [[query('select 1')], [parse('select 1'), bind(), execute(), sync()]])
    expect(await ask(client, ...messages)).toEqual([
      'E:25P02:current transaction is aborted, commands ignored until end of transaction block',
      'Z:E',
    ]);
  client.close();
  await denying.close();
});

test('the server looks whether the gateway is still there, also after RESET; a client may choose otherwise', async () => {
  const client = await openRawClient(gate.port);
  expect(await ask(client, query('reset all'), query('show client_connection_check_interval'))).toEqual([
    'C:RESET',
    'Z:I',
  ]);
  expect(await client.ready()).toContain('D:5s');
  client.close();
  const other = await openRawClient(gate.port, {
    parameters: [
      ['user', 'web'],
      ['client_connection_check_interval', '7s'],
    ],
  });
  expect(await ask(other, query('show client_connection_check_interval'))).toContain('D:7s');
  other.close();
});
