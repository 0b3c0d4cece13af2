import type { Kysely } from 'kysely';
import { parseEntry } from '../../ledger/index.ts';
import { openRows, selectEntries } from '../log/entry-rows.ts';
import type { RecordsTables } from '../migrations.ts';
import { type LookedAt, lookAt } from '../search/filter.ts';
import type { RecordEntry } from '../search/search.ts';
import type { Sizes } from './marks.ts';

/** Entries `[from, end)` of one log. */
export interface Span {
  readonly log: number;
  readonly from: number;
  readonly end: number;
}

/** An entry that was read once, for however many are asking. */
export interface ReadEntry {
  readonly record: RecordEntry;
  readonly looked: LookedAt;
}

/** What is between two moments, by log. */
export function spansBetween(from: Sizes, to: Sizes): Span[] {
  return [...to]
    .map(([log, end]) => ({ log, from: from.get(log) ?? 0, end }))
    .filter((span) => span.from < span.end)
    .toSorted((a, b) => a.log - b.log);
}

/** The entries of spans that are ordered by log, in that order. @throws StoreError */
export async function readSpans(db: Kysely<RecordsTables>, spans: readonly Span[]): Promise<ReadEntry[]> {
  const found: ReadEntry[] = [];
  for (let at = 0; at < spans.length; at += SPANS_A_STATEMENT) {
    const rows = await selectEntries(db)
      .where(({ or, and, eb }) =>
        or(
          spans
            .slice(at, at + SPANS_A_STATEMENT)
            .map(({ log, from, end }) =>
              and([eb('log', '=', log), eb('position', '>=', from), eb('position', '<', end)]),
            ),
        ),
      )
      .orderBy('log')
      .orderBy('position')
      .execute();
    for (const { log, position, bytes } of await openRows(db, rows)) {
      const entry = parseEntry(bytes);
      found.push({ record: { log, position, entry, bytes }, looked: lookAt(entry) });
    }
  }
  return found;
}

/** Three parameters each; each is a look into the index. */
const SPANS_A_STATEMENT = 100;
