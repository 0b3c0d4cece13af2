import type { Kysely } from 'kysely';
import type { Migration } from './store.ts';

/** The tables of the mechanisms of the store itself. */
export const storeMigrations: readonly Migration[] = [
  {
    name: '0001-store-leases',
    async up(db) {
      await db.schema
        .createTable('store_leases')
        .addColumn('kind', 'text', (column) => column.notNull())
        .addColumn('name', 'text', (column) => column.notNull())
        .addColumn('holder', 'text', (column) => column.notNull())
        .addColumn('fence', 'bigint', (column) => column.notNull())
        .addColumn('ttl_ms', 'bigint', (column) => column.notNull())
        .addColumn('ends_ms', 'bigint', (column) => column.notNull())
        .addPrimaryKeyConstraint('store_leases_key', ['kind', 'name'])
        .execute();
      await db.schema
        .createTable('store_fence')
        .addColumn('id', 'integer', (column) => column.primaryKey())
        .addColumn('last', 'bigint', (column) => column.notNull())
        .execute();
      // Made by this very migration.
      await (db as Kysely<LeaseTables>).insertInto('store_fence').values({ id: 1, last: 0 }).execute();
    },
  },
];

/** The tables, as kysely sees them. */
export interface LeaseTables {
  /** `ends_ms` is by the database's clock; one that is given back, or was seen to be over, has no row. */
  store_leases: { kind: string; name: string; holder: string; fence: number; ttl_ms: number; ends_ms: number };
  /** One row, id 1: the number that was given last, of whatever kind, so that rows may go and numbers still grow. */
  store_fence: { id: number; last: number };
}
