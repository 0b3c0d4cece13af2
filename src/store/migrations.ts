import type { Kysely } from 'kysely';
import { assert, type Log } from '../std/index.ts';
import { StoreError } from './errors.ts';
import { createRecord, newerIn, readRecord, record } from './newer.ts';
import type { Dialect, Migration } from './store.ts';

/** Applies what is missing, each in a transaction with its record; see `Store.migrate`. */
export async function runMigrations(
  migrations: readonly Migration[],
  deps: {
    release: string;
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
  for (const migration of migrations.filter((candidate) => !before.applied.has(candidate.name))) {
    const applied = await deps.transact(async (trx) => {
      // Another server may have migrated since.
      if ((await recorded(trx, names)).applied.has(migration.name)) return false;
      await apply(migration, trx, deps.dialect);
      await record(trx, migration, { release: deps.release, nowMs: deps.nowMs() });
      return true;
    });
    if (applied) deps.log.info('store.migrated', { migration: migration.name });
  }
  for (const { name, release } of before.passedOver) deps.log.warn('store.newer', { migration: name, release });
}

/** What was applied already, and what of it is of a newer release that leaves room for this one. @throws StoreError ERR_STORE_NEWER */
async function recorded(trx: Kysely<unknown>, known: ReadonlySet<string>) {
  const rows = await readRecord(trx);
  const passedOver = await newerIn(trx, rows, known);
  const hindering = passedOver.filter(({ hindrance }) => hindrance !== undefined);
  const [first] = hindering;
  if (first !== undefined) {
    const { name, release, hindrance } = first;
    const by = release === '' ? 'a newer release' : `release ${release}`;
    throw new StoreError(
      'ERR_STORE_NEWER',
      `the database holds ${hindering.length} migration(s) that this release can not go on with, such as ${name} of ${by}: ${hindrance}`,
    );
  }
  return { applied: new Set(rows.map(({ name }) => name)), passedOver };
}

async function apply(migration: Migration, trx: Kysely<unknown>, dialect: Dialect): Promise<void> {
  try {
    await migration.up(trx, dialect);
  } catch (error) {
    throw new StoreError('ERR_STORE_MIGRATION', `migration ${migration.name} failed and was undone`, { cause: error });
  }
}
