import type { Kysely } from 'kysely';
import type { Migration } from '../../store/index.ts';

/** How far each sink is. */
export interface SinkTables {
  /** Sinks that something was ever handed over to, or that began at a moment of their own. */
  records_sinks: { name: string; begun_ms: number };
  /** All entries of the log below the position are with the sink, or are none that it asks for. No row: none is. */
  records_sink_cursors: { sink: string; log: number; position: number };
}

/** The tables of sinks. */
export const sinkMigrations: readonly Migration[] = [
  {
    name: '0003-records-sinks',
    async up(db) {
      await db.schema
        .createTable('records_sinks')
        .addColumn('name', 'text', (column) => column.primaryKey())
        .addColumn('begun_ms', 'bigint', (column) => column.notNull())
        .execute();
      await db.schema
        .createTable('records_sink_cursors')
        .addColumn('sink', 'text', (column) => column.notNull())
        .addColumn('log', 'integer', (column) => column.notNull())
        .addColumn('position', 'bigint', (column) => column.notNull())
        .addPrimaryKeyConstraint('records_sink_cursors_key', ['sink', 'log'])
        .execute();
    },
  },
];

/** How far a sink is in each log, by the log's number. */
export async function readCursors(db: Kysely<SinkTables>, sink: string): Promise<Map<number, number>> {
  const rows = await db
    .selectFrom('records_sink_cursors')
    .select(['log', 'position'])
    .where('sink', '=', sink)
    .execute();
  return new Map(rows.map(({ log, position }) => [log, position]));
}

/** Moves cursors on; one that is farther already stays. */
export async function writeCursors(
  trx: Kysely<SinkTables>,
  sink: string,
  cursors: ReadonlyMap<number, number>,
): Promise<void> {
  const rows = Array.from(cursors, ([log, position]) => ({ sink, log, position }));
  for (let at = 0; at < rows.length; at += ROWS_A_STATEMENT)
    await trx
      .insertInto('records_sink_cursors')
      .values(rows.slice(at, at + ROWS_A_STATEMENT))
      .onConflict((conflict) =>
        conflict
          .columns(['sink', 'log'])
          .doUpdateSet((set) => ({ position: set.ref('excluded.position') }))
          .whereRef('records_sink_cursors.position', '<', 'excluded.position'),
      )
      .execute();
}

const ROWS_A_STATEMENT = 500;
