/** What every store engine promises: one suite over all that are registered. */
import { type ChildProcess, spawn } from 'node:child_process';
import * as path from 'node:path';
import { createInterface } from 'node:readline';
import { type Kysely, sql } from 'kysely';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createSilentLog, createSystemClock, type Service } from '../../src/std/index.ts';
import { storeEngines } from '../../src/store/engines/registry.generated.ts';
import { type Migration, newerMigrations, type Store, type StoreEngineMember } from '../../src/store/index.ts';
import { own } from '../support/owned.ts';
import { type Database, type Databases, openDatabases } from './store-databases.ts';
import { type ItemTables, itemMigrations } from './store-items.ts';

const signal = new AbortController().signal;
const deps = { clock: createSystemClock(), log: createSilentLog() };

describe.each(storeEngines.map((member) => ({ engine: member.id, member })))('store engine $engine', ({
  engine,
  member,
}) => {
  let databases: Databases;
  let database: Database;
  let store: Store & Service;
  const opened: Service[] = [];

  beforeAll(async () => {
    databases = await openDatabases(engine);
  });
  afterAll(() => databases.close());

  async function open(migrations: readonly Migration[] = itemMigrations): Promise<Store & Service> {
    const fresh = await (member as StoreEngineMember).open(database.config, deps); // Each member's own type is narrower.
    opened.push(fresh);
    await fresh.start(signal);
    await fresh.migrate(migrations);
    return fresh;
  }
  async function closeAll(): Promise<void> {
    for (const service of opened.splice(0)) await service.stop();
  }
  const items = (from: Store = store) => from.db<ItemTables>();
  const ids = async (from: Store = store) =>
    (await items(from).selectFrom('items').select('id').orderBy('id').execute()).map((row) => row.id);
  const insert = (trx: Kysely<ItemTables>, id: number) =>
    trx
      .insertInto('items')
      .values({ id, note: `note ${id}` })
      .execute();

  beforeEach(async () => {
    database = await databases.createDatabase();
    store = await open();
  });
  afterEach(async () => {
    await closeAll();
    await database.remove();
  });

  describe('values', () => {
    it('keeps integers up to the largest safe one, text and bytes as they were given', async () => {
      const row = { id: Number.MAX_SAFE_INTEGER, note: 'é\u{1f511}\n', payload: Buffer.from([0, 255, 7]) };
      await items().insertInto('items').values(row).execute();
      const [back] = await items().selectFrom('items').selectAll().execute();
      expect({ ...back }).toEqual(row);
      expect(Buffer.isBuffer(back?.payload)).toBe(true);
    });

    it('counts rows as a number and tells how many a statement changed', async () => {
      await store.transaction<ItemTables, void>(async (trx) => {
        for (const id of [1, 2, 3]) await insert(trx, id);
      });
      const counted = await items()
        .selectFrom('items')
        .select((select) => select.fn.countAll<number>().as('n'))
        .executeTakeFirst();
      expect(counted?.n).toBe(3);
      const result = await items().deleteFrom('items').where('id', '>', 1).executeTakeFirst();
      expect(result.numDeletedRows).toBe(2n);
    });
  });

  describe('transactions', () => {
    it('keep all of what they did', async () => {
      const answer = await store.transaction<ItemTables, string>(async (trx) => {
        await insert(trx, 1);
        await insert(trx, 2);
        return 'done';
      });
      expect(answer).toBe('done');
      expect(await ids()).toEqual([1, 2]);
    });

    it('keep nothing when the work throws, and pass its error on', async () => {
      const failure = new Error('no');
      const attempt = store.transaction<ItemTables, void>(async (trx) => {
        await insert(trx, 1);
        throw failure;
      });
      await expect(attempt).rejects.toBe(failure);
      expect(await ids()).toEqual([]);
    });

    it('keep nothing when a statement failed, even if the work caught the error', async () => {
      await insert(items(), 1);
      const attempt = store.transaction<ItemTables, void>(async (trx) => {
        await insert(trx, 2);
        await insert(trx, 1).catch(() => {});
      });
      await expect(attempt).rejects.toMatchObject({ code: 'ERR_STORE_CONSTRAINT' });
      expect(await ids()).toEqual([1]);
    });

    it('fail alone: those that run beside one that fails are kept', async () => {
      const outcomes = await Promise.allSettled(
        Array.from({ length: 20 }, (_, id) =>
          store.transaction<ItemTables, void>(async (trx) => {
            await insert(trx, id);
            if (id % 3 === 0) throw new Error('no');
          }),
        ),
      );
      const kept = outcomes.flatMap((outcome, id) => (outcome.status === 'fulfilled' ? [id] : []));
      expect(kept).toHaveLength(13);
      expect(await ids()).toEqual(kept);
    });

    it('are isolated: two that read and then write the same row do not lose an update', async () => {
      await items().insertInto('items').values({ id: 1, note: '0' }).execute();
      const increment = (order: string) =>
        store.transaction<ItemTables, void>(
          async (trx) => {
            const row = await trx.selectFrom('items').select('note').where('id', '=', 1).executeTakeFirstOrThrow();
            await trx
              .updateTable('items')
              .set({ note: String(Number(row.note) + 1) })
              .where('id', '=', 1)
              .execute();
          },
          { order },
        );
      // Of one order they wait for each other; of different orders the database finds the conflict and they are tried again.
      await Promise.all(Array.from({ length: 24 }, (_, n) => increment(`order.${n % 3}`)));
      const row = await items().selectFrom('items').select('note').executeTakeFirstOrThrow();
      expect(row.note).toBe('24');
    });

    it('are not seen from outside before they commit', async () => {
      let letGo = () => {};
      const held = new Promise<void>((resolve) => {
        letGo = resolve;
      });
      let entered = () => {};
      const inside = new Promise<void>((resolve) => {
        entered = resolve;
      });
      const running = store.transaction<ItemTables, void>(async (trx) => {
        await insert(trx, 1);
        entered();
        await held;
        throw new Error('never mind');
      });
      await inside;
      const outside = ids();
      letGo();
      await expect(running).rejects.toThrow('never mind');
      expect(await outside).toEqual([]);
    });

    it('run one after the other within an order, in the order of the calls', async () => {
      const seen: number[] = [];
      await Promise.all(
        Array.from({ length: 10 }, (_, n) =>
          store.transaction<ItemTables, void>(async (trx) => {
            await insert(trx, n);
            seen.push(n);
          }),
        ),
      );
      expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    });

    it('are not begun for an aborted signal, and not committed when it aborts on the way', async () => {
      const controller = new AbortController();
      const attempt = store.transaction<ItemTables, void>(
        async (trx) => {
          await insert(trx, 1);
          controller.abort();
        },
        { signal: controller.signal },
      );
      await expect(attempt).rejects.toMatchObject({ name: 'AbortError' });
      const never = store.transaction<ItemTables, void>(async (trx) => void (await insert(trx, 2)), {
        signal: controller.signal,
      });
      await expect(never).rejects.toMatchObject({ name: 'AbortError' });
      await insert(items(), 3);
      expect(await ids()).toEqual([3]);
    });

    it('leave the queue at once when their signal aborts while they wait', async () => {
      let letGo = () => {};
      const held = new Promise<void>((resolve) => {
        letGo = resolve;
      });
      const first = store.transaction<ItemTables, void>(async () => held);
      const controller = new AbortController();
      const second = store.transaction<ItemTables, void>(async (trx) => void (await insert(trx, 1)), {
        signal: controller.signal,
      });
      controller.abort();
      await expect(second).rejects.toMatchObject({ name: 'AbortError' });
      letGo();
      await first;
      expect(await ids()).toEqual([]);
    });

    it('refuse statements that come after their end', async () => {
      let leaked: Kysely<ItemTables> | undefined;
      await store.transaction<ItemTables, void>(async (trx) => {
        leaked = trx;
      });
      await expect(insert(leaked as Kysely<ItemTables>, 1)).rejects.toMatchObject({ code: 'ERR_STORE_CLOSED' }); // Set just above.
    });

    it('do not nest, and do not mix with db(): that is a bug, not a deadlock', async () => {
      const nested = store.transaction<ItemTables, void>(async () => {
        await store.transaction<ItemTables, void>(async () => {});
      });
      await expect(nested).rejects.toThrow(/inside a transaction/);
      const mixed = store.transaction<ItemTables, void>(async () => void (await ids()));
      await expect(mixed).rejects.toThrow(/inside a transaction/);
      await store.transaction<ItemTables, void>(async (trx) => void (await insert(trx, 1)));
    });
  });

  describe('notifications', () => {
    /** Resolves with the payloads once the last of them came. */
    const collect = (from: Store, topic: string, last: string) => {
      const got: string[] = [];
      return new Promise<readonly string[]>((resolve) => {
        from.subscribe(topic, (payload) => {
          got.push(payload);
          if (payload === last) resolve(got);
        });
      });
    };

    it('come after the commit, in commit order, equal ones of one transaction once, and never from a transaction that failed', async () => {
      const got = collect(store, 'things.changed', 'end');
      await store.transaction<ItemTables, void>(async (trx, effects) => {
        effects.notify('things.changed', 'a');
        effects.notify('things.changed', 'a');
        effects.notify('other', 'x');
        await insert(trx, 1);
      });
      const failed = store.transaction<ItemTables, void>(async (_trx, effects) => {
        effects.notify('things.changed', 'never');
        throw new Error('no');
      });
      await expect(failed).rejects.toThrow('no');
      await store.transaction<ItemTables, void>(async (_trx, effects) => effects.notify('things.changed', 'end'));
      expect(await got).toEqual(['a', 'end']);
    });

    it('find the change committed', async () => {
      const seen = new Promise<readonly number[]>((resolve) => {
        store.subscribe('things.changed', () => resolve(ids()));
      });
      await store.transaction<ItemTables, void>(async (trx, effects) => {
        effects.notify('things.changed', '');
        await insert(trx, 7);
      });
      expect(await seen).toEqual([7]);
    });

    it('go on to others when a listener throws, and stop when unsubscribed', async () => {
      store.subscribe('things.changed', () => {
        throw new Error('bad listener');
      });
      let stopped = 0;
      store.subscribe('things.changed', () => stopped++)();
      const got = collect(store, 'things.changed', 'end');
      await store.transaction<ItemTables, void>(async (_trx, effects) => effects.notify('things.changed', 'end'));
      await got;
      expect(stopped).toBe(0);
    });

    it('carry up to 7,900 bytes with the topic and refuse more', async () => {
      const fits = 'é'.repeat((7900 - 'big'.length - 1) / 2);
      const got = collect(store, 'big', fits);
      await store.transaction<ItemTables, void>(async (_trx, effects) => effects.notify('big', fits));
      expect(await got).toEqual([fits]);
      const tooBig = store.transaction<ItemTables, void>(async (_trx, effects) => effects.notify('big', `${fits}éé`));
      await expect(tooBig).rejects.toMatchObject({ code: 'ERR_STORE_NOTIFY_SIZE' });
    });
  });

  describe('migrations', () => {
    const extra: Migration = {
      name: '0002-more',
      async up(db) {
        await db.schema.createTable('more').addColumn('id', 'integer').execute();
      },
    };

    it('are applied once, in order, over restarts', async () => {
      await insert(items(), 1);
      await closeAll();
      store = await open([...itemMigrations, extra]);
      await store.migrate([...itemMigrations, extra]);
      expect(await ids()).toEqual([1]);
    });

    it('that fail leave nothing behind', async () => {
      const broken: Migration = {
        name: '0002-broken',
        async up(db) {
          await db.schema.createTable('half').addColumn('id', 'integer').execute();
          throw new Error('broken');
        },
      };
      await expect(store.migrate([...itemMigrations, broken])).rejects.toMatchObject({
        code: 'ERR_STORE_MIGRATION',
        message: expect.stringContaining('0002-broken'),
      });
      await store.migrate([...itemMigrations, { ...extra, name: '0002-broken' }]);
      await expect(store.db<{ half: { id: number } }>().selectFrom('half').selectAll().execute()).rejects.toThrow(
        /half/,
      );
    });

    it('of a newer release are refused', async () => {
      await store.migrate([...itemMigrations, extra], { release: '7.1.0' });
      await closeAll();
      await expect(open()).rejects.toMatchObject({
        code: 'ERR_STORE_NEWER',
        message: expect.stringContaining('0002-more of release 7.1.0: only a release that knows it may go on with it'),
      });
    });
  });

  describe('migrations of a newer release that only add', () => {
    interface NewTables extends ItemTables {
      more: { id: number };
      items: ItemTables['items'] & { colour: string | null };
    }
    const added: readonly Migration[] = [
      {
        name: '0002-more',
        additive: { untilUsed: [{ table: 'more' }, { table: 'items', column: 'colour' }] },
        async up(db) {
          await db.schema.createTable('more').addColumn('id', 'integer').execute();
          await db.schema.alterTable('items').addColumn('colour', 'text').execute();
        },
      },
      {
        name: '0003-index',
        additive: { untilUsed: [] },
        async up(db) {
          await db.schema.createIndex('items_note').on('items').column('note').execute();
        },
      },
    ];
    const newer = [...itemMigrations, ...added];
    const note = (name: string, until: string | null) =>
      sql`update store_migration_notes set until_used = ${until} where name = ${name}`.execute(store.db());

    it('let the one before be started again, read and write, and the newer one after it', async () => {
      await store.migrate(newer, { release: '7.1.0' });
      await closeAll();
      store = await open();
      expect(await newerMigrations(store, itemMigrations)).toEqual([
        { name: '0002-more', release: '7.1.0', hindrance: undefined },
        { name: '0003-index', release: '7.1.0', hindrance: undefined },
      ]);
      await insert(items(), 1);
      expect(await ids()).toEqual([1]);
      await closeAll();
      store = await open(newer);
      const rows = await store.db<NewTables>().selectFrom('items').select(['id', 'colour']).execute();
      expect(rows).toEqual([{ id: 1, colour: null }]);
      expect(await newerMigrations(store, newer)).toEqual([]);
    });

    it.each([
      ['a row in a new table', 'more', (db: Kysely<NewTables>) => db.insertInto('more').values({ id: 1 }).execute()],
      [
        'a value in a new column',
        'items.colour',
        (db: Kysely<NewTables>) => db.insertInto('items').values({ id: 1, note: '', colour: 'red' }).execute(),
      ],
    ] as const)('end with the first new write: %s', async (_, place, write) => {
      await store.migrate(newer, { release: '7.1.0' });
      expect(await newerMigrations(store, itemMigrations)).not.toContainEqual(
        expect.objectContaining({ hindrance: expect.anything() }),
      );
      await write(store.db<NewTables>());
      const message = `0002-more of release 7.1.0: a newer release has written to ${place}`;
      // One that runs can see it, too.
      expect((await newerMigrations(store, itemMigrations))[0]?.hindrance).toContain(`written to ${place}`);
      await closeAll();
      await expect(open()).rejects.toMatchObject({
        code: 'ERR_STORE_NEWER',
        message: expect.stringContaining(message),
      });
    });

    it.each([
      ['nothing is noted of', null],
      ['no release would note so', '{"table":"more"}'],
      ['no JSON is noted of', 'more'],
      ['names a table as no migration does', '[{"table":"items\\"; drop table items; --"}]'],
    ])('are refused where %s one', async (_, until) => {
      await store.migrate(newer, { release: '7.1.0' });
      await note('0003-index', until);
      await closeAll();
      await expect(open()).rejects.toMatchObject({ code: 'ERR_STORE_NEWER' });
      await closeAll();
      store = await open(newer);
      expect(await ids()).toEqual([]);
    });

    it('are refused where the table that they name is not there', async () => {
      await store.migrate(newer, { release: '7.1.0' });
      await note('0003-index', '[{"table":"nowhere"}]');
      await closeAll();
      await expect(open()).rejects.toThrow();
    });
  });

  describe('life', () => {
    it('refuses everything when it is not open', async () => {
      await closeAll();
      await expect(ids()).rejects.toMatchObject({ code: 'ERR_STORE_CLOSED' });
      await expect(store.transaction<ItemTables, void>(async () => {})).rejects.toMatchObject({
        code: 'ERR_STORE_CLOSED',
      });
    });

    it('lets what is running finish before it stops', async () => {
      let entered = () => {};
      const inside = new Promise<void>((resolve) => {
        entered = resolve;
      });
      const running = store.transaction<ItemTables, void>(async (trx) => {
        entered();
        await insert(trx, 1);
      });
      await inside;
      await Promise.all([running, closeAll()]);
      store = await open();
      expect(await ids()).toEqual([1]);
    });

    it('refuses unknown keys and wrong types in its config, without repeating values', async () => {
      for (const config of [
        { ...(database.config as object), sekret: 'hunter2' },
        { file: ['hunter2'], url: ['hunter2'] },
        null,
      ]) {
        const opened = (member as StoreEngineMember).open(config, deps); // Each member's own type is narrower.
        const refusal: unknown = await opened.catch((error: unknown) => error);
        expect(refusal).toMatchObject({ code: 'ERR_STORE_CONFIG' });
        expect(String(refusal)).not.toMatch(/hunter2/);
      }
    });
  });

  describe('killed with SIGKILL', () => {
    it('keeps every acknowledged transaction and no half of any, five times over', async () => {
      await closeAll();
      const acknowledged = new Set<number>();
      for (let round = 0; round < 5; round++) {
        const first = String(round * 100_000);
        for (const number of await writeUntilKilled({ engine, database, first, afterLines: 15 + round * 11 })) {
          acknowledged.add(number);
        }
      }
      store = await open();
      const present = new Set(await ids());
      const lost = [...acknowledged].filter((number) => !present.has(number * 2) || !present.has(number * 2 + 1));
      const halves = [...present].filter((id) => !present.has(id % 2 === 0 ? id + 1 : id - 1));
      expect(acknowledged.size).toBeGreaterThan(150);
      expect({ lost, halves }).toEqual({ lost: [], halves: [] });
    });
  });
});

/** Runs a writer in another process, kills it after so many acknowledgements, and returns all it acknowledged. */
async function writeUntilKilled(options: {
  engine: string;
  database: Database;
  first: string;
  afterLines: number;
}): Promise<readonly number[]> {
  const child = spawnWriter(options);
  const acknowledged: number[] = [];
  let failure = '';
  child.stderr?.on('data', (text) => {
    failure += text;
  });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const lines = createInterface({ input: child.stdout ?? process.stdin });
  for await (const line of lines) {
    if (line !== 'ready') acknowledged.push(Number(line));
    if (acknowledged.length === options.afterLines) child.kill('SIGKILL');
  }
  await exited;
  if (acknowledged.length < options.afterLines) throw new Error(`the writer ended early: ${failure}`);
  return acknowledged;
}

function spawnWriter(options: { engine: string; database: Database; first: string }): ChildProcess {
  const script = path.join(import.meta.dirname, 'store-writer.ts');
  return own(
    spawn(process.execPath, [script, options.engine, JSON.stringify(options.database.config), options.first], {
      env: { ...process.env, ...options.database.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    }),
  );
}
