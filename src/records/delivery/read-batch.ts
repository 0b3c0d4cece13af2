import type { Kysely } from 'kysely';
import { type LedgerEntry, parseEntry } from '../../ledger/index.ts';
import { openRows, selectEntries } from '../log/entry-rows.ts';
import type { RecordsTables } from '../migrations.ts';

/** A log of which a sink lacks entries `from` to `end`, without that. */
export interface Span {
  readonly log: number;
  readonly origin: string;
  readonly from: number;
  readonly end: number;
}

/** An entry on its way. */
export interface Pending {
  readonly log: number;
  readonly origin: string;
  readonly position: number;
  readonly entry: LedgerEntry;
}

/** Entries in the order of their logs, and how far that looks in each. */
export interface Batch {
  readonly entries: readonly Pending[];
  readonly ends: ReadonlyMap<number, number>;
  /** The last log that it looked into: the next batch begins behind it. */
  readonly last: number;
}

/** Reads as much of these logs as goes into one batch: one entry of the first at least. */
export async function readBatch(db: Kysely<RecordsTables>, spans: readonly Span[]): Promise<Batch> {
  const entries: Pending[] = [];
  const ends = new Map<number, number>();
  let bytesLeft = BYTES_MAX;
  let last = 0;
  for (const span of spans) {
    const countLeft = ENTRIES_MAX - entries.length;
    if (countLeft <= 0 || bytesLeft <= 0) break;
    const { end, bytes } = await measure(db, span, { countLeft, bytesLeft, isFirst: entries.length === 0 });
    if (end === span.from) break;
    for (const { position, bytes: entry } of await readSpan(db, { ...span, end }))
      entries.push({ log: span.log, origin: span.origin, position, entry: parseEntry(entry) });
    bytesLeft -= bytes;
    ends.set(span.log, end);
    last = span.log;
  }
  return { entries, ends, last };
}

/** How far the room that is left goes. Lengths are read first: an entry may have as many bytes as a thousand others. */
async function measure(
  db: Kysely<RecordsTables>,
  { log, from, end }: Span,
  room: { readonly countLeft: number; readonly bytesLeft: number; readonly isFirst: boolean },
): Promise<{ readonly end: number; readonly bytes: number }> {
  const rows = await db
    .selectFrom('records_entries')
    .select(({ fn }) => ['position', fn<number>('length', ['entry']).as('bytes')])
    .where('log', '=', log)
    .where('position', '>=', from)
    .where('position', '<', end)
    .orderBy('position')
    .limit(room.countLeft)
    .execute();
  let bytes = 0;
  for (const [n, row] of rows.entries()) {
    const isAlone = n === 0 && room.isFirst;
    if (!isAlone && bytes + row.bytes > room.bytesLeft) return { end: n === 0 ? from : row.position, bytes };
    bytes += row.bytes;
  }
  const last = rows.at(-1);
  // All that there are, or as many as were asked for.
  return { end: last !== undefined && rows.length === room.countLeft ? last.position + 1 : end, bytes };
}

async function readSpan(db: Kysely<RecordsTables>, { log, from, end }: Span) {
  const rows = await selectEntries(db)
    .where('log', '=', log)
    .where('position', '>=', from)
    .where('position', '<', end)
    .orderBy('position')
    .execute();
  return openRows(db, rows);
}

/** As a sink is promised. */
const ENTRIES_MAX = 500;
const BYTES_MAX = 1024 * 1024;
