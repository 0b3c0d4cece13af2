// Goal: whatever a session does to its search path, its transactions, its cursors and its portals, no name reaches the server that means there what
// policy forbids. The same sequences of an identity that may see everything do show it.
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  bind,
  execute,
  extended,
  flush,
  message,
  openRawClient,
  parse,
  query,
  sync,
} from '../../../../../test/support/raw-session.ts';
import { type AppDatabase, startAppDatabase } from '../testing/app-database.ts';
import { cedarPolicy } from '../testing/cedar-policy.ts';
import { startTarget } from '../testing/harness.ts';

const SEED = `
  create schema free; create table free.people as select 'free' as name;
  create table free.once (id int unique deferrable initially deferred);
  create schema closed; create table closed.people as select 'CANARY' as name;
  grant all on schema free, closed to gate; grant all on all tables in schema free, closed to gate;
  grant create, temporary on database app to gate;
  alter role gate set search_path = free;`;
/** `plain` may do anything but read what is in \`closed\`; `web` may read that too, masked. */
const POLICIES = `
  permit (principal, action, resource);
  forbid (principal == Identity::"spiffe://example.org/plain", action == Action::"postgres:select", resource in Postgres::Schema::"db/app/closed");
  @mask("closed.people.name:redact") permit (principal == Identity::"spiffe://example.org/web", action == Action::"postgres:select", resource in Postgres::Schema::"db/app/closed");`;

let server: AppDatabase;
const gates = new Map<string, Awaited<ReturnType<typeof startTarget>>>();

beforeAll(async () => {
  server = await startAppDatabase(SEED);
  for (const name of ['plain', 'web', 'anyone']) {
    const gate = await startTarget({
      ...server.target,
      policy: cedarPolicy(POLICIES, name),
    });
    gates.set(name, gate);
  }
});
afterAll(async () => {
  for (const gate of gates.values()) await gate.close();
  await server?.stop();
});

const paths = ['free', 'closed', 'free, closed', 'closed, free', "''", '"$user", closed'];
const statement = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('select name from people', 'table people', 'select * from people p') },
  fc.constantFrom('begin', 'commit', 'rollback', 'commit and chain', 'rollback and chain', 'savepoint s'),
  fc.constantFrom('release s', 'rollback to s', 'savepoint t', 'rollback to t', 'discard all', 'reset search_path'),
  fc.constantFrom(...paths).map((path) => `set search_path to ${path}`),
  fc.constantFrom(...paths).map((path) => `set local search_path to ${path}`),
  fc.constantFrom(
    "select set_config('search_path', 'closed', false)",
    "select set_config('search_path', 'closed', true)",
    "select set_config('search_path', 'free', false)",
    "select set_config('search_path', 'free', false) where false",
    "select set_config('search_path', 'free', false) limit 0",
    "explain select set_config('search_path', 'free', false)",
  ),
  fc.constantFrom('select 1/0', 'insert into free.once values (1)', 'insert into free.once values (1), (1)'),
  fc.constantFrom(
    'create temp table people (name text)',
    'create temp table people on commit drop as select 1 as name',
    'drop table pg_temp.people',
    'drop table if exists people',
  ),
  fc.constantFrom(
    'declare c cursor for select name from people',
    'declare c cursor with hold for select name from people',
    'fetch all from c',
    'move backward all from c',
    'close c',
    'fetch all from q',
    'move backward all from q',
    'prepare p as select name from people',
    'execute p',
    'deallocate all',
  ),
  fc.constantFrom(
    ...['set role none', 'reset role', 'create schema if not exists other', 'reset all'],
    "select set_config('role', 'none', false), set_config('search_path', 'closed', true)",
  ),
);

/** Messages of one batch; `name` of statement and portal are few, so that they meet. */
const step = fc.oneof(
  { weight: 6, arbitrary: statement.map((text) => [query(text)]) },
  {
    weight: 2,
    arbitrary: fc.array(statement, { minLength: 2, maxLength: 4 }).map((texts) => [query(texts.join('; '))]),
  },
  { weight: 2, arbitrary: statement.map((text) => [extended(text)]) },
  {
    weight: 2,
    arbitrary: fc
      .array(statement, { minLength: 2, maxLength: 4 })
      .map((texts) => [...texts.map((text) => unsynced(text)), sync()]),
  },
  fc.constantFrom(
    [parse('select name from people', 'st'), sync()],
    [message('C', Buffer.from('S'), 'st'), parse('select name from people', 'st'), sync()],
    [bind([], { name: 'st', portal: 'q' }), sync()],
    [bind([], { name: 'st', portal: 'q' }), flush(), execute('q'), sync()],
    [execute('q'), sync()],
    [execute('c'), sync()],
    [message('D', Buffer.from('P'), 'c'), sync()],
    [message('C', Buffer.from('P'), 'c'), sync()],
    [message('D', Buffer.from('P'), 'q'), sync()],
    [parse("select set_config('search_path', 'closed', false)"), bind([]), execute('', 1), sync()],
  ),
);

const unsynced = (text: string) => Buffer.concat([parse(text), bind([]), execute()]);

/** Sends them one after the other and gives back all that came. */
async function converse(
  port: number,
  steps: readonly (readonly Buffer[])[],
  start?: readonly (readonly [string, string])[],
) {
  const client = await openRawClient(port, start === undefined ? {} : { parameters: start });
  const received: string[] = [];
  for (const batch of steps) {
    client.send(...batch);
    received.push(...(await client.ready()));
    if (client.socket.destroyed) break;
  }
  client.close();
  return received;
}

/** A transaction over another path, ended in every way, and a look at what the names mean then. */
const phrase = fc
  .tuple(
    fc.constantFrom(...paths).map((path) => `set search_path to ${path}`),
    fc.constantFrom('begin', 'begin; savepoint s', "begin; set local search_path to ''"),
    fc
      .constantFrom(...paths)
      .chain((path) => fc.constantFrom(`set search_path to ${path}`, `set local search_path to ${path}`)),
    fc.constantFrom(
      'select 1',
      'select 1/0',
      'insert into free.once values (1), (1)',
      'savepoint t',
      'create temp table people (name text)',
    ),
    fc.constantFrom(
      'commit',
      'rollback',
      'rollback to s',
      'commit and chain',
      'rollback to s; commit',
      "prepare transaction 'x'",
    ),
    fc.constantFrom('select name from people', 'fetch all from c', 'execute p'),
  )
  .map((texts) => texts.map((text) => [query(text)]));
const sequence = fc
  .array(fc.oneof({ weight: 2, arbitrary: step.map((one) => [one]) }, phrase), { minLength: 2, maxLength: 8 })
  .map((parts) => parts.flat());
/** More by hand: `NAMES_RUNS=20000 npx vitest run names-property`. */
const RUNS = Number(process.env['NAMES_RUNS'] ?? 100);

describe.each(['plain', 'web'])('an identity (%s)', (name) => {
  test('never sees by a name what it may not see', async () => {
    let free = 0;
    await fc.assert(
      fc.asyncProperty(sequence, async (steps) => {
        const received = await converse(gates.get(name)?.port ?? 0, steps);
        free += received.filter((one) => one === 'D:free').length;
        expect(received.join(' ')).not.toMatch(/CANARY/);
      }),
      { numRuns: RUNS, seed: 7 },
    );
    // What is permitted passed.
    expect(free).toBeGreaterThan(RUNS / 4);
  });
});

test('an identity that may see everything sees it', async () => {
  let seen = 0;
  await fc.assert(
    fc.asyncProperty(sequence, async (steps) => {
      seen += (await converse(gates.get('anyone')?.port ?? 0, steps)).filter((one) => one === 'D:CANARY').length;
    }),
    { numRuns: 40, seed: 7 },
  );
  expect(seen).toBeGreaterThan(10);
});
