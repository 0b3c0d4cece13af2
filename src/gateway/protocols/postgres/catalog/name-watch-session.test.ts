// Goal: the names of policies are held against the database's own catalog, as sessions come, tables are made and policies change.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openRawClient, query } from '../../../../../test/support/raw-session.ts';
import { composeSchema, loadPolicies } from '../../../../policy/index.ts';
import { createManualClock } from '../../../../std/index.ts';
import { createCurrentPolicies, createTargetPolicies } from '../../../sessions/current-policies.ts';
import { policySchema } from '../sql/index.ts';
import { type AppDatabase, startAppDatabase } from '../testing/app-database.ts';
import { startTarget } from '../testing/harness.ts';

const schema = composeSchema([policySchema]);
const currentPolicies = createCurrentPolicies(createManualClock(0));
let server: AppDatabase;
let gate: Awaited<ReturnType<typeof startTarget>>;

beforeAll(async () => {
  server = await startAppDatabase(`
    create table customers (id int primary key, ssn text); create schema tools;
    create function tools.close_month() returns int language sql as 'select 1';
    grant all on all tables in schema public to gate;`);
  gate = await startTarget({ ...server.target, policies: createTargetPolicies(currentPolicies) });
});
afterAll(async () => {
  await gate?.close();
  await server?.stop();
});

function apply(...resources: readonly string[]): void {
  const text = resources.map((resource) => `forbid(principal, action, resource == Postgres::${resource});`).join('\n');
  currentPolicies.replace(loadPolicies([{ name: 'f', text }], schema));
}
const whats = () => (gate.target.warnings?.() ?? []).map(({ what }) => what);

/** Has the gateway take a snapshot that is begun after this call: it looks anew for a name that it does not know. */
async function lookAnew(): Promise<void> {
  const client = await openRawClient(gate.port);
  client.send(query('select 1 from nowhere'));
  await client.ready();
  client.close();
}

it('a database that the target does not serve is told before anybody has come', () => {
  apply('Database::"db/apps"', 'Table::"db/app/public/custmers"');
  expect(whats()).toEqual(['policy "f#1" names database "apps", which is not there (did you mean "app"?)']);
});

it('a table that is not in the catalog is told from the first session on, and no more once it is made', async () => {
  apply('Table::"db/app/public/custmers"', 'Table::"db/app/public/customers"', 'Function::"db/app/tools/close_month"');
  await lookAnew();
  expect(whats()).toEqual([
    'policy "f#1" names table "public.custmers" of database "app", which is not there (did you mean "public.customers"?)',
  ]);
  await server.query('create table custmers (id int)', [], 'app');
  await lookAnew();
  expect(whats()).toEqual([]);
  await server.query('drop table custmers', [], 'app');
  await lookAnew();
  expect(whats()).toHaveLength(1);
});

it('what is named is looked for when the gateway asks, though nobody has come', async () => {
  const fresh = await startTarget({ ...server.target, policies: createTargetPolicies(currentPolicies) });
  try {
    apply('Table::"db/app/public/custmers"');
    await fresh.target.look?.(AbortSignal.timeout(60_000));
    expect((fresh.target.warnings?.() ?? []).map(({ what }) => what)).toEqual([
      'policy "f#1" names table "public.custmers" of database "app", which is not there (did you mean "public.customers"?)',
    ]);
  } finally {
    await fresh.close();
  }
});

it('a change of policies is looked at by the snapshot that is there', () => {
  apply('Schema::"db/app/tool"');
  expect(whats()).toEqual([
    'policy "f#1" names schema "tool" of database "app", which is not there (did you mean "tools"?)',
  ]);
  apply('Schema::"db/app/tools"');
  expect(whats()).toEqual([]);
});
