/**
 * What leases promise, over each engine that is registered: one holder at a time, by the clock of the database; of two who both believe to hold it, what
 * the older one writes is refused.
 */
import { type Kysely, sql } from 'kysely';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createManualClock, type ManualClock, type Service } from '../../src/std/index.ts';
import { storeEngines } from '../../src/store/engines/registry.generated.ts';
import { createLeases, type Lease, type Leases, type Store, storeMigrations } from '../../src/store/index.ts';
import { type Database, type Databases, openDatabases, openStore } from './store-databases.ts';
import { itemMigrations } from './store-items.ts';

const KIND = 'test.runner';
const wanted = (holder: string, name = 'a') => ({ kind: KIND, name, holder, ttlMs: 10_000 });

describe.each(storeEngines.map(({ id }) => id))('leases on %s', (engine) => {
  let databases: Databases;
  let database: Database;
  let store: Store & Service;
  let clock: ManualClock;
  let one: Leases;
  let two: Leases;
  beforeAll(async () => {
    databases = await openDatabases(engine);
  });
  afterAll(() => databases.close());
  beforeEach(async () => {
    database = await databases.createDatabase();
    store = await openStore(engine, database, [...itemMigrations, ...storeMigrations]);
    clock = createManualClock(1_000_000);
    one = createLeases({ store, clock });
    two = createLeases({ store, clock });
  });
  afterEach(async () => {
    await second?.stop();
    second = undefined;
    await store.stop();
    await database.remove();
  });

  let second: Service | undefined;
  async function openBeside(): Promise<Store> {
    const opened = await openStore(engine, database);
    second = opened;
    return opened;
  }

  async function waitingForLocks(at: Store): Promise<number> {
    const waiting = await sql<{ n: number }>`
      select count(*)::int as n from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock' and query like '%store_leases%'`.execute(at.db());
    return waiting.rows[0]?.n ?? 0;
  }

  const held = async (leases: Leases, holder: string, name?: string): Promise<Lease> => {
    const lease = await leases.hold(wanted(holder, name));
    if (lease === undefined) throw new Error(`${holder} does not hold it`);
    return lease;
  };
  /** Time that passes at the database, and nowhere else. */
  const passAtDatabase = (ms: number) => sql`update store_leases set ends_ms = ends_ms - ${ms}`.execute(store.db());
  const guarded = (leases: Leases, lease: Lease) =>
    store
      .transaction<never, void>((trx) => leases.guard(trx, lease))
      .then(
        () => 'held',
        (error) => error.code,
      );
  const removeOver = async (leases: Leases) => {
    const { over } = await leases.look(KIND);
    return store.transaction<never, readonly Lease[]>((trx) => leases.removeOver(trx, over));
  };

  it('are held by one alone, also of many who come at once', async () => {
    const all = await Promise.all(
      Array.from({ length: 20 }, (_, n) => (n % 2 === 0 ? one : two).hold(wanted(`h${n}`))),
    );
    expect(all.filter((lease) => lease !== undefined)).toHaveLength(1);
    expect(await held(two, 'other', 'b')).toMatchObject({ name: 'b', holder: 'other' });
  });

  it('are free once they are given back, and nothing that is another’s by then is given back', async () => {
    const first = await held(one, 'first');
    await one.release(first);
    const second = await held(two, 'second');
    await one.release(first);
    expect(await one.hold(wanted('first'))).toBeUndefined();
    expect(second.fence).toBeGreaterThan(first.fence);
  });

  it('last as long as they are renewed, and the clock of who asks is nobody’s matter', async () => {
    const first = await held(one, 'first');
    for (let n = 0; n < 3; n++) {
      await passAtDatabase(9_000);
      expect(await one.renew(first)).toBeTypeOf('number');
      expect(await two.hold(wanted('second'))).toBeUndefined();
    }
    if (engine !== 'sqlite') clock.step(86_400_000); // That of an embedded database is its process's.
    expect(await two.hold(wanted('second'))).toBeUndefined();
    expect(await guarded(one, first)).toBe('held');
  });

  it('are another’s once their time is over: who held it can not renew it, nor write under it', async () => {
    const first = await held(one, 'first');
    await passAtDatabase(10_001);
    const second = await held(two, 'second');
    expect(second.fence).toBeGreaterThan(first.fence);
    expect(await one.renew(first)).toBeUndefined();
    expect([await guarded(one, first), await guarded(two, second)]).toEqual(['ERR_STORE_LEASE', 'held']);
  });

  it('are held again by who comes late, if nobody has taken them; until then nothing is written under them', async () => {
    const first = await held(one, 'first');
    await passAtDatabase(60_000);
    expect(await guarded(one, first)).toBe('ERR_STORE_LEASE');
    expect(await one.renew(first)).toBeTypeOf('number');
    expect(await guarded(one, first)).toBe('held');
  });

  it('are told by number which of one holder’s is the newest', async () => {
    const before = await held(one, 'first');
    const now = await held(one, 'first');
    expect(now.fence).toBeGreaterThan(before.fence);
    expect([await one.renew(before), await guarded(one, before)]).toEqual([undefined, 'ERR_STORE_LEASE']);
  });

  // Of an embedded database there is no second process.
  it.skipIf(engine === 'sqlite')('are not taken while what is written under them is not yet committed', async () => {
    const first = await held(one, 'first');
    const beside = await openBeside();
    const after = createLeases({ store: beside, clock });
    const taken: string[] = [];
    let taking: Promise<unknown> | undefined;
    await store.transaction<{ items: { id: number; note: string } }, void>(
      async (trx) => {
        await one.guard(trx as unknown as Kysely<never>, first); // Its own tables are none of this one's.
        await beside.transaction<never, void>(async (other) => {
          await sql`update store_leases set ends_ms = 0`.execute(other);
        });
        taking ??= held(after, 'second').then(async () => {
          const rows = await beside.db<{ items: { note: string } }>().selectFrom('items').select('note').execute();
          taken.push(...rows.map(({ note }) => note));
        });
        await expect.poll(() => waitingForLocks(beside)).toBe(1);
        await trx.insertInto('items').values({ id: 1, note: 'in time' }).execute();
      },
      { order: 'another' },
    );
    await taking;
    expect(taken).toEqual(['in time']);
    expect(await guarded(one, first)).toBe('ERR_STORE_LEASE');
  });

  it('that are over are taken away by whoever acts on that, once', async () => {
    const gone = await held(one, 'gone', 'gone');
    await passAtDatabase(10_001);
    const there = await held(two, 'there', 'there');
    expect(await removeOver(two)).toEqual([gone]);
    expect(await removeOver(one)).toEqual([]);
    expect([await one.renew(gone), await two.renew(there)]).toEqual([undefined, expect.any(Number)]);
  });

  it('whose database went back by an hour are over after their own time, unless they are renewed', async () => {
    const dead = await held(one, 'dead', 'dead');
    const lives = await held(one, 'lives', 'lives');
    await passAtDatabase(-3_600_000);
    await one.renew(lives);
    expect(await removeOver(two)).toEqual([]);
    expect(await two.hold(wanted('second', 'dead'))).toBeUndefined();
    await clock.advance(10_000);
    await one.renew(lives);
    expect(await removeOver(two)).toEqual([dead]);
  });

  it('are seen as they are by the clock of the database, and nothing is done to what was renewed after that', async () => {
    const late = await held(one, 'late', 'late');
    const there = await held(one, 'there', 'there');
    await passAtDatabase(10_001);
    await one.renew(there);
    const seen = await two.look(KIND);
    expect([seen.held, seen.over]).toEqual([[there], [late]]);
    await one.renew(late);
    expect(await store.transaction<never, readonly Lease[]>((trx) => two.removeOver(trx, seen.over))).toEqual([]);
    expect((await two.look(KIND)).over).toEqual([]);
  });

  it('that another one has taken by then are none of what was seen to be over', async () => {
    await held(one, 'late');
    await passAtDatabase(10_001);
    const { over } = await two.look(KIND);
    const now = await held(one, 'other');
    await passAtDatabase(10_001);
    expect(await store.transaction<never, readonly Lease[]>((trx) => two.removeOver(trx, over))).toEqual([]);
    expect((await two.look(KIND)).over).toEqual([now]);
  });
});
