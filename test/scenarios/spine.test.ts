/**
 * The spine of the product: unmodified psql and node-postgres work through the agent's socket and directly by TLS with an SVID, each
 * statement is decided and recorded, and a denial is an ordinary error after which the connection goes on.
 */
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeCancelRequest } from '../../src/wire/postgres/index.ts';
import { eventually } from '../support/eventually.ts';
import type { Daemon } from '../support/processes.ts';
import { mayLackPsql } from '../support/psql.ts';
import {
  bind,
  describePortal,
  execute,
  extended,
  flush,
  openDoor,
  openRawSession,
  parse,
  query,
  sync,
} from '../support/raw-session.ts';
import { ALLOW_ALL, type Stack, startStack } from '../support/stack.ts';
import { agentWay, directWay, startSvidFiles, type Way } from '../support/ways.ts';

let stack: Stack;
let svid: { folder: string; daemon: Daemon };

beforeAll(async () => {
  stack = await startStack({ seed: SEED, policies: POLICIES });
  svid = await startSvidFiles(stack);
});
afterAll(async () => {
  await svid?.daemon.end('SIGKILL');
  await stack?.stop();
});

const WAYS: readonly (readonly [string, () => Way])[] = [
  ['through the agent', () => agentWay(stack)],
  ['directly by mTLS', () => directWay(stack, svid.folder, 'postgres')],
  ['directly by mTLS without asking first', () => directWay(stack, svid.folder, 'direct')],
];

describe.each(WAYS)('node-postgres %s', (_, way) => {
  const withClient = async <T>(work: (client: pg.Client) => Promise<T>, more?: object): Promise<T> => {
    const client = await way().connect(more);
    try {
      return await work(client);
    } finally {
      await client.end();
    }
  };

  it('runs simple, parameterised and binary statements', () =>
    withClient(async (client) => {
      expect((await client.query('select id, name from items where id < 3 order by id')).rows).toEqual([
        { id: 1, name: 'anvil' },
        { id: 2, name: 'bolt' },
      ]);
      expect((await client.query('select name from items where id = $1', [2])).rows).toEqual([{ name: 'bolt' }]);
      // The driver's types do not know `binary`, which asks for results in binary format.
      const binary = { text: 'select id, price from items where id = $1', values: [1], binary: true } as pg.QueryConfig;
      expect((await client.query(binary)).rows).toEqual([{ id: 1, price: 300 }]);
    }));

  it('prepares a statement once and uses it again', () =>
    withClient(async (client) => {
      for (const id of [1, 2, 3]) {
        const { rows } = await client.query({
          name: 'one-item',
          text: 'select id from items where id = $1',
          values: [id],
        });
        expect(rows).toEqual([{ id }]);
      }
    }));

  it('sends many statements without waiting for answers', () =>
    withClient(
      async (client) => {
        const ids = Array.from({ length: 40 }, (_unused, index) => (index % 3) + 1);
        const results = await Promise.all(ids.map((id) => client.query('select id from items where id = $1', [id])));
        expect(results.map(({ rows }) => rows[0])).toEqual(ids.map((id) => ({ id })));
      },
      { pipeline: true },
    ));

  it('hears notifications', () =>
    withClient(async (client) => {
      const heard: (string | undefined)[] = [];
      client.on('notification', ({ payload }) => heard.push(payload));
      await client.query('listen news');
      await withClient((other) => other.query("notify news, 'fresh'"));
      await eventually('the notification', () => heard.length > 0);
      expect(heard).toEqual(['fresh']);
    }));

  it('goes on after a denied statement', () =>
    withClient(async (client) => {
      await expect(client.query('select * from private')).rejects.toMatchObject({ code: '42501' });
      await expect(client.query('delete from items where id = $1', [1])).rejects.toMatchObject({ code: '42501' });
      expect((await client.query('select count(*)::int as n from items where id < 4')).rows).toEqual([{ n: 3 }]);
    }));

  it('rolls a transaction back when one of its statements was denied', () =>
    withClient(async (client) => {
      await client.query('begin');
      await client.query("insert into items values (77, 'never', 1)");
      await expect(client.query('delete from items')).rejects.toMatchObject({ code: '42501' });
      await expect(client.query('select 1')).rejects.toMatchObject({ code: '25P02' });
      expect((await client.query('commit')).command).toBe('ROLLBACK');
      expect(await stack.dba('select 1 as n from items where id = 77')).toEqual([]);
      expect((await client.query('select 1 as n')).rows).toEqual([{ n: 1 }]);
    }));
});

describe.each(WAYS)('a client that pipelines by hand %s', (_, way) => {
  it('gets each answer in its place, with Sync in odd places', async () => {
    const session = await openRawSession(way().door);
    session.send(sync(), parse('select id from items where id = $1', 's'), flush(), bind(['1'], { name: 's' }));
    session.send(execute(), bind(['2'], { name: 's', portal: 'p' }), execute('p'), sync(), sync(), query('select 7'));
    expect(await session.ready()).toEqual(['Z:I']);
    expect(await session.ready()).toEqual(['1', '2', 'D:1', 'C:SELECT 1', '2', 'D:2', 'C:SELECT 1', 'Z:I']);
    expect(await session.ready()).toEqual(['Z:I']);
    expect(await session.ready()).toEqual(['T', 'D:7', 'C:SELECT 1', 'Z:I']);
    session.close();
  });

  it('has a denied statement undo what stands before it up to Sync, and skip what stands behind', async () => {
    const session = await openRawSession(way().door);
    session.send(
      ...[parse("insert into items values (78, 'never', 1)"), bind(), execute()],
      ...[parse('delete from items'), bind(), describePortal(), execute()],
      ...[parse("insert into items values (79, 'never', 1)"), bind(), execute(), sync()],
      ...[parse("insert into items values (80, 'kept', 1)"), bind(), execute(), sync()],
    );
    const first = await session.ready();
    expect(first.slice(0, 3)).toEqual(['1', '2', 'C:INSERT 0 1']);
    expect(first.filter((one) => one.startsWith('E:'))).toEqual([expect.stringMatching(/^E:42501:/)]);
    expect(first.at(-1)).toBe('Z:I');
    expect(await session.ready()).toEqual(['1', '2', 'C:INSERT 0 1', 'Z:I']);
    expect(await stack.dba('select id from items where id in (78, 79, 80)')).toEqual([{ id: 80 }]);
    await stack.dba('delete from items where id = 80');
    session.close();
  });

  it('has no statement of a text run when one of them is denied', async () => {
    const session = await openRawSession(way().door);
    session.send(query("insert into items values (81, 'never', 1); delete from items; select 1"));
    const answer = await session.ready();
    expect(answer.map((one) => one.slice(0, 7))).toEqual(['E:42501', 'Z:I']);
    expect(await stack.dba('select id from items where id = 81')).toEqual([]);
    session.close();
  });

  it('copies in and out', async () => {
    const session = await openRawSession(way().door);
    session.send(query('copy items from stdin'));
    expect(await session.until('G')).toEqual(['G']);
    session.send(Buffer.from('d\0\0\0\x0f90\tcrane\t5\n', 'latin1'), Buffer.from('c\0\0\0\x04', 'latin1'));
    expect(await session.ready()).toEqual(['C:COPY 1', 'Z:I']);
    session.send(query('copy (select id, name from items where id = 90) to stdout'));
    expect(await session.ready()).toEqual(['H', 'd:90\tcrane', 'c', 'C:COPY 1', 'Z:I']);
    await stack.dba('delete from items where id = 90');
    session.close();
  });

  it('cancels its own statement, and nobody else can', async () => {
    const session = await openRawSession(way().door);
    const [, pid = '', key = ''] = session.started.find((one) => one.startsWith('K:'))?.split(':') ?? [];
    session.send(query('select pg_sleep(30)'));
    await eventually('the statement runs', async () => {
      const rows = await stack.dba(
        "select 1 from pg_stat_activity where query = 'select pg_sleep(30)' and state = 'active'",
      );
      return rows.length === 1;
    });
    const wrong = await openDoor(way().door);
    wrong.send(encodeCancelRequest(Number(pid), Buffer.from(key, 'hex').map((byte) => byte ^ 1) as Buffer)); // Node's types say Uint8Array.
    await wrong.end();
    const right = await openDoor(way().door);
    right.send(encodeCancelRequest(Number(pid), Buffer.from(key, 'hex')));
    expect((await session.ready()).map((one) => one.slice(0, 7))).toContain('E:57014');
    session.send(...[extended('select 1')]);
    expect((await session.ready()).at(-1)).toBe('Z:I');
    session.close();
  });
});

describe.skipIf(mayLackPsql())('psql', () => {
  it.each(WAYS.slice(0, 2))('runs a script of statements %s', async (_, way) => {
    const script = [
      'select name from items where id = 1;',
      'prepare p(int) as select name from items where id = $1;',
      'execute p(2);',
      '',
    ];
    const finished = await stack.psql(script.join('\n'), { env: way().env });
    expect(finished).toEqual({ code: 0, stdout: 'anvil\nbolt\n', stderr: '' });
  });

  it.each(WAYS.slice(0, 2))('copies in and out, rolls back and goes on %s', async (_, way) => {
    const script = [
      'copy items from stdin;',
      '91\tdrill\t8',
      '\\.',
      'copy (select name from items where id = 91) to stdout;',
      'begin;',
      'update items set price = 9 where id = 91;',
      'rollback;',
      'select price from items where id = 91;',
      '',
    ].join('\n');
    const finished = await stack.psql(script, { env: way().env });
    expect(finished).toEqual({ code: 0, stdout: 'drill\n8\n', stderr: '' });
    await stack.dba('delete from items where id = 91');
  });

  it('shows a denial with reason and policy, and runs what comes next', async () => {
    const finished = await stack.psql('delete from items;\nselect 1;\n', { args: ['-v', 'ON_ERROR_STOP=0'] });
    expect(finished.stdout).toBe('1\n');
    expect(finished.stderr).toMatch(/ERROR: .*\n(.*\n)*DETAIL: .*no-delete/);
  });

  it('describes tables', async () => {
    const finished = await stack.psql('\\d items\n');
    expect(finished).toMatchObject({ code: 0, stdout: expect.stringContaining('price') });
  });

  it('is cancelled by Ctrl-C', async () => {
    const finished = stack.psql('select pg_sleep(31);\n', {
      started: (child) =>
        void eventually('the statement runs', async () => {
          const rows = await stack.dba(
            "select 1 from pg_stat_activity where query like 'select pg_sleep(31)%' and state = 'active'",
          );
          return rows.length === 1;
        }).then(() => child.kill('SIGINT')),
    });
    expect((await finished).stderr).toContain('canceling statement due to user request');
  });

  it('as a user without an entry gets no session', async ({ skip }) => {
    skip(!stack.users.separate, 'needs root, for a second user');
    const finished = await stack.psql('select 1', { user: stack.users.stranger });
    expect(finished.code).toBe(2);
    expect(finished.stderr).toContain('no identity issued');
  });

  it('as an identity without a permit gets no session', async ({ skip }) => {
    skip(!stack.users.separate, 'needs root, for a second user');
    const finished = await stack.psql('select 1', { user: stack.users.batch });
    expect(finished.code).toBe(2);
    expect(finished.stderr).toContain('FATAL');
  });
});

describe('the ledger', () => {
  it('holds an intent before and an outcome after each statement, under the identity of the client', async () => {
    const client = await agentWay(stack).connect();
    await client.query('select id from items where id = $1', [1]);
    await client.query('delete from items').catch(() => {});
    await client.end();
    const entries = await eventually('the session is closed in the ledger', async () => {
      const all = await stack.ledger();
      const session = all.findLast(({ kind }) => kind === 'session-open')?.session;
      const own = all.filter((entry) => entry.session === session);
      return own.at(-1)?.kind === 'session-close' && own;
    });
    expect(entries.map(({ kind, action, actor }) => `${kind} ${action} ${actor}`)).toEqual([
      'session-open postgres:connect spiffe://example.org/web',
      'intent postgres:select spiffe://example.org/web',
      'outcome postgres:select spiffe://example.org/web',
      'denial postgres:delete spiffe://example.org/web',
      'session-close postgres:connect spiffe://example.org/web',
    ]);
  });

  it('verifies offline', async () => {
    const finished = await stack.cli(['ledger', 'verify'], { user: stack.users.gateway });
    expect(finished).toMatchObject({ code: 0, stderr: '' });
    expect(finished.stdout).toMatch(/^The ledger example\.org\/gateway\/.* is whole: \d+ entries/);
  });
});

const SEED = `
  create table items (id int primary key, name text not null, price int);
  insert into items values (1, 'anvil', 300), (2, 'bolt', 2), (3, 'chisel', 40);
  create table private (v text);
  insert into private values ('hidden');
  grant all on items, private to shop_app;
`;
const POLICIES = {
  'web-all': ALLOW_ALL,
  rules: `
    @id("no-delete")
    forbid(principal, action == Action::"postgres:delete", resource in Target::"shop");
    @id("no-private")
    forbid(principal, action, resource == Postgres::Table::"shop/shop/public/private");
  `,
};
