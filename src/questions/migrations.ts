import { bytesType, type Migration } from '../store/index.ts';

/** The tables of questions: all that is in them is gone a moment later. */
export const questionsMigrations: readonly Migration[] = [
  {
    name: '0001-questions',
    async up(db, dialect) {
      const bytes = bytesType(dialect);
      await db.schema
        .createTable('questions')
        .addColumn('id', 'text', (column) => column.primaryKey())
        .addColumn('kind', 'text', (column) => column.notNull())
        .addColumn('asked_by', 'text', (column) => column.notNull())
        .execute();
      await db.schema
        .createTable('questions_bodies')
        .addColumn('question', 'text', (column) => column.notNull())
        .addColumn('spiffe_id', 'text', (column) => column.notNull())
        .addColumn('address', 'text', (column) => column.notNull())
        .addColumn('body', bytes, (column) => column.notNull())
        .addPrimaryKeyConstraint('questions_bodies_key', ['question', 'spiffe_id', 'address'])
        .execute();
      await db.schema
        .createTable('questions_answers')
        .addColumn('question', 'text', (column) => column.notNull())
        .addColumn('spiffe_id', 'text', (column) => column.notNull())
        .addColumn('address', 'text', (column) => column.notNull())
        .addColumn('instance', 'text', (column) => column.notNull())
        .addColumn('page', 'integer', (column) => column.notNull())
        .addColumn('attempt', 'text', (column) => column.notNull())
        .addColumn('state', 'text', (column) => column.notNull())
        .addColumn('body', bytes, (column) => column.notNull())
        .addPrimaryKeyConstraint('questions_answers_key', ['question', 'spiffe_id', 'address', 'instance', 'page'])
        .execute();
    },
  },
];

/** The tables, as kysely sees them. */
export interface QuestionsTables {
  questions: { id: string; kind: string; asked_by: string };
  /** One for each gateway that is asked, or, with both of its names empty, one for all. */
  questions_bodies: { question: string; spiffe_id: string; address: string; body: Uint8Array };
  /** Pages. `state`: `more` and `last`, or `problem`, whose body says in UTF-8 why there is no answer. */
  questions_answers: {
    question: string;
    spiffe_id: string;
    address: string;
    instance: string;
    page: number;
    attempt: string;
    state: 'more' | 'last' | 'problem';
    body: Uint8Array;
  };
}
