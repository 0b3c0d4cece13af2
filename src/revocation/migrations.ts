import type { Kysely } from 'kysely';
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
      await createStanding(db, 'revocation_standing');
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

/** Those that came later; each server has them after all others. */
export const revocationLaterMigrations: readonly Migration[] = [
  {
    name: '0002-revocation-members',
    async up(db) {
      await db.schema
        .createTable('revocation_members')
        .addColumn('revocation', 'text', (column) => column.notNull())
        .addColumn('spiffe_id', 'text', (column) => column.notNull())
        .addColumn('sequence', 'bigint', (column) => column.notNull())
        .addPrimaryKeyConstraint('revocation_members_key', ['revocation', 'spiffe_id'])
        .execute();
    },
  },
  {
    name: '0003-revocation-streams',
    async up(db) {
      for (const column of ['stream', 'public_key'])
        await db.schema
          .alterTable('revocation_verifiers')
          .addColumn(column, 'text', (of) => of.notNull().defaultTo(''))
          .execute();
    },
  },
  {
    // Apart from the others: servers of before read all of those, and would know nothing of a subject of this kind.
    name: '0004-revocation-persons',
    async up(db) {
      await createStanding(db, 'revocation_persons');
    },
  },
];

/** Revocations that stand, of all kinds of subjects or of one alone. */
async function createStanding(db: Kysely<unknown>, table: string): Promise<void> {
  await db.schema
    .createTable(table)
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('subject_key', 'text', (column) => column.notNull())
    .addColumn('mode', 'text', (column) => column.notNull())
    .addColumn('sequence', 'bigint', (column) => column.notNull())
    .addColumn('at_ms', 'bigint', (column) => column.notNull())
    .addColumn('latest_expiry_ms', 'bigint', (column) => column.notNull())
    .addColumn('told', 'text', (column) => column.notNull())
    .addUniqueConstraint(`${table}_subject`, ['subject_key', 'mode'])
    .execute();
}

/** The tables, as kysely sees them. Times are epoch milliseconds by the clock of the database. */
export interface RevocationTables {
  /** One row, made by the first server. */
  revocation_state: { one: number; incarnation: string; follows: string; sequence: number; mark: string };
  /** Every state there was, by which it is told whether that of a verifier was one of them. */
  revocation_changes: { incarnation: string; sequence: number; mark: string };
  /** `told`: the revocation as JSON. */
  revocation_standing: StandingRow;
  /** Those of people, likewise. */
  revocation_persons: StandingRow;
  /** Identities that belong to a revocation of a label; `sequence`: of the state since which they do. */
  revocation_members: { revocation: string; spiffe_id: string; sequence: number };
  revocation_verifiers: VerifierRow;
  /** How long each took, of revocations that were new when it had them in effect. */
  revocation_effects: VerifierKey & { revocation: string; after_ms: number };
}

interface StandingRow {
  id: string;
  subject_key: string;
  mode: string;
  sequence: number;
  at_ms: number;
  latest_expiry_ms: number;
  told: string;
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
  /** Its newest stream: SHA-256 of the nonce, in hex; empty of one that says none with its word. */
  stream: string;
  /** Which its connection has proven: SHA-256, in hex. */
  public_key: string;
  /** What is in effect there. */
  incarnation: string;
  sequence: number;
}
