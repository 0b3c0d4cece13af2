import type { Kysely } from 'kysely';
import type { Migration } from '../../store/index.ts';

/** The tables of access policies. */
export const accessMigrations: readonly Migration[] = [
  {
    name: '0001-access-policies',
    async up(db) {
      await db.schema
        .createTable('access_policies')
        .addColumn('name', 'text', (column) => column.primaryKey())
        .addColumn('cedar', 'text', (column) => column.notNull())
        .execute();
      await db.schema
        .createTable('access_state')
        .addColumn('id', 'integer', (column) => column.primaryKey())
        .addColumn('revision', 'bigint', (column) => column.notNull())
        .addColumn('is_default', 'integer', (column) => column.notNull())
        .execute();
      // Made by this very migration.
      await (db as Kysely<AccessTables>)
        .insertInto('access_state')
        .values({ id: 1, revision: 0, is_default: 1 })
        .execute();
    },
  },
];

/** The tables, as kysely sees them. */
export interface AccessTables {
  access_policies: { name: string; cedar: string };
  /** One row. `is_default`: the policy of the server's version holds, and `access_policies` is empty. */
  access_state: { id: number; revision: number; is_default: number };
}
