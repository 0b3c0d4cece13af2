import { type Kysely, sql } from 'kysely';
import type { Additive, Migration, Store } from './store.ts';

/** A migration of a newer release, which this one does not know. */
export interface NewerMigration {
  readonly name: string;
  /** That has applied it; empty where that has not said. */
  readonly release: string;
  /** Why this release may not pass over it; undefined: it may. */
  readonly hindrance: string | undefined;
}

/** What the database holds beyond these migrations, by now: a newer release may have migrated, or written, since this one started. @throws StoreError */
export async function newerMigrations(
  store: Pick<Store, 'db'>,
  migrations: readonly Pick<Migration, 'name'>[],
): Promise<readonly NewerMigration[]> {
  const rows = await readRecord(store.db());
  return newerIn(store.db(), rows, new Set(migrations.map(({ name }) => name)));
}

/** As {@link newerMigrations}, of what the record holds. */
export async function newerIn(
  db: Kysely<unknown>,
  rows: readonly RecordedMigration[],
  known: ReadonlySet<string>,
): Promise<readonly NewerMigration[]> {
  const newer: NewerMigration[] = [];
  for (const { name, release, until_used: until } of rows) {
    if (known.has(name)) continue;
    newer.push({ name, release: release ?? '', hindrance: await hindranceOf(db, until) });
  }
  return newer;
}

/** Tables in which applied migrations are kept. What was said of one has a table of its own: releases of before know the first alone. */
export async function createRecord(trx: Kysely<unknown>): Promise<void> {
  await trx.schema
    .createTable('store_migrations')
    .ifNotExists()
    .addColumn('name', 'text', (column) => column.primaryKey())
    .addColumn('applied_at_ms', 'bigint', (column) => column.notNull())
    .execute();
  await trx.schema
    .createTable('store_migration_notes')
    .ifNotExists()
    .addColumn('name', 'text', (column) => column.primaryKey())
    .addColumn('release', 'text', (column) => column.notNull())
    .addColumn('until_used', 'text')
    .execute();
}

/** Every migration that was applied, in the order of names. */
export async function readRecord(db: Kysely<unknown>): Promise<readonly RecordedMigration[]> {
  return tables(db)
    .selectFrom('store_migrations')
    .leftJoin('store_migration_notes', 'store_migration_notes.name', 'store_migrations.name')
    .select(['store_migrations.name', 'release', 'until_used'])
    .orderBy('store_migrations.name')
    .execute();
}

/** Writes down that it was applied, in the same transaction. */
export async function record(
  trx: Kysely<unknown>,
  { name, additive }: Migration,
  { release, nowMs }: { readonly release: string; readonly nowMs: number },
): Promise<void> {
  const note = { name, release, until_used: additive === undefined ? null : JSON.stringify(additive.untilUsed) };
  await tables(trx).insertInto('store_migrations').values({ name, applied_at_ms: nowMs }).execute();
  await tables(trx).insertInto('store_migration_notes').values(note).execute();
}

interface RecordedMigration {
  readonly name: string;
  readonly release: string | null;
  readonly until_used: string | null;
}

async function hindranceOf(db: Kysely<unknown>, until: string | null): Promise<string | undefined> {
  if (until === null) return 'only a release that knows it may go on with it';
  const places = parseUntil(until);
  if (places === undefined) return 'what is noted of it can not be read';
  for (const { table, column } of places) {
    const where = column === undefined ? sql`` : sql`where ${sql.ref(column)} is not null`;
    const { rows } = await sql`select 1 from ${sql.table(table)} ${where} limit 1`.execute(db);
    if (rows.length > 0) return `a newer release has written to ${table}${column === undefined ? '' : `.${column}`}`;
  }
  return undefined;
}

/** Undefined for what no release writes: it is not passed over. */
function parseUntil(text: string): Additive['untilUsed'] | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!Array.isArray(parsed) || parsed.length > PLACES_MAX) return undefined;
  const places = parsed.flatMap((place: { readonly table?: unknown; readonly column?: unknown } | null) => {
    const { table, column } = place ?? {};
    if (!isName(table)) return [];
    if (column === undefined) return [{ table }];
    return isName(column) ? [{ table, column }] : [];
  });
  return places.length === parsed.length ? places : undefined;
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && /^[a-z][a-z0-9_]{0,62}$/.test(value);
}

function tables(db: Kysely<unknown>): Kysely<MigrationTables> {
  return db as Kysely<MigrationTables>; // `createRecord` made the tables, and nobody else writes them.
}

interface MigrationTables {
  store_migrations: { name: string; applied_at_ms: number };
  /** `until_used`: JSON of what `Additive` says; null for what is not additive. */
  store_migration_notes: { name: string; release: string; until_used: string | null };
}

const PLACES_MAX = 100;
