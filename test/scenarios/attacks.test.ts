/**
 * No statement brings a masked value to the client, in whatever shape, and none gets a forbidden DELETE executed. Every attack runs by the
 * simple and by the extended protocol; what is looked at are the bytes on the client's socket and the rows in the database.
 */
import * as net from 'node:net';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  bind,
  describePortal,
  describeStatement,
  execute,
  extended,
  flush,
  message,
  openRawSession,
  parse,
  query,
  type RawSession,
  sync,
} from '../support/raw-session.ts';
import { expectReplays, type RecordedEntry } from '../support/replay-day.ts';
import { ALLOW_ALL, type Stack, startStack } from '../support/stack.ts';
import { agentWay } from '../support/ways.ts';
import { ATTACK_SEED, type Attack, DEAD, FURTHER, MEASURED } from './attack-list.ts';

let stack: Stack;

beforeAll(async () => {
  stack = await startStack({ seed: ATTACK_SEED.replaceAll('%CANARY%', CANARY), policies: POLICIES });
});
afterAll(() => stack?.stop());

const ALL = [...MEASURED, ...FURTHER];

describe('by the simple protocol', () => {
  it.each(ALL.map((one) => [one.name, one] as const))('%s', (_, attack) => attempt(attack, (text) => query(text)));
});

describe('by the extended protocol', () => {
  it.each(ALL.map((one) => [one.name, one] as const))('%s', (_, attack) => attempt(attack, (text) => extended(text)));
});

describe('by the extended protocol with binary results', () => {
  it.each(ALL.slice(0, 20).map((one) => [one.name, one] as const))('%s', (_, attack) =>
    attempt(attack, (text) => extended(text, [], true)));
});

describe('by the shape of the conversation', () => {
  it('8 describe once, execute later', () =>
    within(async (session) => {
      session.send(parse('select ssn as x from customers', 's'), describeStatement('s'), sync());
      expect((await session.ready()).at(-1)).toBe('Z:I');
      for (const binary of [false, true]) {
        session.send(bind([], { name: 's', binary }), execute(), sync());
        const answer = await session.ready();
        expect(answer.filter((one) => one.startsWith('D:'))).toHaveLength(3);
      }
    }));

  it('9 two descriptions pipelined before the execution', () =>
    within(async (session) => {
      session.send(parse('select name, ssn from customers', 'a'), parse('select id from customers', 'b'));
      session.send(bind([], { name: 'a', portal: 'pa' }), bind([], { name: 'b', portal: 'pb' }));
      session.send(describePortal('pa'), describePortal('pb'), execute('pa'), execute('pb'), sync());
      expect((await session.ready()).at(-1)).toBe('Z:I');
    }));

  it('a description of another statement of the same name', () =>
    within(async (session) => {
      session.send(parse('select id from customers', 's'), describeStatement('s'), message('C', Buffer.from('S'), 's'));
      session.send(parse('select ssn from customers', 's'), bind([], { name: 's' }), execute(), sync());
      expect((await session.ready()).at(-1)).toBe('Z:I');
    }));

  it('a portal that is fetched row by row, with others between', () =>
    within(async (session) => {
      session.send(query('begin'));
      await session.ready();
      session.send(parse('select id, ssn from customers', 's'), bind([], { name: 's', portal: 'p' }), execute('p', 1));
      session.send(parse('select id, name from customers'), bind(), execute(), execute('p', 1), execute('p'), sync());
      expect((await session.ready()).at(-1)).toBe('Z:T');
    }));

  it('10 a fastpath call', () =>
    within(async (session) => {
      const [row] = await stack.dba("select 'leak_sql'::regproc::int4 as oid");
      const oid = Buffer.alloc(4);
      oid.writeUInt32BE(Number(row?.['oid']));
      // One argument, in text: 1; the result in text.
      session.send(message('F', oid, 1, 0, 1, Buffer.from([0, 0, 0, 1]), Buffer.from('1'), 0));
      const answer = await session.until('Z');
      expect(answer.some((one) => one.startsWith('E:'))).toBe(true);
      expect(answer).not.toContain('V');
    }));

  it('a NUL byte in the text', async () => {
    for (const bytes of [query('select 1\0delete from customers'), parse('select 1\0; delete from customers')]) {
      await within(async (session) => {
        session.send(bytes, sync());
        expect((await session.until('E')).at(-1)).toMatch(/^E:/);
      }, 'may-end');
    }
  });

  it('a text that is no UTF-8', () =>
    within(async (session) => {
      session.send(message('Q', Buffer.from("select '\xff' from customers; delete from customers\0", 'latin1')));
      expect((await session.until('E')).at(-1)).toMatch(/^E:/);
    }, 'may-end'));

  it('another encoding, by setting and at the start', async () => {
    await within(async (session) => {
      session.send(query("set client_encoding to 'SJIS'"), query('select ssn from customers'));
      expect((await session.ready()).at(-1)).toBe('Z:I');
      expect((await session.ready()).at(-1)).toBe('Z:I');
    });
    for (const parameters of [
      { client_encoding: 'UTF16' },
      { options: '-c search_path=evil,public' },
      { search_path: 'evil,public' },
      { options: '-c role=postgres' },
      { session_authorization: 'postgres' },
      { replication: 'database' },
    ]) {
      const opened = await openRawSession(agentWay(stack).door, parameters).catch((error: Error) => error);
      if (opened instanceof Error) continue; // Refused at the start: nothing to see.
      opened.send(query('select ssn from customers'));
      await opened.until('Z');
      expectNoCanary(opened.received());
      opened.close();
    }
  });

  it('an error in the middle of a pipeline with masked rows before and behind', () =>
    within(async (session) => {
      session.send(parse('select ssn from customers'), bind(), execute());
      session.send(parse('select ssn::int from customers'), bind(), execute());
      session.send(parse('select ssn from customers'), bind(), execute(), flush(), sync());
      session.send(query('select ssn from customers'));
      await session.ready();
      expect((await session.ready()).at(-1)).toBe('Z:I');
    }));
});

describe('what the attacks leave behind', () => {
  it('is a table with all its rows', async () => {
    expect(await stack.dba('select count(*)::int as n from customers')).toEqual([{ n: 3 }]);
  });

  it('is no value in the logs or the ledger', async () => {
    const text =
      JSON.stringify(await stack.ledger()) +
      Object.values(stack.roles)
        .map((role) => role.logs())
        .join('\n');
    expectNoCanary(Buffer.from(text));
    expect(text).toContain('"denial"');
  });
});

describe('the same attacks without a gateway', () => {
  // Were this to fail, the tests above would show nothing: their attacks would be dead.
  it('bring the value to the client', async () => {
    const reading = ALL.filter(({ name }) => !name.includes('DELETE'));
    const dead: string[] = [];
    for (const attack of reading) {
      const bytes = await withoutGateway((client) => sendAll(client, attack.statements));
      if (shapesIn(bytes).length === 0) dead.push(attack.name);
    }
    expect(dead).toEqual(DEAD);
  });

  it('delete the rows', async () => {
    const alive: string[] = [];
    const deleting = ALL.filter(({ name }) => name.includes('DELETE'));
    for (const attack of deleting) {
      await withoutGateway(async (client) => {
        await client.query('begin');
        for (const text of attack.statements) await client.query(text);
        const { rows } = await client.query<{ n: number }>('select count(*)::int as n from customers');
        if (rows[0]?.n !== 3) alive.push(attack.name);
        await client.query('rollback');
      }).catch((error: Error) => alive.push(`${attack.name}: ${error.message}`));
    }
    expect(alive).toEqual(deleting.map(({ name }) => name));
  });
});

/** Runs `work` with a connection to the database itself, as the role that the gateway uses; returns all bytes that came. */
async function withoutGateway(work: (client: pg.Client) => Promise<void>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const stream = new net.Socket();
  stream.on('data', (chunk) => void chunks.push(chunk));
  const { port, host } = stack.postgres;
  const client = new pg.Client({
    ...{ host, port, user: 'shop_app', password: stack.secrets.target, database: 'shop', stream: () => stream },
  });
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
  return Buffer.concat(chunks);
}

/** Errors are part of the answer. */
async function sendAll(client: pg.Client, statements: readonly string[]): Promise<void> {
  for (const text of statements) await client.query(text).catch(() => {});
}

/** Sends the attack's statements, then asks something harmless, and looks at all bytes that came. */
async function attempt(attack: Attack, encode: (text: string) => Buffer): Promise<void> {
  await within(async (session) => {
    const answers: string[] = [];
    for (const text of attack.statements) {
      session.send(encode(text));
      answers.push(...(await session.ready()));
    }
    if (attack.answer === 'refused') expect(answers.filter((one) => one.startsWith('E:'))).not.toEqual([]);
    if (attack.answer === 'masked') {
      expect(answers.filter((one) => one.startsWith('E:'))).toEqual([]);
      expect(answers.filter((one) => one.startsWith('D:'))).toHaveLength(3);
    }
    session.send(query('rollback'), query('select name from public.customers where id = 1'));
    await session.ready();
    expect(await session.ready()).toEqual(['T', 'D:Ada', 'C:SELECT 1', 'Z:I']);
  });
}

it('all of that is answered alike by the same policies, and by others otherwise where they differ alone', async () => {
  const customers = 'shop/shop/public/customers';
  const without = (old: string, now: string) => Object.values(POLICIES).map((text) => text.replace(old, now));
  const isMasked = ({ isDenied, questions }: RecordedEntry) =>
    !isDenied && questions.some(({ resource, masks = [] }) => resource.id === customers && masks.length > 0);
  const { judged } = await expectReplays(stack, Object.values(POLICIES), {
    hashed: { policies: without('ssn:redact', 'ssn:hash'), kind: 'obligations', isMeant: isMasked },
    derived: {
      policies: without('@mask("ssn:redact")', '@mask("ssn:redact") @derived("null")'),
      kind: 'obligations',
      isMeant: isMasked,
    },
    inserts: {
      policies: [
        ...Object.values(POLICIES),
        '@id("planted") forbid(principal, action == Action::"postgres:insert", resource);',
      ],
      kind: 'denied',
      isMeant: ({ isDenied, questions }) => !isDenied && questions.some(({ action }) => action === 'postgres:insert'),
    },
    deletes: {
      policies: without('@id("no-delete")', '@id("no-delete") @description("never")').map((text) =>
        text.replace(
          'resource in Target::"shop");\n  ',
          'resource == Postgres::Table::"shop/shop/public/nothing");\n  ',
        ),
      ),
      kind: 'allowed',
      isMeant: ({ isDenied, questions }) => isDenied && questions.some(({ decision }) => decision === 'forbidden'),
    },
  });
  expect(judged).toBeGreaterThan(100);
});

/** Runs a conversation in a session of its own; afterwards no shape of the canary may have come, and no row be gone. */
async function within(work: (session: RawSession) => Promise<void>, end?: 'may-end'): Promise<void> {
  const session = await openRawSession(agentWay(stack).door);
  try {
    await work(session);
    if (end === undefined) {
      session.send(query('select 1'));
      expect((await session.ready()).at(-1)).toMatch(/^Z/);
    }
  } finally {
    session.close();
    expectNoCanary(session.received());
    expect(await stack.dba('select count(*)::int as n from customers')).toEqual([{ n: 3 }]);
  }
}

function expectNoCanary(bytes: Buffer): void {
  expect(shapesIn(bytes)).toEqual([]);
}

/** The shapes of the canary that those bytes hold. */
function shapesIn(bytes: Buffer): string[] {
  const text = bytes.toString('latin1').toLowerCase();
  return Object.entries(SHAPES).flatMap(([name, shape]) => (text.includes(shape.toLowerCase()) ? [name] : []));
}

const CANARY = 'Zq7-canary-Wx9-ssn';
const SHAPES = {
  itself: CANARY,
  reversed: [...CANARY].reverse().join(''),
  hex: Buffer.from(CANARY).toString('hex'),
  base64: Buffer.from(CANARY).toString('base64').slice(0, 20),
};
const POLICIES = {
  'web-all': ALLOW_ALL,
  rules: `
    @id("web-sees-masked")
    @mask("ssn:redact")
    permit(principal == Identity::"spiffe://example.org/web", action == Action::"postgres:select", resource == Postgres::Table::"shop/shop/public/customers");
    @id("web-sees-people-masked")
    @mask("secret:redact")
    permit(principal == Identity::"spiffe://example.org/web", action == Action::"postgres:select", resource == Postgres::Table::"shop/shop/public/people");
    @id("no-delete")
    forbid(principal, action == Action::"postgres:delete", resource in Target::"shop");
  `,
};
