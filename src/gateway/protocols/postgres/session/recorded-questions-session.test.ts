// Goal: what the ledger has of a session is enough to judge all of it again, exactly: what was allowed and what was not, at the time at which it was asked.
import { parseSpiffeId } from '@countersign/sdk/identity';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { openRawClient } from '../../../../../test/support/raw-session.ts';
import type { LedgerEvent } from '../../../../model/index.ts';
import {
  type CompiledPolicies,
  composeSchema,
  identityEntity,
  loadPolicies,
  readRecorded,
} from '../../../../policy/index.ts';
import { createManualClock, type ManualClock } from '../../../../std/index.ts';
import { createCurrentPolicies, createSessionPolicy } from '../../../sessions/current-policies.ts';
import { testDigester } from '../../../testing/test-ledger.ts';
import { policySchema } from '../sql/index.ts';
import { type AppDatabase, startAppDatabase } from '../testing/app-database.ts';
import { kinds, startTarget } from '../testing/harness.ts';
import { bind, execute, parse, query, sync } from '../testing/messages.ts';

const schema = composeSchema([policySchema]);
const IDENTITY = parseSpiffeId('spiffe://example.org/shop/web');
const TEXT = `
  @id("in") permit(principal, action in [Action::"postgres:connect", Action::"postgres:set"], resource);
  @id("items") @mask("cost:redact") @limit("rows=100")
  permit(principal in IdentityPath::"spiffe://example.org/shop", action == Action::"postgres:select", resource)
  when { resource.name == "items" && context.columns.contains("id") };
  @id("full") @record("full")
  permit(principal, action == Action::"postgres:insert", resource) when { principal.path == "/shop/web" };
  @id("hour") @expires("2026-11-22T13:00:00Z")
  permit(principal, action == Action::"postgres:delete", resource) when { context.hasWhere };
  @id("parts") permit(principal, action == Action::"postgres:select", resource) when { resource.name like "part*" };
  @id("no-secrets") forbid(principal, action, resource is Postgres::Table) when { resource.name == "secrets" };
  @id("no-low") forbid(principal, action, resource is Postgres::Table) when { resource.name == "part_low" };
`;

let server: AppDatabase;
let clock: ManualClock;
let gate: Awaited<ReturnType<typeof startTarget>>;
let policies: CompiledPolicies;
let currentPolicies: ReturnType<typeof createCurrentPolicies>;

beforeAll(async () => {
  server = await startAppDatabase(`
    create table items (id int primary key, name text, cost int); insert into items values (1, 'pen', 3);
    create table secrets (v text);
    create table parts (n int) partition by range (n);
    create table part_low partition of parts for values from (0) to (10);
    create view seen as select id from items;
    grant all on all tables in schema public to gate;`);
});
afterAll(() => server?.stop());

beforeEach(async () => {
  clock = createManualClock(Date.parse('2026-11-22T12:59:59.500Z'));
  currentPolicies = createCurrentPolicies(clock);
  policies = loadPolicies([{ name: 'p', text: TEXT }], schema);
  currentPolicies.replace(policies, 7);
  gate = await startTarget({ ...server.target, sessionPolicy: createSessionPolicy(currentPolicies, IDENTITY), schema });
});
afterEach(() => gate.close());

async function session(): Promise<readonly LedgerEvent[]> {
  const client = await openRawClient(gate.port);
  const say = async (...texts: readonly string[]) => {
    for (const text of texts) {
      client.send(query(text));
      await client.ready();
    }
  };
  await say('select id, name from items', 'select cost from items where id = 1', 'select name from items');
  await say("insert into items values (2, 'CANARY', 5)", 'delete from items where id = 2', 'delete from items');
  await say('select v from secrets', 'select id from seen', 'select n from parts', 'select 1', 'selec');
  await say('select i.id, s.v from items i, secrets s', 'select nothing from items', "set app.tenant = '7'");
  client.send(parse('select id from items where id = $1', 's'), bind('s', '', ['1']), execute(), sync());
  await client.ready();
  await clock.advance(1_000);
  await say('delete from items where id = 3');
  client.close();
  await gate.served();
  return gate.ledger.events;
}

const isAsked = ({ kind }: LedgerEvent) => kind === 'intent' || kind === 'denial' || kind === 'session-open';

it('each question gets the same answer again, by what is recorded alone', async () => {
  const events = (await session()).filter(isAsked);
  const principal = identityEntity(IDENTITY);
  const answers = new Set<string>();
  let questions = 0;
  for (const { detail } of events) {
    const { policySet, asked, isWhole } = readRecorded(JSON.parse(JSON.stringify(detail)), schema);
    expect(isWhole).toBe(true);
    for (const { question, decision } of asked) {
      expect(policySet).toMatchObject({ digest: policies.digest, revision: 7 });
      expect(policies.decide({ principal, ...question, timeMs: policySet?.timeMs })).toEqual(decision);
      answers.add(decision.allow ? decision.policies.join() : decision.reason);
      questions++;
    }
  }
  expect(questions).toBeGreaterThan(15);
  expect(answers).toEqual(new Set(['in', 'items', 'full', 'hour', 'parts', 'no-permit', 'forbidden']));
});

it('a denial tells all that was asked, also behind the first no, and at which time it was', async () => {
  const denials = kinds(await session(), 'denial');
  const both = denials.find(
    ({ detail }) =>
      JSON.stringify(detail).includes('public/items') && JSON.stringify(detail).includes('public/secrets'),
  );
  const { asked } = readRecorded(both?.detail ?? {}, schema);
  expect(asked.map(({ question, decision }) => [question.resource.id, decision.allow])).toEqual([
    ['db/app/public/items', true],
    ['db/app/public/secrets', false],
  ]);
  const late = readRecorded(denials.at(-1)?.detail ?? {}, schema);
  expect(late.asked.map(({ question, decision }) => [question.action, decision.allow])).toEqual([
    ['postgres:select', true],
    ['postgres:delete', false],
  ]);
  expect(late.policySet?.timeMs).toBeGreaterThanOrEqual(Date.parse('2026-11-22T13:00:00Z'));
});

it('a statement without values has one digest by either protocol, and with a value another', async () => {
  const client = await openRawClient(gate.port);
  const say = async (...messages: readonly Buffer[]) => {
    client.send(...messages);
    await client.ready();
  };
  const text = 'delete from items where id = 7';
  const bound = 'delete from items where id = $1';
  await say(query(text));
  await say(parse(text), bind(), execute(), sync());
  for (const value of ['7', '8', '7']) await say(parse(bound), bind('', '', [value]), execute(), sync());
  client.close();
  await gate.served();
  const digests = kinds(gate.ledger.events, 'intent').map(({ detail }) => detail['contentDigest']);
  const [simple, extended, seven, eight, again] = digests;
  expect(digests).toHaveLength(5);
  expect([extended, again]).toEqual([simple, seven]);
  expect(new Set([simple, seven, eight]).size).toBe(3);
});

it('what a table leads to is asked for its forbids, and that nothing permits it is no denial', async () => {
  const parts = kinds(await session(), 'denial').find(({ detail }) => JSON.stringify(detail).includes('public/parts'));
  const { asked } = readRecorded(parts?.detail ?? {}, schema);
  expect(
    asked.map(({ question, decision, forbidsOnly = false }) => [question.resource.id, decision.allow, forbidsOnly]),
  ).toEqual([
    ['db/app/public/parts', true, false],
    ['db/app/public/part_low', false, true],
  ]);
});

it('statements that differ in values alone have one shape; what their values were stands in full records only, elsewhere by a digest that takes a key', async () => {
  const events = await session();
  const deletes = events.filter(({ action, detail }) => action === 'postgres:delete' && detail['shape'] !== undefined);
  const [one, , three] = deletes.filter(({ kind }) => kind !== 'outcome');
  expect(one?.detail['shape']).toBe(three?.detail['shape']);
  expect(one).toMatchObject({ kind: 'intent' });
  const digests = [one, three].map((entry) => String(entry?.detail['contentDigest']));
  expect(digests).toEqual(digests.map(() => expect.stringMatching(`^${testDigester.keyId}:[\\w-]{43}$`)));
  expect(new Set(digests).size).toBe(2);
  const telling = events.filter((event) => JSON.stringify(event).includes('CANARY'));
  expect(telling).toMatchObject([
    { kind: 'intent', action: 'postgres:insert', detail: { questions: [{ record: 'full' }] } },
  ]);
});
