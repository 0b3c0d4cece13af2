import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { composeSchema, loadPolicies } from '../../../policy/index.ts';
import { createSystemClock } from '../../../std/index.ts';
import { encodePem } from '../../../wire/x509/index.ts';
import { createGateway, loadProtocols } from '../../index.ts';
import { createTestAuthority, createTestIdentity, identityOf } from '../../testing/test-authority.ts';
import { createMemoryLedger, testGatewayDeps } from '../../testing/test-gateway.ts';
import { member } from './index.ts';
import { type AppDatabase, startAppDatabase } from './testing/app-database.ts';

// Everything real: gateway, planner, Cedar policies, node-postgres by TLS with an SVID, PostgreSQL. Only the ledger is in memory.
const authority = createTestAuthority('example.org', Date.now());
const gatewaySvid = authority.issue('/countersign/gateway');
const web = authority.issue('/web');
const nobody = authority.issue('/nobody');
const ledger = createMemoryLedger();
const schema = composeSchema([member.policySchema]);
const policies = (text: string) => loadPolicies([{ name: 'test', text }], schema);
const BASE = `
  permit (principal == Identity::"spiffe://example.org/web", action == Action::"postgres:connect", resource);
  @id("read") @mask("ssn:last4, email:email")
  permit (principal == Identity::"spiffe://example.org/web", action == Action::"postgres:select", resource);
  permit (principal == Identity::"spiffe://example.org/web", action in [Action::"postgres:insert", Action::"postgres:update"], resource);
  @id("no-secrets") forbid (principal, action, resource == Postgres::Table::"db/app/public/secrets");`;

let server: AppDatabase;
let gateway: ReturnType<typeof createGateway>;

beforeAll(async () => {
  server = await startAppDatabase(
    `create table people (id int primary key, name text, ssn text, email text);
     insert into people values (1, 'Ann', '123-45-6789', 'ann@example.org'), (2, 'Bob', null, null);
     create table secrets (value text); insert into secrets values ('hidden');
     create table notes (id int primary key, body text);
     create view all_people as select * from people;
     grant all on all tables in schema public to gate; grant create on schema public to gate`,
  );
  gateway = createGateway(
    testGatewayDeps({
      clock: createSystemClock(),
      identity: createTestIdentity(identityOf(gatewaySvid, [authority])),
      ledger,
      protocols: await loadProtocols([member]),
      drainMs: 200,
    }),
  );
  await gateway.start(AbortSignal.timeout(10_000));
  gateway.applyPolicies(policies(BASE), 41);
  await gateway.applyTargets([
    {
      name: 'db',
      protocol: 'postgres',
      config: { ...server.target.config, listen: { host: '127.0.0.1', port: 0 } },
    },
  ]);
});
afterAll(async () => {
  await gateway.stop();
  await server.stop();
});

async function connect(svid = web, options: pg.ClientConfig = {}) {
  const client = new pg.Client({
    host: '127.0.0.1',
    port: gateway.address().targets.get('db') ?? 0,
    user: 'anyone',
    database: 'app',
    ssl: {
      ca: encodePem('CERTIFICATE', authority.rootDer),
      cert: svid.certPem,
      key: svid.keyPem,
      checkServerIdentity: () => undefined,
    },
    ...options,
  });
  client.on('error', () => {}); // Ended sessions are looked at by their own errors.
  await client.connect();
  return client;
}

describe('an identity with permits', () => {
  test('reads, with masks by provenance, and writes', async () => {
    const client = await connect();
    const { rows } = await client.query('select name, ssn as x, email from people order by id');
    expect(rows).toEqual([
      { name: 'Ann', x: '*******6789', email: 'a***@example.org' },
      { name: 'Bob', x: null, email: null },
    ]);
    await client.query('begin');
    await client.query('insert into notes values ($1, $2)', [1, 'hello']);
    await client.query('commit');
    expect((await client.query('select * from notes')).rows).toEqual([{ id: 1, body: 'hello' }]);
    expect((await client.query({ name: 'q', text: 'select ssn from people where id = $1', values: [1] })).rows).toEqual(
      [{ ssn: '*******6789' }],
    );
    await client.end();
  });

  test.each([
    ['an expression', 'select upper(ssn) from people', '42501'],
    ['a row as JSON', 'select row_to_json(p) from people p', '42501'],
    ['a condition', "select id from people where ssn like '1%'", '42501'],
    ['an error text', 'select ssn::int from people', '42501'],
    ['COPY', 'copy people to stdout', '42501'],
    ['an anonymous block', 'do $$ begin perform 1; end $$', '42501'],
    ['a forbidden table', 'select * from secrets', '42501'],
    ['a forbidden table in a second statement', 'select 1; select * from secrets', '42501'],
    ['a table without a permit for the action', 'delete from notes', '42501'],
    ['a relation that does not exist', 'select * from nothing_here', '42P01'],
    ['a text that is no SQL', 'selec 1', '42601'],
  ])('is refused by %s, and goes on', async (_, text, code) => {
    const client = await connect();
    const error = await client.query(text).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code });
    expect(JSON.stringify(error)).not.toMatch(/123-45|hidden/);
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    await client.end();
  });

  test('sees a table made through the gateway, or beside it, at once', async () => {
    const client = await connect();
    await server.query('create table beside (id int); grant all on beside to gate', [], 'app');
    expect((await client.query('select * from beside')).rows).toEqual([]);
    await client.end();
  });

  test('stands in the ledger with its address, its certificate and what it calls itself', async () => {
    const from = ledger.events.length;
    const client = await connect(web, { application_name: 'reports' });
    await client.query('select name, ssn from people where id = 1');
    await client.end();
    const [open, intent] = ledger.events.slice(from);
    expect(open).toMatchObject({
      kind: 'session-open',
      detail: {
        certificate: { serial: expect.stringMatching(/^[1-9]\d+$/), expiresMs: expect.any(Number) },
        client: { application: 'reports' },
        door: 'direct',
        peer: '127.0.0.1',
        policySet: { digest: policies(BASE).digest, revision: 41, timeMs: expect.any(Number) },
        postgres: { database: 'app' },
        questions: [{ action: 'postgres:connect', resource: { id: 'db/app', type: 'Postgres::Database' } }],
      },
    });
    expect(intent?.detail).toMatchObject({
      policySet: open?.detail['policySet'],
      questions: [
        {
          context: { columns: ['id', 'name', 'ssn'], hasWhere: true },
          masks: [
            { kind: 'last4', path: ['public', 'people', 'ssn'] },
            { kind: 'email', path: ['public', 'people', 'email'] },
          ],
          resource: { id: 'db/app/public/people', type: 'Postgres::Table' },
        },
      ],
    });
  });

  test('sees what its own pipelined DDL made', async () => {
    gateway.applyPolicies(policies(`${BASE} permit (principal, action == Action::"postgres:ddl", resource);`));
    const client = await connect();
    const made = Promise.all([
      client.query('create table fresh (id int)'),
      client.query('insert into fresh values (1)'),
      client.query('begin; create table inner_one (id int); insert into inner_one values (2); commit'),
    ]);
    await made;
    expect((await client.query('select * from fresh')).rows).toEqual([{ id: 1 }]);
    expect((await client.query('select * from inner_one')).rows).toEqual([{ id: 2 }]);
    gateway.applyPolicies(policies(BASE));
    await client.end();
  });

  test('is judged by new policies from its next statement, and ended when it may not connect any more', async () => {
    const client = await connect();
    await client.query('select * from notes');
    await client.query({ name: 'n', text: 'select * from notes' });
    gateway.applyPolicies(
      policies(`${BASE} @id("frozen") forbid (principal, action == Action::"postgres:select", resource);`),
    );
    await expect(client.query('select * from notes')).rejects.toMatchObject({ code: '42501' });
    await expect(client.query({ name: 'n', text: 'select * from notes' })).rejects.toMatchObject({ code: '42501' });
    const ended = new Promise((resolve) => client.once('end', resolve));
    gateway.applyPolicies(policies('forbid (principal, action, resource);'));
    await ended;
    await expect(connect()).rejects.toMatchObject({ code: '42501' });
    gateway.applyPolicies(policies(BASE));
  });
});

describe('whoever may not', () => {
  test('does not even get a connection', async () => {
    await expect(connect(nobody)).rejects.toMatchObject({ code: '42501' });
    await expect(connect(createTestAuthority('example.org', Date.now()).issue('/web'))).rejects.toMatchObject({
      code: '28000',
    });
    await expect(connect(web, { ssl: false })).rejects.toMatchObject({ code: '28000' });
    await expect(connect(web, { database: 'postgres' })).rejects.toMatchObject({ code: '3D000' });
    await expect(connect(web, { options: '-c role=postgres' })).rejects.toMatchObject({ code: '42501' });
  });
});

describe('the ledger', () => {
  test('holds an intent and an outcome for each statement, and each denial, and no value', () => {
    const { events } = ledger;
    const intents = events.filter((event) => event.kind === 'intent');
    const outcomes = events.filter((event) => event.kind === 'outcome');
    expect(intents.length).toBeGreaterThan(10);
    expect(outcomes.map((event) => `${event.session} ${event.operation}`).toSorted()).toEqual(
      intents.map((event) => `${event.session} ${event.operation}`).toSorted(),
    );
    expect(events.some((event) => event.kind === 'denial' && event.actor === 'spiffe://example.org/nobody')).toBe(true);
    expect(JSON.stringify(events)).not.toMatch(/123-45|hidden|hello|"secret"/);
  });
});
