// Goal: a name never means one thing to the planner and another to PostgreSQL, whatever a client does to names in the protocol and in SQL.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  bind,
  execute,
  extended,
  flush,
  message,
  openRawClient,
  parse,
  query,
  type RawSession,
  sync,
} from '../../../../../test/support/raw-session.ts';
import { type AppDatabase, startAppDatabase } from '../testing/app-database.ts';
import { cedarPolicy } from '../testing/cedar-policy.ts';
import { startTarget } from '../testing/harness.ts';

const POLICIES = `
  permit (principal, action, resource);
  @mask("ssn:redact") permit (principal == Identity::"spiffe://example.org/web", action == Action::"postgres:select", resource == Postgres::Table::"db/app/public/customers");
  @limit("rows=2") permit (principal, action == Action::"postgres:select", resource == Postgres::Table::"db/app/public/many");
  forbid (principal, action, resource == Postgres::Table::"db/app/public/secrets");
  forbid (principal, action in [Action::"postgres:select", Action::"postgres:update"], resource == Postgres::Table::"db/app/own/staff")
  when { context.columns.contains("salary") };`;
/** `own` comes before `public` in the path, and belongs to the login; what is in `public` does not. */
const SEED = `
  create table customers (id int primary key, ssn text); insert into customers values (1, 'CANARY-1'), (2, 'CANARY-2');
  create table secrets (v text); insert into secrets values ('CANARY-3');
  create table many (id int); insert into many select generate_series(1, 50);
  create schema own authorization gate;
  create table own.secrets (v text); alter table own.secrets owner to gate;
  create table own.staff (name text, salary text); insert into own.staff values ('Ann', 'CANARY-4'); alter table own.staff owner to gate;
  grant all on all tables in schema public to gate;
  alter role gate set search_path = own, public;`;

let server: AppDatabase;
type Gate = Awaited<ReturnType<typeof startTarget>>;
/** Of an identity with masks, and of one without. */
let gate: Gate;
let plain: Gate;
let received: string[];

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
beforeEach(() => {
  received = [];
});

function openGate(name: string): Promise<Gate> {
  return startTarget({
    ...server.target,
    policy: cedarPolicy(POLICIES, name),
  });
}

/** Sends the batches one after the other, each when the one before is answered; all that came back, which never holds a value. */
async function converse(...batches: readonly (readonly Buffer[])[]): Promise<string[]> {
  return converseWith(gate, batches);
}

async function converseWith({ port }: Gate, batches: readonly (readonly Buffer[])[]): Promise<string[]> {
  const client: RawSession = await openRawClient(port);
  for (const batch of batches) {
    client.send(...batch);
    received.push(...(await client.ready()));
  }
  client.send(query('rollback'), query('select 1 as alive'));
  received.push(...(await client.ready()));
  expect(await client.ready()).toContain('D:1');
  client.close();
  expect(received.join(' ')).not.toMatch(/canary/i);
  return received;
}

const each = (...texts: readonly string[]) => texts.map((text) => [query(text)]);
const errors = (messages: readonly string[]) =>
  messages.filter((one) => one.startsWith('E:')).map((one) => one.slice(2, 7));

describe('names that PostgreSQL cuts to 63 bytes', () => {
  const long = 'x'.repeat(63);
  const closing = (kind: 'S' | 'P', name: string) => message('C', Buffer.from(kind), name);

  test('are no names of statements: one would run as another', async () => {
    const answers = await converse(
      [parse('select id from customers', `${long}a`), sync()],
      [closing('S', `${long}b`), parse('select ssn from customers', `${long}b`), sync()],
      [bind([], { name: `${long}a` }), execute(), sync()],
    );
    expect(errors(answers)).toEqual(['42622', '42622', '42622']);
  });

  test('are no names of portals', async () => {
    const answers = await converse(
      [query('begin')],
      [parse('select id from customers', 'a'), parse('select ssn from customers', 'b'), sync()],
      [bind([], { name: 'a', portal: `${long}a` }), sync()],
    );
    expect(errors(answers)).toEqual(['42622']);
  });

  test('may have exactly as many bytes', async () => {
    const answers = await converse([
      parse('select 7', long),
      bind([], { name: long, portal: long }),
      execute(long),
      sync(),
    ]);
    expect(answers).toContain('D:7');
  });
});

describe('a portal of the protocol', () => {
  const portalOf = (text: string) => [parse(text), bind([], { portal: 'c' }), sync()];

  test('is not fetched by SQL in the place of a cursor of that name that is gone', async () => {
    const answers = await converse(
      ...each('begin', 'declare c cursor for select id from customers', 'commit', 'begin'),
      portalOf('select ssn from customers'),
      [query('fetch all from c')],
    );
    // Its rows are masked as its own, not as those of the cursor: no value has come (see `converse`).
    expect(errors(answers)).toEqual([]);
    expect(answers.filter((one) => one.startsWith('D:'))).toEqual(['D:[redacted]', 'D:[redacted]']);
  });

  test.each([
    ['in a simple query', [query('fetch all from c')]],
    ['in the extended protocol', [extended('fetch all from c')]],
    ['by MOVE', [query('move all from c')]],
  ])('is not fetched past its row limit: %s', async (_, batch) => {
    const answers = await converseWith(plain, [[query('begin')], portalOf('select id from many'), batch]);
    const isMove = answers.some((one) => one.startsWith('C:MOVE'));
    expect(errors(answers)).toEqual(isMove ? [] : ['54000']);
    expect(answers.filter((one) => one.startsWith('D:'))).toEqual(isMove ? [] : ['D:1', 'D:2']);
  });

  test('that is closed leaves its name to cursors', async () => {
    const answers = await converse(
      [query('begin')],
      portalOf('select id from customers'),
      [message('C', Buffer.from('P'), 'c'), sync()],
      ...each('declare c cursor for select id from customers', 'fetch all from c'),
    );
    expect(errors(answers)).toEqual([]);
    expect(answers).toContain('C:FETCH 2');
  });
});

describe('what a transaction dropped or renamed', () => {
  test.each([
    ['a drop', each('begin', 'drop table own.secrets', 'select * from secrets')],
    ['a drop in one text', each('begin; drop table own.secrets; select * from secrets')],
    [
      'a drop before a savepoint',
      each('begin', 'drop table own.secrets', 'savepoint s', 'rollback to s', 'table secrets'),
    ],
    [
      'a drop in a pipeline without Sync',
      [
        [
          ...[parse('begin'), bind(), execute(), parse('drop table own.secrets'), bind(), execute()],
          ...[parse('select * from secrets'), bind(), execute(), sync()],
        ],
      ],
    ],
    [
      'a drop behind a Parse',
      [
        [parse('select * from secrets', 's'), sync()],
        [query('begin')],
        [query('drop table own.secrets')],
        [bind([], { name: 's' }), execute(), sync()],
      ],
    ],
  ])('leaves no name to a forbidden table: %s', async (_, batches) => {
    expect(errors(await converse(...batches))).toContain('42P09');
  });

  test('by another session leaves no name to a forbidden table either, not even behind a lock', async () => {
    const other = await openRawClient(gate.port);
    other.send(query('begin'), query('drop table own.secrets'));
    await other.ready();
    await other.ready();
    // PostgreSQL would wait for the lock, and look the name up again once the other session has committed.
    expect(errors(await converse(...each('select * from secrets')))).toEqual(['42P09']);
    other.close();
  });

  test('and settled is known to the next statement', async () => {
    await server.query('create table own.customers (x int); alter table own.customers owner to gate', [], 'app');
    const answers = await converse(
      ...each('table own.customers', 'drop table own.customers', 'select upper(ssn) from customers'),
    );
    expect(errors(answers)).toEqual(['42501']);
    received = [];
    expect(
      errors(await converse(...each('create table own.fresh (x int)', 'drop table own.fresh', 'table fresh'))),
    ).toEqual(['42P01']);
  });

  test('is not taken for settled before the pipeline that holds it ends', async () => {
    const client = await openRawClient(gate.port);
    client.send(parse('create table own.late (x int)'), bind(), execute(), flush());
    await client.until('C:CREATE TABLE');
    client.send(sync());
    await client.ready();
    // Another session sees it only by a snapshot taken after the Sync.
    const other = await openRawClient(gate.port);
    other.send(query('select x from late'));
    expect(await other.ready()).toEqual(['T', 'C:SELECT 0', 'Z:I']);
    client.close();
    other.close();
  });

  test('changes which column a name is: it counts as all of them', async () => {
    const renamed = ['begin', 'alter table staff add x text', 'alter table staff drop column name'];
    expect(errors(await converse(...each(...renamed, 'select name from staff')))).toEqual(['42501']);
    received = [];
    expect(errors(await converse(...each(...renamed, "update staff set name = 'x' where true")))).toEqual(['42501']);
  });
});
