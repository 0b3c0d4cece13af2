// Goal: when a permit expires, what was open, prepared or begun under it is judged anew, as if the permit had been taken away.
import { parseSpiffeId } from '@countersign/sdk/identity';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { eventually } from '../../../../../test/support/eventually.ts';
import { openRawClient, type RawSession } from '../../../../../test/support/raw-session.ts';
import { composeSchema, loadPolicies } from '../../../../policy/index.ts';
import { createManualClock, type ManualClock } from '../../../../std/index.ts';
import { createCurrentPolicies, createSessionPolicy } from '../../../sessions/current-policies.ts';
import { policySchema } from '../sql/index.ts';
import { type AppDatabase, startAppDatabase } from '../testing/app-database.ts';
import { kinds, startTarget } from '../testing/harness.ts';
import { bind, execute, parse, query, sync } from '../testing/messages.ts';

const schema = composeSchema([policySchema]);
const HOUR_MS = 3_600_000;
let server: AppDatabase;
let clock: ManualClock;
let gate: Awaited<ReturnType<typeof startTarget>>;

beforeAll(async () => {
  server = await startAppDatabase(`
    create table items (id int primary key); insert into items values (1), (2);
    grant all on all tables in schema public to gate;`);
});
afterAll(() => server?.stop());

beforeEach(async () => {
  clock = createManualClock(Date.parse('2026-11-22T12:00:00Z'));
  return () => gate?.close();
});

/** A client under a permit for an hour, of those actions; others it has for good. */
async function open(action: string): Promise<RawSession> {
  const currentPolicies = createCurrentPolicies(clock);
  const text = `@id("always") permit(principal, action in Action::"postgres:any", resource) unless { action == Action::"${action}" };
    @id("hour") @expires("2026-11-22T13:00:00Z") permit(principal, action == Action::"${action}", resource);`;
  currentPolicies.replace(loadPolicies([{ name: 'p', text }], schema));
  const sessionPolicy = createSessionPolicy(currentPolicies, parseSpiffeId('spiffe://example.org/web'));
  gate = await startTarget({ ...server.target, sessionPolicy });
  return openRawClient(gate.port);
}

const REFUSED = expect.stringMatching(/^E:42501:no policy permits postgres:select/);

it('a session goes on, and is refused what it may no longer do, its prepared statements included', async () => {
  const client = await open('postgres:select');
  client.send(parse('select id from items', 's'), bind('s'), execute(), sync());
  expect(await client.ready()).toContain('C:SELECT 2');
  await clock.advance(HOUR_MS);
  client.send(bind('s'), execute(), sync());
  expect(await client.ready()).toContainEqual(REFUSED);
  client.send(query('select id from items'));
  expect(await client.ready()).toContainEqual(REFUSED);
  client.send(query('insert into items values (3)'), query('delete from items where false'));
  expect(await client.ready()).toContain('C:INSERT 0 1');
  client.close();
});

it('an execute that is sent behind others, before they are answered, is judged by its own time', async () => {
  const client = await open('postgres:select');
  client.send(parse('select id from items where id = 1', 's'), bind('s'), execute());
  await eventually('the first is asked', () => kinds(gate.ledger.events, 'intent').length === 1);
  await clock.advance(HOUR_MS);
  client.send(bind('s'), execute(), sync());
  const answers = await client.ready();
  expect(answers.filter((answer) => answer.startsWith('D:'))).toEqual(['D:1']);
  expect(answers).toContainEqual(REFUSED);
  client.close();
});

it('a portal gives no more rows', async () => {
  const client = await open('postgres:select');
  client.send(query('begin'));
  await client.ready();
  client.send(parse('select id from items order by id'), bind('', 'p'), execute('p', 1), sync());
  expect(await client.ready()).toContain('D:1');
  await clock.advance(HOUR_MS);
  client.send(execute('p', 1), sync());
  const answers = await client.ready();
  expect(answers.filter((answer) => answer.startsWith('D:'))).toEqual([]);
  expect(answers).toContainEqual(REFUSED);
  client.close();
});

it('a session that may no longer be is ended', async () => {
  const client = await open('postgres:connect');
  client.send(query('select 1'));
  await client.ready();
  await clock.advance(HOUR_MS);
  expect(await client.end()).toContainEqual(expect.stringContaining('policy no longer allows this connection'));
});
