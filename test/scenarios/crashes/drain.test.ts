/**
 * SIGTERM under load: no client sees an answer cut off. What was asked is answered, whole; sessions end between two requests with a code
 * that says "connect again"; and since nobody is left in doubt, the database holds exactly what was acknowledged.
 */
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import { extended, message, openRawSession, query, type RawSession } from '../../support/raw-session.ts';
import { type Stack, startStack } from '../../support/stack.ts';
import { ROLES, type RoleName } from '../../support/stack-folder.ts';
import { agentWay, directWay, startSvidFiles, type Way } from '../../support/ways.ts';

let stack: Stack;
let ways: Readonly<Record<'agent' | 'direct', Way>>;
let rounds = 0;

beforeAll(async () => {
  stack = await startStack({ seed: 'create table kept (id text); grant all on kept to shop_app;' });
  const files = await startSvidFiles(stack);
  ways = { agent: agentWay(stack), direct: directWay(stack, files.folder, 'postgres') };
});
afterAll(() => stack?.stop());
beforeEach(async () => {
  for (const role of ROLES) stack.roles[role].start(); // Nothing happens to those that run.
  for (const role of ROLES) await stack.roles[role].ready(START_MS_MAX);
  const connects = async () => {
    const client = await ways.agent.connect();
    await client.end();
    return true;
  };
  await eventually('a session', connects, { withinMs: START_MS_MAX });
});

describe.each([
  ['gateway', ['agent', 'direct']],
  ['agent', ['agent']],
] as const)('SIGTERM to the %s', (role, through) => {
  it.each(through)('lets an answer of 100,000 rows come to its end (%s)', async (way) => {
    const session = await openRawSession(ways[way].door, { database: 'shop' });
    session.send(query(LONG_ANSWER));
    await session.until('D:1|');
    const stopped = stack.roles[role].end('SIGTERM');
    const answer = await session.ready();
    expect(answer.filter((message) => message.startsWith('D:'))).toHaveLength(ROWS - 1);
    expect(answer.slice(-2)).toEqual([`C:SELECT ${ROWS}`, 'Z:I']);
    expect((await session.end()).join(' ')).toMatch(/^E:57P01:/);
    expect(await stopped).toBe(0);
  });

  it.each(through)('lets an open transaction be committed, and ends an idle session at once (%s)', async (way) => {
    const id = `transaction-${role}-${way}`;
    const open = await ways[way].connect();
    await open.query('begin');
    await open.query('insert into kept values ($1)', [id]);
    const idle = await openRawSession(ways[way].door, { database: 'shop' });
    const stopped = stack.roles[role].end('SIGTERM');
    expect((await idle.end()).join(' ')).toMatch(/^E:57P01:/);
    const { command } = await open.query('commit');
    expect(command).toBe('COMMIT');
    expect(await stopped).toBe(0);
    expect(await stack.dba(`select id from kept where id = '${id}'`)).toEqual([{ id }]);
  });

  it.each(through)('lets all that was sent in one go be answered (%s)', async (way) => {
    const id = `pipelined-${role}-${way}`;
    const session = await openRawSession(ways[way].door, { database: 'shop' });
    session.send(
      extended('select 1'),
      extended('select pg_sleep(1)'),
      extended('insert into kept values ($1)', [id]),
      extended('select 4'),
    );
    expect((await session.ready()).at(-1)).toBe('Z:I');
    const stopped = stack.roles[role].end('SIGTERM');
    for (const tag of ['SELECT 1', 'INSERT 0 1', 'SELECT 1'])
      expect((await session.ready()).slice(-2)).toEqual([`C:${tag}`, 'Z:I']);
    expect((await session.end()).join(' ')).toMatch(/^E:57P01:/);
    expect(await stopped).toBe(0);
    expect(await stack.dba(`select id from kept where id = '${id}'`)).toEqual([{ id }]);
  });

  it.each(through)('lets a COPY come to its end (%s)', async (way) => {
    const id = `copied-${role}-${way}`;
    const session = await openRawSession(ways[way].door, { database: 'shop' });
    session.send(query('copy kept from stdin'));
    await session.until('G');
    const idle = await openRawSession(ways[way].door, { database: 'shop' });
    const stopped = stack.roles[role].end('SIGTERM');
    expect((await idle.end()).join(' ')).toMatch(/^E:57P01:/);
    session.send(message('d', Buffer.from(`${id}\n`)));
    session.send(message('d', Buffer.from(`${id}\n`)), message('c'));
    expect(await session.ready()).toEqual(['C:COPY 2', 'Z:I']);
    expect((await session.end()).join(' ')).toMatch(/^E:57P01:/);
    expect(await stopped).toBe(0);
    expect(await stack.dba(`select count(*)::int as n from kept where id = '${id}'`)).toEqual([{ n: 2 }]);
  });

  it('leaves no client in doubt: the database holds what was acknowledged, and nothing else', async () => {
    const round = ++rounds;
    const acknowledged: string[] = [];
    const unread: string[] = [];
    const codes: string[] = [];
    const sessions = await Promise.all(through.map((way) => openRawSession(ways[way].door, { database: 'shop' })));
    const clients = await Promise.all(
      Array.from({ length: WRITERS }, (_, number) => ways[through[number % through.length] ?? 'agent'].connect()),
    );
    const working = Promise.all([
      ...sessions.map((session, at) =>
        pipeline(session, { name: `load-${round}-${through[at]}`, acknowledged, unread }),
      ),
      ...clients.map((client, at) => write(client, { name: `load-${round}-${at}`, acknowledged, codes })),
    ]);
    await eventually('a good number of inserts', () => acknowledged.length > 10 * WRITERS, {
      withinMs: START_MS_MAX,
    });
    expect(await stack.roles[role].end('SIGTERM')).toBe(0);
    await working;
    expect(codes.filter((code) => !RETRYABLE.test(code))).toEqual([]);
    const rows = await stack.dba(`select id from kept where id like 'load-${round}-%'`);
    const kept = rows.map(({ id }) => String(id)).filter((id) => !unread.includes(id));
    expect(kept.toSorted()).toEqual(acknowledged.toSorted());
  });
});

describe('SIGTERM to the server', () => {
  it('ends the streams of agents and gateways without a session noticing, and all come back to the next server', async () => {
    const open = await ways.agent.connect();
    expect(await stack.roles.server.end('SIGTERM')).toBe(0);
    expect((await open.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    stack.roles.server.start();
    await stack.roles.server.ready();
    // What the next server says reaches the gateway: it follows again.
    await stack.apply({
      'forbidden.cedar': '@id("no-writes")\nforbid(principal, action == Action::"postgres:insert", resource);',
    });
    const refused = await open
      .query(`insert into kept values ('forbidden')`)
      .catch((error: pg.DatabaseError) => error.code);
    expect(refused).toBe('42501');
    await open.end();
  });
});

describe('every role', () => {
  it.each(ROLES)('that is told to end while it starts does so: %s', async (role: RoleName) => {
    expect(await stack.roles[role].end('SIGTERM')).toBe(0);
    stack.roles[role].start();
    const code = await stack.roles[role].end('SIGTERM');
    // Before it listens for the signal at all, the signal itself ends it.
    expect([0, 128 + 15]).toContain(code);
  });
});

/** Inserts until its connection ends; each insert counts once its answer is there. */
async function write(
  client: pg.Client,
  { name, acknowledged, codes }: { name: string; acknowledged: string[]; codes: string[] },
): Promise<void> {
  try {
    for (let number = 0; ; number++) {
      await client.query('insert into kept values ($1)', [`${name}-${number}`]);
      acknowledged.push(`${name}-${number}`);
    }
  } catch (error) {
    codes.push(error instanceof Error && 'code' in error ? String(error.code) : String(error));
  }
}

/**
 * As `write`, but never without several inserts on their way; the last words must be those of a session that is ended in good order. `unread`:
 * those whose answers may be there, and which Node does not read.
 */
async function pipeline(
  session: RawSession,
  { name, acknowledged, unread }: { name: string; acknowledged: string[]; unread: string[] },
): Promise<void> {
  const insert = (number: number) => session.send(extended('insert into kept values ($1)', [`${name}-${number}`]));
  for (let number = 0; number < IN_FLIGHT; number++) insert(number);
  for (let number = 0; ; number++) {
    const answer = await session.ready();
    if (answer.at(-1) !== 'Z:I') {
      // What it wrote to a session that had just ended fails; Node reads no more then, though the last words are there.
      const failed = session.socket.errored?.message ?? '';
      if (answer.length > 0 || !/EPIPE|ECONNRESET/.test(failed)) expect(answer.join(' ')).toMatch(/^E:57P01:/);
      else unread.push(...Array.from({ length: IN_FLIGHT }, (_, ahead) => `${name}-${number + ahead}`));
      return;
    }
    expect(answer.at(-2)).toBe('C:INSERT 0 1');
    acknowledged.push(`${name}-${number}`);
    insert(number + IN_FLIGHT);
  }
}

/** A second where the machine has nothing else to do. */
const START_MS_MAX = 60_000;
const ROWS = 100_000;
/** Takes some two seconds, whoever reads it. */
const LONG_ANSWER = `select g, case when g % 1000 = 0 then pg_sleep(0.015) end from generate_series(1, ${ROWS}) g`;
const WRITERS = 8;
const IN_FLIGHT = 5;
/** A driver that has sent its next statement already reports the end of the connection, or the socket's own error. */
const RETRYABLE = /^(57P01|08006|ECONNRESET|EPIPE)$|terminated unexpectedly|not queryable/;
