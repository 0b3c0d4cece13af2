import type { Migration } from '../store/index.ts';

/** The tables of revocations. */
export const revocationMigrations: readonly Migration[] = [
  {
    name: '0001-revocations',
    // What makes the tables of a server, the start of one fills.
    additive: { untilUsed: [{ table: 'revocation_standing' }] },
    async up(db) {
      await db.schema
        .createTable('revocation_state')
        .addColumn('one', 'integer', (column) => column.primaryKey())
        .addColumn('incarnation', 'text', (column) => column.notNull())
        .addColumn('follows', 'text', (column) => column.notNull())
        .addColumn('sequence', 'bigint', (column) => column.notNull())
        .addColumn('mark', 'text', (column) => column.notNull())
        .execute();
      await db.schema
        .createTable('revocation_changes')
        .addColumn('incarnation', 'text', (column) => column.notNull())
        .addColumn('sequence', 'bigint', (column) => column.notNull())
        .addColumn('mark', 'text', (column) => column.notNull())
        .addPrimaryKeyConstraint('revocation_changes_key', ['incarnation', 'sequence'])
        .execute();
      await db.schema
        .createTable('revocation_standing')
        .addColumn('id', 'text', (column) => column.primaryKey())
        .addColumn('subject_key', 'text', (column) => column.notNull())
        .addColumn('mode', 'text', (column) => column.notNull())
        .addColumn('sequence', 'bigint', (column) => column.notNull())
        .addColumn('at_ms', 'bigint', (column) => column.notNull())
        .addColumn('latest_expiry_ms', 'bigint', (column) => column.notNull())
        .addColumn('told', 'text', (column) => column.notNull())
        .addUniqueConstraint('revocation_standing_subject', ['subject_key', 'mode'])
        .execute();
      await db.schema
        .createTable('revocation_verifiers')
        .addColumn('kind', 'text', (column) => column.notNull())
        .addColumn('spiffe_id', 'text', (column) => column.notNull())
        .addColumn('address', 'text', (column) => column.notNull())
        .addColumn('instance', 'text', (column) => column.notNull())
        .addColumn('server', 'text', (column) => column.notNull())
        .addColumn('connected', 'integer', (column) => column.notNull())
        .addColumn('seen_ms', 'bigint', (column) => column.notNull())
        .addColumn('fresh_for_ms', 'bigint', (column) => column.notNull())
        .addColumn('then_refuses', 'integer', (column) => column.notNull())
        .addColumn('incarnation', 'text', (column) => column.notNull())
        .addColumn('sequence', 'bigint', (column) => column.notNull())
        .addPrimaryKeyConstraint('revocation_verifiers_key', ['kind', 'spiffe_id', 'address', 'instance'])
        .execute();
      await db.schema
        .createTable('revocation_effects')
        .addColumn('revocation', 'text', (column) => column.notNull())
        .addColumn('kind', 'text', (column) => column.notNull())
        .addColumn('spiffe_id', 'text', (column) => column.notNull())
        .addColumn('address', 'text', (column) => column.notNull())
        .addColumn('instance', 'text', (column) => column.notNull())
        .addColumn('after_ms', 'bigint', (column) => column.notNull())
        .addPrimaryKeyConstraint('revocation_effects_key', ['revocation', 'kind', 'spiffe_id', 'address', 'instance'])
        .execute();
    },
  },
];

/** The tables, as kysely sees them. Times are epoch milliseconds by the clock of the database. */
export interface RevocationTables {
  /** One row, made by the first server. */
  revocation_state: { one: number; incarnation: string; follows: string; sequence: number; mark: string };
  /** Every state there was, by which it is told whether that of a verifier was one of them. */
  revocation_changes: { incarnation: string; sequence: number; mark: string };
  /** `told`: the revocation as JSON. */
  revocation_standing: {
    id: string;
    subject_key: string;
    mode: string;
    sequence: number;
    at_ms: number;
    latest_expiry_ms: number;
    told: string;
  };
  revocation_verifiers: VerifierRow;
  /** How long each took, of revocations that were new when it had them in effect. */
  revocation_effects: VerifierKey & { revocation: string; after_ms: number };
}

export interface VerifierKey {
  kind: 'agent' | 'gateway';
  spiffe_id: string;
  /** Where agents reach a gateway; empty of agents. */
  address: string;
  /** One process of a gateway; empty of agents, of which a node has one. */
  instance: string;
}

export interface VerifierRow extends VerifierKey {
  /** Which server it watches, or watched last. */
  server: string;
  connected: number;
  /** When it was there last; of one that is connected, its server says so every half a minute. */
  seen_ms: number;
  fresh_for_ms: number;
  then_refuses: number;
  /** What is in effect there. */
  incarnation: string;
  sequence: number;
}
