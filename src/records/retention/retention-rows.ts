import type { Kysely } from 'kysely';
import { parseEntry } from '../../ledger/index.ts';
import { bytesType, type Dialect, type Migration } from '../../store/index.ts';
import type { RecordsTables } from '../migrations.ts';

/** What the record keeps of what has left it, and of what must not leave. */
export interface RetentionTables {
  /**
   * Entries `first` to `first + count` of a log, without that one, whose content is gone: their leaf hashes, one behind the other, by which the tree
   * over all stays what was signed. `removal`: why. `at_ms` by the clock of the database.
   */
  records_gone: { log: number; first: number; count: number; leaves: Buffer; removal: number; at_ms: number };
  /** Rules by which content went: one row for each name and words (`what`, as JSON) that there ever were. `removed`: how many entries by it. */
  records_removals: { id: number; name: string; what: string; at_ms: number; removed: number };
  /** What must stay, whatever rule says otherwise. */
  records_holds: {
    name: string;
    what: string;
    reason: string;
    by_whom: string;
    at_ms: number;
  };
  /**
   * How far a rule has gone in a log: what is before `position` was looked at. `held_from`: the first of them that was its to take and that a hold has
   * kept: when one is lifted it is looked at again from there. `rule`: digest of what is looked for.
   */
  records_sweeps: { rule: string; log: number; position: number; held_from: number | null };
  /** When what is before `position` of a log was in the record, at the latest: by that, and by no writer's clock, entries grow old. */
  records_arrivals: { log: number; position: number; at_ms: number };
  /** Keys that content is sealed under, by what has it in common. Where one is gone, what it has sealed is gone. */
  records_keys: { id: number; name: string; key: Buffer; made_ms: number };
}

/** The tables of retention. */
export const retentionMigrations: readonly Migration[] = [
  {
    name: '0004-records-retention',
    async up(db, dialect) {
      const bytes = bytesType(dialect);
      await db.schema.alterTable('records_entries').addColumn('seal', 'bigint').execute();
      await db.schema.alterTable('records_entries').addColumn('leaf', bytes).execute();
      await db.schema.alterTable('records_exports').addColumn('finished_ms', 'bigint').execute();
      await db.schema
        .alterTable('records_exports')
        .addColumn('removed', 'bigint', (column) => column.notNull().defaultTo(0))
        .execute();
      await db.schema
        .createIndex('records_entries_sealed')
        .on('records_entries')
        .column('seal')
        .where('seal' as never, 'is not', null)
        .execute();
      await createTables(db, dialect);
      // The tables of this feature: they are as that type says from here on.
      await guessArrivals(db as Kysely<RecordsTables & RetentionTables>);
    },
  },
];

async function createTables(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const bytes = bytesType(dialect);
  await db.schema
    .createTable('records_gone')
    .addColumn('log', 'integer', (column) => column.notNull())
    .addColumn('first', 'bigint', (column) => column.notNull())
    .addColumn('count', 'integer', (column) => column.notNull())
    .addColumn('leaves', bytes, (column) => column.notNull())
    .addColumn('removal', 'integer', (column) => column.notNull())
    .addColumn('at_ms', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('records_gone_key', ['log', 'first'])
    .execute();
  await db.schema
    .createTable('records_removals')
    .addColumn('id', 'integer', (column) => column.primaryKey())
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('what', 'text', (column) => column.notNull())
    .addColumn('at_ms', 'bigint', (column) => column.notNull())
    .addColumn('removed', 'bigint', (column) => column.notNull())
    .execute();
  await db.schema
    .createTable('records_holds')
    .addColumn('name', 'text', (column) => column.primaryKey())
    .addColumn('what', 'text', (column) => column.notNull())
    .addColumn('reason', 'text', (column) => column.notNull())
    .addColumn('by_whom', 'text', (column) => column.notNull())
    .addColumn('at_ms', 'bigint', (column) => column.notNull())
    .execute();
  await db.schema
    .createTable('records_sweeps')
    .addColumn('rule', 'text', (column) => column.notNull())
    .addColumn('log', 'integer', (column) => column.notNull())
    .addColumn('position', 'bigint', (column) => column.notNull())
    .addColumn('held_from', 'bigint')
    .addPrimaryKeyConstraint('records_sweeps_key', ['rule', 'log'])
    .execute();
  await db.schema
    .createTable('records_arrivals')
    .addColumn('log', 'integer', (column) => column.notNull())
    .addColumn('position', 'bigint', (column) => column.notNull())
    .addColumn('at_ms', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('records_arrivals_key', ['log', 'position'])
    .execute();
  await db.schema
    .createTable('records_keys')
    .addColumn('id', 'bigint', (column) => column.primaryKey())
    .addColumn('name', 'text', (column) => column.notNull().unique())
    .addColumn('key', bytes, (column) => column.notNull())
    .addColumn('made_ms', 'bigint', (column) => column.notNull())
    .execute();
}

/**
 * When came what is there already? Nobody wrote it down, so its writers are believed, for this once: by some entries of each log, and never
 * earlier than what stands before.
 */
async function guessArrivals(db: Kysely<RecordsTables & RetentionTables>): Promise<void> {
  const logs = await db.selectFrom('records_logs').select(['id', 'signed_size', 'heard_ms']).orderBy('id').execute();
  for (const { id: log, signed_size: size, heard_ms: heardMs } of logs) {
    const step = Math.max(1, Math.ceil(size / GUESSES_A_LOG));
    let atMs = 0;
    for (let position = step; position < size + step; position += step) {
      const last = Math.min(position, size);
      const row = await db
        .selectFrom('records_entries')
        .select('entry')
        .where('log', '=', log)
        .where('position', '=', last - 1)
        .executeTakeFirst();
      if (row === undefined) continue;
      const { wallMs, timeMs } = parseEntry(row.entry);
      atMs = Math.max(atMs, Math.min(wallMs ?? timeMs, heardMs));
      await db.insertInto('records_arrivals').values({ log, position: last, at_ms: atMs }).execute();
    }
  }
}

const GUESSES_A_LOG = 200;
