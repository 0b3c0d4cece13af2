// Cursors and portals have one space of names at the server: SQL reaches the protocol's portals, the protocol SQL's cursors. Whatever way
// rows are reached, they are judged, masked and counted as those of the statement that they come from.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  bind,
  describePortal,
  describeStatement,
  execute,
  extended,
  flush,
  message,
  openRawClient,
  parse,
  query,
  sync,
} from '../../../../../test/support/raw-session.ts';
import { noObligations } from '../../../../model/index.ts';
import { type AppDatabase, startAppDatabase } from '../testing/app-database.ts';
import { cedarPolicy } from '../testing/cedar-policy.ts';
import { kinds, startTarget, statementOf } from '../testing/harness.ts';

const POLICIES = `
  permit (principal, action, resource);
  @mask("ssn:redact") permit (principal == Identity::"spiffe://example.org/web", action == Action::"postgres:select", resource == Postgres::Table::"db/app/public/customers");
  @limit("rows=2") permit (principal, action == Action::"postgres:select", resource == Postgres::Table::"db/app/public/many");
  forbid (principal, action, resource == Postgres::Table::"db/app/public/secrets");`;
const SEED = `
  create table customers (id int primary key, ssn text, note text);
  insert into customers values (1, 'CANARY-1', 'a'), (2, 'CANARY-2', 'b');
  create table secrets (v text); insert into secrets values ('CANARY-3');
  create table many (id int); insert into many select generate_series(1, 50);
  create schema other;
  create table other.customers (ssn text, note text); insert into other.customers values ('x', 'y');
  grant usage on schema other to gate;
  grant all on all tables in schema public, other to gate;`;

type Gate = Awaited<ReturnType<typeof startTarget>>;
let server: AppDatabase;
/** Of an identity with masks, and of one without. */
let masked: Gate;
let plain: Gate;

beforeAll(async () => {
  server = await startAppDatabase(SEED);
  masked = await openGate('web');
  plain = await openGate('plain');
});
afterAll(async () => {
  await masked?.close();
  await plain?.close();
  await server?.stop();
});

function openGate(name: string): Promise<Gate> {
  return startTarget({
    ...server.target,
    policy: cedarPolicy(POLICIES, name),
  });
}

/** Sends the batches one after the other, each when the one before is answered (each ends in one ReadyForQuery); all that came back. */
async function converse({ port }: Gate, ...batches: readonly (readonly Buffer[])[]): Promise<string[]> {
  const client = await openRawClient(port);
  const received: string[] = [];
  for (const batch of batches) {
    client.send(...batch);
    received.push(...(await client.ready()));
  }
  client.close();
  return received;
}

/** The gate with masks: what came back holds no masked value, and the session lives. */
async function attack(...batches: readonly (readonly Buffer[])[]): Promise<string[]> {
  const received = await converse(masked, ...batches, [query('rollback')], [query('select 1 as alive')]);
  expect(received.join(' ')).not.toMatch(/canary/i);
  expect(received).toContain('D:1');
  return received.slice(0, -5);
}

const begin = [query('begin')];
const close = (kind: 'S' | 'P', name: string) => message('C', Buffer.from(kind), name);
const rows = (messages: readonly string[]) => messages.filter((one) => one.startsWith('D:'));
const errors = (messages: readonly string[]) =>
  messages.filter((one) => one.startsWith('E:')).map((one) => one.slice(2, 7));
const run = (text: string) => [parse(text), bind(), execute()];

describe('a cursor declared in SQL', () => {
  const gates = [
    ['with masks', () => masked],
    ['without masks', () => plain],
  ] as const;

  test.each(gates)('is described and closed by the protocol, %s', async (_, gate) => {
    const answers = await converse(
      gate(),
      begin,
      [extended('declare c cursor for select id from customers order by id')],
      [describePortal('c'), sync()],
      [query('fetch all from c')],
      [close('P', 'c'), sync()],
      [query('fetch all from c')],
    );
    expect(errors(answers)).toEqual(['34000']);
    expect(answers).toEqual([
      ...['C:BEGIN', 'Z:T'],
      ...['1', '2', 'n', 'C:DECLARE CURSOR', 'Z:T'],
      ...['T', 'Z:T'],
      ...['T', 'D:1', 'D:2', 'C:FETCH 2', 'Z:T'],
      ...['3', 'Z:T'],
      expect.stringMatching(/^E:34000/),
      'Z:E',
    ]);
  });

  test.each(
    gates,
  )('is executed by the protocol, in parts and in one pipeline with its declaration, %s', async (_, gate) => {
    const answers = await converse(gate(), [
      ...run('begin'),
      ...run('declare c cursor for select id from customers order by id'),
      ...[describePortal('c'), execute('c', 1), execute('c'), sync()],
    ]);
    expect(answers.slice(-6)).toEqual(['T', 'D:1', 's', 'D:2', expect.stringMatching(/^C:/), 'Z:T']);
  });

  test.each(gates)('is fetched in the pipeline that declares it, %s', async (_, gate) => {
    const answers = await converse(gate(), [
      ...run('begin'),
      ...run('declare c cursor for select id from customers order by id'),
      ...[parse('fetch 1 from c'), bind(), describePortal(), execute(), ...run('close c'), ...run('commit'), sync()],
    ]);
    expect(rows(answers)).toEqual(['D:1']);
    expect(answers.at(-2)).toBe('C:COMMIT');
  });

  test('is limited and recorded, executed by the protocol, as by FETCH', async () => {
    const from = plain.ledger.events.length;
    const answers = await converse(
      plain,
      begin,
      [query('declare c cursor for select id from many')],
      [execute('c'), sync()],
    );
    expect(rows(answers)).toEqual(['D:1', 'D:2']);
    expect(errors(answers)).toEqual(['54000']);
    const last = kinds(plain.ledger.events.slice(from), 'intent').at(-1);
    expect(last).toMatchObject({ action: 'postgres:select', detail: { postgres: { statement: 'fetch' } } });
    expect(JSON.stringify(last)).toContain('db/app/public/many');
  });

  test('that is not there is none of the protocol either', async () => {
    const answers = await converse(plain, [describePortal('gone'), sync()], [execute('gone'), sync()]);
    expect(errors(answers)).toEqual(['34000', '34000']);
  });

  test('that the transaction has ended is not executed, and leaves its name to a portal', async () => {
    const answers = await attack(
      begin,
      [query('declare c cursor for select id from customers')],
      [query('commit')],
      begin,
      [parse('select ssn from customers order by id'), bind([], { portal: 'c' }), execute('c', 1), sync()],
      [query('fetch all from c')],
    );
    expect(rows(answers)).toEqual(['D:[redacted]', 'D:[redacted]']);
  });

  test('takes the name of a portal that SQL has closed: rows count as its own', async () => {
    const answers = await converse(plain, begin, [
      ...[parse('select id from customers'), bind([], { portal: 'c' })],
      ...run('close c'),
      ...run('declare c cursor for select id from many'),
      ...[execute('c'), sync()],
    ]);
    expect(rows(answers)).toHaveLength(2);
    expect(errors(answers)).toEqual(['54000']);
  });
});

describe('a portal of the protocol', () => {
  const portalOf = (text: string, name = 'c') => [parse(text), bind([], { portal: name }), sync()];

  test.each([
    ['in a simple query', [query('fetch all from c')]],
    ['in the extended protocol', [extended('fetch all from c')]],
    ['in binary', [extended('fetch all from c', [], true)]],
    ['without a description', [...run('fetch all from c'), sync()]],
    ['in parts', [parse('fetch all from c'), bind([], { portal: 'p' }), execute('p', 1), execute('p'), sync()]],
    ['by EXECUTE', [parse('fetch all from c', 'f'), sync(), query('execute f')]],
    ['in one text', [query('fetch 1 from c; fetch 1 from c')]],
  ])('is fetched by SQL, and masked: %s', async (_, batch) => {
    const answers = await attack(
      begin,
      portalOf('select note, ssn as note from customers order by id'),
      ...(batch.length === 3 && batch[2]?.[0] === 0x51 ? [batch.slice(0, 2), batch.slice(2)] : [batch]),
    );
    expect(errors(answers)).toEqual([]);
    expect(rows(answers)).toEqual(['D:a|[redacted]', 'D:b|[redacted]']);
  });

  test('a FETCH that is prepared before there is a cursor is judged by what the name means when it is executed', async () => {
    const prepared = [parse('fetch all from c', 'f'), describeStatement('f'), sync()];
    const run = [bind([], { name: 'f' }), describePortal(), execute(), sync()];
    const none = await converse(masked, prepared, [query('begin')], run);
    expect(none.filter((one) => one.startsWith('E'))).toEqual([expect.stringMatching(/^E:34000:/)]);
    const declared = await converse(
      masked,
      ...[prepared, [query('begin; declare c cursor for select note from customers where id = 1')], run],
    );
    expect(declared).toContain('D:a');
    const portal = await converse(masked, prepared, [query('begin')], portalOf('select ssn from customers'), run);
    expect(portal.join('\n')).not.toMatch(/CANARY/);
  });

  test('is moved and fetched in turn with Execute', async () => {
    const answers = await attack(
      begin,
      [parse('select id, ssn from customers order by id'), bind([], { portal: 'c' }), sync()],
      [extended('move forward 1 c')],
      [describePortal('c'), execute('c', 1), sync()],
      [query('fetch all from c')],
    );
    expect(answers).toContain('C:MOVE 1');
    expect(rows(answers)).toEqual(['D:2|[redacted]']);
  });

  test('is judged again by what policy says at the time of FETCH', async () => {
    let isAllowed = true;
    const gate = await startTarget({
      ...server.target,
      policy: {
        decide: () =>
          isAllowed
            ? {
                allow: true,
                policies: ['p1'],
                obligations: noObligations,
              }
            : { allow: false, reason: 'no-permit', policies: [] },
      },
    });
    const client = await openRawClient(gate.port);
    client.send(query('begin'), ...portalOf('select ssn from customers'));
    await client.ready();
    await client.ready();
    isAllowed = false;
    Object.assign(gate.policy, { version: 2 });
    client.send(query('fetch all from c'));
    expect(errors(await client.ready())).toEqual(['42501']);
    client.close();
    await gate.close();
  });

  test.each([
    ['FETCH and FETCH', [query('fetch 1 from c')], [query('fetch 5 from c')]],
    ['FETCH and FETCH in one text', [query('fetch 1 from c; fetch 5 from c')]],
    ['Execute and FETCH', [execute('c', 1), sync()], [query('fetch 5 from c')]],
    ['FETCH and Execute', [query('fetch 1 from c')], [execute('c', 5), sync()]],
    ['FETCH by portals', [...run('fetch 1 from c'), sync()], [...run('fetch all from c'), sync()]],
  ])('is not fetched past its row limit, which counts over all ways: %s', async (_, first, second?: Buffer[]) => {
    const batches = second === undefined ? [first] : [first, second];
    const answers = await converse(plain, begin, portalOf('select id from many'), ...batches);
    expect(rows(answers)).toEqual(['D:1', 'D:2']);
    expect(errors(answers)).toEqual(['54000']);
  });

  test('is recorded when it is fetched', async () => {
    const from = masked.ledger.events.length;
    await attack(begin, portalOf('select ssn from customers'), [query('fetch all from c')]);
    const fetched = kinds(masked.ledger.events.slice(from), 'intent').find(
      ({ detail }) => statementOf(detail) === 'fetch',
    );
    expect(fetched).toMatchObject({
      action: 'postgres:select',
      detail: { questions: [{ masks: [{ path: ['public', 'customers', 'ssn'] }] }] },
    });
    expect(JSON.stringify(fetched)).toContain('db/app/public/customers');
  });

  test.each([
    ['a setting', "select set_config('search_path', 'pg_catalog', false)"],
    ['FETCH', 'fetch all from d'],
    ['EXECUTE', 'execute s'],
    ['a transaction', 'commit'],
  ])('that does more than to answer rows is not fetched: %s', async (_, text) => {
    const answers = await converse(
      plain,
      begin,
      [parse('select 1', 's'), sync()],
      [query('declare d cursor for select 1')],
      portalOf(text),
      [query('fetch all from c')],
    );
    expect(errors(answers)).toEqual(['34000']);
    expect(rows(answers)).toEqual([]);
  });
});

describe('a portal that reads by a name', () => {
  const swapped = 'select ssn, note from customers order by id';
  const other = 'select note, ssn from customers order by id';
  const source = (text: string, name = 'c') => [
    parse(text, 'src'),
    bind([], { portal: name, name: 'src' }),
    close('S', 'src'),
  ];
  const fetching = [parse('fetch all from c', 'f'), bind([], { portal: 'p', name: 'f' })];

  test.each([
    [
      'described before',
      [...source(swapped), ...fetching, describePortal('p'), close('P', 'c'), ...source(other), execute('p'), sync()],
    ],
    [
      'described after',
      [...source(swapped), ...fetching, close('P', 'c'), ...source(other), describePortal('p'), execute('p'), sync()],
    ],
    [
      'run in part',
      [
        ...source(swapped),
        ...fetching,
        execute('p', 1),
        close('P', 'c'),
        ...source(other),
        describePortal('p'),
        execute('p'),
        sync(),
      ],
    ],
    [
      'closed by SQL',
      [...source(swapped), ...fetching, describePortal('p'), ...run('close c'), ...source(other), execute('p'), sync()],
    ],
    [
      'a cursor of SQL before',
      [
        ...run('declare c cursor for select note, note from customers'),
        ...fetching,
        describePortal('p'),
        close('P', 'c'),
        ...source(other),
        execute('p'),
        sync(),
      ],
    ],
  ])('of a portal does not read another of that name: %s', async (_, batch) => {
    const answers = await attack(begin, batch);
    expect(errors(answers)).toEqual(['34000']);
  });

  test.each([
    ['described before', [describePortal('p')], []],
    ['described after', [], [describePortal('p')]],
    ['run in part', [describePortal('p'), execute('p', 1)], [describePortal('p')]],
  ])('of a prepared statement does not read another of that name: %s', async (_, before, after) => {
    const answers = await attack(begin, [
      ...[parse(swapped, 's'), parse('execute s', 'e'), bind([], { portal: 'p', name: 'e' }), ...before],
      ...[close('S', 's'), parse(other, 's'), ...after, execute('p'), sync()],
    ]);
    expect(errors(answers)).toEqual(['34000']);
  });

  test('of a prepared statement does not read what its names mean under another search path', async () => {
    const answers = await attack(
      begin,
      [query('set search_path to other')],
      [
        ...[parse('select ssn, note from customers', 's'), parse('execute s', 'e')],
        ...[bind([], { portal: 'p', name: 'e' }), describePortal('p'), sync()],
      ],
      [query('set search_path to public')],
      [execute('p'), sync()],
    );
    expect(errors(answers)).toEqual(['34000']);
  });
});

test('a Flush is not needed for what waits for names in flight', async () => {
  const client = await openRawClient(masked.port);
  client.send(query('begin'));
  await client.ready();
  client.send(
    parse('select id from customers order by id'),
    bind([], { portal: 'c' }),
    ...run('fetch 1 from c'),
    flush(),
  );
  expect((await client.until('C:FETCH')).filter((one) => one.startsWith('D:'))).toEqual(['D:1']);
  client.close();
});

test('under masks a session sees its own cursors, portals and prepared statements, and texts of nobody else', async () => {
  const other = await openRawClient(masked.port);
  other.send(
    parse("select 'of the other'", 'others'),
    sync(),
    query("begin; declare d cursor for select 'of the other'"),
  );
  await other.ready();
  await other.ready();
  const answers = await attack(
    [parse('select id, ssn from customers', 's'), sync()],
    begin,
    [query('declare c cursor for select id from customers')],
    [bind([], { portal: 'p', name: 's' }), execute('p', 1), sync()],
    [query("select name from pg_cursors where name <> '' order by 1")],
    [query('select name, statement from pg_prepared_statements')],
  );
  other.close();
  expect(errors(answers)).toEqual([]);
  expect(rows(answers).slice(1)).toEqual(['D:c', 'D:p', 'D:s|select id, ssn from customers']);
});
