import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { eventually } from '../../../../../test/support/eventually.ts';
import { openRawClient } from '../../../../../test/support/raw-session.ts';
import { noObligations } from '../../../../model/index.ts';
import { createManualClock, type ManualClock } from '../../../../std/index.ts';
import { encodeStartup } from '../../../../wire/postgres/index.ts';
import type { OwnQuotas, Quotas } from '../../../sessions/quotas.ts';
import { type AppDatabase, startPeople } from '../testing/app-database.ts';
import { kinds, startTarget } from '../testing/harness.ts';
import { bind, execute, parse, query, sync } from '../testing/messages.ts';

// Limits of policy at a real server, with a planner that does what marks in the text say.
vi.mock('../sql/index.ts', async (original) => ({
  ...(await original<object>()),
  ...(await import('../testing/stub-sql.ts')).stubSql,
}));

let server: AppDatabase;
let clock: ManualClock;
let gate: Awaited<ReturnType<typeof startTarget>>;

beforeAll(async () => {
  server = await startPeople();
});
afterAll(() => server.stop());
beforeEach(async () => {
  clock = createManualClock(1_800_000_000_000);
  gate = await startTarget({ ...server.target, clock });
});
afterEach(() => gate.close());

const message = (type: string, body = '') => {
  const bytes = Buffer.alloc(5 + body.length);
  bytes.write(type, 0, 'latin1');
  bytes.writeInt32BE(4 + body.length, 1);
  bytes.write(body, 5, 'latin1');
  return bytes;
};
const copyData = (body: string) => message('d', body);
const copyDone = () => message('c');
const E = (sqlstate: string) => expect.stringMatching(new RegExp(`^E:${sqlstate}`));
const last = (kind: 'outcome' | 'denial') => kinds(gate.ledger.events, kind).at(-1)?.detail;
/** Waits until the server does what that text says. */
const runs = (text: string, doing = "state = 'active'") =>
  eventually(`the server runs ${text}`, async () => {
    const client = await openRawClient(gate.port);
    const others = `query like '%${text}%' and pid <> pg_backend_pid()`;
    client.send(query(`select count(*) from pg_stat_activity where ${others} and ${doing}`));
    const [, count] = await client.ready();
    client.close();
    return count === 'D:1';
  });

describe('bytes of an answer', () => {
  test('beyond the limit are not shown, whether rows come whole, in pieces, or by COPY', async () => {
    const client = await openRawClient(gate.port);
    client.send(query("/*bytesOut 110*/ select repeat('x', 40) from generate_series(1, 5)"));
    expect((await client.ready()).map((told) => told[0])).toEqual(['T', 'D', 'D', 'E', 'Z']);
    client.send(query("/*bytesOut 1000000*/ select repeat('x', 5000000)"));
    expect((await client.ready()).map((told) => told[0])).toEqual(['T', 'E', 'Z']);
    client.send(query('copy (select generate_series(1, 100)) to stdout /*bytesOut 20*/'));
    const copied = (await client.ready()).map((told) => told[0]);
    expect(copied.filter((type) => type === 'd').length).toBe(2);
    expect(copied.slice(-2)).toEqual(['E', 'Z']);
    expect(last('outcome')).toMatchObject({ status: 'over-limit', limit: { unit: 'bytesOut', most: 20 } });
    client.send(query('select 1'));
    expect((await client.ready()).at(-2)).toBe('C:SELECT 1');
    client.close();
  });

  test('are counted over all Executes of a portal', async () => {
    const client = await openRawClient(gate.port);
    client.send(parse("/*bytesOut 110*/ select repeat('x', 40) from generate_series(1, 5)"), bind());
    client.send(execute('', 1), execute('', 1), execute('', 1), sync());
    expect((await client.ready()).map((told) => told[0])).toEqual(['1', '2', 'D', 's', 'D', 's', 'E', 'Z']);
    client.close();
  });
});

describe('bytes from the client', () => {
  test('beyond the limit refuse a text, and values that are bound', async () => {
    const client = await openRawClient(gate.port);
    client.send(query(`/*bytesIn 100*/ select '${'x'.repeat(100)}'`));
    expect(await client.ready()).toEqual([E('54000'), 'Z:I']);
    expect(last('denial')).toMatchObject({
      reason: 'over-limit',
      limit: { unit: 'bytesIn', most: 100 },
      code: '54000',
    });
    client.send(parse('/*bytesIn 100*/ select $1::text'), bind('', '', ['x'.repeat(100)]), execute(), sync());
    expect(await client.ready()).toEqual(['1', '2', E('54000'), 'Z:I']);
    client.send(parse('/*bytesIn 100*/ select $1::text'), bind('', '', ['xy']), execute(), sync());
    expect(await client.ready()).toEqual(['1', '2', 'D:xy', 'C:SELECT 1', 'Z:I']);
    client.close();
  });

  test('beyond the limit end a COPY: nothing of it stays, and the client goes on', async () => {
    const client = await openRawClient(gate.port);
    client.send(query('copy notes from stdin /*bytesIn 200*/'));
    for (let i = 0; i < 50; i++) client.send(copyData('1\ta line of text\n'));
    client.send(copyDone());
    expect((await client.ready()).slice(-2)).toEqual([E('54000'), 'Z:I']);
    expect(last('outcome')).toMatchObject({ status: 'over-limit', limit: { unit: 'bytesIn', most: 200 } });
    client.send(query("select count(*) from notes where body = 'a line of text'"));
    expect((await client.ready())[1]).toBe('D:0');
    client.send(query('copy notes from stdin /*bytesIn 200*/'), copyData('7\tshort\n'), copyDone());
    expect((await client.ready()).slice(-2)).toEqual(['C:COPY 1', 'Z:I']);
    client.close();
  });
});

describe('the time of a statement', () => {
  test('beyond the limit ends it with an error, and the client goes on', async () => {
    const client = await openRawClient(gate.port);
    client.send(query('/*duration 1000*/ select pg_sleep(600)'));
    await runs('duration 1000');
    await clock.advance(1_000);
    expect((await client.ready()).slice(-2)).toEqual([E('57014:the statement took longer'), 'Z:I']);
    expect(last('outcome')).toMatchObject({
      status: 'over-limit',
      code: '57014',
      limit: { unit: 'duration', most: 1_000 },
    });
    client.send(query('select 1'));
    expect((await client.ready()).at(-2)).toBe('C:SELECT 1');
    client.close();
  });

  test('is its own in a pipeline, and an answer that the server keeps until it is told to send it is asked for', async () => {
    const client = await openRawClient(gate.port);
    client.send(parse('/*duration 1000*/ select 1'), bind(), execute());
    await runs('duration 1000', "wait_event = 'ClientRead'");
    await clock.advance(1_000);
    await client.until('C:SELECT 1');
    await clock.advance(60_000);
    client.send(sync());
    expect((await client.ready()).at(-1)).toBe('Z:I');
    client.close();
  });

  test('beyond the limit ends a COPY whose client sends nothing', async () => {
    const client = await openRawClient(gate.port);
    client.send(query('copy notes from stdin /*duration 1000*/'), copyData('1\ta line\n'));
    await client.until('G');
    await clock.advance(1_000);
    expect((await client.ready()).slice(-2)).toEqual([E('57014'), 'Z:I']);
    client.send(copyData('2\tlate\n'), copyDone(), query('select count(*) from notes where id <> 7'));
    expect((await client.ready())[1]).toBe('D:0');
    client.close();
  });
});

describe.each(['counted here', 'counted by others, who answer later'])('operations a minute, %s', (where) => {
  beforeEach(async () => {
    if (where === 'counted here') return;
    gate.close();
    const later = (own: OwnQuotas): Quotas => ({ ...own, take: async (...asked) => own.take(...asked) });
    gate = await startTarget({ ...server.target, clock, quotas: later });
  });

  test('are counted over all ways to send them, one of a text for each, and all of a text or none of it', async () => {
    const client = await openRawClient(gate.port);
    client.send(query('/*rate 3*/ select 1'));
    expect((await client.ready()).at(-2)).toBe('C:SELECT 1');
    client.send(parse('/*rate 3*/ select 2', 'two'), bind('two'), execute(), sync());
    expect((await client.ready()).at(-2)).toBe('C:SELECT 1');
    client.send(query("/*rate 3*/ insert into notes values (1, 'x'); /*rate 3*/ insert into notes values (2, 'y')"));
    expect(await client.ready()).toEqual([E('53400'), 'Z:I']);
    expect(last('denial')).toMatchObject({ reason: 'over-limit', limit: { unit: 'rate', most: 3 }, policies: ['p1'] });
    client.send(query('select count(*) from notes where id <> 7'));
    expect((await client.ready())[1]).toBe('D:0');
    client.send(bind('two'), execute(), sync());
    expect((await client.ready()).at(-2)).toBe('C:SELECT 1');
    client.send(bind('two'), execute(), sync());
    expect(await client.ready()).toEqual(['2', E('53400'), 'Z:I']);
    await clock.advance(61_000);
    client.send(bind('two'), execute(), sync());
    expect((await client.ready()).at(-2)).toBe('C:SELECT 1');
    client.close();
  });

  test('are those of the identity, in whatever session', async () => {
    for (const expected of ['C:SELECT 1', 'C:SELECT 1', E('53400')]) {
      const client = await openRawClient(gate.port);
      client.send(query('/*rate 2*/ select 1'));
      expect((await client.ready()).at(-2)).toEqual(expected);
      client.close();
    }
  });
});

describe('sessions at once', () => {
  test('beyond the limit are refused, until one closes', async () => {
    const quotas = [{ policy: 'in', unit: 'sessions', most: 2 }] as const;
    const decision = {
      allow: true,
      policies: ['in'],
      obligations: { ...noObligations, limits: { sessions: 2 }, quotas },
    } as const;
    const limited = await startTarget({ ...server.target, clock, policy: { decide: () => decision } });
    const [first] = [await openRawClient(limited.port), await openRawClient(limited.port)];
    const third = await openRawClient(limited.port, { start: false });
    third.send(encodeStartup(0, [['user', 'web']]));
    expect(await third.end()).toEqual([E('53300')]);
    first.close();
    await eventually('there is room again', async () => {
      await (await openRawClient(limited.port)).close();
      return true;
    });
    await limited.close();
  });
});
