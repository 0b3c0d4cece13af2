import type { DatabaseSync } from 'node:sqlite';
import { type DatabaseConnection, SqliteAdapter, SqliteQueryCompiler } from 'kysely';
import { assert, type Clock, type Log, type Service, throwIfAborted } from '../../../std/index.ts';
import { type Attempt, createEngineStore, type Notice } from '../../engine-port.ts';
import { StoreError } from '../../errors.ts';
import type { Store } from '../../store.ts';
import { createSqliteConnection } from './connection.ts';
import { openDatabaseFile } from './database-file.ts';
import { storeErrorOf } from './sqlite-errors.ts';
import { createTurns, type GroupDatabase, type Turns } from './turns.ts';

/** The store in one file, for one process. */
export function createSqliteStore(deps: { clock: Clock; log: Log; file: string; lockWaitMs: number }): Store & Service {
  const { clock, log, file, lockWaitMs } = deps;
  let opened: { database: DatabaseSync; connection: DatabaseConnection; turns: Turns } | undefined;
  const current = () => {
    if (!opened) throw new StoreError('ERR_STORE_CLOSED', 'the store is not open');
    return opened;
  };
  let leave = () => {};

  const atomically = <T>(
    attempt: (connection: DatabaseConnection) => Promise<Attempt<T>>,
    signal: AbortSignal | undefined,
  ) =>
    new Promise<T>((resolve, reject) => {
      const { connection, turns } = current();
      let left: Attempt<T> | undefined;
      const job = {
        async run() {
          left = await attempt(connection);
        },
        committed() {
          assert(left, 'only what ran is committed');
          left.notices.forEach(deliver);
          resolve(left.value);
        },
        failed: reject,
      };
      turns.transaction(job, signal);
    });

  const core = createEngineStore(
    {
      dialect: 'sqlite',
      isShared: false,
      sql: { adapter: () => new SqliteAdapter(), compiler: () => new SqliteQueryCompiler() },
      turns: {
        async acquire() {
          const { connection, turns } = current();
          leave = await turns.statement();
          return connection;
        },
        release: async () => leave(),
      },
      atomically: (attempt, { signal }) => atomically(attempt, signal),
    },
    { clock, log },
  );
  const deliver = (notice: Notice) => core.deliver(notice);

  return {
    ...core,
    async start(signal) {
      throwIfAborted(signal);
      const database = openDatabaseFile(file, { lockWaitMs });
      opened = {
        database,
        connection: createSqliteConnection(database),
        turns: createTurns(groupDatabase(database)),
      };
    },
    async stop() {
      if (!opened) return;
      const { database, turns } = opened;
      await turns.close();
      opened = undefined;
      database.close();
    },
  };
}

function groupDatabase(database: DatabaseSync): GroupDatabase {
  const run = (sql: string) => {
    try {
      database.exec(sql);
    } catch (error) {
      throw storeErrorOf(error);
    }
  };
  return {
    begin: () => run('begin immediate'),
    savepoint: () => run('savepoint job'),
    releaseSavepoint: () => run('release job'),
    undoSavepoint: () => run('rollback to job; release job'),
    commit: () => run('commit'),
    rollback: () => run('rollback'),
    inTransaction: () => database.isTransaction,
  };
}
