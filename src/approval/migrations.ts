import { bytesType, type Migration } from '../store/index.ts';
import type { HoldState } from './types.ts';

/** The tables of approvals. */
export const approvalMigrations: readonly Migration[] = [
  {
    name: '0001-approvals',
    async up(db, dialect) {
      await db.schema
        .createTable('approval_state')
        .addColumn('one', 'integer', (column) => column.primaryKey())
        .addColumn('sequence', 'bigint', (column) => column.notNull())
        .execute();
      await db.schema
        .createTable('approval_holds')
        .addColumn('id', 'text', (column) => column.primaryKey())
        .addColumn('hold', 'text', (column) => column.notNull().unique())
        .addColumn('number', 'bigint', (column) => column.notNull().unique())
        .addColumn('sequence', 'bigint', (column) => column.notNull())
        .addColumn('state', 'text', (column) => column.notNull())
        .addColumn('digest', 'text', (column) => column.notNull())
        .addColumn('equal_key', 'text', (column) => column.notNull())
        .addColumn('identity', 'text', (column) => column.notNull())
        .addColumn('target', 'text', (column) => column.notNull())
        .addColumn('session', 'text', (column) => column.notNull())
        .addColumn('title', 'text', (column) => column.notNull())
        .addColumn('rules', 'text', (column) => column.notNull())
        .addColumn('facts', 'text', (column) => column.notNull())
        .addColumn('gateway', 'text', (column) => column.notNull())
        .addColumn('address', 'text', (column) => column.notNull())
        .addColumn('instance', 'text', (column) => column.notNull())
        .addColumn('since_ms', 'bigint', (column) => column.notNull())
        .addColumn('until_ms', 'bigint', (column) => column.notNull())
        .addColumn('decided_ms', 'bigint', (column) => column.notNull())
        .addColumn('reason', 'text', (column) => column.notNull())
        .addColumn('spent_by', 'text', (column) => column.notNull())
        .addColumn('statement', 'text', (column) => column.notNull())
        .addColumn('subject', bytesType(dialect), (column) => column.notNull())
        .addColumn('shown', bytesType(dialect), (column) => column.notNull())
        .execute();
      await db.schema.createIndex('approval_holds_sequence').on('approval_holds').column('sequence').execute();
      await db.schema.createIndex('approval_holds_state').on('approval_holds').columns(['state', 'number']).execute();
      await db.schema
        .createTable('approval_answers')
        .addColumn('approval', 'text', (column) => column.notNull())
        .addColumn('voice', 'text', (column) => column.notNull())
        .addColumn('name', 'text', (column) => column.notNull())
        .addColumn('answer', 'text', (column) => column.notNull())
        .addColumn('rules', 'text', (column) => column.notNull())
        .addColumn('reason', 'text', (column) => column.notNull())
        .addColumn('at_ms', 'bigint', (column) => column.notNull())
        .addPrimaryKeyConstraint('approval_answers_key', ['approval', 'voice'])
        .execute();
    },
  },
];

/** The tables, as kysely sees them. Times are epoch milliseconds by the clock of the database. */
export interface ApprovalTables {
  /** One row: it grows with each change of a hold, in one order over all servers. */
  approval_state: { one: number; sequence: number };
  approval_holds: HoldRow;
  approval_answers: AnswerRow;
}

export interface HoldRow {
  id: string;
  hold: string;
  /** When it came, among all. */
  number: number;
  /** When it was changed last, among all changes. */
  sequence: number;
  state: HoldState;
  digest: string;
  /** Equal for what is one question to people. */
  equal_key: string;
  identity: string;
  target: string;
  session: string;
  /** What people are shown of it in a list. */
  title: string;
  /** Names, as JSON. */
  rules: string;
  /** By which revocations find it, as JSON. */
  facts: string;
  gateway: string;
  address: string;
  instance: string;
  since_ms: number;
  until_ms: number;
  /** When it was approved, denied or otherwise over; 0 while it waits. */
  decided_ms: number;
  reason: string;
  /** The try that has used it. */
  spent_by: string;
  /** What that try was given. */
  statement: string;
  subject: Uint8Array;
  shown: Uint8Array;
}

export interface AnswerRow {
  approval: string;
  /** Who counts once. */
  voice: string;
  name: string;
  answer: 'approve' | 'deny';
  /** Of which rules it is an answer: names, as JSON. */
  rules: string;
  reason: string;
  at_ms: number;
}
