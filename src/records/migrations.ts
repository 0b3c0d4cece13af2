import type { Generated, Kysely } from 'kysely';
import { parseEntry } from '../ledger/index.ts';
import { bytesType, type Migration } from '../store/index.ts';
import type { RetentionTables } from './retention/retention-rows.ts';
import { indexEntry } from './search/indexed-entry.ts';
import { insertPostings, postingRows } from './search/postings.ts';

/** The tables of the record. */
export const recordsMigrations: readonly Migration[] = [
  {
    name: '0001-records',
    async up(db, dialect) {
      const bytes = bytesType(dialect);
      await db.schema
        .createTable('records_logs')
        .addColumn('id', 'integer', (column) => column.primaryKey())
        .addColumn('origin', 'text', (column) => column.notNull())
        .addColumn('generation', 'integer', (column) => column.notNull())
        .addColumn('owner', 'text', (column) => column.notNull())
        .addColumn('verifier_key', 'text', (column) => column.notNull())
        .addColumn('size', 'bigint', (column) => column.notNull())
        .addColumn('edge', bytes, (column) => column.notNull())
        .addColumn('signed_size', 'bigint', (column) => column.notNull())
        .addColumn('signed_edge', bytes, (column) => column.notNull())
        .addColumn('checkpoint', 'text')
        .addColumn('begun_ms', 'bigint', (column) => column.notNull())
        .addColumn('heard_ms', 'bigint', (column) => column.notNull())
        .addColumn('ended', 'integer', (column) => column.notNull().defaultTo(0))
        .addColumn('closed', 'integer', (column) => column.notNull().defaultTo(0))
        .addColumn('notices', 'integer', (column) => column.notNull().defaultTo(0))
        .addColumn('alarm', 'text')
        .addColumn('alarm_found', 'text')
        .addColumn('alarm_position', 'bigint')
        .addColumn('alarm_ms', 'bigint')
        .addColumn('evidence', 'text')
        .addUniqueConstraint('records_logs_name', ['origin', 'generation'])
        .execute();
      await db.schema
        .createTable('records_notices')
        .addColumn('log', 'integer', (column) => column.notNull())
        .addColumn('number', 'integer', (column) => column.notNull())
        .addColumn('at_ms', 'bigint', (column) => column.notNull())
        .addColumn('what', 'text', (column) => column.notNull())
        .addColumn('detail', 'text', (column) => column.notNull())
        .addPrimaryKeyConstraint('records_notices_key', ['log', 'number'])
        .execute();
      await db.schema
        .createTable('records_entries')
        .addColumn('log', 'integer', (column) => column.notNull())
        .addColumn('position', 'bigint', (column) => column.notNull())
        .addColumn('at_ms', 'bigint', (column) => column.notNull())
        .addColumn('actor', 'bigint', (column) => column.notNull())
        .addColumn('target', 'bigint', (column) => column.notNull())
        .addColumn('action', 'bigint', (column) => column.notNull())
        .addColumn('session', 'bigint', (column) => column.notNull())
        .addColumn('kind', 'bigint', (column) => column.notNull())
        .addColumn('entry', bytes, (column) => column.notNull())
        .addPrimaryKeyConstraint('records_entries_key', ['log', 'position'])
        .execute();
      // In the order of pages; a page is read off the end of one of them.
      const order = ['at_ms', 'log', 'position'];
      for (const [name, columns] of Object.entries({
        time: [],
        actor: ['actor'],
        target: ['target'],
        action: ['action'],
        session: ['session'],
      }))
        await db.schema
          .createIndex(`records_entries_by_${name}`)
          .on('records_entries')
          .columns([...columns, ...order])
          .execute();
      await db.schema
        .createTable('records_terms')
        .addColumn('term', 'bigint', (column) => column.notNull())
        .addColumn('at_ms', 'bigint', (column) => column.notNull())
        .addColumn('log', 'integer', (column) => column.notNull())
        .addColumn('position', 'bigint', (column) => column.notNull())
        .addPrimaryKeyConstraint('records_terms_key', ['term', ...order] as never)
        .execute();
    },
  },
  {
    name: '0002-records-postings',
    async up(db, dialect) {
      await db.schema
        .createTable('records_postings')
        .addColumn('term', 'bigint', (column) => column.notNull())
        .addColumn('at_ms', 'bigint', (column) => column.notNull())
        .addColumn('log', 'integer', (column) => column.notNull())
        .addColumn('position', 'bigint', (column) => column.notNull())
        .addColumn('since_ms', 'bigint', (column) => column.notNull())
        .addColumn('places', bytesType(dialect), (column) => column.notNull())
        .addPrimaryKeyConstraint('records_postings_key', ['term', 'at_ms', 'log', 'position'] as never)
        .execute();
      for (const name of ['time', 'actor', 'target', 'action', 'session'])
        await db.schema.dropIndex(`records_entries_by_${name}`).execute();
      for (const name of ['at_ms', 'actor', 'target', 'action', 'session', 'kind'])
        await db.schema.alterTable('records_entries').dropColumn(name).execute();
      await db.schema.dropTable('records_terms').execute();
      // The tables of this feature: they are as that type says from here on.
      await indexAnew(db as Kysely<RecordsTables>);
    },
  },
];

/** What came later: behind those of the features that were there before it. */
export const recordsLaterMigrations: readonly Migration[] = [
  {
    name: '0003-records-follow-export',
    async up(db, dialect) {
      await db.schema
        .createTable('records_marks')
        .addColumn('reader', 'text', (column) => column.notNull())
        .addColumn('number', 'bigint', (column) => column.notNull())
        .addColumn('at_ms', 'bigint', (column) => column.notNull())
        .addColumn('sizes', bytesType(dialect), (column) => column.notNull())
        .addPrimaryKeyConstraint('records_marks_key', ['reader', 'number'])
        .execute();
      await db.schema.createIndex('records_marks_age').on('records_marks').column('at_ms').execute();
      await db.schema
        .createTable('records_exports')
        .addColumn('id', 'text', (column) => column.primaryKey())
        .addColumn('owner', 'text', (column) => column.notNull())
        .addColumn('begun_ms', 'bigint', (column) => column.notNull())
        .addColumn('asked', 'text', (column) => column.notNull())
        .addColumn('logs', 'text', (column) => column.notNull())
        .addColumn('secret', bytesType(dialect), (column) => column.notNull())
        .execute();
      await db.schema
        .createTable('records_nodes')
        .addColumn('log', 'integer', (column) => column.notNull())
        .addColumn('number', 'bigint', (column) => column.notNull())
        .addColumn('hash', bytesType(dialect), (column) => column.notNull())
        .addPrimaryKeyConstraint('records_nodes_key', ['log', 'number'])
        .execute();
    },
  },
];

/** Writes what all entries are found by, in their order. */
async function indexAnew(db: Kysely<RecordsTables>): Promise<void> {
  const logs = await db.selectFrom('records_logs').select('id').orderBy('id').execute();
  for (const { id } of logs) {
    for (let first = 0; ; ) {
      const rows = await db
        .selectFrom('records_entries')
        .select(['position', 'entry'])
        .where('log', '=', id)
        .where('position', '>=', first)
        .orderBy('position')
        .limit(ENTRIES_A_TIME)
        .execute();
      await insertPostings(
        db,
        postingRows(
          id,
          rows.map(({ entry }) => indexEntry(parseEntry(entry))),
        ),
      );
      const last = rows.at(-1);
      if (last === undefined || rows.length < ENTRIES_A_TIME) break;
      first = last.position + 1;
    }
  }
}

const ENTRIES_A_TIME = 1000;

/** The tables, as kysely sees them. */
export interface RecordsTables extends RetentionTables {
  /**
   * One row for each log, and a further one, of the next generation, for what follows on a log that an operator has closed. `edge` holds the
   * hashes of the subtrees over `size` entries, `signed_edge` those over what `checkpoint` vouches for. `ended`: its writer stopped in good order.
   */
  records_logs: {
    id: number;
    origin: string;
    generation: number;
    owner: string;
    verifier_key: string;
    size: number;
    edge: Buffer;
    signed_size: number;
    signed_edge: Buffer;
    /** As its writer signed it, and the server that found it consistent. */
    checkpoint: string | null;
    begun_ms: number;
    heard_ms: number;
    ended: Generated<number>;
    closed: Generated<number>;
    /** How many notices there ever were of it. */
    notices: Generated<number>;
    alarm: string | null;
    alarm_found: string | null;
    alarm_position: number | null;
    alarm_ms: number | null;
    /** The checkpoint that contradicts. */
    evidence: string | null;
  };
  /** What is still to be told by an entry of a server's own ledger. */
  records_notices: { log: number; number: number; at_ms: number; what: string; detail: string };
  /**
   * The canonical bytes (`openRows` reads them); sealed under the key that `seal` names, where one is named: then `leaf` has the leaf hash. What has lost
   * its content has no row.
   */
  records_entries: {
    log: number;
    position: number;
    entry: Buffer;
    seal: Generated<number | null>;
    leaf: Generated<Buffer | null>;
  };
  /**
   * By what entries are found: for each term of a batch (`hashName`) the place of its newest entry, and those of the others in `places`, down to `since_ms`
   * (`postingRows`). Of entries that were given up some may be left: they lead nowhere, or to what does not match.
   */
  records_postings: { term: number; at_ms: number; log: number; position: number; since_ms: number; places: Buffer };
  /** Moments of those who follow (`Mark`): how much more of each log than at the one before. */
  records_marks: { reader: string; number: number; at_ms: number; sizes: Buffer };
  /** Exports that were begun: by whom, of what, and how each log stood then. `secret`: what the places in between are sealed with. */
  records_exports: {
    id: string;
    owner: string;
    begun_ms: number;
    asked: string;
    logs: string;
    secret: Buffer;
    /** When its last line was told first: what it is of may leave from then on. */
    finished_ms: Generated<number | null>;
    /** How many entries had ever left the record when it was begun. */
    removed: Generated<number>;
  };
  /** Hashes of complete subtrees of logs (`PROOF_NODE_HEIGHT`), by their number from the left: worked out when a proof is first asked for. */
  records_nodes: { log: number; number: number; hash: Buffer };
}
