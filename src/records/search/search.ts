import { type Kysely, sql } from 'kysely';
import { type LedgerEntry, parseEntry } from '../../ledger/index.ts';
import { throwIfAborted } from '../../std/index.ts';
import type { Store } from '../../store/index.ts';
import { RecordsError } from '../errors.ts';
import type { RecordsTables } from '../migrations.ts';
import { indexFilter, matchesFilter, type RecordFilter } from './filter.ts';

/** An entry of the record. */
export interface RecordEntry {
  /** The log, and the position in it: together the id of the entry, for good. */
  readonly log: number;
  readonly position: number;
  readonly entry: LedgerEntry;
  /** Its canonical bytes, as its writer wrote and signed them. */
  readonly bytes: Buffer;
}

/** Newest first. Fewer entries than were asked for do not mean that there are no more: `next` does. */
export interface RecordPage {
  readonly entries: readonly RecordEntry[];
  /** Where the next page begins; undefined when this is the last. */
  readonly next: string | undefined;
}

/** The read side of the record. Only what a checkpoint vouches for is shown. */
export interface RecordSearch {
  /** @throws RecordsError ERR_RECORDS_REQUEST for a cursor that is none; StoreError */
  search(
    filter: RecordFilter,
    page: { readonly size: number; readonly cursor?: string | undefined; readonly signal: AbortSignal },
  ): Promise<RecordPage>;
  /** @throws RecordsError ERR_RECORDS_NOT_FOUND; StoreError */
  show(log: number, position: number): Promise<RecordEntry>;
}

/** Creates it. */
export function createSearch(deps: { readonly store: Store }): RecordSearch {
  const db = deps.store.db<RecordsTables>();
  return {
    async search(filter, { size, cursor, signal }) {
      const signed = await signedSizes(db);
      const found: RecordEntry[] = [];
      let from = cursor === undefined ? undefined : parseCursor(cursor);
      const count = Math.min(Math.max(1, size), PAGE_MAX);
      for (let looks = 0; looks < LOOKS_MAX; looks++) {
        throwIfAborted(signal);
        // More at a time from the second on: what the first has brought is mostly not what is asked for.
        const limit = looks === 0 ? count + 1 : ROWS_A_LOOK;
        const rows = await readRows(db, filter, { from, limit });
        for (const row of rows) {
          from = row;
          const one = row.position < (signed.get(row.log) ?? 0) ? recordIn(row, filter) : undefined;
          if (one === undefined) continue;
          found.push(one);
          const isLast = row === rows.at(-1) && rows.length < limit;
          if (found.length === count) return { entries: found, next: isLast ? undefined : formatCursor(from) };
        }
        if (rows.length < limit) return { entries: found, next: undefined };
      }
      return { entries: found, next: from && formatCursor(from) };
    },
    async show(log, position) {
      const row = await db
        .selectFrom('records_entries as e')
        .innerJoin('records_logs as l', 'l.id', 'e.log')
        .select('e.entry')
        .where('e.log', '=', log)
        .where('e.position', '=', position)
        .whereRef('e.position', '<', 'l.signed_size')
        .executeTakeFirst();
      if (row === undefined)
        throw new RecordsError('ERR_RECORDS_NOT_FOUND', `the record has no entry ${log}/${position}`);
      return { log, position, entry: parseEntry(row.entry), bytes: row.entry };
    },
  };
}

/** The entry of a row, if it is one of those; a term that was left of one that was given up has another time. */
function recordIn({ bytes, log, position, atMs }: FoundRow, filter: RecordFilter): RecordEntry | undefined {
  if (bytes === undefined) return undefined;
  const entry = parseEntry(bytes);
  const isThis = (entry.wallMs ?? entry.timeMs) === atMs && matchesFilter(entry, filter);
  return isThis ? { log, position, entry, bytes } : undefined;
}

/** Where a page begins: behind that entry. */
interface Cursor {
  readonly atMs: number;
  readonly log: number;
  readonly position: number;
}

interface FoundRow extends Cursor {
  /** Absent where a term leads to what is not there any more. */
  readonly bytes: Buffer | undefined;
}

/** In two steps where terms lead, so that no planner joins all that have a common one: first where they are, then what is there. */
async function readRows(
  db: Kysely<RecordsTables>,
  filter: RecordFilter,
  of: { readonly from: Cursor | undefined; readonly limit: number },
): Promise<readonly FoundRow[]> {
  const { columns, terms } = indexFilter(filter);
  const [first] = terms;
  if (first === undefined) {
    const rows = await entriesQuery(db, filter, { columns, ...of }).execute();
    return rows.map(({ at_ms: atMs, log, position, entry: bytes }) => ({ atMs, log, position, bytes }));
  }
  const places = await termsQuery(db, filter, { first, ...of }).execute();
  const byPlace = new Map<string, Buffer>();
  for (const log of new Set(places.map((place) => place.log))) {
    const positions = places.flatMap((place) => (place.log === log ? [place.position] : []));
    const entries = await db
      .selectFrom('records_entries')
      .select(['position', 'entry'])
      .where('log', '=', log)
      .where('position', 'in', positions)
      .execute();
    for (const { position, entry } of entries) byPlace.set(`${log}/${position}`, entry);
  }
  return places.map(({ at_ms: atMs, log, position }) => ({
    atMs,
    log,
    position,
    bytes: byPlace.get(`${log}/${position}`),
  }));
}

function entriesQuery(
  db: Kysely<RecordsTables>,
  { sinceMs, untilMs, log }: RecordFilter,
  {
    columns,
    from,
    limit,
  }: { columns: ReturnType<typeof indexFilter>['columns']; from: Cursor | undefined; limit: number },
) {
  let query = db.selectFrom('records_entries as e').select(['e.at_ms', 'e.log', 'e.position', 'e.entry']);
  for (const [name, hash] of columns) query = query.where(`e.${name}`, '=', hash);
  if (sinceMs !== undefined) query = query.where('e.at_ms', '>=', sinceMs);
  if (untilMs !== undefined) query = query.where('e.at_ms', '<=', untilMs);
  if (log !== undefined) query = query.where('e.log', '=', log);
  if (from !== undefined) query = query.where(behind('e', from));
  return query.orderBy('e.at_ms', 'desc').orderBy('e.log', 'desc').orderBy('e.position', 'desc').limit(limit);
}

/**
 * Where entries with that term are. What else is asked of them is looked at in the entries themselves: two terms in one statement, and PostgreSQL
 * brings all that have both into order for a page (127 ms of 12,500).
 */
function termsQuery(
  db: Kysely<RecordsTables>,
  { sinceMs, untilMs, log }: RecordFilter,
  of: { first: number; from: Cursor | undefined; limit: number },
) {
  const { first, from, limit } = of;
  let query = db
    .selectFrom('records_terms as t')
    .select(['t.at_ms', 't.log', 't.position'])
    .where('t.term', '=', first);
  if (sinceMs !== undefined) query = query.where('t.at_ms', '>=', sinceMs);
  if (untilMs !== undefined) query = query.where('t.at_ms', '<=', untilMs);
  if (log !== undefined) query = query.where('t.log', '=', log);
  if (from !== undefined) query = query.where(behind('t', from));
  return query.orderBy('t.at_ms', 'desc').orderBy('t.log', 'desc').orderBy('t.position', 'desc').limit(limit);
}

function behind(table: 'e' | 't', { atMs, log, position }: Cursor) {
  const [at, of, place] = ['at_ms', 'log', 'position'].map((name) => sql.ref(`${table}.${name}`));
  return sql<boolean>`(${at}, ${of}, ${place}) < (${atMs}, ${log}, ${position})`;
}

async function signedSizes(db: Kysely<RecordsTables>): Promise<ReadonlyMap<number, number>> {
  const rows = await db.selectFrom('records_logs').select(['id', 'signed_size']).execute();
  return new Map(rows.map((row) => [row.id, row.signed_size]));
}

function formatCursor({ atMs, log, position }: Cursor): string {
  return `${atMs}.${log}.${position}`;
}

/** @throws RecordsError ERR_RECORDS_REQUEST */
function parseCursor(text: string): Cursor {
  const [, atMs, log, position] = /^(\d{1,15})\.(\d{1,9})\.(\d{1,15})$/.exec(text) ?? [];
  if (position === undefined) throw new RecordsError('ERR_RECORDS_REQUEST', 'the page token is none of a search');
  return { atMs: Number(atMs), log: Number(log), position: Number(position) };
}

/** What one message carries: an entry is a kilobyte as a rule. */
export const PAGE_MAX = 1000;
/** A page may have fewer entries than were asked for, and another behind it: no page takes longer than so many looks. */
const LOOKS_MAX = 3;
const ROWS_A_LOOK = 300;
