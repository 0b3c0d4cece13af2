import type { Kysely } from 'kysely';
import { assert, type Log } from '../std/index.ts';
import { StoreError } from './errors.ts';
import type { Dialect, Migration } from './store.ts';

/** Applies what is missing, each in a transaction with its record; see `Store.migrate`. */
export async function runMigrations(
  migrations: readonly Migration[],
  deps: {
    dialect: Dialect;
    log: Log;
    nowMs: () => number;
    transact<T>(work: (trx: Kysely<unknown>) => Promise<T>): Promise<T>;
  },
): Promise<void> {
  const names = new Set(migrations.map((migration) => migration.name));
  assert(names.size === migrations.length, 'two migrations have the same name');
  const before = await deps.transact(async (trx) => {
    await createRecord(trx);
    return recorded(trx, names);
  });
  for (const migration of migrations.filter((candidate) => !before.has(candidate.name))) {
    const applied = await deps.transact(async (trx) => {
      // Another server may have migrated since.
      if ((await recorded(trx, names)).has(migration.name)) return false;
      await apply(migration, trx, deps.dialect);
      const row = { name: migration.name, applied_at_ms: deps.nowMs() };
      await tables(trx).insertInto('store_migrations').values(row).execute();
      return true;
    });
    if (applied) deps.log.info('store.migrated', { migration: migration.name });
  }
}

async function createRecord(trx: Kysely<unknown>): Promise<void> {
  await trx.schema
    .createTable('store_migrations')
    .ifNotExists()
    .addColumn('name', 'text', (column) => column.primaryKey())
    .addColumn('applied_at_ms', 'bigint', (column) => column.notNull())
    .execute();
}

/** The names of what was applied already; throws ERR_STORE_NEWER when one is not among `known`. */
async function recorded(trx: Kysely<unknown>, known: ReadonlySet<string>): Promise<ReadonlySet<string>> {
  const rows = await tables(trx).selectFrom('store_migrations').select('name').execute();
  const unknown = rows.filter((row) => !known.has(row.name));
  if (unknown.length > 0) {
    throw new StoreError(
      'ERR_STORE_NEWER',
      `the database holds ${unknown.length} migration(s) that this release does not know, such as ${unknown[0]?.name}`,
    );
  }
  return new Set(rows.map((row) => row.name));
}

async function apply(migration: Migration, trx: Kysely<unknown>, dialect: Dialect): Promise<void> {
  try {
    await migration.up(trx, dialect);
  } catch (error) {
    throw new StoreError('ERR_STORE_MIGRATION', `migration ${migration.name} failed and was undone`, { cause: error });
  }
}

function tables(trx: Kysely<unknown>): Kysely<MigrationTables> {
  return trx as Kysely<MigrationTables>; // `createRecord` made the table, and nobody else writes it.
}

interface MigrationTables {
  store_migrations: { name: string; applied_at_ms: number };
}
