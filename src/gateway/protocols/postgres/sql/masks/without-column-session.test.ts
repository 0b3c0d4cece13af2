// Goal: what a misspelt mask should have hidden never reaches a client, in either protocol; a column that is added mends it at once.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { bind, execute, openRawClient, parse, query, sync } from '../../../../../../test/support/raw-session.ts';
import { type AppDatabase, startAppDatabase } from '../../testing/app-database.ts';
import { cedarPolicy } from '../../testing/cedar-policy.ts';
import { startTarget } from '../../testing/harness.ts';

const POLICIES = `
  @id("all") permit (principal, action, resource);
  @id("typo") @mask("customers.snn:redact") permit (principal, action == Action::"postgres:select", resource);`;
const REFUSED = 'E:42501:policy masks "public.customers.snn", and there is no such column; mend the policy';

let server: AppDatabase;
let gate: Awaited<ReturnType<typeof startTarget>>;

beforeAll(async () => {
  server = await startAppDatabase(`
    create table customers (id int primary key, ssn text); insert into customers values (1, 'CANARY-1');
    create table orders (id int); insert into orders values (7);
    grant all on all tables in schema public to gate;`);
  gate = await startTarget({
    ...server.target,
    policy: cedarPolicy(POLICIES),
  });
});
afterAll(async () => {
  await gate?.close();
  await server?.stop();
});

/** What one session is answered after a snapshot that was begun after this call: an unknown name makes the gateway take one. */
async function askAnew(text: string): Promise<string[]> {
  const client = await openRawClient(gate.port);
  client.send(query('select 1 from nowhere'));
  await client.ready();
  client.send(query(text));
  const answers = await client.ready();
  client.close();
  return answers;
}

it('statements and prepared statements on the table are refused, others go on', async () => {
  const client = await openRawClient(gate.port);
  const answers: string[] = [];
  for (const parts of [
    [query('select ssn from customers')],
    [query('copy customers to stdout')],
    [parse('select ssn from customers', 'p'), bind([], { name: 'p' }), execute(), sync()],
    [query('select id from orders')],
  ]) {
    client.send(...parts);
    answers.push(...(await client.ready()));
  }
  client.close();
  expect(answers.filter((one) => /^[DEd]:/.test(one))).toEqual([REFUSED, REFUSED, REFUSED, 'D:7']);
  const denials = gate.ledger.events.filter((event) => event.kind === 'denial');
  expect(denials).toHaveLength(3);
  for (const denial of denials)
    expect(denial).toMatchObject({ detail: { reason: 'mask-without-column', policies: ['typo'] } });
});

it('the column comes, and the table is served with the mask on it; it goes, and the table is refused', async () => {
  await server.query(`alter table customers add column snn text default 'CANARY-2'`, [], 'app');
  expect(await askAnew('select id, snn from customers')).toContain('D:1|[redacted]');
  await server.query('alter table customers drop column snn', [], 'app');
  expect(await askAnew('select id from customers')).toContain(REFUSED);
});
