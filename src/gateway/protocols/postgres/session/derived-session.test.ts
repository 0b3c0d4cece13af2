// Goal: `@derived("null")` on the wire, against the real server: by every way of the protocol masked columns are NULL inside of expressions and
// keep their mask where they are shown; places in errors are those of the client's text; the ledger says what ran; and a statement that the target
// has under other masks than those in force never runs.
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  bind,
  describePortal,
  execute,
  extended,
  openRawClient,
  parse,
  query,
  type RawSession,
  sync,
} from '../../../../../test/support/raw-session.ts';
import { type AppDatabase, startAppDatabase } from '../testing/app-database.ts';
import { cedarPolicy } from '../testing/cedar-policy.ts';
import { kinds, startTarget } from '../testing/harness.ts';

const ALL = 'permit (principal, action, resource);';
const MASK = '@mask("people.ssn:redact, people.born:null")';
const DERIVED = `@derived("null") ${MASK} @record("full") ${ALL}`;
const REFUSED = `${MASK} ${ALL}`;
const SEED = `
  create table people (id int primary key, name text, ssn varchar(20), born date);
  insert into people values (1, 'Ann', 'CANARY-1', '1999-01-01'), (2, 'Bob', 'CANARY-2', '2000-02-02');
  create table notes (id int primary key, body text);
  grant all on all tables in schema public to gate;`;

type Gate = Awaited<ReturnType<typeof startTarget>>;
let server: AppDatabase;
let gate: Gate;

beforeAll(async () => {
  server = await startAppDatabase(SEED);
  gate = await startTarget({ ...server.target, policy: cedarPolicy(DERIVED) });
});
afterAll(async () => {
  await gate?.close();
  await server?.stop();
});

async function connect(): Promise<pg.Client> {
  const client = new pg.Client({ port: gate.port, host: '127.0.0.1', user: 'web', database: 'app' });
  await client.connect();
  return client;
}

describe('a masked column inside of an expression', () => {
  it('is NULL by simple and extended queries, with parameters and named', async () => {
    const client = await connect();
    const text = "select id, ssn, upper(ssn) || 'é', age(born), born is null as b from people where id = 1";
    const row = { id: 1, ssn: '[redacted]', '?column?': null, age: null, b: true };
    expect((await client.query(text)).rows).toEqual([row]);
    const parameters = 'select $1::text as p, upper(ssn) as u, ssn = $2 as same from people where id = $3';
    const bound = { text: parameters, values: ['é', 'CANARY-1', 2] };
    expect((await client.query(bound)).rows).toEqual([{ p: 'é', u: null, same: null }]);
    for (const name of ['one', 'one'])
      expect((await client.query({ ...bound, name })).rows).toEqual([{ p: 'é', u: null, same: null }]);
    expect((await client.query("select id from people where ssn like 'CANARY%'")).rows).toEqual([]);
    expect((await client.query('select count(ssn), max(born) from people')).rows).toEqual([{ count: '0', max: null }]);
    const both = await client.query('select 1 as x; select lower(ssn) as x from people order by born, id');
    expect((both as unknown as pg.QueryResult[]).map(({ rows }) => rows)).toEqual([
      [{ x: 1 }],
      [{ x: null }, { x: null }],
    ]);
    await client.end();
  });

  it('keeps the types that the client gives to parameters', async () => {
    const client = await openRawClient(gate.port);
    const typed = Buffer.concat([parse('select coalesce(length(ssn), $1) from people where id = 1').subarray(0, -2)]);
    typed.writeInt32BE(typed.length - 1 + 6, 1);
    client.send(typed, Buffer.from([0, 1, 0, 0, 0, 23]), bind(['7']), describePortal(), execute(), sync());
    expect(await client.ready()).toContain('D:7');
    client.close();
  });

  it('is NULL through cursors, COPY and portals', async () => {
    const client = await openRawClient(gate.port);
    client.send(query('begin; declare c cursor for select id, ssn, upper(ssn) from people order by id'));
    expect((await client.ready()).at(-1)).toBe('Z:T');
    client.send(query('fetch all from c'), query('copy (select id, ssn, left(ssn, 3) from people) to stdout'));
    const answers = [...(await client.ready()), ...(await client.ready())];
    expect(answers.filter((one) => /^[dDE]/.test(one))).toEqual([
      'D:1|NULL|NULL',
      'D:2|NULL|NULL',
      'd:1\t\\N\t\\N',
      'd:2\t\\N\t\\N',
    ]);
    client.send(
      parse('select ssn, upper(ssn) from people order by id'),
      bind([], { portal: 'p' }),
      describePortal('p'),
    );
    client.send(execute('p', 1), sync(), query('fetch all from p'), query('rollback'));
    const portal = [...(await client.ready()), ...(await client.ready())];
    expect(portal.filter((one) => /^[DE]/.test(one))).toEqual(['D:[redacted]|NULL', 'D:[redacted]|NULL']);
    client.close();
  });

  it('is written by nothing', async () => {
    const client = await connect();
    for (const text of [
      'insert into notes select id, ssn from people',
      'insert into notes select id, upper(ssn) from people',
      'update people set name = ssn',
      'delete from people where ssn is null',
      'create table kept as select ssn || name as x from people',
    ])
      await expect(client.query(text)).rejects.toMatchObject({ code: '42501' });
    await client.end();
    expect(await server.query('select count(*)::int as n, min(name) as name from people', [], 'app')).toEqual([
      { n: 2, name: 'Ann' },
    ]);
    expect(await server.query('select count(*)::int as n from notes', [], 'app')).toEqual([{ n: 0 }]);
  });

  it('leaves positions of errors where they are in the client’s text', async () => {
    const client = await connect();
    const text = "select 'é😀', upper(ssn), ssn || 1, 1 = 'x'::text from people";
    const position = String(Array.from(text.slice(0, text.indexOf("= 'x'"))).length + 1);
    for (const asked of [text, { text, values: [] }, { text, name: 'e' }])
      await expect(client.query(asked as string)).rejects.toMatchObject({ code: '42883', position });
    const inside = 'select 1, ssn + 1 from people';
    await expect(client.query(inside)).rejects.toMatchObject({ position: String(inside.indexOf('+') + 1) });
    const column = 'select 1, abs(ssn) from people where length(ssn) > 3';
    await expect(client.query(column)).rejects.toMatchObject({ position: String(column.indexOf('abs') + 1) });
    await client.end();
  });

  it('stands in the ledger as it ran, with the columns that were NULL', async () => {
    const client = await connect();
    const before = gate.ledger.events.length;
    await client.query('select upper(ssn) as ledger from people where born is null');
    await client.query('select ssn as ledger from people');
    const [derived, plain] = kinds(gate.ledger.events.slice(before), 'intent');
    expect(derived?.detail).toMatchObject({
      postgres: {
        derived: ['public.people.born', 'public.people.ssn'],
        text: 'select upper(((null::"public"."people")."ssn")) as ledger from people where ((null::"public"."people")."born") is null',
      },
    });
    expect(derived?.detail['questions']).toContainEqual(
      expect.objectContaining({
        action: 'postgres:select',
        context: { columns: ['born', 'ssn'], hasWhere: true },
        resource: expect.objectContaining({ id: 'db/app/public/people' }),
      }),
    );
    expect(plain?.detail).toMatchObject({ postgres: { text: 'select ssn as ledger from people' } });
    expect(plain?.detail).not.toHaveProperty('postgres.derived');
    await client.end();
  });

  it('is NULL in what a text commits before a statement that is refused', async () => {
    const client = await openRawClient(gate.port);
    client.send(query('begin; select upper(ssn) from people; commit; update people set name = ssn'));
    const answers = await client.ready();
    expect(answers.filter((one) => /^[DE]/.test(one))).toEqual(['D:NULL', 'D:NULL', expect.stringMatching(/^E:42501/)]);
    client.close();
  });
});

describe('a statement that was prepared under other masks', () => {
  const text = 'select id, upper(ssn) as u from people order by id';

  /** A gate whose policies change. */
  async function changing(first: string) {
    const own = await startTarget({ ...server.target, policy: cedarPolicy(first) });
    let version = 1;
    return {
      ...own,
      change: (policies: string) => Object.assign(own.policy, cedarPolicy(policies), { version: ++version }),
    };
  }

  const rowsOf = async (client: RawSession) => (await client.ready()).filter((one) => /^[DE]/.test(one));
  const again = [bind([], { name: 's' }), execute(), sync()];

  it.each([
    [`no mask`, ALL, ['D:1|CANARY-1', 'D:2|CANARY-2']],
    ['the column as NULL', DERIVED, ['D:1|NULL', 'D:2|NULL']],
  ])('%s is prepared anew, or refused', async (_, first, rows) => {
    const own = await changing(first);
    const client = await openRawClient(own.port);
    client.send(parse(text, 's'), ...again);
    expect(await rowsOf(client)).toEqual(rows);
    own.change(first === ALL ? DERIVED : ALL);
    client.send(...again);
    expect(await rowsOf(client)).toEqual([expect.stringMatching(/^E:26000:.*prepare it again/)]);
    client.send(query('deallocate s'));
    await client.ready();
    client.send(parse(text, 's'), ...again);
    expect(await rowsOf(client)).toEqual(first === ALL ? ['D:1|NULL', 'D:2|NULL'] : ['D:1|CANARY-1', 'D:2|CANARY-2']);
    own.change(REFUSED);
    client.send(...again);
    expect(await rowsOf(client)).toEqual([expect.stringMatching(/^E:42501/)]);
    client.close();
    await own.close();
  });

  it('shows nothing by a portal, a cursor or EXECUTE', async () => {
    const own = await changing(ALL);
    const client = await openRawClient(own.port);
    client.send(query(`begin; declare c cursor for ${text}; prepare q as ${text}`));
    await client.ready();
    client.send(parse(text, 's'), bind([], { name: 's', portal: 'p' }), execute('p', 1), sync());
    expect(await rowsOf(client)).toEqual(['D:1|CANARY-1']);
    own.change(DERIVED);
    client.send(query('savepoint a'));
    await client.ready();
    for (const attack of [
      [query('fetch all from p')],
      [query('fetch all from c')],
      [query('execute q')],
      [query('execute s')],
      [execute('p'), sync()],
      [query('fetch all from p')],
      [execute('c'), sync()],
      [bind([], { name: 's', portal: 'r' }), execute('r', 1), sync()],
      [bind([], { name: 's', portal: 'r' }), sync(), query('fetch all from r')],
      [describePortal('p'), execute('p'), sync()],
    ]) {
      client.send(...attack);
      const answers = await client.ready();
      if (attack.length === 3 && attack[1]?.[0] === 0x53) answers.push(...(await client.ready()));
      expect(answers.join()).not.toMatch(/canary/i);
      expect(answers.join()).toMatch(/E:(42501|26000)/);
      client.send(query('rollback to a'));
      await client.ready();
    }
    client.close();
    await own.close();
  });

  it('is another text by its name in SQL', async () => {
    const client = await openRawClient(gate.port);
    client.send(parse(text, 's'), sync(), query('execute s'), query('deallocate s'));
    await client.ready();
    expect(await rowsOf(client)).toEqual(['D:1|NULL', 'D:2|NULL']);
    client.send(extended('select 1'));
    client.close();
  });
});
