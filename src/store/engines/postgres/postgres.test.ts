import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { sql } from 'kysely';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startPostgres, type TestPostgres } from '../../../../test/support/postgres.ts';
import { readGivenSecretNow } from '../../../private-files/index.ts';
import { createLog, createSilentLog, createSystemClock, type Service } from '../../../std/index.ts';
import type { Migration, Store } from '../../store.ts';
import { member } from './index.ts';

interface Tables {
  t: { id: number; n: number };
}
const migrations: readonly Migration[] = [
  {
    name: '0001-t',
    async up(db) {
      await db.schema
        .createTable('t')
        .addColumn('id', 'integer', (column) => column.primaryKey())
        .addColumn('n', 'bigint')
        .execute();
    },
  },
];

const signal = new AbortController().signal;
const opened: Service[] = [];
let postgres: TestPostgres;
let databases = 0;

beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());
afterEach(async () => {
  for (const service of opened.splice(0)) await service.stop();
});

async function createDatabase(): Promise<string> {
  const name = `engine_${++databases}`;
  await postgres.query(`create database ${name}`);
  return postgres.url.replace('/postgres?', `/${name}?`);
}

async function open(
  url: string,
  options: { statementTimeoutMs?: number; log?: (line: string) => void } = {},
): Promise<Store & Service> {
  const { log, ...config } = options;
  const variable = 'CS_POSTGRES_TEST_URL';
  process.env[variable] = url;
  const store = await member.open(
    { url: `env:${variable}`, ...config },
    {
      clock: createSystemClock(),
      log: log ? createLog({ level: 'debug', write: log }) : createSilentLog(),
    },
  );
  opened.push(store);
  await store.start(signal);
  return store;
}

const heard = (store: Store, topic: string, wanted: string) =>
  new Promise<void>((resolve) => {
    store.subscribe(topic, (payload) => {
      if (payload === wanted) resolve();
    });
  });

describe('several servers on one database', () => {
  it('migrate at the same time without a clash', async () => {
    const url = await createDatabase();
    const stores = await Promise.all([open(url), open(url), open(url)]);
    await Promise.all(stores.map((store) => store.migrate(migrations)));
    expect(await stores[0]?.db<Tables>().selectFrom('t').selectAll().execute()).toEqual([]);
  });

  it('hear each other, and only what was committed', async () => {
    const url = await createDatabase();
    const [one, two] = await Promise.all([open(url), open(url)]);
    const got: string[] = [];
    const last = new Promise<void>((resolve) => {
      two.subscribe('news', (payload) => {
        got.push(payload);
        if (payload === 'last') resolve();
      });
    });
    const failed = one.transaction(async (_trx, effects) => {
      effects.notify('news', 'undone');
      throw new Error('no');
    });
    await expect(failed).rejects.toThrow('no');
    await one.transaction(async (_trx, effects) => effects.notify('news', 'with\nnewline'));
    await one.transaction(async (_trx, effects) => effects.notify('news', 'last'));
    await last;
    expect(got).toEqual(['with\nnewline', 'last']);
  });

  it('see each other in order: the transactions of one order never run at once, and each starts with all before it', async () => {
    const url = await createDatabase();
    const [one, two] = await Promise.all([open(url), open(url)]);
    await one.migrate(migrations);
    await one.db<Tables>().insertInto('t').values({ id: 1, n: 0 }).execute();
    let conflicts = 0;
    const increment = (store: Store) =>
      store.transaction<Tables, void>(
        async (trx) => {
          conflicts++;
          await trx
            .updateTable('t')
            .set((set) => ({ n: set('n', '+', 1) }))
            .execute();
        },
        { order: 'counter' },
      );
    await Promise.all(Array.from({ length: 40 }, (_, n) => increment(n % 2 === 0 ? one : two)));
    expect(await one.db<Tables>().selectFrom('t').select('n').executeTakeFirst()).toEqual({ n: 40 });
    expect(conflicts).toBe(40);
  });

  it('try again after a conflict between orders, even when the work hides the error, and give up after ten times', async () => {
    const url = await createDatabase();
    const [one, two] = await Promise.all([open(url), open(url)]);
    await one.migrate(migrations);
    await one.db<Tables>().insertInto('t').values({ id: 1, n: 0 }).execute();
    let tries = 0;
    const disturbed = (times: number) =>
      one.transaction<Tables, void>(
        async (trx) => {
          await trx.selectFrom('t').select('n').executeTakeFirst();
          if (++tries <= times) await disturb(two);
          try {
            await trx.updateTable('t').set({ n: 100 }).where('id', '=', 1).execute();
          } catch {
            throw new Error('something else');
          }
        },
        { order: 'mine' },
      );
    const disturb = (store: Store) =>
      store
        .db<Tables>()
        .updateTable('t')
        .set((set) => ({ n: set('n', '+', 1) }))
        .execute();
    await disturbed(2);
    expect(tries).toBe(3);
    tries = 0;
    await expect(disturbed(1000)).rejects.toMatchObject({ code: 'ERR_STORE_CONFLICT' });
    expect(tries).toBe(10);
  });

  it('carry out alone what transactions of another order come in the way of each time', async () => {
    const url = await createDatabase();
    const [one, two] = await Promise.all([open(url), open(url)]);
    await one.migrate(migrations);
    await one.db<Tables>().insertInto('t').values({ id: 1, n: 0 }).execute();
    const add = (store: Store, n: number, order: string, before = async () => {}) =>
      store.transaction<Tables, void>(
        async (trx) => {
          await trx.selectFrom('t').select('n').executeTakeFirst();
          await before();
          await trx
            .updateTable('t')
            .set((set) => ({ n: set('n', '+', n) }))
            .execute();
        },
        { order },
      );
    const waits = `select 1 from pg_locks where locktype = 'advisory' and mode = 'ShareLock' and not granted`;
    const rivals: Promise<void>[] = [];
    await add(one, 100, 'mine', async () => {
      let isOver = false;
      const rival = add(two, 1, 'theirs').then(() => {
        isOver = true;
      });
      rivals.push(rival);
      await expect.poll(async () => isOver || (await postgres.query(waits)).length > 0, { interval: 5 }).toBe(true);
    });
    await Promise.all(rivals);
    expect(rivals).toHaveLength(6);
    expect(await one.db<Tables>().selectFrom('t').select('n').executeTakeFirst()).toEqual({ n: 106 });
  });
});

describe('a lost connection', () => {
  it('is made again by itself, and subscribers are told that anything may have changed', async () => {
    const url = await createDatabase();
    const store = await open(url);
    const anything = heard(store, 'news', '');
    await postgres.kill9();
    await expect(store.transaction(async () => {})).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' });
    await expect(sql`select 1`.execute(store.db())).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' });
    await postgres.restart();
    await anything;
    const again = heard(store, 'news', 'again');
    await store.transaction(async (_trx, effects) => effects.notify('news', 'again'));
    await again;
  });

  it('of the listener alone is noticed too', async () => {
    const url = await createDatabase();
    const store = await open(url);
    const anything = heard(store, 'news', '');
    await postgres.query(`select pg_terminate_backend(pid) from pg_stat_activity where query like 'listen %'`);
    await anything;
  });

  it('in the middle of a transaction undoes it and frees its order', async () => {
    const url = await createDatabase();
    const store = await open(url);
    await store.migrate(migrations);
    const cut = store.transaction<Tables, void>(async (trx) => {
      await trx.insertInto('t').values({ id: 1, n: 1 }).execute();
      const pid = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(trx);
      await postgres.query('select pg_terminate_backend($1)', [pid.rows[0]?.pid]);
      await trx.insertInto('t').values({ id: 2, n: 1 }).execute();
    });
    await expect(cut).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' });
    await store.transaction<Tables, void>(async (trx) => {
      await trx.insertInto('t').values({ id: 3, n: 1 }).execute();
    });
    expect(await store.db<Tables>().selectFrom('t').select('id').execute()).toEqual([{ id: 3 }]);
  });
});

describe('a statement', () => {
  it('that runs too long is stopped, and the connection stays usable', async () => {
    const store = await open(await createDatabase(), { statementTimeoutMs: 100 });
    await expect(sql`select pg_sleep(20)`.execute(store.db())).rejects.toMatchObject({ code: 'ERR_STORE_TIMEOUT' });
    expect((await sql`select 1 as one`.execute(store.db())).rows).toEqual([{ one: 1 }]);
  });

  it('with a number too large to be exact fails', async () => {
    const store = await open(await createDatabase());
    await expect(sql`select 9007199254740993::bigint`.execute(store.db())).rejects.toThrow(/too large/);
  });
});

describe('a server that can not be used is refused at start', () => {
  it('for a wrong password, with no word of it', async () => {
    const url = (await createDatabase()).replace(postgres.password, 'hunter2');
    const lines: string[] = [];
    await expect(open(url, { log: (line) => lines.push(line) })).rejects.toMatchObject({
      code: 'ERR_STORE_UNAVAILABLE',
      message: expect.not.stringMatching(/hunter2/),
    });
    expect(lines.join()).not.toContain('hunter2');
  });

  it('when nobody listens there', async () => {
    await expect(open('postgres://me@127.0.0.1:1/app?sslmode=disable')).rejects.toMatchObject({
      code: 'ERR_STORE_UNAVAILABLE',
    });
  });

  it('when it acknowledges before it has written', async () => {
    const url = await createDatabase();
    await postgres.query(`alter database engine_${databases} set synchronous_commit = off`);
    await expect(open(url)).rejects.toMatchObject({
      code: 'ERR_STORE_CONFIG',
      message: expect.stringMatching(/synchronous_commit/),
    });
  });

  it('when it offers no TLS and the URL does not forgo it', async () => {
    const url = (await createDatabase()).replace('?sslmode=disable', '');
    await expect(open(url)).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' });
  });
});

describe('the password', () => {
  it('is read again for each connection, so that it can be rotated', async () => {
    const url = await createDatabase();
    await postgres.query(`create role rotated login password 'first'`);
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cs-rotate-'));
    const file = path.join(folder, 'url');
    const write = (password: string) => {
      fs.writeFileSync(file, url.replace(/\/\/.*@/, `//rotated:${password}@`), { mode: 0o600 });
    };
    write('first');
    const files = {
      readSecretFile: (name: string) => readGivenSecretNow(`file:${name}`, { env: {}, bytesMax: 1000 }),
      readTrustedFile: () => undefined,
    };
    const deps = { clock: createSystemClock(), log: createSilentLog(), files };
    const store = await member.open({ url: `file:${file}` }, deps);
    opened.push(store);
    await store.start(signal);
    await postgres.query(`alter role rotated password 'second'`);
    write('second');
    const anything = heard(store, 'news', '');
    await postgres.query(`select pg_terminate_backend(pid) from pg_stat_activity where usename = 'rotated'`);
    await anything;
    fs.rmSync(folder, { recursive: true });
  });
});
