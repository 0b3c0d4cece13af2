/** Stores of both engines for the tests of one file: a real PostgreSQL, whose database is emptied behind each test, and files of SQLite. */
import { afterAll, afterEach, beforeAll } from 'vitest';
import { createSilentLog, createSystemClock } from '../../src/std/index.ts';
import { member as postgresEngine } from '../../src/store/engines/postgres/index.ts';
import type { Migration, Store } from '../../src/store/index.ts';
import { startPostgres, type TestPostgres } from './postgres.ts';
import { openTestStore } from './store.ts';

export interface BothStores {
  /** As one server has it; several have the same database. */
  openPostgres(): Promise<Store>;
  openSqlite(): Promise<Store>;
  /** Asks PostgreSQL beside all stores. */
  query: TestPostgres['query'];
  /** Is called behind the test, before what it stands on is closed. */
  later(close: () => Promise<unknown>): void;
}

/** To be called once, where a file of tests begins: it stops by itself. Stores are migrated when they are opened, where migrations are given. */
export function useBothStores(migrations: readonly Migration[] = []): BothStores {
  const closing: (() => Promise<unknown>)[] = [];
  let postgres: TestPostgres | undefined;
  const query: BothStores['query'] = (...asked) => {
    if (postgres === undefined) throw new Error('PostgreSQL is there from the first test on');
    return postgres.query(...asked);
  };
  beforeAll(async () => {
    postgres = await startPostgres();
    process.env[URL_NAME] = postgres.url;
  });
  afterAll(() => postgres?.stop());
  afterEach(async () => {
    for (const close of closing.splice(0).toReversed()) await close();
    await query('drop schema public cascade; create schema public');
  });
  return {
    query,
    later: (close) => void closing.push(close),
    async openPostgres() {
      const deps = { clock: createSystemClock(), log: createSilentLog() };
      const store = await postgresEngine.open({ url: `env:${URL_NAME}` }, deps);
      await store.start(new AbortController().signal);
      closing.push(() => store.stop());
      if (migrations.length > 0) await store.migrate(migrations);
      return store;
    },
    async openSqlite() {
      const test = await openTestStore(migrations);
      closing.push(test.close);
      return test.store;
    },
  };
}

const URL_NAME = 'CS_BOTH_STORES_TEST_URL';
