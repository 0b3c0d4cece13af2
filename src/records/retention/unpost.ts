import type { Kysely } from 'kysely';
import type { RecordsTables } from '../migrations.ts';
import { hashName, type IndexedEntry } from '../search/indexed-entry.ts';
import { comparePlaces, type Place, type PostingRow, placesOf, postingRow, SPAN_MS } from '../search/postings.ts';

/** Has entries of one log found by nothing any more; whatever else the same rows lead to is found as before. */
export async function removePostings(
  trx: Kysely<RecordsTables>,
  log: number,
  entries: readonly IndexedEntry[],
): Promise<void> {
  for (const near of clustersOf(entries)) {
    const positions = new Set(near.map(({ seq }) => seq));
    const terms = new Set([hashName('all', ''), hashName('log', `${log}`)]);
    for (const one of near) for (const term of one.terms) terms.add(term);
    const [firstMs, lastMs] = [near[0]?.atMs ?? 0, near.at(-1)?.atMs ?? 0];
    const all = [...terms];
    for (let at = 0; at < all.length; at += TERMS_A_STATEMENT) {
      const rows = await trx
        .selectFrom('records_postings')
        .selectAll()
        .where('term', 'in', all.slice(at, at + TERMS_A_STATEMENT))
        // The newest of a row is at most so much later than what it leads to.
        .where('at_ms', '>=', firstMs)
        .where('at_ms', '<=', lastMs + SPAN_MS)
        .where('log', '=', log)
        .execute();
      await rewrite(trx, rows, positions);
    }
  }
}

/** Entries whose times are near each other, oldest first: what is asked for is no wider than that. */
function clustersOf(entries: readonly IndexedEntry[]): IndexedEntry[][] {
  const clusters: IndexedEntry[][] = [];
  let lastMs = Number.NEGATIVE_INFINITY;
  for (const one of entries.toSorted((a, b) => a.atMs - b.atMs)) {
    if (one.atMs - lastMs > NEAR_MS) clusters.push([]);
    clusters.at(-1)?.push(one);
    lastMs = one.atMs;
  }
  return clusters;
}

async function rewrite(
  trx: Kysely<RecordsTables>,
  rows: readonly PostingRow[],
  positions: ReadonlySet<number>,
): Promise<void> {
  const [old, rest]: [PostingRow[], Map<string, Place[]>] = [[], new Map()];
  const termOf = new Map<string, number>();
  for (const row of rows) {
    const places = [...placesOf(row)];
    const left = places.filter(({ position }) => !positions.has(position));
    if (left.length === places.length) continue;
    old.push(row);
    const [newest] = left;
    if (newest === undefined) continue;
    const key = `${row.term} ${newest.atMs} ${newest.position}`;
    // Of entries that were given up a row may be left with the same newest.
    rest.set(key, [...(rest.get(key) ?? []), ...left]);
    termOf.set(key, row.term);
  }
  for (let at = 0; at < old.length; at += ROWS_A_STATEMENT) await deleteRows(trx, old.slice(at, at + ROWS_A_STATEMENT));
  for (const [key, places] of rest) {
    const term = termOf.get(key) ?? 0;
    const [{ atMs, log, position } = { atMs: 0, log: 0, position: 0 }] = places;
    const there = await trx
      .selectFrom('records_postings')
      .selectAll()
      .where('term', '=', term)
      .where('at_ms', '=', atMs)
      .where('log', '=', log)
      .where('position', '=', position)
      .executeTakeFirst();
    if (there !== undefined) await deleteRows(trx, [there]);
    const more = there === undefined ? [] : [...placesOf(there)].filter((place) => !positions.has(place.position));
    const row = postingRow({ term, log }, newestFirst([...places, ...more]));
    await trx.insertInto('records_postings').values(row).execute();
  }
}

async function deleteRows(trx: Kysely<RecordsTables>, rows: readonly PostingRow[]): Promise<void> {
  await trx
    .deleteFrom('records_postings')
    .where(({ or, and, eb }) =>
      or(
        rows.map(({ term, at_ms, log, position }) =>
          and([eb('term', '=', term), eb('at_ms', '=', at_ms), eb('log', '=', log), eb('position', '=', position)]),
        ),
      ),
    )
    .execute();
}

function newestFirst(places: readonly Place[]) {
  const ordered = places.toSorted((a, b) => comparePlaces(b, a));
  return ordered
    .filter((place, n) => n === 0 || comparePlaces(place, ordered[n - 1] ?? place) !== 0)
    .map(({ atMs, position: seq }) => ({ atMs, seq }));
}

const NEAR_MS = 60_000;
const TERMS_A_STATEMENT = 200;
const ROWS_A_STATEMENT = 100;
