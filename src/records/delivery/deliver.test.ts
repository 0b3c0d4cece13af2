import { generateKeyPairSync } from 'node:crypto';
import { sql } from 'kysely';
import { Type } from 'typebox';
import { beforeEach, describe, expect, it } from 'vitest';
import { useBothStores } from '../../../test/support/both-stores.ts';
import { eventually } from '../../../test/support/eventually.ts';
import type { LedgerEvent } from '../../model/index.ts';
import {
  createManualClock,
  createSilentLog,
  createSystemClock,
  createSystemRandom,
  type ManualClock,
} from '../../std/index.ts';
import { type Store, storeMigrations } from '../../store/index.ts';
import {
  createRecords,
  createSinks,
  createWitness,
  type Records,
  recordsLaterMigrations,
  recordsMigrations,
  retentionMigrations,
  type SinkMember,
  type Sinks,
  sinkMigrations,
  type WantedSink,
} from '../index.ts';
import type { SinkAnswer, SinkItem } from '../sink.ts';
import { ORIGIN, testEntry, testLog } from '../testing/log-fixture.ts';

// Goal: what comes into the record is with each sink at least once and in the order of its log, whatever is down, refused or killed in between.

const { signal } = new AbortController();
const OWNER = 'spiffe://corp.example/countersign/gateway';
const { openPostgres, openSqlite, later } = useBothStores([
  ...recordsMigrations,
  ...storeMigrations,
  ...sinkMigrations,
  ...recordsLaterMigrations,
  ...retentionMigrations,
]);
let clock: ManualClock;
let written: LedgerEvent[];

beforeEach(() => {
  clock = createManualClock(1_700_000_000_000);
  written = [];
});

/** A place that events go to: it takes all, unless a test says what it answers. */
function fakePlace() {
  const place = {
    taken: [] as string[],
    sent: 0,
    answer: (_items: readonly SinkItem[]): SinkAnswer | Promise<SinkAnswer> => ({ kind: 'taken' }),
    open: 0,
  };
  const member: SinkMember = {
    ...{ kind: 'sink', id: 'fake', summary: 'A fake.', config: Type.Object({}) },
    async open() {
      place.open += 1;
      return {
        async send(items) {
          place.sent += 1;
          const answer = await place.answer(items);
          if (answer.kind === 'taken') place.taken.push(...items.map(({ id }) => id.replace('corp.example/', '')));
          return answer;
        },
        async close() {
          place.open -= 1;
        },
      };
    },
  };
  return { place, member };
}

type Place = ReturnType<typeof fakePlace>['place'];

function wantedOf(member: SinkMember, more: Partial<WantedSink> = {}): WantedSink {
  return { name: 'siem', member, config: {}, filter: {}, from: 'beginning', skip: new Set(), ...more };
}

async function runSinks(
  store: Store,
  wanted: readonly WantedSink[],
  holder = 'a',
  own: ManualClock = clock,
): Promise<Sinks> {
  const sinks = createSinks(
    {
      ...{
        store,
        clock: own,
        random: createSystemRandom(),
        log: createSilentLog(),
        holder,
        version: '1',
        dataDir: '/',
      },
      trustDomain: 'corp.example',
      write: async (event) => void written.push(event),
      ...{ readSecret: () => undefined, readTrustedFile: () => undefined },
    },
    wanted,
  );
  await sinks.start(signal);
  later(() => sinks.stop());
  return sinks;
}

function recordOn(store: Store): Records {
  const witness = createWitness('w', generateKeyPairSync('ed25519').privateKey);
  const system = { clock: createSystemClock(), random: createSystemRandom() };
  const deps = { store, ...system, log: createSilentLog(), witness, write: async () => {} };
  return createRecords({ ...deps, silenceMs: 30_000 });
}

/** A log of entries that say what `fields` says of each. */
function logNamed(name: string, count = 40, fields: (seq: number) => Parameters<typeof testEntry>[1] = () => ({})) {
  const entries = Array.from({ length: count }, (_, seq) => testEntry(seq, fields(seq)));
  return testLog(0, { seed: name, origin: `${ORIGIN}-${name}` }).with(entries);
}

async function ship(records: Records, log: ReturnType<typeof testLog>, end = log.entries.length): Promise<void> {
  const shipment = await records.open({ origin: log.origin, verifierKey: log.verifierKey, owner: OWNER });
  const { size, signedSize } = shipment.stand;
  await shipment.take(log.batch(size, end, signedSize));
}

/** Lets time pass until it is so, no faster than a database can follow. */
function until(what: string, isSo: () => boolean, own: ManualClock = clock): Promise<true> {
  const look = async () => {
    if (!isSo()) await own.advance(200);
    return isSo();
  };
  return eventually(what, look, { everyMs: 5 });
}

const all = (log: number, count: number) => Array.from({ length: count }, (_, n) => `${log}/${n}`);
const ofLog = (place: Place, log: number) => place.taken.filter((id) => id.startsWith(`${log}/`));
const atSize = (place: Place, count: number) => () => place.taken.length >= count;

describe.each([
  ['SQLite', openSqlite],
  ['PostgreSQL', openPostgres],
])('sinks over a record on %s', (name, openStore) => {
  it('hand over all that is there and all that comes, once each while nothing goes wrong, in the order of each log', async () => {
    const store = await openStore();
    const records = recordOn(store);
    const [one, two] = [logNamed('one'), logNamed('two')];
    await ship(records, one, 30);
    const { place, member } = fakePlace();
    const sinks = await runSinks(store, [wantedOf(member)]);
    await until('the first are there', atSize(place, 30));
    await ship(records, two);
    await ship(records, one);
    await until('all are there', atSize(place, 80));
    expect(ofLog(place, 1)).toEqual(all(1, 40));
    expect(ofLog(place, 2)).toEqual(all(2, 40));
    await until('it knows', () => sinks.views()[0]?.behind === 0);
    expect(sinks.views()).toEqual([
      { name: 'siem', kind: 'fake', isRunner: true, behind: 0, taken: 80, away: undefined, refused: [] },
    ]);
  });

  it('hand over only what is asked for, and from now on only where that is said', async () => {
    const store = await openStore();
    const records = recordOn(store);
    const log = logNamed('one', 40, (seq) => ({ kind: seq % 2 === 0 ? 'intent' : 'denial' }));
    await ship(records, log, 20);
    const [denials, later] = [fakePlace(), fakePlace()];
    const sinks = await runSinks(store, [
      wantedOf(denials.member, { name: 'denials', filter: { kind: 'denial' } }),
      wantedOf(later.member, { name: 'later', from: 'now' }),
    ]);
    await until('both have begun', () => sinks.views().every(({ behind }) => behind === 0));
    await ship(records, log);
    await until('all are there', () => later.place.taken.length >= 20 && denials.place.taken.length >= 20);
    expect(denials.place.taken).toEqual(all(1, 40).filter((_, n) => n % 2 === 1));
    expect(later.place.taken).toEqual(all(1, 40).slice(20));
  });

  it('go on from where they were after a stop, and after being killed between taking and moving on, with the same ids', async () => {
    const store = await openStore();
    const records = recordOn(store);
    const log = logNamed('one');
    await ship(records, log, 10);
    const { place, member } = fakePlace();
    const first = await runSinks(store, [wantedOf(member)], 'a');
    await until('the first are there', atSize(place, 10));
    await until('it has moved on', () => first.views()[0]?.behind === 0);
    await first.stop();
    expect(place.open).toBe(0);
    await ship(records, log, 20);
    // Taken, but the process is gone before it wrote so: its cursor is taken back.
    const second = await runSinks(store, [wantedOf(member)], 'b');
    await until('the second are there', atSize(place, 20));
    await until('it has moved on', () => second.views()[0]?.behind === 0);
    await second.stop();
    expect(place.taken).toEqual(all(1, 20));
    await sql`update records_sink_cursors set position = 15`.execute(store.db());
    await ship(records, log);
    await runSinks(store, [wantedOf(member)], 'c');
    await until('all are there', () => place.taken.includes('1/39'));
    expect(place.taken).toEqual([...all(1, 20), ...all(1, 40).slice(15)]);
  });

  it('wait for one that is away without holding up the others, lose nothing, and try it ever less often', async () => {
    const store = await openStore();
    const records = recordOn(store);
    const log = logNamed('one');
    const [down, up] = [fakePlace(), fakePlace()];
    down.place.answer = () => ({ kind: 'away', reason: 'HTTP 503' });
    const sinks = await runSinks(store, [wantedOf(down.member, { name: 'down' }), wantedOf(up.member, { name: 'up' })]);
    await ship(records, log);
    await until('the other has them', atSize(up.place, 40));
    await until('it is told', () => sinks.views()[0]?.away !== undefined);
    expect(sinks.views()[0]).toMatchObject({ behind: 40, away: { reason: 'HTTP 503', next: '1/0' } });
    const [sent, sinceMs] = [down.place.sent, clock.now()];
    await until('two minutes are over', () => clock.now() - sinceMs > 120_000);
    expect(down.place.sent - sent).toBeLessThan(15);
    down.place.answer = () => ({ kind: 'taken' });
    await until('it has them', atSize(down.place, 40));
    expect(down.place.taken).toEqual(all(1, 40));
    expect(sinks.views()[0]).toMatchObject({ away: undefined });
  });

  it('come back when the other side says so, and not before', async () => {
    const store = await openStore();
    await ship(recordOn(store), logNamed('one', 1));
    const { place, member } = fakePlace();
    place.answer = () => ({ kind: 'away', reason: 'HTTP 429', retryAfterMs: 9_000 });
    const sinks = await runSinks(store, [wantedOf(member)]);
    await until('it was asked', () => sinks.views()[0]?.away !== undefined);
    expect(place.sent).toBe(1);
    await clock.advance(8_000);
    expect(place.sent).toBe(1);
    await until('it is asked again', () => place.sent === 2);
  });

  it('name an entry that is refused, hold back only its own log, and never leave it out by themselves', async () => {
    const store = await openStore();
    const records = recordOn(store);
    await ship(records, logNamed('one'));
    await ship(records, logNamed('two'));
    const { place, member } = fakePlace();
    const refuses = (items: readonly SinkItem[]) => items.some(({ id }) => id === 'corp.example/1/17');
    place.answer = (items) => (refuses(items) ? { kind: 'refused', reason: 'HTTP 400' } : { kind: 'taken' });
    const sinks = await runSinks(store, [wantedOf(member)]);
    await until('all others are there', atSize(place, 57));
    await until('it is told', () => sinks.views()[0]?.refused.length === 1);
    expect(ofLog(place, 1)).toEqual(all(1, 17));
    expect(ofLog(place, 2)).toEqual(all(2, 40));
    expect(sinks.views()[0]?.refused).toMatchObject([{ log: 1, position: 17, reason: 'HTTP 400' }]);
    await ship(records, logNamed('three'));
    await until('what comes in other logs is there', atSize(place, 97));
    place.answer = () => ({ kind: 'taken' });
    await until('all are there', atSize(place, 120));
    expect(ofLog(place, 1)).toEqual(all(1, 40));
    await until('it is not told any more', () => sinks.views()[0]?.refused.length === 0);
    expect(written).toEqual([]);
  });

  it('tell an entry over which a sink fails from a sink that is away, and let it hold back only its own log', async () => {
    const store = await openStore();
    const records = recordOn(store);
    await ship(records, logNamed('one'));
    await ship(records, logNamed('two'));
    const { place, member } = fakePlace();
    place.answer = (items) =>
      items.some(({ id }) => id === 'corp.example/1/17') ? { kind: 'away', reason: 'HTTP 500' } : { kind: 'taken' };
    const sinks = await runSinks(store, [wantedOf(member)]);
    await until('it is told', () => sinks.views()[0]?.refused.length === 1);
    expect(sinks.views()[0]?.refused).toMatchObject([{ log: 1, position: 17, reason: 'HTTP 500' }]);
    await until('all others are there', atSize(place, 57));
    expect(ofLog(place, 1)).toEqual(all(1, 17));
    expect(ofLog(place, 2)).toEqual(all(2, 40));
  });

  it('leave out what an operator names, and write an entry about it', async () => {
    const store = await openStore();
    await ship(recordOn(store), logNamed('one'));
    const { place, member } = fakePlace();
    place.answer = (items) =>
      items.some(({ id }) => id === 'corp.example/1/17') ? { kind: 'refused', reason: 'no' } : { kind: 'taken' };
    await runSinks(store, [wantedOf(member, { skip: new Set(['1/17']) })]);
    await until('all others are there', atSize(place, 39));
    expect(place.taken).toEqual(all(1, 40).filter((id) => id !== '1/17'));
    expect(written).toMatchObject([{ action: 'record:sink-skipped', detail: { sink: 'siem', log: 1, position: 17 } }]);
  });

  it('hand over at one server at a time; one that was believed dead and comes back moves no cursor', async () => {
    const store = await openStore();
    await ship(recordOn(store), logNamed('one', 5));
    const { place, member } = fakePlace();
    let release = () => {};
    const held = new Promise<SinkAnswer>((resolve) => {
      release = () => resolve({ kind: 'taken' });
    });
    place.answer = () => held;
    // Its own clock stands still, as that of a process that was stopped does.
    const frozen = createManualClock(clock.now());
    const first = await runSinks(store, [wantedOf(member)], 'a', frozen);
    await until('the first sends', () => place.sent === 1);
    const other = fakePlace();
    const second = await runSinks(store, [wantedOf(other.member)], 'b');
    await clock.advance(30_000);
    expect(second.views()[0]?.isRunner).toBe(false);
    expect(other.place.sent).toBe(0);
    await sql`update store_leases set ends_ms = ends_ms - 3600000`.execute(store.db());
    await until('the second has taken over', atSize(other.place, 5));
    await until('it has moved on', () => second.views()[0]?.behind === 0);
    await sql`update records_sink_cursors set position = 0`.execute(store.db());
    release();
    await until('the first knows', () => first.views()[0]?.isRunner === false, frozen);
    const { rows } = await sql<{ position: number }>`select position from records_sink_cursors`.execute(store.db());
    expect(
      rows.map(({ position }) => Number(position)),
      name,
    ).toEqual([0]);
  });
});

it('never hold more than one batch in memory, however large entries are', async () => {
  const store = await openSqlite();
  const big = { detail: { text: 'x'.repeat(400_000) } };
  await ship(
    recordOn(store),
    logNamed('one', 4, () => big),
  );
  const { place, member } = fakePlace();
  const sizes: number[] = [];
  place.answer = (items) => {
    sizes.push(items.length);
    return { kind: 'taken' };
  };
  await runSinks(store, [wantedOf(member)]);
  await until('all are there', atSize(place, 4));
  expect(sizes).toEqual([2, 2]);
});
