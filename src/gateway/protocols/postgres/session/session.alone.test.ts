import { connect, createServer, type Socket } from 'node:net';
import pg from 'pg';
import { serialize } from 'pg-protocol';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { eventually } from '../../../../../test/support/eventually.ts';
import { openRawClient } from '../../../../../test/support/raw-session.ts';
import {
  Backend,
  encodeCancelRequest,
  encodeStartup,
  Framer,
  readBackendKeyData,
} from '../../../../wire/postgres/index.ts';
import { type AppDatabase, startPeople } from '../testing/app-database.ts';
import { kinds, startTarget } from '../testing/harness.ts';
import { bind, describePortal, describeStatement, execute, parse, query, sync } from '../testing/messages.ts';

// The session against a real server, with a planner that does what marks in the text say: here only the protocol is at stake.
vi.mock('../sql/index.ts', async (original) => ({
  ...(await original<object>()),
  ...(await import('../testing/stub-sql.ts')).stubSql,
}));

let server: AppDatabase;
let gate: Awaited<ReturnType<typeof startTarget>>;

beforeAll(async () => {
  server = await startPeople();
});
afterAll(() => server.stop());
beforeEach(async () => {
  gate = await startTarget(server.target);
});
afterEach(() => gate.close());

describe('an allowed statement', () => {
  test('runs in the simple protocol as it does without the gateway', async () => {
    const client = await openRawClient(gate.port);
    client.send(query('select id from people order by id; select name from people where id = 1'));
    expect(await client.ready()).toEqual(['T', 'D:1', 'D:2', 'D:3', 'C:SELECT 3', 'T', 'D:Ann', 'C:SELECT 1', 'Z:I']);
    client.send(query(''));
    expect(await client.ready()).toEqual(['I', 'Z:I']);
    client.close();
  });

  test('runs by node-postgres, plain, prepared and with parameters', async () => {
    const client = new pg.Client({ port: gate.port, host: '127.0.0.1', user: 'web', database: 'app' });
    await client.connect();
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    for (let i = 0; i < 2; i++) {
      const found = await client.query({ name: 'by-id', text: 'select name from people where id = $1', values: [1] });
      expect(found.rows).toEqual([{ name: 'Ann' }]);
    }
    await client.end();
    await gate.served();
    const { events } = gate.ledger;
    expect(events.map((event) => event.kind)).toEqual([
      'session-open',
      ...['intent', 'outcome', 'intent', 'outcome', 'intent', 'outcome'],
      'session-close',
    ]);
    expect(kinds(events, 'outcome')[1]?.detail).toMatchObject({ status: 'done', items: 1 });
    expect(kinds(events, 'intent')[1]?.detail).toMatchObject({
      policies: ['p1'],
      shape: '0123456789abcdef',
      postgres: { statement: 'select' },
    });
  });

  test('runs however its bytes are split', async () => {
    const client = await openRawClient(gate.port);
    const bytes = Buffer.concat([
      parse('select name from people where id = 1'),
      bind(),
      describePortal(),
      execute(),
      sync(),
    ]);
    for (const byte of bytes) {
      client.socket.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await client.ready()).toEqual(['1', '2', 'T', 'D:Ann', 'C:SELECT 1', 'Z:I']);
    client.close();
  });
});

describe('a denied statement is an error of the server itself', () => {
  test('in the simple protocol: the connection stays usable', async () => {
    const client = await openRawClient(gate.port);
    client.send(query('/*deny*/ delete from people'));
    expect(await client.ready()).toEqual(['E:42501:policy does not allow it', 'Z:I']);
    client.send(query('select 1'));
    expect(await client.ready()).toEqual(['T', 'D:1', 'C:SELECT 1', 'Z:I']);
    expect(kinds(gate.ledger.events, 'denial')[0]?.detail).toMatchObject({
      ...{ policies: ['p-deny'], reason: 'policy-denied', code: '42501' },
    });
    client.close();
  });

  test('in a transaction: it is aborted', async () => {
    const client = await openRawClient(gate.port);
    client.send(
      query('begin'),
      query("insert into notes values (1, 'x')"),
      query('/*deny*/ select 1'),
      query('select 2'),
      query('commit'),
    );
    expect(await client.ready()).toEqual(['C:BEGIN', 'Z:T']);
    expect(await client.ready()).toEqual(['C:INSERT 0 1', 'Z:T']);
    expect(await client.ready()).toEqual(['E:42501:policy does not allow it', 'Z:E']);
    expect((await client.ready())[0]).toMatch(/^E:25P02/);
    expect(await client.ready()).toEqual(['C:ROLLBACK', 'Z:I']);
    expect(await server.query('select * from notes', [], 'app')).toEqual([]);
    client.close();
  });

  test('in a pipeline: everything up to Sync is skipped, and undone, and what follows runs', async () => {
    const client = await openRawClient(gate.port);
    client.send(
      ...[parse("insert into notes values (2, 'y')"), bind(), execute()],
      ...[parse('/*deny*/ select 1'), bind(), describePortal(), execute()],
      ...[parse('select 3'), bind(), execute(), sync()],
      ...[parse('select 4'), bind(), execute(), sync()],
    );
    expect(await client.ready()).toEqual(['1', '2', 'C:INSERT 0 1', 'E:42501:policy does not allow it', 'Z:I']);
    expect(await client.ready()).toEqual(['1', '2', 'D:4', 'C:SELECT 1', 'Z:I']);
    expect(await server.query('select * from notes', [], 'app')).toEqual([]);
    const outcomes = kinds(gate.ledger.events, 'outcome').map((event) => event.detail['status']);
    expect(outcomes).toEqual(['done', 'done']);
    client.close();
  });

  test('a fastpath function call is refused', async () => {
    const client = await openRawClient(gate.port);
    client.send(Buffer.from('460000000e0000000100000000' + '0000', 'hex'));
    expect((await client.ready())[0]).toMatch(/^E:0A000/);
    client.close();
  });

  test('a text over the limit is refused, and the connection stays usable', async () => {
    const client = await openRawClient(gate.port);
    client.send(query(`/*${'x'.repeat(33 * 1024 * 1024)}*/ delete from people`));
    expect((await client.ready())[0]).toMatch(/^E:54000/);
    client.send(query('select count(*) from people'));
    expect(await client.ready()).toEqual(['T', 'D:3', 'C:SELECT 1', 'Z:I']);
    client.close();
  });
});

describe('names of prepared statements', () => {
  test('never run under the plan of another: a Parse that fails leaves the old one, and its plan', async () => {
    const client = await openRawClient(gate.port);
    client.send(parse('/*mask*/ select ssn from people where id = 1', 's1'), sync());
    await client.ready();
    // The second Parse of s1 fails in the server; a gateway that took its word would run the first one unmasked.
    client.send(parse('select 1', 's1'), sync(), bind('s1'), execute(), sync());
    expect((await client.ready())[0]).toMatch(/^E:42P05/);
    expect(await client.ready()).toEqual(['2', 'D:[redacted]', 'C:SELECT 1', 'Z:I']);
    client.close();
  });

  test('that do not exist are the errors that the server would give', async () => {
    const client = await openRawClient(gate.port);
    client.send(bind('nope'), execute(), sync());
    expect(await client.ready()).toEqual(['E:26000:prepared statement "nope" does not exist', 'Z:I']);
    client.send(execute('nope'), sync());
    expect(await client.ready()).toEqual(['E:34000:portal "nope" does not exist', 'Z:I']);
    client.close();
  });

  test('closed and dropped ones are gone', async () => {
    const client = await openRawClient(gate.port);
    client.send(parse('select 1', 'a'), parse('select 2', 'b'), sync());
    await client.ready();
    client.send(serialize.close({ type: 'S', name: 'a' }), bind('a'), sync());
    expect(await client.ready()).toEqual(['3', 'E:26000:prepared statement "a" does not exist', 'Z:I']);
    client.send(query('deallocate b'));
    await client.ready();
    client.send(bind('b'), sync());
    expect(await client.ready()).toEqual(['E:26000:prepared statement "b" does not exist', 'Z:I']);
    client.close();
  });
});

describe('masked columns', () => {
  test('are masked in simple queries, NULL stays NULL', async () => {
    const client = await openRawClient(gate.port);
    client.send(query('/*mask*/ select name, ssn as x, id from people order by id'));
    expect(await client.ready()).toEqual([
      'T',
      'D:Ann|[redacted]|1',
      'D:Bob|NULL|2',
      'D:Cyd|[redacted]|3',
      'C:SELECT 3',
      'Z:I',
    ]);
    client.close();
  });

  test('for drivers that describe once and execute often', async () => {
    const client = await openRawClient(gate.port);
    client.send(parse('/*mask*/ select ssn from people order by id', 's'), describeStatement('s'), sync());
    expect(await client.ready()).toEqual(['1', 't', 'T', 'Z:I']);
    for (let i = 0; i < 2; i++) {
      client.send(bind('s'), execute(), sync());
      expect(await client.ready()).toEqual(['2', 'D:[redacted]', 'D:NULL', 'D:[redacted]', 'C:SELECT 3', 'Z:I']);
    }
    client.close();
  });

  test('when two Describes are pipelined before their Executes, and in binary format', async () => {
    const client = await openRawClient(gate.port);
    client.send(
      parse('/*mask*/ select ssn from people where id = 1', 's'),
      parse('select id, name, id from people where id = 1', 't'),
      serialize.bind({ statement: 's', portal: 'p', binary: true }),
      bind('t', 'q'),
      ...[describePortal('p'), describePortal('q'), execute('p'), execute('q'), sync()],
    );
    expect(await client.ready()).toEqual([
      ...['1', '1', '2', '2', 'T', 'T', 'D:[redacted]', 'C:SELECT 1', 'D:1|Ann|1', 'C:SELECT 1', 'Z:I'],
    ]);
    client.close();
  });

  test('over several Executes of one portal', async () => {
    const client = await openRawClient(gate.port);
    client.send(parse('/*mask*/ select ssn from people order by id'), bind(), execute('', 1), execute('', 0), sync());
    expect(await client.ready()).toEqual([
      '1',
      '2',
      'D:[redacted]',
      's',
      'D:NULL',
      'D:[redacted]',
      'C:SELECT 2',
      'Z:I',
    ]);
    client.close();
  });

  test('rows that the plan did not foresee end the session before one of them is shown', async () => {
    const client = await openRawClient(gate.port);
    client.send(query('/*unproven*/ select ssn from people'));
    expect((await client.end()).map((message) => message.slice(0, 7))).toEqual(['E:08P01']);
  });

  test('errors that may tell a value are withheld, those that may not are not', async () => {
    const client = await openRawClient(gate.port);
    client.send(query('select name::int from people'));
    expect((await client.ready()).at(-2)).toContain('Ann');
    client.send(query('/*withhold*/ select ssn::int from people'));
    const error = (await client.ready()).at(-2);
    expect(error).toMatch(/^E:22P02:.*withheld/);
    client.close();
  });
});

describe('COPY', () => {
  test('streams in and out', async () => {
    const client = await openRawClient(gate.port);
    client.send(query('copy notes from stdin'));
    expect(await client.until('G')).toEqual(['G']);
    for (let i = 10; i < 1010; i++) client.send(serialize.copyData(Buffer.from(`${i}\tnote\n`)));
    client.send(serialize.copyDone());
    expect(await client.ready()).toEqual(['C:COPY 1000', 'Z:I']);
    client.send(query('copy (select id from notes order by id limit 2) to stdout'));
    expect(await client.ready()).toEqual(['H', 'd:10', 'd:11', 'c', 'C:COPY 2', 'Z:I']);
    client.send(query('delete from notes'));
    await client.ready();
    client.close();
  });

  test('in the extended protocol, with the Sync that libpq sends ahead', async () => {
    const client = await openRawClient(gate.port);
    client.send(parse('copy notes from stdin'), bind(), execute(), sync());
    expect(await client.until('G')).toEqual(['1', '2', 'G']);
    client.send(serialize.copyData(Buffer.from('5\tfive\n')), serialize.copyDone(), sync());
    expect(await client.ready()).toEqual(['C:COPY 1', 'Z:I']);
    client.send(query('delete from notes'));
    expect(await client.ready()).toEqual(['C:DELETE 1', 'Z:I']);
    client.close();
  });

  test('that fails half-way leaves the session in step', async () => {
    const client = await openRawClient(gate.port);
    client.send(query('copy notes from stdin'));
    await client.until('G');
    client.send(
      serialize.copyData(Buffer.from('x\ty\n')),
      serialize.copyData(Buffer.from('8\tz\n')),
      serialize.copyDone(),
    );
    expect((await client.ready())[0]).toMatch(/^E:22P02/);
    client.send(query('select 1'));
    expect(await client.ready()).toEqual(['T', 'D:1', 'C:SELECT 1', 'Z:I']);
    client.close();
  });
});

describe('the row limit of policy', () => {
  test('turns a longer answer into an error, never a shorter answer', async () => {
    const client = await openRawClient(gate.port);
    client.send(query('/*limit 2*/ select id from people order by id'));
    expect(await client.ready()).toEqual(['T', 'D:1', 'D:2', expect.stringMatching(/^E:54000/), 'Z:I']);
    client.send(query('/*limit 3*/ select id from people order by id'));
    expect((await client.ready()).at(-2)).toBe('C:SELECT 3');
    client.send(parse('/*limit 1*/ select id from people order by id'), bind(), execute(), sync());
    expect(await client.ready()).toEqual(['1', '2', 'D:1', expect.stringMatching(/^E:54000/), 'Z:I']);
    client.send(query('select 1'));
    expect((await client.ready()).at(-2)).toBe('C:SELECT 1');
    client.close();
  });

  test('stops a long answer in the server', async () => {
    const client = await openRawClient(gate.port);
    client.send(query('/*limit 2*/ select i, pg_sleep(0.001) from generate_series(1, 1000000) i'));
    const seen = await client.ready();
    expect(seen.slice(-2)).toEqual([expect.stringMatching(/^E:54000/), 'Z:I']);
    expect(kinds(gate.ledger.events, 'outcome').at(-1)?.detail['status']).toBe('over-limit');
    client.send(query('select 1'));
    expect((await client.ready()).at(-2)).toBe('C:SELECT 1');
    client.close();
  });

  test('counts over all Executes of a portal', async () => {
    const client = await openRawClient(gate.port);
    client.send(
      parse('/*limit 2*/ select id from people order by id'),
      bind(),
      execute('', 1),
      execute('', 1),
      execute('', 1),
      sync(),
    );
    expect(await client.ready()).toEqual(['1', '2', 'D:1', 's', 'D:2', 's', expect.stringMatching(/^E:54000/), 'Z:I']);
    client.close();
  });
});

describe('the ledger', () => {
  test('comes first: what it does not take is not executed, and the session lives on', async () => {
    const client = await openRawClient(gate.port);
    gate.ledger.failure = Object.assign(new Error('full'), { code: 'ERR_LEDGER_FULL' });
    client.send(query("insert into notes values (77, 'x')"));
    expect(await client.ready()).toEqual([expect.stringMatching(/^E:53100/), 'Z:I']);
    client.send(parse("insert into notes values (78, 'x')"), bind(), describePortal(), execute(), sync());
    expect(await client.ready()).toEqual(['1', '2', 'n', expect.stringMatching(/^E:53100/), 'Z:I']);
    gate.ledger.failure = undefined;
    client.send(query('select count(*) from notes'));
    expect((await client.ready())[1]).toBe('D:0');
    expect(kinds(gate.ledger.events, 'outcome').length).toBe(1);
    client.close();
  });

  test('holds the answer of a change back until the entry is on disk, and not that of a read', async () => {
    const client = await openRawClient(gate.port);
    const release = gate.ledger.hold();
    client.send(query('select 1'));
    await client.ready();
    client.send(query('update notes set body = 1'));
    const answer = client.ready();
    const first = await Promise.race([answer, new Promise((resolve) => setTimeout(() => resolve('held'), 100))]);
    expect(first).toBe('held');
    release();
    expect(await answer).toEqual(['C:UPDATE 0', 'Z:I']);
    client.close();
  });

  test('in strict durability nothing is forwarded before the entry is on disk', async () => {
    gate.ledger.durability = { reads: 'strict', changes: 'strict' };
    const client = await openRawClient(gate.port);
    const release = gate.ledger.hold();
    client.send(query("insert into notes values (90, 'x')"));
    const answer = client.ready();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await server.query('select * from notes', [], 'app')).toEqual([]);
    release();
    expect(await answer).toEqual(['C:INSERT 0 1', 'Z:I']);
    client.send(query('delete from notes'));
    await client.ready();
    client.close();
  });

  test('says what ended the session when the target did', async () => {
    const client = await openRawClient(gate.port);
    client.send(query('select pg_sleep(100)'));
    await runs('select pg_sleep(100)');
    await server.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where query like 'select pg_sleep(100)%'`,
    );
    expect((await client.end()).at(-1)).toMatch(/^E:57P01/);
    await gate.served();
    expect(kinds(gate.ledger.events, 'outcome')[0]?.detail).toMatchObject({ status: 'failed', code: '57P01' });
  });
});

/** By then the server is at it. */
async function runs(text: string): Promise<void> {
  const active = `select 1 from pg_stat_activity where query like '${text}%' and state = 'active'`;
  await eventually(`${text} runs`, async () => (await server.query(active)).length > 0);
}

describe('cancel requests', () => {
  async function keyOf(minor: number) {
    const client = await openRawClient(gate.port, { start: false });
    const key = new Promise<{ processId: number; key: Buffer }>((resolve) => {
      client.socket.on('data', (chunk: Buffer) => {
        const framer = new Framer({ messageBytesMax: 1_000_000 });
        framer.push(chunk);
        while (framer.next()) if (framer.type === Backend.backendKeyData) resolve(readBackendKeyData(framer));
      });
    });
    client.send(encodeStartup(minor, [['user', 'web']]));
    return { client, ...(await key) };
  }

  test.each([
    [0, 4],
    [2, 32],
  ])('in protocol 3.%i have keys of %i bytes and reach the session they belong to', async (minor, bytes) => {
    const { client, processId, key } = await keyOf(minor);
    expect(key.length).toBe(bytes);
    await client.ready();
    client.send(query('select pg_sleep(100)'));
    await runs('select pg_sleep(100)');
    const wrong = await openRawClient(gate.port, { start: false });
    wrong.send(encodeCancelRequest(processId, Buffer.alloc(bytes)));
    await wrong.end();
    gate.setIdentity('spiffe://example.org/other');
    const stranger = await openRawClient(gate.port, { start: false });
    stranger.send(encodeCancelRequest(processId, key));
    await stranger.end();
    gate.setIdentity('spiffe://example.org/web');
    const ready = client.ready();
    const early = await Promise.race([ready, new Promise((resolve) => setTimeout(() => resolve('runs'), 150))]);
    expect(early).toBe('runs');
    const own = await openRawClient(gate.port, { start: false });
    own.send(encodeCancelRequest(processId, key));
    await own.end();
    expect((await ready).at(-2)).toMatch(/^E:57014/);
    client.close();
  });

  test('come also where no session may, which is told so', async () => {
    const { client, processId, key } = await keyOf(2);
    await client.ready();
    client.send(query('select pg_sleep(100)'));
    await runs('select pg_sleep(100)');
    gate.onlyAside();
    const session = await openRawClient(gate.port, { start: false });
    session.send(encodeStartup(0, [['user', 'web']]));
    expect((await session.end()).join(' ')).toMatch(/^E:57P01:no session is opened by this way/);
    const own = await openRawClient(gate.port, { start: false });
    own.send(encodeCancelRequest(processId, key));
    await own.end();
    expect((await client.ready()).at(-2)).toMatch(/^E:57014/);
    client.close();
  });
});

describe('sessions end', () => {
  test('with 57P01 when told to, at once or when idle', async () => {
    const busy = await openRawClient(gate.port);
    busy.send(query('begin'));
    await busy.ready();
    const idle = await openRawClient(gate.port);
    gate.drain();
    expect(await idle.end()).toEqual(['E:57P01:told to drain']);
    busy.send(query('commit'));
    expect(await busy.end()).toEqual(['C:COMMIT', 'Z:I', 'E:57P01:told to drain']);
  });

  test('at once, in the middle of a statement', async () => {
    const client = await openRawClient(gate.port);
    client.send(query('select pg_sleep(100)'));
    await runs('select pg_sleep(100)');
    gate.end();
    expect(await client.end()).toEqual(['E:57P01:told to end']);
    await gate.served();
    expect(kinds(gate.ledger.events, 'outcome')[0]?.detail['status']).toBe('unknown');
  });

  test('when a client breaks the protocol', async () => {
    for (const bytes of ['5100000003', 'ff00000004', '420000000561', '7000000005ff', '51ffffffff']) {
      const client = await openRawClient(gate.port);
      client.send(Buffer.from(bytes, 'hex'));
      expect((await client.end())[0]).toMatch(/^E:08P01/);
    }
  });
});

describe('a target that can not be used', () => {
  test.each([
    ['has another password', { password: 'env:WRONG' }, 'E:28P01:the gateway could not log in to target db'],
    ['is not there', { port: 1 }, 'E:08006:target db can not be reached at the moment'],
    ['has no such database', { database: 'gone' }, 'E:3D000:target db has no such database'],
    ['should have TLS and has none', { sslMode: 'require' }, 'E:08001:the gateway could not verify target db'],
  ])('is told to the client without the gateway’s user or secret: it %s', async (_, config, expected) => {
    const other = await startTarget({
      config: { ...server.target.config, ...config },
      env: { ...server.target.env, 'env:WRONG': 'hunter2' },
    });
    const client = await openRawClient(other.port, { start: false });
    client.send(encodeStartup(0, [['user', 'web']]));
    expect(await client.end()).toEqual([expected]);
    await other.close();
  });

  test('any more, lost in the middle of a statement: the outcome is unknown', async () => {
    const carried: Socket[] = [];
    const running = Promise.withResolvers<void>();
    const relay = createServer((near) => {
      const far = connect({ host: server.host, port: server.port });
      carried.push(near, far);
      near.on('data', (chunk) => {
        if (chunk.includes('pg_sleep')) running.resolve();
      });
      near.on('error', () => {}).pipe(far);
      far.on('error', () => {}).pipe(near);
    });
    await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve));
    const address = relay.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const other = await startTarget({
      config: { ...server.target.config, port },
      env: server.target.env,
    });
    const client = await openRawClient(other.port);
    client.send(query('select pg_sleep(2) /*write*/'));
    await running.promise;
    for (const socket of carried) socket.destroy();
    expect(await client.end()).toEqual(['E:08006:the gateway lost the connection to the target']);
    await other.served();
    expect(kinds(other.ledger.events, 'outcome')[0]?.detail['status']).toBe('unknown');
    await other.close();
    relay.close();
  });

  test('that sends what nobody asked for ends the session', async () => {
    const client = await openRawClient(gate.port);
    client.send(query('/*foreign*/ copy (select 1) to stdout'));
    expect((await client.end()).at(-1)).toMatch(/^E:08P01/);
  });
});
