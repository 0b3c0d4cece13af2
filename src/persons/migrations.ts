import type { Migration } from '../store/index.ts';

/** The tables of people: nothing in them lets anybody in. */
export const personsMigrations: readonly Migration[] = [
  {
    name: '0001-persons',
    async up(db) {
      await db.schema
        .createTable('persons_links')
        .addColumn('digest', 'text', (column) => column.primaryKey())
        .addColumn('id', 'text', (column) => column.notNull())
        .addColumn('made_by', 'text', (column) => column.notNull())
        .addColumn('ends_ms', 'bigint', (column) => column.notNull())
        .execute();
      await db.schema
        .createTable('persons_sign_ins')
        .addColumn('digest', 'text', (column) => column.primaryKey())
        .addColumn('id', 'text', (column) => column.notNull().unique())
        .addColumn('kind', 'text', (column) => column.notNull())
        .addColumn('issuer', 'text', (column) => column.notNull())
        .addColumn('subject', 'text', (column) => column.notNull())
        .addColumn('person', 'text', (column) => column.notNull())
        .addColumn('address', 'text', (column) => column.notNull())
        .addColumn('since_ms', 'bigint', (column) => column.notNull())
        .addColumn('seen_ms', 'bigint', (column) => column.notNull())
        .addColumn('ends_ms', 'bigint', (column) => column.notNull())
        .addColumn('is_moved', 'integer', (column) => column.notNull())
        .execute();
      await db.schema.createIndex('persons_sign_ins_ends').on('persons_sign_ins').column('ends_ms').execute();
      await db.schema
        .createIndex('persons_sign_ins_person')
        .on('persons_sign_ins')
        .columns(['issuer', 'subject'])
        .execute();
      await db.schema
        .createTable('persons_grants')
        .addColumn('digest', 'text', (column) => column.primaryKey())
        .addColumn('user_code_digest', 'text', (column) => column.unique())
        .addColumn('challenge', 'text')
        .addColumn('asked_from', 'text', (column) => column.notNull())
        .addColumn('state', 'text', (column) => column.notNull())
        .addColumn('person', 'text')
        .addColumn('polled_ms', 'bigint', (column) => column.notNull())
        .addColumn('ends_ms', 'bigint', (column) => column.notNull())
        .execute();
    },
  },
  {
    // By whom a command line was let in, and what counts how many wait.
    name: '0002-persons-grants',
    async up(db) {
      for (const column of ['source', 'let_in_by'])
        await db.schema.alterTable('persons_grants').addColumn(column, 'text').execute();
      await db.schema.createIndex('persons_grants_source').on('persons_grants').column('source').execute();
      await db.schema.createIndex('persons_grants_let_in_by').on('persons_grants').column('let_in_by').execute();
      await db.schema.createIndex('persons_grants_ends').on('persons_grants').column('ends_ms').execute();
    },
  },
];

/** The tables, as kysely sees them. Digests are SHA-256 of secrets of 256 bits, in hex; times are epoch milliseconds. */
export interface PersonsTables {
  persons_links: { digest: string; id: string; made_by: string; ends_ms: number };
  persons_sign_ins: {
    digest: string;
    id: string;
    kind: string;
    issuer: string;
    subject: string;
    /** JSON. */
    person: string;
    address: string;
    since_ms: number;
    seen_ms: number;
    ends_ms: number;
    /** 1: it came from another address before. */
    is_moved: number;
  };
  persons_grants: {
    digest: string;
    /** Of what a person types; null for a code that goes to the command line through the browser. */
    user_code_digest: string | null;
    /** PKCE, S256. */
    challenge: string | null;
    asked_from: string;
    state: string;
    /** JSON, once somebody has allowed it. */
    person: string | null;
    polled_ms: number;
    ends_ms: number;
    /** Under what those who ask are counted together; null for what nobody counts. */
    source: string | null;
    /** Id of the sign-in of whoever answered. */
    let_in_by: string | null;
  };
}

/** One order for all of it: each of these is short, and one who signs in twice at once is one after the other. */
export const ORDER = 'persons';
