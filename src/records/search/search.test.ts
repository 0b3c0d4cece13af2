import { generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startPostgres, type TestPostgres } from '../../../test/support/postgres.ts';
import { openTestStore, type TestStore } from '../../../test/support/store.ts';
import type { LedgerEntry } from '../../ledger/index.ts';
import { createSeededRandom, createSilentLog, createSystemClock, type Service } from '../../std/index.ts';
import { member as postgresEngine } from '../../store/engines/postgres/index.ts';
import type { Store } from '../../store/index.ts';
import {
  createRecords,
  createWitness,
  type RecordFilter,
  type Records,
  recordsLaterMigrations,
  recordsMigrations,
  retentionMigrations,
} from '../index.ts';
import { ORIGIN, testEntry, testLog } from '../testing/log-fixture.ts';

// Goal: a search gives all that a look at every entry would give, newest first and once, whatever is asked for and however it is paged.

const { signal } = new AbortController();
const base = { clock: createSystemClock(), random: createSeededRandom('search'), log: createSilentLog() };
const pick = <T>(values: readonly T[], n: number): T => values[n % values.length] as T; // There is always one.
const WHO = ['spiffe://x/web', 'spiffe://x/batch'];
const MIGRATIONS = [...recordsMigrations, ...recordsLaterMigrations, ...retentionMigrations];
const TABLES = ['shop/shop/public/customers', 'shop/shop/public/orders', 'shop/shop/audit/customers'];
const NODE = 'spiffe://x/spire/agent/one';
const COLUMNS = ['id', 'ssn', 'name'];

/** An entry whose facts follow from a number. */
function entryOf(seq: number): Buffer {
  const [who, table, column] = [pick(WHO, seq), pick(TABLES, seq >> 1), pick(COLUMNS, seq >> 2)];
  const masks = seq % 5 === 0 ? { masks: [{ path: ['public', 'customers', column], kind: 'null' }] } : {};
  const question = {
    action: 'postgres:select',
    resource: { type: 'Table', id: table },
    context: { columns: [column] },
    ...masks,
  };
  const asked = { questions: [question], policies: [pick(['p1', 'p2'], seq >> 1)], shape: `shape-${seq % 4}` };
  const about = { actor: who, timeMs: 1000 + (seq >> 1), session: `s${seq >> 3}` };
  if (seq % 7 === 0)
    return testEntry(seq, { ...about, kind: 'denial', detail: { ...asked, reason: 'policy-denied', code: '42501' } });
  if (seq % 3 === 0)
    return testEntry(seq, {
      ...{ ...about, kind: 'outcome' },
      detail: { status: pick(['done', 'failed'], seq), items: seq, bytesOut: 10 * seq },
    });
  if (seq % 11 === 1)
    return testEntry(seq, { ...about, kind: 'session-open', detail: { caller: { nodeId: NODE, toldBy: 'agent' } } });
  return testEntry(seq, { ...about, detail: asked });
}

const logs = [0, 1].map((n) =>
  testLog(0, { seed: `${n}`, origin: `${ORIGIN}-${n}` }).with(Array.from({ length: 90 }, (_, seq) => entryOf(seq))),
);

async function recordOn(store: Store): Promise<Records> {
  const witness = createWitness('w', generateKeyPairSync('ed25519').privateKey);
  const records = createRecords({ ...base, store, witness, write: async () => {}, silenceMs: 1 });
  for (const log of logs) {
    const shipment = await records.open({
      origin: log.origin,
      verifierKey: log.verifierKey,
      owner: 'spiffe://x/gateway',
    });
    await shipment.take(log.batch(0, 90, 0));
  }
  return records;
}

/** What is asked for, in other words than the search's own. */
function isAsked(entry: LedgerEntry, filter: RecordFilter): boolean {
  const text = JSON.stringify(entry.detail);
  const { object, column, policy, shape, reason, status, code } = filter;
  const says = (name: string, value: string | undefined) => value === undefined || entry.detail[name] === value;
  return (
    (['actor', 'target', 'action', 'session', 'kind'] as const).every(
      (name) => (filter[name] ?? entry[name]) === entry[name],
    ) &&
    (object === undefined || text.includes(`/${object.replaceAll('.', '/')}"`)) &&
    (column === undefined || text.includes(`"columns":["${column}"]`)) &&
    (policy === undefined || text.includes(`"policies":["${policy}"]`)) &&
    says('shape', shape) &&
    says('reason', reason) &&
    says('status', status) &&
    says('code', code) &&
    (filter.masked !== true || text.includes('"masks"')) &&
    (filter.node === undefined || text.includes(`"nodeId":"${filter.node}"`)) &&
    isFrom(entry.detail['items'], filter.rowsMin, filter.rowsMax) &&
    isFrom(entry.detail['bytesOut'], filter.bytesMin, filter.bytesMax) &&
    (filter.sinceMs ?? 0) <= entry.timeMs &&
    (filter.untilMs ?? 9e9) >= entry.timeMs
  );
}

function isFrom(value: unknown, least: number | undefined, most: number | undefined): boolean {
  if (least === undefined && most === undefined) return true;
  return typeof value === 'number' && value >= (least ?? 0) && value <= (most ?? 9e9);
}

const maybe = (...values: readonly string[]) => fc.option(fc.constantFrom(...values), { nil: undefined, freq: 3 });
const filters = fc.record({
  ...{
    actor: maybe(...WHO, 'spiffe://x/nobody'),
    target: maybe('db', 'none'),
    action: maybe('lines:read'),
    session: maybe('s1', 's4'),
  },
  ...{
    kind: maybe('intent', 'outcome', 'denial'),
    object: maybe('customers', 'public.customers', 'audit/customers', 'stomers'),
  },
  ...{ column: maybe('ssn'), policy: maybe('p1', 'p2'), shape: maybe('shape-1'), reason: maybe('policy-denied') },
  ...{ status: maybe('done', 'failed'), code: maybe('42501'), masked: fc.constantFrom(undefined, undefined, true) },
  ...{ sinceMs: fc.constantFrom(undefined, undefined, 1010), untilMs: fc.constantFrom(undefined, undefined, 1030) },
});

async function allPages(records: Records, filter: RecordFilter, size: number): Promise<string[]> {
  const found: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await records.search(filter, { size, cursor, signal });
    expect(page.entries.length).toBeLessThanOrEqual(size);
    found.push(...page.entries.map(({ log, position }) => `${log}/${position}`));
    cursor = page.next;
  } while (cursor !== undefined);
  return found;
}

function expected(filter: RecordFilter): string[] {
  const all = logs.flatMap((log, n) =>
    log.entries.map((bytes) => ({ log: n + 1, entry: JSON.parse(`${bytes}`) as LedgerEntry })),
  );
  const asked = all.filter(({ entry }) => isAsked(entry, filter));
  asked.sort((a, b) => b.entry.timeMs - a.entry.timeMs || b.log - a.log || b.entry.seq - a.entry.seq);
  return asked.map(({ log, entry }) => `${log}/${entry.seq}`);
}

describe('a search', () => {
  let postgres: TestPostgres;
  let sqlite: TestStore;
  let onPostgres: Store & Service;
  const records: Records[] = [];
  beforeAll(async () => {
    postgres = await startPostgres();
    process.env['CS_SEARCH_TEST_URL'] = postgres.url;
    onPostgres = await postgresEngine.open({ url: 'env:CS_SEARCH_TEST_URL' }, base);
    await onPostgres.start(signal);
    await onPostgres.migrate(MIGRATIONS);
    sqlite = await openTestStore(MIGRATIONS);
    records.push(await recordOn(sqlite.store), await recordOn(onPostgres));
  });
  afterAll(async () => {
    await onPostgres.stop();
    await sqlite.close();
    await postgres.stop();
  });

  it('finds on every engine what a look at each entry finds, in its order', async () => {
    const runs = fc.asyncProperty(filters, fc.integer({ min: 1, max: 40 }), async (filter, size) => {
      for (const one of records) expect(await allPages(one, filter, size)).toEqual(expected(filter));
    });
    await fc.assert(runs, { numRuns: 60 });
  });

  it('finds by each thing alone', async () => {
    const alone: RecordFilter[] = [
      {},
      { actor: 'spiffe://x/web' },
      { object: 'audit.customers' },
      { column: 'ssn' },
      { masked: true },
      { reason: 'policy-denied' },
      { rowsMin: 17 },
      { rowsMax: 40 },
      { rowsMin: 0 },
      { bytesMin: 64, bytesMax: 500 },
      { node: NODE },
    ];
    for (const filter of alone) {
      expect(expected(filter).length).toBeGreaterThan(7);
      for (const one of records) expect(await allPages(one, filter, 7)).toEqual(expected(filter));
    }
  });

  it.each(['', 'x', '1.2', '1.2.3.4', '1.2.-3'])('has no page at %j', async (cursor) => {
    const [one] = records;
    await expect(one?.search({}, { size: 1, cursor, signal })).rejects.toMatchObject({ code: 'ERR_RECORDS_REQUEST' });
  });
});
