// Goal: what needs an approval runs once, as it was approved, after it was approved; whatever else happens, nothing of it reaches the target.
import { parseSpiffeId } from '@countersign/sdk/identity';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../../../../../../test/support/eventually.ts';
import { openRawClient } from '../../../../../../test/support/raw-session.ts';
import { composeSchema, loadPolicies } from '../../../../../policy/index.ts';
import { createManualClock } from '../../../../../std/index.ts';
import { encodeCancelRequest, encodeStartup } from '../../../../../wire/postgres/index.ts';
import {
  type CurrentPolicies,
  createCurrentPolicies,
  createSessionPolicy,
} from '../../../../sessions/current-policies.ts';
import { createTestApprovals } from '../../../../testing/test-approvals.ts';
import { policySchema } from '../../sql/index.ts';
import { type AppDatabase, startAppDatabase } from '../../testing/app-database.ts';
import { kinds, startTarget } from '../../testing/harness.ts';
import { bind, execute, parse, query, sync } from '../../testing/messages.ts';

const schema = composeSchema([policySchema]);
const HELD = `@id("all") permit(principal, action, resource);
  @id("held") @approval("dba") permit(principal, action == Action::"postgres:delete", resource);`;
let server: AppDatabase;
let people: ReturnType<typeof createTestApprovals>;
let policies: CurrentPolicies;
let gate: Awaited<ReturnType<typeof startTarget>>;

beforeAll(async () => {
  server = await startAppDatabase(`
    create table items (id int primary key); insert into items select generate_series(1, 100);
    create table notes (body text); grant all on all tables in schema public to gate;`);
});
afterAll(() => server?.stop());
beforeEach(async () => {
  people = createTestApprovals();
  policies = createCurrentPolicies(createManualClock(Date.parse('2026-11-22T12:00:00Z')), { canHold: true });
  apply(HELD);
  const sessionPolicy = createSessionPolicy(policies, parseSpiffeId('spiffe://example.org/web'));
  gate = await startTarget({ ...server.target, sessionPolicy, approvals: people.approvals });
});
afterEach(() => gate?.close());

function apply(text: string): void {
  policies.replace(loadPolicies([{ name: 'p', text }], schema));
}

const has = async (id: number) => (await server.query('select 1 from items where id = $1', [id], 'app')).length === 1;
const entries = () => gate.ledger.events.filter(({ kind }) => ['hold', 'intent', 'outcome', 'denial'].includes(kind));
const told = () =>
  entries().map(({ kind, detail }) => [kind, detail['reason'] ?? detail['status']].filter(Boolean).join(' '));

describe('a simple query that needs an approval', () => {
  it('waits, and what is behind it; it runs once it is approved, and the ledger has by whom before it does', async () => {
    const client = await openRawClient(gate.port);
    client.send(query("select 'first'"), query('delete from items where id = 1'), query("select 'behind'"));
    expect(await client.ready()).toContain('D:first');
    const { shown, subject, approve } = await people.question(1);
    expect(await has(1)).toBe(true);
    expect(shown).toMatchObject({ text: 'delete from items where id = 1', title: expect.stringContaining('delete') });
    expect(subject).toMatchObject({
      ...{ v: 'countersign-approval/v1', gateway: 'spiffe://example.org/countersign/gateway', rules: ['dba'] },
      ...{ protocol: 'postgres', policySet: { digest: expect.stringMatching(/^[0-9a-f]{64}$/) } },
    });
    approve();
    expect(await client.ready()).toContain('C:DELETE 1');
    expect(await client.ready()).toContain('D:behind');
    expect(await has(1)).toBe(false);
    const about = entries().filter(({ operation }) => operation === '2');
    expect(about.map(({ kind }) => kind)).toEqual(['hold', 'intent', 'outcome']);
    expect(about[1]?.detail['approval']).toEqual({
      ...{ id: 'a1', by: ['ann'], hold: subject['hold'] ?? expect.any(String), statement: 'f'.repeat(64) },
      digest: people.asked[0]?.question.digest,
    });
    client.close();
  });

  it('is refused with the reason when it is denied, and the connection goes on', async () => {
    const client = await openRawClient(gate.port);
    client.send(query('delete from items where id = 2'));
    (await people.question(1)).deny('ask the owner');
    expect(await client.ready()).toContainEqual(expect.stringMatching(/^E:42501:this was not approved.*ask the owner/));
    client.send(query("select 'on'"));
    expect(await client.ready()).toContain('D:on');
    expect(await has(2)).toBe(true);
    expect(told().slice(0, 2)).toEqual(['hold', 'denial approval-denied']);
    expect(
      new Set(
        entries()
          .slice(0, 2)
          .map(({ operation }) => operation),
      ).size,
    ).toBe(1);
    client.close();
  });

  it.each([
    ['expired', { state: 'expired', approval: 'a1', reason: '' }, '57014', 'approval-expired'],
    ['withdrawn', { state: 'withdrawn', approval: 'a1', reason: 'revoked' }, '57014', 'approval-withdrawn'],
    ['unproven', { state: 'refused', why: 'unproven', what: 'nothing proves it' }, '42501', 'approval-refused'],
  ] as const)('runs nothing when its question is %s', async (_, answer, sqlstate, reason) => {
    const client = await openRawClient(gate.port);
    client.send(query('delete from items where id = 2'));
    (await people.question(1)).answer(answer);
    expect(await client.ready()).toContainEqual(expect.stringMatching(new RegExp(`^E:${sqlstate}:`)));
    expect([await has(2), told()]).toEqual([true, ['hold', `denial ${reason}`]]);
    client.close();
  });

  it('with several statements is held once, before anything of it runs', async () => {
    const client = await openRawClient(gate.port);
    client.send(
      query("insert into notes values ('a'); delete from items where id = 3; delete from items where id = 4"),
    );
    const { approve, shown } = await people.question(1);
    expect(await server.query("select 1 from notes where body = 'a'", [], 'app')).toEqual([]);
    expect(shown['text']).toContain('insert into notes');
    approve();
    expect((await client.ready()).filter((one) => one.startsWith('C:'))).toEqual([
      'C:INSERT 0 1',
      'C:DELETE 1',
      'C:DELETE 1',
    ]);
    expect(people.asked.length).toBe(1);
    client.close();
  });
});

describe('who waits may stop to', () => {
  it('cancels it, and is told as by PostgreSQL', async () => {
    const client = await openRawClient(gate.port, { start: false });
    client.send(encodeStartup(0, [['user', 'web']]));
    const [, pid = '', key = ''] = (await client.ready()).find((one) => one.startsWith('K:'))?.split(':') ?? [];
    client.send(query('delete from items where id = 5'));
    const { signal } = await people.question(1);
    const other = await openRawClient(gate.port, { start: false });
    other.send(encodeCancelRequest(Number(pid), Buffer.from(key, 'hex')));
    expect(await client.ready()).toContain('E:57014:canceling statement due to user request');
    expect([signal.aborted, signal.reason.why]).toEqual([true, 'cancelled']);
    client.send(query("select 'on'"));
    expect(await client.ready()).toContain('D:on');
    expect(await has(5)).toBe(true);
    for (const one of [client, other]) one.close();
  });

  it('goes away: the question is taken back, also where something waits behind it', async () => {
    const client = await openRawClient(gate.port);
    client.send(query('delete from items where id = 6'), query(`select '${'x'.repeat(10_000)}'`));
    const { signal, approve } = await people.question(1);
    client.close();
    await eventually('it is taken back', () => signal.aborted);
    approve();
    await gate.served();
    expect([await has(6), told().slice(0, 2)]).toEqual([true, ['hold', 'denial approval-withdrawn']]);
  });

  it.each(['end', 'drain'] as const)('has to, when its session is told to %s', async (how) => {
    const client = await openRawClient(gate.port);
    client.send(query('delete from items where id = 6'));
    const { signal } = await people.question(1);
    gate[how]();
    expect((await client.end()).join('\n')).toContain('told to');
    expect([signal.aborted, await has(6)]).toEqual([true, true]);
    await gate.served();
    expect(told()).toEqual(['hold', 'denial approval-withdrawn']);
  });
});

describe('policies that change while something waits', () => {
  it('hold it anew, under what they are now: the answer to the first is none', async () => {
    const client = await openRawClient(gate.port);
    client.send(query('delete from items where id = 7'));
    const first = await people.question(1);
    apply(HELD.replace('"dba"', '"two"'));
    const second = await people.question(2);
    expect([first.signal.reason.why, second.subject['rules']]).toEqual(['policy', ['two']]);
    expect(second.question.hold).not.toBe(first.question.hold);
    first.approve();
    expect(await has(7)).toBe(true);
    second.approve();
    expect(await client.ready()).toContain('C:DELETE 1');
    expect(told()).toEqual(['hold', 'hold', 'intent', 'outcome done']);
    client.close();
  });

  it('refuse it, or let it run', async () => {
    const client = await openRawClient(gate.port);
    client.send(query('delete from items where id = 8'));
    await people.question(1);
    apply(`${HELD} @id("no") forbid(principal, action == Action::"postgres:delete", resource);`);
    expect(await client.ready()).toContainEqual(expect.stringMatching(/^E:42501:a policy forbids/));
    apply(HELD);
    client.send(query('delete from items where id = 8'));
    const { signal } = await people.question(2);
    apply('@id("all") permit(principal, action, resource);');
    expect(await client.ready()).toContain('C:DELETE 1');
    expect([signal.aborted, told()]).toEqual([
      true,
      ['hold', 'denial policy-denied', 'hold', 'intent', 'outcome done'],
    ]);
    client.close();
  });
});

describe('a prepared statement', () => {
  const remove = (value: string) => [bind('s', '', [value]), execute(), sync()] as const;

  it('is held with what is bound to it, each time anew, and never as it is parsed or described', async () => {
    const client = await openRawClient(gate.port);
    client.send(parse('delete from items where id = $1', 's'), sync());
    await client.ready();
    expect(people.asked).toEqual([]);
    client.send(...remove('11'));
    const first = await people.question(1);
    expect(first.shown['parameters']).toEqual([{ name: '$1', value: '11', cut: false }]);
    first.approve();
    expect(await client.ready()).toContain('C:DELETE 1');
    client.send(...remove('12'));
    const second = await people.question(2);
    expect(second.subject['parameters']).not.toBe(first.subject['parameters']);
    expect(await has(12)).toBe(true);
    second.deny();
    expect(await client.ready()).toContainEqual(expect.stringMatching(/^E:42501:/));
    client.send(...remove('11'));
    (await people.question(3)).approve();
    expect(await client.ready()).toContain('C:DELETE 0');
    client.close();
  });

  it('that is denied skips to Sync, and what is behind that goes on', async () => {
    const client = await openRawClient(gate.port);
    client.send(
      parse('delete from items where id = 13'),
      bind(),
      execute(),
      parse("select 'skipped'"),
      bind(),
      execute(),
      sync(),
    );
    client.send(parse("select 'on'"), bind(), execute(), sync());
    (await people.question(1)).deny();
    const first = await client.ready();
    expect(first.filter((one) => one.startsWith('E:')).length).toBe(1);
    expect(first).not.toContain('D:skipped');
    expect(await client.ready()).toContain('D:on');
    expect(await has(13)).toBe(true);
    client.close();
  });

  it('shows its rows in parts by one approval, and runs again by another', async () => {
    const client = await openRawClient(gate.port);
    client.send(query('begin'));
    await client.ready();
    client.send(
      parse('delete from items where id in (14, 15, 16) returning id', 's'),
      bind('s', 'p'),
      execute('p', 1),
      execute('p', 1),
      sync(),
    );
    (await people.question(1)).approve();
    const rows = (await client.ready()).filter((one) => one.startsWith('D:'));
    expect(rows.length).toBe(2);
    client.send(execute('p', 0), sync());
    expect((await client.ready()).filter((one) => one.startsWith('D:')).length).toBe(1);
    expect(people.asked.length).toBe(1);
    client.send(bind('s', 'q'), execute('q'), sync());
    (await people.question(2)).approve();
    expect(await client.ready()).toContain('C:DELETE 0');
    client.send(query('rollback'));
    await client.ready();
    client.close();
  });

  it('does not run when the target’s own time for it is over by then, and the session goes on', async () => {
    const client = await openRawClient(gate.port);
    client.send(query('set statement_timeout = 100'));
    await client.ready();
    client.send(parse('delete from items where id = 17'), bind(), execute(), sync());
    const { approve } = await people.question(1);
    await server.query('select pg_sleep(0.2)', [], 'app');
    approve();
    expect(await client.ready()).toContainEqual(
      expect.stringMatching(/^E:57014:canceling statement due to statement timeout/),
    );
    client.send(query("select 'on'"));
    expect(await client.ready()).toContain('D:on');
    expect(await has(17)).toBe(true);
    expect(told()).toContain('outcome failed');
    client.close();
  });

  it('of a pool of node-postgres survives an approval and a denial', async () => {
    const pool = new pg.Pool({ host: '127.0.0.1', port: gate.port, user: 'web', database: 'app', max: 1 });
    const first = pool.query('delete from items where id = $1', [18]);
    (await people.question(1)).approve();
    expect((await first).rowCount).toBe(1);
    const second = pool.query('delete from items where id = $1', [19]);
    const refused = expect(second).rejects.toMatchObject({ code: '42501' });
    (await people.question(2)).deny();
    await refused;
    expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    await pool.end();
  });
});

it('a COPY is held before the target reads of it', async () => {
  apply(
    `@id("all") permit(principal, action, resource); @id("held") @approval("dba") permit(principal, action == Action::"postgres:insert", resource);`,
  );
  const client = await openRawClient(gate.port);
  client.send(query('copy notes from stdin'));
  const { approve, deny, shown } = await people.question(1);
  expect(shown['text']).toBe('copy notes from stdin');
  approve();
  await eventually('it reads', () => kinds(gate.ledger.events, 'intent').length === 1);
  deny();
  client.close();
});
