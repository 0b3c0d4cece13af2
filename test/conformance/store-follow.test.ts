/** What following a store promises, over each engine that is registered. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createManualClock, createSilentLog, type ManualClock, type Service } from '../../src/std/index.ts';
import { storeEngines } from '../../src/store/engines/registry.generated.ts';
import { createFollower, type Follower, type FollowStep, type Store } from '../../src/store/index.ts';
import { type Database, type Databases, openDatabases, openStore } from './store-databases.ts';
import { type ItemTables, itemMigrations } from './store-items.ts';

const TOPIC = 'items.changed';
const never = new AbortController().signal;

describe.each(storeEngines.map(({ id }) => id))('a follower on %s', (engine) => {
  let databases: Databases;
  let database: Database;
  let store: Store & Service;
  let clock: ManualClock;
  let follower: Follower;
  let logged: string[];
  /** What it has read, one list for each reading. */
  let readings: number[][];
  beforeAll(async () => {
    databases = await openDatabases(engine);
  });
  afterAll(() => databases.close());
  beforeEach(async () => {
    database = await databases.createDatabase();
    store = await openStore(engine, database, itemMigrations);
    clock = createManualClock(0);
    [logged, readings] = [[], []];
  });
  afterEach(async () => {
    await follower.stop();
    await store.stop();
    await database.remove();
  });

  const ids = async () => {
    const rows = await store.db<ItemTables>().selectFrom('items').select('id').orderBy('id').execute();
    return rows.map(({ id }) => id);
  };
  const add = (id: number, payload: string | undefined = String(id)) =>
    store.transaction<ItemTables, void>(async (trx, effects) => {
      await trx
        .insertInto('items')
        .values({ id, note: `note ${id}` })
        .execute();
      if (payload !== undefined) effects.notify(TOPIC, payload);
    });
  const read = async () => void readings.push(await ids());
  function follow(options: Partial<Parameters<typeof createFollower>[1]> = {}): Follower {
    const log = {
      ...createSilentLog(),
      error: (event: string) => void logged.push(event),
      warn: (event: string) => void logged.push(event),
    };
    follower = createFollower({ store, clock, log }, { topic: TOPIC, load: read, pollMs: 5_000, ...options });
    return follower;
  }
  const last = () => readings.at(-1);

  it('has what was there when it started, and each change soon after', async () => {
    await add(1);
    await follow().start(never);
    expect(readings[0]).toEqual([1]);
    await add(2);
    await expect.poll(last).toEqual([1, 2]);
  });

  it('misses nothing that is changed while it reads for the first time', async () => {
    await follow({
      async load() {
        const found = await ids();
        if (readings.length === 0) await add(1);
        readings.push(found);
      },
    }).start(never);
    await expect.poll(last).toEqual([1]);
  });

  it('reads once more for all that is announced while it reads, and never beside itself', async () => {
    let beside = 0;
    let most = 0;
    const held = Promise.withResolvers<void>();
    await follow({
      async load() {
        most = Math.max(most, ++beside);
        if (readings.length === 1) await held.promise;
        await read();
        beside--;
      },
    }).start(never);
    const before = readings.length;
    const first = follower.refresh();
    for (const id of [1, 2, 3]) await add(id);
    const more = Array.from({ length: 50 }, () => follower.refresh());
    held.resolve();
    await Promise.all([first, ...more]);
    expect(last()).toEqual([1, 2, 3]);
    expect([most, readings.length - before <= 3]).toEqual([1, true]);
  });

  it('does not read for an announcement of what it knows, and reads for one of anything', async () => {
    await follow({ isKnown: (payload) => payload === 'known' }).start(never);
    await add(1, 'known');
    await add(2, 'news');
    await expect.poll(last).toEqual([1, 2]);
    const before = readings.length;
    await add(3, 'known');
    await add(4, '');
    await expect.poll(last).toEqual([1, 2, 3, 4]);
    expect(readings).toHaveLength(before + 1);
  });

  it('finds what was never announced where announcements can be lost, and looks for nothing elsewhere', async () => {
    await follow().start(never);
    expect(clock.pending()).toBe(store.isShared ? 1 : 0);
    await add(1, '');
    await expect.poll(last).toEqual([1]);
    await expect.poll(() => clock.pending()).toBe(store.isShared ? 1 : 0);
    await store.db<ItemTables>().insertInto('items').values({ id: 2, note: 'two' }).execute();
    await clock.advance(5_000);
    await expect.poll(last).toEqual(store.isShared ? [1, 2] : [1]);
  });

  it('tries what failed again after a second, then less often, and tells of the problem until it worked', async () => {
    let isAway = false;
    let tries = 0;
    await follow({
      async load() {
        tries++;
        if (isAway) throw new Error('away');
        await read();
      },
    }).start(never);
    isAway = true;
    await expect(follower.refresh()).rejects.toThrow('away');
    expect([follower.problem(), last()]).toMatchObject([{ message: 'away' }, []]);
    for (const [delayMs, count] of [
      [999, 2],
      [1, 3],
      [1_999, 3],
      [1, 4],
      [4_000, 5],
      [4_999, 5],
      [1, 6],
      [5_000, 7],
    ] as const) {
      await clock.advance(delayMs);
      expect(tries).toBe(count);
    }
    expect(logged).toEqual(Array.from({ length: 6 }, () => 'store.follow.failed'));
    isAway = false;
    await add(1);
    await expect.poll(last).toEqual([1]);
    await expect.poll(() => follower.problem()).toBeUndefined();
    isAway = true;
    await expect(follower.refresh()).rejects.toThrow('away');
    await clock.advance(1_000);
    expect(logged).toHaveLength(8);
  });

  it('reads in parts, and everything anew after a gap, then what came since', async () => {
    const steps: FollowStep[] = ['more', 'gap', 'more', 'all'];
    const did: string[] = [];
    await follow({
      async load() {
        did.push('load');
      },
      async read() {
        did.push('read');
        return steps.shift() ?? 'all';
      },
    }).start(never);
    await follower.refresh();
    expect(did).toEqual(['load', 'read', 'read', 'load', 'read', 'read']);
    expect(logged).toEqual(['store.follow.gap']);
  });

  it('does not start when the first reading fails or is given up, and hears nothing then', async () => {
    const failing = follow({ load: () => Promise.reject(new Error('away')) });
    await expect(failing.start(never)).rejects.toThrow('away');
    await failing.stop();
    const end = new AbortController();
    const given = follow({
      async load() {
        await read();
        end.abort(new Error('given up'));
      },
    });
    await expect(given.start(end.signal)).rejects.toThrow('given up');
    await add(1);
    expect([readings, clock.pending(), logged]).toEqual([[[]], 0, []]);
  });

  it('reads nothing more once it was stopped, which waits for what it reads', async () => {
    const held = Promise.withResolvers<void>();
    let isHeld = false;
    await follow({
      async load() {
        if (isHeld) await held.promise;
        await read();
      },
    }).start(never);
    isHeld = true;
    const reading = follower.refresh();
    let isStopped = false;
    const stopping = follower.stop().then(() => {
      isStopped = true;
    });
    await add(1);
    expect(isStopped).toBe(false);
    held.resolve();
    await Promise.all([reading, stopping]);
    await add(2);
    await follower.refresh();
    expect([readings.length, clock.pending()]).toEqual([2, 0]);
  });
});
