import type { Kysely } from 'kysely';
import { readCursors, type SinkTables } from '../delivery/sink-rows.ts';
import type { RecordsTables } from '../migrations.ts';

/** How far one rule may go in a log. */
export interface Reach {
  readonly log: number;
  /** Entries before this are past their time. */
  readonly due: number;
  /** Entries before this may go, or must. */
  readonly end: number;
  /** What holds back those in between. */
  readonly waitsFor: readonly string[];
}

/** Writes down how much of each log is there now: by that alone entries grow old, however wrong the clock of their writer is. @throws StoreError */
export async function markArrivals(
  db: Kysely<RecordsTables>,
  { nowMs, everyMs }: { readonly nowMs: number; readonly everyMs: number },
): Promise<void> {
  const logs = await db.selectFrom('records_logs').select(['id', 'signed_size']).execute();
  const marks = await db
    .selectFrom('records_arrivals')
    .select(({ fn }) => ['log', fn.max('position').as('position'), fn.max('at_ms').as('at_ms')])
    .groupBy('log')
    .execute();
  const last = new Map(marks.map((mark) => [mark.log, mark]));
  const fresh = logs.flatMap(({ id: log, signed_size: position }) => {
    const mark = last.get(log) ?? { position: 0, at_ms: 0 };
    const isDue = position > mark.position && nowMs - mark.at_ms >= everyMs;
    return isDue ? [{ log, position, at_ms: nowMs }] : [];
  });
  for (let at = 0; at < fresh.length; at += ROWS_A_STATEMENT)
    await db
      .insertInto('records_arrivals')
      .values(fresh.slice(at, at + ROWS_A_STATEMENT))
      .onConflict((conflict) => conflict.doNothing())
      .execute();
}

/** Of each log in which something is past its time. @throws StoreError */
export async function limitsOf(
  db: Kysely<RecordsTables>,
  of: { readonly keepMs: number; readonly waitMs: number; readonly sinks: readonly string[]; readonly nowMs: number },
): Promise<readonly Reach[]> {
  const { keepMs, waitMs, sinks, nowMs } = of;
  const [due, must] = [await arrivedBy(db, nowMs - keepMs), await arrivedBy(db, nowMs - keepMs - waitMs)];
  if (due.size === 0) return [];
  const cursors = new Map<string, Map<number, number>>();
  // The tables of sinks lie in the same database.
  for (const name of sinks) cursors.set(name, await readCursors(db as unknown as Kysely<SinkTables>, name));
  const running = await db
    .selectFrom('records_exports')
    .select('id')
    .where('finished_ms', 'is', null)
    .where('begun_ms', '>', nowMs - EXPORT_MS_MAX)
    .execute();
  return [...due].map(([log, end]) => {
    const behind = [...cursors].filter(([, at]) => (at.get(log) ?? 0) < end);
    const cap = Math.min(end, ...behind.map(([, at]) => at.get(log) ?? 0), ...(running.length > 0 ? [0] : []));
    const reached = Math.max(cap, must.get(log) ?? 0);
    const waitsFor = [
      ...behind.filter(([, at]) => reached < end && (at.get(log) ?? 0) < end).map(([name]) => `sink ${name}`),
      ...running.flatMap(({ id }) => (reached < end ? [`export ${id}`] : [])),
    ];
    return { log, due: end, end: reached, waitsFor };
  });
}

/** How many entries of each log were there by then. */
async function arrivedBy(db: Kysely<RecordsTables>, atMs: number): Promise<Map<number, number>> {
  const rows = await db
    .selectFrom('records_arrivals')
    .select(({ fn }) => ['log', fn.max('position').as('position')])
    .where('at_ms', '<=', atMs)
    .groupBy('log')
    .execute();
  return new Map(rows.map(({ log, position }) => [log, Number(position)]));
}

const ROWS_A_STATEMENT = 500;
/** An export that is not read to its end holds nothing back for longer. */
const EXPORT_MS_MAX = 24 * 3_600_000;
