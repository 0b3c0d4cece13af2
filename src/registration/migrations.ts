import type { Kysely } from 'kysely';
import type { Migration } from '../store/index.ts';

/** The tables of registration. */
export const registrationMigrations: readonly Migration[] = [
  {
    name: '0001-registration-entries',
    async up(db) {
      await db.schema
        .createTable('registration_entries')
        .addColumn('id', 'text', (column) => column.primaryKey())
        .addColumn('spiffe_id', 'text', (column) => column.notNull())
        .addColumn('parent_id', 'text', (column) => column.notNull())
        .addColumn('selectors', 'text', (column) => column.notNull())
        .addColumn('selectors_count', 'integer', (column) => column.notNull())
        .addColumn('federates_with', 'text', (column) => column.notNull())
        .addColumn('federates_count', 'integer', (column) => column.notNull())
        .addColumn('dns_names', 'text', (column) => column.notNull())
        .addColumn('x509_svid_ttl_s', 'integer', (column) => column.notNull())
        .addColumn('jwt_svid_ttl_s', 'integer', (column) => column.notNull())
        .addColumn('admin', 'integer', (column) => column.notNull())
        .addColumn('downstream', 'integer', (column) => column.notNull())
        .addColumn('store_svid', 'integer', (column) => column.notNull())
        .addColumn('hint', 'text', (column) => column.notNull())
        .addColumn('expires_at_s', 'bigint', (column) => column.notNull())
        .addColumn('created_at_s', 'bigint', (column) => column.notNull())
        .addColumn('revision_number', 'bigint', (column) => column.notNull())
        // Equal for entries with the same SPIFFE ID, parent and selectors, of which there is one at most.
        .addColumn('likeness', 'text', (column) => column.notNull().unique())
        .execute();
      for (const column of ['spiffe_id', 'parent_id']) {
        await db.schema
          .createIndex(`registration_entries_${column}`)
          .on('registration_entries')
          .column(column)
          .execute();
      }
      await db.schema
        .createTable('registration_facts')
        .addColumn('entry_id', 'text', (column) =>
          column.notNull().references('registration_entries.id').onDelete('cascade'),
        )
        .addColumn('fact', 'text', (column) => column.notNull())
        .addPrimaryKeyConstraint('registration_facts_key', ['entry_id', 'fact'])
        .execute();
      await db.schema
        .createIndex('registration_facts_fact')
        .on('registration_facts')
        .columns(['fact', 'entry_id'])
        .execute();
      await db.schema
        .createTable('registration_changes')
        .addColumn('revision', 'bigint', (column) => column.primaryKey())
        .addColumn('entry_id', 'text', (column) => column.notNull())
        .execute();
      await db.schema
        .createTable('registration_state')
        .addColumn('id', 'integer', (column) => column.primaryKey())
        .addColumn('revision', 'bigint', (column) => column.notNull())
        .addColumn('pruned_through', 'bigint', (column) => column.notNull())
        .execute();
      // Made by this very migration.
      const tables = db as Kysely<RegistrationTables>;
      await tables.insertInto('registration_state').values({ id: 1, revision: 0, pruned_through: 0 }).execute();
    },
  },
  {
    name: '0002-entry-attributes',
    async up(db) {
      await db.schema
        .alterTable('registration_entries')
        .addColumn('attributes', 'text', (column) => column.notNull().defaultTo(''))
        .execute();
    },
  },
];

/** The tables, as kysely sees them. Lists are JSON text, booleans 0 or 1. */
export interface RegistrationTables {
  registration_entries: EntryRow;
  /** What an entry can be found by: `s:` and a selector, `f:` and a trust domain. */
  registration_facts: { entry_id: string; fact: string };
  /** One row for each change, in commit order without a gap. */
  registration_changes: { revision: number; entry_id: string };
  /** One row, id 1. Changes up to `pruned_through` were forgotten. */
  registration_state: { id: number; revision: number; pruned_through: number };
}

export interface EntryRow {
  id: string;
  spiffe_id: string;
  parent_id: string;
  selectors: string;
  selectors_count: number;
  federates_with: string;
  federates_count: number;
  dns_names: string;
  x509_svid_ttl_s: number;
  jwt_svid_ttl_s: number;
  admin: number;
  downstream: number;
  store_svid: number;
  hint: string;
  /** JSON text; empty: none. */
  attributes: string;
  expires_at_s: number;
  created_at_s: number;
  revision_number: number;
  likeness: string;
}
