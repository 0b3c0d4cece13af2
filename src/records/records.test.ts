import { generateKeyPairSync } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { useBothStores } from '../../test/support/both-stores.ts';
import { eventually } from '../../test/support/eventually.ts';
import type { LedgerEvent } from '../model/index.ts';
import {
  createManualClock,
  createSeededRandom,
  createSilentLog,
  createSystemClock,
  createSystemRandom,
  type ManualClock,
  type Service,
} from '../std/index.ts';
import type { Store } from '../store/index.ts';
import { verifyCosignature, verifyNote } from '../wire/tlog/index.ts';
import {
  createRecords,
  createWitness,
  type LogBatch,
  type Records,
  recordsLaterMigrations,
  recordsMigrations,
  retentionMigrations,
  type Shipment,
} from './index.ts';
import { ORIGIN, testEntry, testLog } from './testing/log-fixture.ts';

// Goal: what is shipped to any server is kept once and for good on every engine, and what is wrong with a log is named there and told.

const { signal } = new AbortController();
const OWNER = 'spiffe://countersign.example/countersign/gateway';
const witness = createWitness('countersign.example/server/1', generateKeyPairSync('ed25519').privateKey);
const random = createSeededRandom('records');
const { openPostgres, openSqlite, later } = useBothStores([
  ...recordsMigrations,
  ...recordsLaterMigrations,
  ...retentionMigrations,
]);
let clock: ManualClock;
let written: LedgerEvent[];

beforeEach(() => {
  clock = createManualClock(1_700_000_000_000);
  written = [];
});

function serverOn(store: Store): Records & Service {
  const write = async (event: LedgerEvent) => void written.push(event);
  const server = createRecords({
    ...{ store, clock, random, witness, write },
    log: createSilentLog(),
    silenceMs: 30_000,
  });
  later(() => server.stop());
  return server;
}

const named = (log = testLog(0), owner = OWNER) => ({ origin: log.origin, verifierKey: log.verifierKey, owner });

/** Ships what is missing, as a shipper does. */
async function ship(
  server: Records,
  log = testLog(20),
  { step = 7, end = log.entries.length } = {},
): Promise<Shipment> {
  const shipment = await server.open(named(log));
  let { size, signedSize } = shipment.stand;
  while (size < end) {
    const next = Math.min(end, size + step);
    ({ size, signedSize } = await shipment.take(log.batch(size, next, signedSize)));
  }
  return shipment;
}

/** One entry more of a log that is followed already, or is about to be. */
async function shipSome(server: Records, log: ReturnType<typeof testLog>): Promise<void> {
  const { stand } = await server.open(named(log));
  await ship(server, log, { end: Math.min(30, stand.size + 1) });
}

async function allOf(server: Records): Promise<string[]> {
  const page = await server.search({}, { size: 1000, signal });
  return page.entries.map(({ log, position, bytes }) => `${log}/${position} ${bytes}`);
}

describe.each([
  ['SQLite', openSqlite],
  ['PostgreSQL', openPostgres],
])('the record on %s', (_, openStore) => {
  it('keeps a log byte for byte, cosigned, and tells once to whom it was bound', async () => {
    const server = serverOn(await openStore());
    const log = testLog(20);
    const { stand } = await ship(server, log);
    expect(stand).toEqual({ size: 0, signedSize: 0, checkpoint: undefined });
    expect(await allOf(server)).toEqual(log.entries.map((bytes, n) => `1/${n} ${bytes}`).toReversed());
    const [kept] = await server.listLogs();
    expect(kept).toMatchObject({ origin: ORIGIN, owner: OWNER, entries: 20, alarm: undefined, ended: false });
    expect(verifyNote(kept?.checkpoint ?? '', log.key).text).toContain('\n20\n');
    expect(verifyCosignature(kept?.checkpoint ?? '', witness.key)).toEqual({ timeS: 1_700_000_000 });
    await server.start(signal);
    await eventually('it is told', () => written.length > 0);
    expect(written).toMatchObject([
      { kind: 'ledger', actor: OWNER, target: ORIGIN, action: 'record:bound', detail: { key: log.verifierKey } },
    ]);
  });

  it('tells whoever follows of each entry once, signed ones only, and goes on behind any of them', async () => {
    const store = await openStore();
    const server = createRecords({
      ...{ store, clock: createSystemClock(), random: createSystemRandom(), witness, write: async () => {} },
      ...{ log: createSilentLog(), silenceMs: 30_000 },
    });
    const [log, other] = [testLog(40), testLog(40, { seed: 'other', origin: `${ORIGIN}-2` })];
    await ship(server, log, { end: 10 });
    const ending = new AbortController();
    const told: string[] = [];
    const cursors: string[] = [];
    const following = (async () => {
      const entries = await server.follow({ target: 'db' }, { signal: ending.signal });
      for await (const { record, cursor } of entries) {
        if (record === undefined) continue;
        told.push(`${record.log}/${record.position}`);
        cursors.push(cursor);
      }
    })();
    await eventually('it is told what comes', async () => {
      if (told.length === 0 && log.entries.length > 0) await shipSome(server, log);
      return told.length > 0;
    });
    await ship(server, log);
    await ship(server, other);
    await eventually('it is told all', () => told.length >= 70 - Number(told[0]?.slice(2)) + 10);
    ending.abort();
    await following;
    const first = Number(told[0]?.slice(2));
    const all = [
      ...Array.from({ length: 40 - first }, (_, n) => `1/${first + n}`),
      ...Array.from({ length: 40 }, (_, n) => `2/${n}`),
    ];
    expect(told.toSorted()).toEqual(all.toSorted());
    const middle = 25;
    const again: string[] = [];
    const end = new AbortController();
    const rest = await server.follow({}, { after: cursors[middle], signal: end.signal });
    for await (const { record } of rest) {
      again.push(`${record?.log}/${record?.position}`);
      if (again.length === told.length - middle - 1) end.abort();
    }
    expect(again.toSorted()).toEqual(told.slice(middle + 1).toSorted());
  });

  it('goes on where it stands, however often shippers and servers are killed', async () => {
    const store = await openStore();
    const log = testLog(40);
    for (const end of [3, 9, 10, 26, 40]) await ship(serverOn(store), log, { end, step: 4 });
    // An answer that was lost: the batch comes again.
    const again = await serverOn(store).open(named(log));
    expect(await again.take(log.batch(20, 40))).toMatchObject({ size: 40, signedSize: 40 });
    expect(await allOf(serverOn(store))).toHaveLength(40);
  });

  it('names each way in which a log contradicts itself, tells it, and takes what is consistent again', async () => {
    const server = serverOn(await openStore());
    const log = testLog(20);
    const fork = log.with(log.entries.map((bytes, n) => (n < 5 ? bytes : testEntry(n, { target: 'fork' }))));
    const edited = log.entries.map((bytes, n) => (n === 12 ? testEntry(12, { target: 'x' }) : bytes));
    const cases: [string, () => LogBatch][] = [
      ['gap', () => log.batch(11, 20)],
      ['edited', () => ({ ...log.batch(10, 20, 10), entries: edited.slice(10) })],
      ['rollback', () => log.batch(9, 9, 9)],
      ['fork', () => fork.batch(10, 20, 10)],
    ];
    await server.start(signal);
    for (const [alarm, batch] of cases) {
      const shipment = await ship(server, log, { end: 10 });
      await expect(shipment.take(batch())).rejects.toMatchObject({
        code: 'ERR_RECORDS_ALARM',
        message: expect.stringContaining(`${ORIGIN}: ${alarm}: `),
      });
      expect((await server.listLogs())[0]?.alarm).toMatchObject({ kind: alarm });
      await (await server.open(named(log))).take(log.batch(10, 10, 10));
      // That the key signed two histories is not undone by one of them.
      expect((await server.listLogs())[0]?.alarm?.kind).toBe(alarm === 'fork' ? 'fork' : undefined);
    }
    await ship(server, log);
    expect(await allOf(server)).toHaveLength(20);
    await clock.advance(1000);
    await eventually('all is told', () => written.length >= 8);
    expect(written.map(({ action }) => action.replace('record:', ''))).toEqual([
      ...['bound', 'gap', 'resolved', 'edited', 'resolved', 'rollback', 'resolved', 'fork'],
    ]);
  });

  it('refuses another key and another owner, and keeps the first', async () => {
    const server = serverOn(await openStore());
    await ship(server, testLog(5));
    const other = testLog(5, { seed: 'other' });
    await expect(server.open(named(other))).rejects.toMatchObject({ code: 'ERR_RECORDS_ALARM' });
    await expect(server.open(named(testLog(5), `${OWNER}/2`))).rejects.toMatchObject({ code: 'ERR_RECORDS_OWNER' });
    expect(await server.listLogs()).toMatchObject([{ owner: OWNER, alarm: { kind: 'key' } }]);
  });

  it('begins a new log when an operator has accepted what is wrong, and goes on with one that was only silent', async () => {
    const server = serverOn(await openStore());
    await ship(server, testLog(5));
    await server.accept(ORIGIN);
    await expect(server.accept(ORIGIN)).rejects.toMatchObject({ code: 'ERR_RECORDS_NOT_FOUND' });
    await ship(server, testLog(8));
    expect(await server.listLogs()).toMatchObject([{ generation: 1, entries: 8, closed: false }]);
    const other = testLog(3, { seed: 'other' });
    await expect(server.open(named(other))).rejects.toMatchObject({ code: 'ERR_RECORDS_ALARM' });
    await server.accept(ORIGIN);
    await ship(server, other);
    expect(await server.listLogs()).toMatchObject([
      { generation: 1, entries: 8, closed: true },
      { generation: 2, entries: 3, closed: false, alarm: undefined },
    ]);
  });

  it('shows nothing that no checkpoint vouches for, and forgets it when it was false', async () => {
    const server = serverOn(await openStore());
    const log = testLog(10);
    const shipment = await ship(server, log, { end: 4 });
    await shipment.take({ first: 4, entries: [testEntry(4, { target: 'false' })], consistency: [] });
    expect(await allOf(server)).toHaveLength(4);
    await expect(server.show(1, 4)).rejects.toMatchObject({ code: 'ERR_RECORDS_NOT_FOUND' });
    await expect(shipment.take(log.batch(5, 10, 4))).rejects.toMatchObject({ code: 'ERR_RECORDS_ALARM' });
    await ship(server, log);
    expect((await server.show(1, 4)).bytes).toEqual(log.entries[4]);
    expect((await server.search({ target: 'false' }, { size: 5, signal })).entries).toEqual([]);
  });

  it('calls a log silent that says nothing for longer than it may, unless its writer stopped in good order', async () => {
    const server = serverOn(await openStore());
    const stop = testEntry(3, {
      kind: 'ledger',
      action: 'stop',
      actor: 'ledger',
      target: '',
      session: '',
      operation: '',
    });
    const log = testLog(3).with([...testLog(3).entries, stop]);
    await ship(server, log, { end: 3 });
    await server.start(signal);
    const silent = () => server.logs()?.map((one) => server.silentMs(one));
    await eventually('a look', () => silent() !== undefined);
    expect(silent()).toEqual([undefined]);
    for (let s = 0; s < 32; s++) {
      await eventually('it waits', () => clock.pending() > 0);
      await clock.advance(1000);
    }
    await eventually('it is silent', () => (silent()?.[0] ?? 0) > 30_000);
    await ship(server, log);
    await eventually('it waits', () => clock.pending() > 0);
    await clock.advance(1000);
    await eventually('it has ended', () => server.logs()?.[0]?.ended === true);
    expect(silent()).toEqual([undefined]);
  });

  it.each<[string, (log: ReturnType<typeof testLog>) => LogBatch]>([
    [
      '1,001 entries',
      () => ({ first: 0, entries: Array.from({ length: 1001 }, (_, n) => testEntry(n)), consistency: [] }),
    ],
    ['over 2 MiB', () => ({ first: 0, entries: [Buffer.alloc(2 * 1024 * 1024 + 1)], consistency: [] })],
    [
      'a proof that is too long',
      (log) => ({ ...log.batch(0, 1), consistency: Array.from({ length: 129 }, () => Buffer.alloc(32)) }),
    ],
    ['a position that is none', (log) => ({ ...log.batch(0, 1), first: -1 })],
  ])('refuses a batch of %s', async (_what, batch) => {
    const server = serverOn(await openStore());
    const log = testLog(2);
    const shipment = await server.open(named(log));
    await expect(shipment.take(batch(log))).rejects.toMatchObject({ code: 'ERR_RECORDS_REQUEST' });
    expect((await server.listLogs())[0]).toMatchObject({ entries: 0, alarm: undefined });
  });
});

describe('two servers on one database', () => {
  it('take one log from two shippers at once: every entry is there once', async () => {
    const [one, two] = [serverOn(await openPostgres()), serverOn(await openPostgres())];
    const log = testLog(300);
    await Promise.all([ship(one, log, { step: 7 }), ship(two, log, { step: 11 }), ship(two, log, { step: 5 })]);
    expect(await allOf(one)).toEqual(log.entries.map((bytes, n) => `1/${n} ${bytes}`).toReversed());
    expect(await one.listLogs()).toMatchObject([{ entries: 300, alarm: undefined }]);
  });

  it('take many logs side by side', async () => {
    const [one, two] = [serverOn(await openPostgres()), serverOn(await openPostgres())];
    const logs = Array.from({ length: 8 }, (_, n) => testLog(60, { seed: `${n}`, origin: `${ORIGIN}-${n}` }));
    await Promise.all(logs.map((log, n) => ship(n % 2 === 0 ? one : two, log, { step: 9 })));
    expect((await two.listLogs()).map(({ entries }) => entries)).toEqual(logs.map(() => 60));
  });
});
