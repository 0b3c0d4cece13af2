import { type Kysely, sql } from 'kysely';
import type { RecordsTables } from '../migrations.ts';
import { hashName, type IndexedEntry } from './indexed-entry.ts';

/** Where an entry is, in the order of pages. */
export interface Place {
  /** Epoch milliseconds by the clock of its writer. */
  readonly atMs: number;
  readonly log: number;
  readonly position: number;
}

/**
 * Where the entries of one batch are that have one term, newest first: the newest in the columns of the key, those behind it in `places`. A row for
 * each entry and term would be ten times as many: their indexes were what bounded how fast entries come in.
 */
export type PostingRow = RecordsTables['records_postings'];

/** The rows by which the entries of a batch of that log are found. */
export function postingRows(log: number, entries: readonly IndexedEntry[]): PostingRow[] {
  const newest = entries.toSorted((a, b) => b.atMs - a.atMs || b.seq - a.seq);
  const byTerm = new Map<number, IndexedEntry[]>();
  const add = (term: number, entry: IndexedEntry) => {
    const known = byTerm.get(term);
    if (known === undefined) byTerm.set(term, [entry]);
    else known.push(entry);
  };
  const [all, ofLog] = [hashName('all', ''), hashName('log', `${log}`)];
  for (const entry of newest) {
    for (const term of entry.terms) add(term, entry);
    add(all, entry);
    add(ofLog, entry);
  }
  const rows: PostingRow[] = [];
  for (const [term, found] of byTerm) {
    for (let at = 0; at < found.length; ) {
      const end = blockEnd(found, at);
      rows.push(postingRow({ term, log }, found.slice(at, end)));
      at = end;
    }
  }
  return rows;
}

/** Writes them. What is there by the same key is of entries that were given up. */
export async function insertPostings(trx: Kysely<RecordsTables>, rows: readonly PostingRow[]): Promise<void> {
  for (let at = 0; at < rows.length; at += ROWS_A_STATEMENT)
    await trx
      .insertInto('records_postings')
      .values(rows.slice(at, at + ROWS_A_STATEMENT))
      .onConflict((conflict) =>
        conflict.columns(['term', 'at_ms', 'log', 'position']).doUpdateSet({
          since_ms: sql.ref('excluded.since_ms'),
          places: sql.ref('excluded.places'),
        }),
      )
      .execute();
}

/** Goes through the places of a row, newest first. One that breaks off ends there: what it leads to is looked at itself. */
export function* placesOf({ at_ms, log, position, places }: PostingRow): Generator<Place> {
  let [atMs, seq, at] = [at_ms, position, 0];
  yield { atMs, log, position: seq };
  const next = () => {
    let [value, scale] = [0, 1];
    while (at < places.length) {
      const byte = places[at++] ?? 0;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
    return undefined;
  };
  for (;;) {
    const back = next();
    const step = next();
    if (back === undefined || step === undefined) return;
    atMs -= back;
    seq -= step % 2 === 0 ? step / 2 : -(step + 1) / 2;
    yield { atMs, log, position: seq };
  }
}

/** Negative: `a` is older, and comes behind `b` on a page. */
export function comparePlaces(a: Place, b: Place): number {
  return a.atMs - b.atMs || a.log - b.log || a.position - b.position;
}

function blockEnd(entries: readonly IndexedEntry[], at: number): number {
  const sinceMs = (entries[at]?.atMs ?? 0) - SPAN_MS;
  let end = at + 1;
  while (end < entries.length && end - at < PLACES_MAX && (entries[end]?.atMs ?? 0) >= sinceMs) end++;
  return end;
}

/** A row of those places of one log, newest first and one at least. */
export function postingRow(
  of: { readonly term: number; readonly log: number },
  entries: readonly Pick<IndexedEntry, 'atMs' | 'seq'>[],
): PostingRow {
  const bytes: number[] = [];
  const put = (value: number) => {
    let rest = value;
    for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
    bytes.push(rest);
  };
  const [first] = entries;
  let last = first;
  for (const entry of entries.slice(1)) {
    put((last?.atMs ?? 0) - entry.atMs);
    const step = (last?.seq ?? 0) - entry.seq;
    put(step >= 0 ? 2 * step : -2 * step - 1);
    last = entry;
  }
  const key = { ...of, at_ms: first?.atMs ?? 0, position: first?.seq ?? 0 };
  return { ...key, since_ms: last?.atMs ?? 0, places: Buffer.from(bytes) };
}

/** From the newest to the oldest of a row: whoever goes on within it looks no further for rows that reach back as far. */
export const SPAN_MS = 10_000;
/** A row of half a kilobyte stays where it is in its table. */
const PLACES_MAX = 256;
const ROWS_A_STATEMENT = 1000;
