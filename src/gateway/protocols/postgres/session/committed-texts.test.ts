// A text with its own COMMIT in it: what it commits before the statement that is refused is carried out, as PostgreSQL would; nothing else is.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openRawClient, query } from '../../../../../test/support/raw-session.ts';
import { type AppDatabase, startAppDatabase } from '../testing/app-database.ts';
import { cedarPolicy } from '../testing/cedar-policy.ts';
import { kinds, startTarget, statementOf } from '../testing/harness.ts';

const POLICIES = `
  permit (principal, action, resource);
  @mask("ssn:redact") permit (principal == Identity::"spiffe://example.org/web", action == Action::"postgres:select", resource == Postgres::Table::"db/app/public/customers");
  forbid (principal, action, resource == Postgres::Table::"db/app/public/secrets");`;
const SEED = `
  create table customers (id int, ssn text); insert into customers values (1, 'CANARY-1');
  create table secrets (v text); insert into secrets values ('CANARY-2');
  create table log (entry text);
  grant all on all tables in schema public to gate; grant create on schema public to gate;`;

let server: AppDatabase;
let gate: Awaited<ReturnType<typeof startTarget>>;
let plain: Awaited<ReturnType<typeof startTarget>>;

beforeAll(async () => {
  server = await startAppDatabase(SEED);
  gate = await openGate('web');
  plain = await openGate('plain');
});
afterAll(async () => {
  await gate?.close();
  await plain?.close();
  await server?.stop();
});

function openGate(name: string) {
  return startTarget({
    ...server.target,
    policy: cedarPolicy(POLICIES, name),
  });
}

/** The answers to each text, one after the other; then the session lives, and no canary has come. */
async function ask(...texts: readonly string[]): Promise<string[]> {
  return askAt(gate, texts);
}

async function askAt({ port }: { port: number }, texts: readonly string[]): Promise<string[]> {
  const client = await openRawClient(port);
  const answers: string[] = [];
  for (const text of texts) {
    client.send(query(text));
    answers.push(...(await client.ready()));
  }
  client.send(query('rollback'), query('select 1 as alive'));
  await client.ready();
  expect(await client.ready()).toContain('D:1');
  client.close();
  expect(answers.join(' ')).not.toMatch(/canary/i);
  return answers.filter((one) => one !== 'T').map((one) => one.slice(0, 22));
}

test('what is committed stays, what is not is undone, what stands behind does not run', async () => {
  const from = gate.ledger.events.length;
  const text =
    "begin; insert into log values ('ä; kept'); commit; /* ; */ insert into log values ('undone'); select v from secrets -- ;\n; insert into log values ('behind')";
  expect(await ask(text, 'select entry from log', 'delete from log where true')).toEqual([
    ...['C:BEGIN', 'C:INSERT 0 1', 'C:COMMIT', 'C:INSERT 0 1', expect.stringMatching(/^E:42501/), 'Z:I'],
    ...['D:ä; kept', 'C:SELECT 1', 'Z:I'],
    ...['C:DELETE 1', 'Z:I'],
  ]);
  const events = gate.ledger.events.slice(from);
  expect(kinds(events, 'denial')).toHaveLength(1);
  expect(kinds(events, 'intent').map(({ detail }) => statementOf(detail))).toEqual([
    ...['begin', 'insert', 'commit', 'insert'],
    ...['select', 'delete', 'rollback', 'select'],
  ]);
  expect(kinds(events, 'outcome')).toHaveLength(kinds(events, 'intent').length);
});

test('the denial is the gateway’s own, and a failure before it is the server’s', async () => {
  const client = await openRawClient(gate.port);
  client.send(query('begin; commit; select v from secrets'));
  expect((await client.ready()).at(-2)).toMatch(/^E:42501:.*secrets/);
  client.close();
  expect(
    await ask('begin; insert into log values (1/0); commit; select v from secrets', 'select entry from log'),
  ).toEqual([...['C:BEGIN', expect.stringMatching(/^E:22012/), 'Z:E'], ...[expect.stringMatching(/^E:25P02/), 'Z:E']]);
});

test('rows before the denial are masked', async () => {
  expect(await ask('commit; select ssn from customers; table secrets')).toEqual([
    ...[
      expect.stringMatching(/^(N|C)/),
      'C:COMMIT',
      'D:[redacted]',
      'C:SELECT 1',
      expect.stringMatching(/^E:42501/),
      'Z:I',
    ],
  ]);
});

test.each([
  ['a syntax error', "insert into log values ('x'); commit; select from where", '42601'],
  ['COPY', 'begin; copy log from stdin; commit; table secrets', '42501'],
  ['no COMMIT before it', "insert into log values ('x'); table secrets; commit", '42501'],
])('nothing of a text runs that has %s', async (_, text, sqlstate) => {
  const answers = await ask(text, 'select count(*) from log');
  expect(answers).toEqual(
    [`E:${sqlstate}`, 'Z:I', 'D:0', 'C:SELECT 1', 'Z:I'].map((one) =>
      one.startsWith('E') ? expect.stringMatching(new RegExp(`^${one}`)) : one,
    ),
  );
});

test('a text that the ledger does not take runs in no part', async () => {
  const client = await openRawClient(gate.port);
  gate.ledger.failure = new Error('no disk');
  client.send(query("begin; insert into log values ('x'); commit; table secrets"));
  const answers = await client.ready();
  gate.ledger.failure = undefined;
  expect(answers).toEqual([expect.stringMatching(/^E:58030/), 'Z:I']);
  client.close();
  expect(await ask('select count(*) from log')).toContain('D:0');
});

test('what is made and committed in a text is known behind it', async () => {
  const text =
    "create table made (a int); create function twice(int) returns int language sql as 'select 2 * $1'; commit; insert into made values (twice(2)); select a from made";
  expect((await askAt(plain, [text])).slice(-4)).toEqual(['C:INSERT 0 1', 'D:4', 'C:SELECT 1', 'Z:I']);
});
