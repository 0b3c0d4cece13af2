import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { useBothStores } from '../../test/support/both-stores.ts';
import { eventually } from '../../test/support/eventually.ts';
import { createSeededRandom, createSilentLog, createSystemClock } from '../std/index.ts';
import type { Store } from '../store/index.ts';
import {
  createRecords,
  createWitness,
  recordsLaterMigrations,
  recordsMigrations,
  retentionMigrations,
} from './index.ts';
import { testEntry } from './testing/log-fixture.ts';

// Goal: a record that was kept before there were postings is found by them once it was brought up to date: all of it, on every engine, also when whoever
// did so was cut off, or two did so at once.

const ENTRIES = 6000;
const { signal } = new AbortController();
const { openPostgres, openSqlite, query } = useBothStores();

/** As a server of before has left it. */
async function fill(store: Store): Promise<void> {
  await store.migrate(recordsMigrations.slice(0, 1));
  const db = store.db<Record<string, Record<string, unknown>>>();
  const log = { origin: 'o', generation: 1, owner: 'w', verifier_key: 'k', begun_ms: 0, heard_ms: 0 };
  const tree = { size: ENTRIES, edge: Buffer.alloc(0), signed_size: ENTRIES, signed_edge: Buffer.alloc(0) };
  await db
    .insertInto('records_logs')
    .values({ id: 1, ...log, ...tree })
    .execute();
  const names = { actor: 1, target: 2, action: 3, session: 4, kind: 5 };
  for (let first = 0; first < ENTRIES; first += 500)
    await db
      .insertInto('records_entries')
      .values(
        Array.from({ length: 500 }, (_, n) => first + n).map((position) => ({
          ...{ log: 1, position, at_ms: 1_000_000 + position, ...names },
          entry: testEntry(position, { target: position % 3 === 0 ? 'db' : 'other' }),
        })),
      )
      .execute();
}

const migrate = (store: Store) =>
  store.migrate([...recordsMigrations, ...recordsLaterMigrations, ...retentionMigrations]);

/** What is found of a target, page by page. */
async function positionsOf(store: Store, target: string): Promise<number[]> {
  const witness = createWitness('w', generateKeyPairSync('ed25519').privateKey);
  const base = { clock: createSystemClock(), random: createSeededRandom('older'), log: createSilentLog() };
  const records = createRecords({ ...base, store, witness, write: async () => {}, silenceMs: 1 });
  const found: number[] = [];
  let cursor: string | undefined;
  do {
    const page = await records.search({ target }, { size: 500, cursor, signal });
    found.push(...page.entries.map(({ position }) => position));
    cursor = page.next;
  } while (cursor !== undefined);
  return found;
}

const third = Array.from({ length: ENTRIES / 3 }, (_, n) => ENTRIES - 3 * (n + 1));

describe('a record of before there were postings', () => {
  it.each([
    ['SQLite', openSqlite],
    ['PostgreSQL', openPostgres],
  ])('is found by them on %s', async (_, open) => {
    const store = await open();
    await fill(store);
    await migrate(store);
    expect(await positionsOf(store, 'db')).toEqual(third);
  });

  it('is so when two servers of a new version are started at once', async () => {
    const [one, other] = [await openPostgres(), await openPostgres()];
    await fill(one);
    await Promise.all([migrate(one), migrate(other)]);
    expect(await positionsOf(other, 'db')).toEqual(third);
  });

  it('is as it was when that was cut off, and is found by them after the next start', async () => {
    const one = await openPostgres();
    await fill(one);
    // It waits where all tables are changed and the entries are to be found anew.
    const hold = 'begin; lock table records_logs in access exclusive mode; select pg_sleep(600)';
    const holding = query(hold).catch(() => {});
    const ended = (what: string) =>
      query(`select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and ${what}`);
    await eventually('what it needs is held', async () => {
      const locks = `select 1 from pg_locks where relation = 'records_logs'::regclass and mode = 'AccessExclusiveLock' and granted`;
      return (await query(locks)).length > 0;
    });
    const cut = migrate(one).then(
      () => 'done',
      () => 'cut off',
    );
    await eventually('it is at work, and cut off', async () => (await ended(`wait_event_type = 'Lock'`)).length > 0);
    expect(await cut).toBe('cut off');
    await ended(`query like 'begin; lock table%'`);
    await holding;
    const kept = await query('select count(*)::int as n from records_terms');
    expect(kept).toEqual([{ n: 0 }]); // The table of before is there.
    const other = await openPostgres();
    await migrate(other);
    expect(await positionsOf(other, 'db')).toEqual(third);
  });
});
