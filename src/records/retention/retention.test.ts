import { generateKeyPairSync } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { useBothStores } from '../../../test/support/both-stores.ts';
import { verifyProof } from '../../ledger/index.ts';
import { createManualClock, createSeededRandom, createSilentLog, type ManualClock } from '../../std/index.ts';
import { createLeases, type Lease, type Store, storeMigrations } from '../../store/index.ts';
import {
  createRecords,
  createWitness,
  type Records,
  recordsLaterMigrations,
  recordsMigrations,
  retentionMigrations,
  type SealRule,
  sinkMigrations,
} from '../index.ts';
import type { RecordsTables } from '../migrations.ts';
import { ORIGIN, testEntry, testLog } from '../testing/log-fixture.ts';
import { createHolds } from './holds.ts';
import { type RetentionPlan, sweep } from './sweep.ts';

// Goal: what is past its time is gone with all that it was found by, what is not stays and is proven as before, and what must wait waits.

const { signal } = new AbortController();
const { openPostgres, openSqlite, query } = useBothStores([
  ...recordsMigrations,
  ...storeMigrations,
  ...recordsLaterMigrations,
  ...sinkMigrations,
  ...retentionMigrations,
]);
const DAY_MS = 24 * 3_600_000;
const witness = createWitness('countersign.example/server/1/witness', generateKeyPairSync('ed25519').privateKey);
const WEEK: RetentionPlan = {
  rules: [{ name: 'denials', filter: { kind: 'denial' }, keepMs: 7 * DAY_MS }],
  sinks: [],
  waitMs: 7 * DAY_MS,
};
const log = testLog(0).with(
  Array.from({ length: 1100 }, (_, seq) =>
    testEntry(seq, { kind: seq % 3 === 0 ? 'denial' : 'intent', timeMs: 5000 + 40 * seq, session: `s${seq >> 2}` }),
  ),
);
const denials = Array.from({ length: 367 }, (_, n) => 3 * n);
let clock: ManualClock;

beforeEach(() => {
  clock = createManualClock(1_700_000_000_000);
});

/** A server; the clock of the database is made its own by moving what was written down of arrivals. */
function serverOn(store: Store, seal: readonly SealRule[] = []): Records {
  const random = createSeededRandom('retention');
  return createRecords({
    store,
    clock,
    random,
    witness,
    seal,
    log: createSilentLog(),
    write: async () => {},
    silenceMs: 1,
  });
}

async function ship(server: Records, end = log.entries.length): Promise<void> {
  const shipment = await server.open({ ...log, owner: 'spiffe://x/gateway' });
  let { size, signedSize } = shipment.stand;
  while (size < end)
    ({ size, signedSize } = await shipment.take(log.batch(size, Math.min(end, size + 90), signedSize)));
}

async function holdLease(store: Store): Promise<Lease> {
  const lease = await createLeases({ store, clock }).hold({ kind: 'test', name: 'r', holder: 'one', ttlMs: 600_000 });
  if (lease === undefined) throw new Error('somebody has the lease');
  return lease;
}

/** One look, as if all that is there had come so long ago. */
async function sweepAfter(
  store: Store,
  ms: number,
  plan: RetentionPlan = WEEK,
  of: { lease?: Lease; signal?: AbortSignal } = {},
) {
  const deps = { store, clock, leases: createLeases({ store, clock }) };
  const lease = of.lease ?? (await holdLease(store));
  await sweep(deps, { ...plan, rules: [] }, { lease, signal }); // Writes down what is there.
  await store
    .db<RecordsTables>()
    .updateTable('records_arrivals')
    .set((set) => ({ at_ms: set('at_ms', '-', ms) }))
    .execute();
  return sweep(deps, plan, { lease, signal: of.signal ?? signal });
}

async function found(server: Records, filter = {}): Promise<number[]> {
  const positions: number[] = [];
  let cursor: string | undefined;
  do {
    const page = await server.search(filter, { size: 200, cursor, signal });
    positions.push(...page.entries.map(({ position }) => position));
    cursor = page.next;
  } while (cursor !== undefined);
  return positions.toSorted((a, b) => a - b);
}

const rowsOf = async (store: Store) => {
  const { terms } = await store
    .db<RecordsTables>()
    .selectFrom('records_postings')
    .select(({ fn }) => fn.countAll<number | string>().as('terms'))
    .executeTakeFirstOrThrow();
  return Number(terms);
};

describe.each([
  ['SQLite', openSqlite],
  ['PostgreSQL', openPostgres],
])('on %s, content that is past its time', (_, open) => {
  it('is gone, and nothing is found by it; all else is found and proven as before', async () => {
    const store = await open();
    const server = serverOn(store);
    await ship(server);
    expect((await sweepAfter(store, 6 * DAY_MS)).removed).toBe(0);
    expect(await found(server, { kind: 'denial' })).toEqual(denials);
    expect((await sweepAfter(store, 2 * DAY_MS)).removed).toBe(denials.length);
    expect(await found(server, { kind: 'denial' })).toEqual([]);
    const left = log.entries.map((_entry, n) => n).filter((n) => n % 3 !== 0);
    expect(await found(server)).toEqual(left);
    expect(await found(server, { session: 's1' })).toEqual([4, 5, 7]);
    await expect(server.show(1, 3)).rejects.toMatchObject({
      code: 'ERR_RECORDS_GONE',
      message: expect.stringContaining('by the rule denials'),
    });
    await expect(server.prove(1, 3, signal)).rejects.toMatchObject({ code: 'ERR_RECORDS_GONE' });
    for (const position of [1, 1022, 1099]) {
      const proof = await server.prove(1, position, signal);
      expect(verifyProof(proof, { origin: ORIGIN, key: log.key }).entry.seq).toBe(position);
    }
  });

  it('leaves no row by which it was found', async () => {
    const [kept, swept] = [await openSqlite(), await open()];
    const others = serverOn(kept);
    await ship(serverOn(swept));
    await sweepAfter(swept, 8 * DAY_MS, { ...WEEK, rules: [{ name: 'all', filter: {}, keepMs: DAY_MS }] });
    expect(await rowsOf(swept)).toBe(0);
    await ship(others);
    expect(await rowsOf(kept)).toBeGreaterThan(300);
  });

  it('is compared by its hash when it is shipped again, and the log goes on', async () => {
    const store = await open();
    const server = serverOn(store);
    await ship(server, 500);
    await sweepAfter(store, 8 * DAY_MS);
    const shipment = await server.open({ ...log, owner: 'spiffe://x/gateway' });
    await shipment.take(log.batch(400, 600, 500));
    const other = log.with(
      log.entries.map((entry, n) => (n === 501 ? testEntry(501, { actor: 'spiffe://x/other' }) : entry)),
    );
    await expect(shipment.take(other.batch(450, 600, 600))).rejects.toMatchObject({ code: 'ERR_RECORDS_ALARM' });
  });

  it('goes on where it was cut off, by whoever has the lease', async () => {
    const store = await open();
    const server = serverOn(store);
    await ship(server);
    const cut = new AbortController();
    const lease = await holdLease(store);
    const sweeping = sweepAfter(store, 8 * DAY_MS, WEEK, { lease, signal: cut.signal });
    cut.abort();
    await expect(sweeping).rejects.toThrow();
    const next = await createLeases({ store, clock }).hold({ kind: 'test', name: 'r', holder: 'one', ttlMs: 600_000 });
    await expect(sweepAfter(store, 0, WEEK, { lease })).rejects.toMatchObject({ code: 'ERR_STORE_LEASE' });
    await sweepAfter(store, 0, WEEK, next === undefined ? {} : { lease: next });
    expect(await found(server, { kind: 'denial' })).toEqual([]);
  });

  it('stays while a hold names it, and goes when that is lifted', async () => {
    const store = await open();
    const server = serverOn(store);
    await ship(server);
    const holds = createHolds({ store, clock });
    const hold = { name: 'case-7', filter: { session: 's9' }, reason: 'claim', by: 'spiffe://x/counsel' };
    await holds.addHold(hold);
    await expect(holds.addHold(hold)).rejects.toMatchObject({ code: 'ERR_RECORDS_REQUEST' });
    await sweepAfter(store, 8 * DAY_MS);
    expect(await found(server, { kind: 'denial' })).toEqual([36, 39]);
    await holds.liftHold('case-7');
    await expect(holds.liftHold('case-7')).rejects.toMatchObject({ code: 'ERR_RECORDS_NOT_FOUND' });
    await sweepAfter(store, 0);
    expect(await found(server, { kind: 'denial' })).toEqual([]);
  });

  it('waits for a sink that lacks it, and goes without after the limit', async () => {
    const store = await open();
    const server = serverOn(store);
    await ship(server);
    const plan = { ...WEEK, sinks: ['siem'] };
    expect(await sweepAfter(store, 8 * DAY_MS, plan)).toEqual({
      removed: 0,
      waiting: [{ for: 'sink siem', entries: 1100 }],
    });
    await store
      .db<{ records_sink_cursors: { sink: string; log: number; position: number } }>()
      .insertInto('records_sink_cursors')
      .values({ sink: 'siem', log: 1, position: 300 })
      .execute();
    expect((await sweepAfter(store, 0, plan)).removed).toBe(100);
    expect(await sweepAfter(store, 7 * DAY_MS, plan)).toEqual({ removed: 267, waiting: [] });
  });

  it('waits for an export that runs; one that lacks something is not signed, and the next says how much was gone', async () => {
    const store = await open();
    clock = createManualClock(Date.now());
    const server = serverOn(store);
    await ship(server);
    const asked = { owner: 'a', origin: 'countersign.example/record-export', signal };
    const { id } = await server.beginExport({ filter: {}, format: 'jsonl' }, 'a');
    const first = await server.readExport(id, { ...asked, cursor: undefined });
    expect((await sweepAfter(store, 8 * DAY_MS)).waiting).toEqual([{ for: `export ${id}`, entries: 1100 }]);
    expect((await sweepAfter(store, 7 * DAY_MS)).removed).toBe(denials.length);
    await expect(server.readExport(id, { ...asked, cursor: first.next })).rejects.toMatchObject({
      code: 'ERR_RECORDS_GONE',
    });
    const next = await server.beginExport({ filter: {}, format: 'jsonl' }, 'a');
    expect((await server.showExport(next.id, 'a')).logs).toMatchObject([{ log: 1, gone: denials.length, size: 1100 }]);
  });

  it('lies sealed where a rule says so, is found as before, and its key goes with the last of it', async () => {
    const store = await open();
    const server = serverOn(store, [{ name: 'denials', filter: { kind: 'denial' }, by: 'session' }]);
    await ship(server, 120);
    const db = store.db<RecordsTables>();
    const rows = await db.selectFrom('records_entries').selectAll().where('seal', 'is not', null).execute();
    expect(rows).toHaveLength(40);
    expect(rows.some(({ entry }) => entry.includes('spiffe'))).toBe(false);
    expect(await found(server, { kind: 'denial' })).toEqual(denials.slice(0, 40));
    expect(`${(await server.show(1, 3)).bytes}`).toBe(`${log.entries[3]}`);
    await expect(server.prove(1, 3, signal)).resolves.toBeDefined();
    await db.deleteFrom('records_keys').execute();
    expect(await found(server, { kind: 'denial' })).toEqual([]);
    await expect(server.show(1, 3)).rejects.toMatchObject({ code: 'ERR_RECORDS_GONE' });
    await expect(server.prove(1, 4, signal)).resolves.toBeDefined();
    await ship(server, 240);
    expect(await found(server, { kind: 'denial' })).toEqual(denials.slice(40, 80));
    await sweepAfter(store, 8 * DAY_MS);
    expect(await db.selectFrom('records_keys').select('id').execute()).toEqual([]);
  });
});

it('does not wait for whoever ships, nor they for it, on PostgreSQL', async () => {
  const store = await openPostgres();
  const server = serverOn(store);
  await ship(server, 900);
  const [{ removed }] = await Promise.all([sweepAfter(store, 8 * DAY_MS), ship(server)]);
  expect(removed).toBeGreaterThanOrEqual(300);
  expect((await query('select count(*)::int as n from records_entries'))[0]).toEqual({ n: 1100 - removed });
});
