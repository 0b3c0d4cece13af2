import { type Kysely, sql } from 'kysely';
import type { RecordsTables } from '../migrations.ts';
import { comparePlaces, type Place, type PostingRow, placesOf, SPAN_MS } from './postings.ts';

/** As much as one look reads of where the entries with a term are. */
export interface TermReach {
  /** Down to which place none is missing, that one included; undefined: there are no more behind. */
  readonly floor: Place | undefined;
  /** The places from there on, newest first and each once. */
  places(): Generator<Place>;
  /** Rows that were read. */
  readonly rows: number;
}

/** Reads at most so many rows of places older than `from`, and not older than `sinceMs`. */
export async function readReach(
  db: Kysely<RecordsTables>,
  term: number,
  of: { readonly from: Place | undefined; readonly sinceMs: number | undefined; readonly limit: number },
): Promise<TermReach> {
  const { from, sinceMs = 0, limit } = of;
  const rowsOf = () => db.selectFrom('records_postings').selectAll().where('term', '=', term);
  let query = rowsOf().where('at_ms', '>=', sinceMs);
  if (from !== undefined) query = query.where(isOlder(from));
  const behind = await query
    .orderBy('at_ms', 'desc')
    .orderBy('log', 'desc')
    .orderBy('position', 'desc')
    .limit(limit)
    .execute();
  // Rows whose newest was on a page before may have older ones.
  const across =
    from === undefined
      ? []
      : await rowsOf()
          .where('at_ms', '>=', from.atMs)
          .where('at_ms', '<=', from.atMs + SPAN_MS)
          .where('since_ms', '<=', from.atMs)
          .where(sql<boolean>`not ${isOlder(from)}`)
          .execute();
  const last = behind.at(-1);
  const floor = last === undefined || behind.length < limit ? undefined : keyOf(last);
  return { floor, rows: behind.length, places: () => merged([...across, ...behind], { from, sinceMs, floor }) };
}

function* merged(
  rows: readonly PostingRow[],
  of: { from: Place | undefined; sinceMs: number; floor: Place | undefined },
): Generator<Place> {
  const { from, sinceMs, floor } = of;
  const waiting = rows.toSorted((a, b) => comparePlaces(keyOf(b), keyOf(a)));
  const open: { head: Place; readonly rest: Generator<Place> }[] = [];
  let nextRow = 0;
  let last: Place | undefined;
  for (;;) {
    let newest = newestOf(open);
    for (let row = waiting[nextRow]; row !== undefined; row = waiting[nextRow]) {
      if (newest !== undefined && comparePlaces(keyOf(row), newest.head) < 0) break;
      nextRow++;
      const rest = placesOf(row);
      const { value } = rest.next();
      if (value) open.push({ head: value, rest });
      newest = newestOf(open);
    }
    if (newest === undefined) return;
    const { head } = newest;
    if (head.atMs < sinceMs || (floor !== undefined && comparePlaces(head, floor) < 0)) return;
    const isNew = last === undefined || comparePlaces(head, last) < 0;
    if (isNew && (from === undefined || comparePlaces(head, from) < 0)) yield head;
    last = head;
    const { value } = newest.rest.next();
    if (value) newest.head = value;
    else open.splice(open.indexOf(newest), 1);
  }
}

function newestOf<Open extends { readonly head: Place }>(open: readonly Open[]): Open | undefined {
  let newest = open[0];
  for (const one of open) if (newest !== undefined && comparePlaces(one.head, newest.head) > 0) newest = one;
  return newest;
}

function keyOf({ at_ms: atMs, log, position }: PostingRow): Place {
  return { atMs, log, position };
}

function isOlder({ atMs, log, position }: Place) {
  const [at, of, place] = ['at_ms', 'log', 'position'].map((name) => sql.ref(name));
  return sql<boolean>`(${at}, ${of}, ${place}) < (${atMs}, ${log}, ${position})`;
}
