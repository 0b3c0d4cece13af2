import type { Kysely } from 'kysely';
import { type LedgerEntry, parseEntry } from '../../ledger/index.ts';
import { throwIfAborted } from '../../std/index.ts';
import type { Store } from '../../store/index.ts';
import { RecordsError } from '../errors.ts';
import { openRows, selectEntries } from '../log/entry-rows.ts';
import type { RecordsTables } from '../migrations.ts';
import { whyGone } from '../retention/why-gone.ts';
import { indexFilter, matchesFilter, type RecordFilter } from './filter.ts';
import { comparePlaces, type Place } from './postings.ts';
import { signedSizes } from './signed-sizes.ts';
import { readReach, type TermReach } from './term-reach.ts';

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
    page: {
      readonly size: number;
      readonly cursor?: string | undefined;
      /** So much of each log; else all that a checkpoint vouches for. */
      readonly sizes?: ReadonlyMap<number, number> | undefined;
      readonly signal: AbortSignal;
    },
  ): Promise<RecordPage>;
  /** @throws RecordsError ERR_RECORDS_NOT_FOUND; ERR_RECORDS_GONE for one whose content has left, by what and when; StoreError */
  show(log: number, position: number): Promise<RecordEntry>;
}

/** Creates it. */
export function createSearch(deps: { readonly store: Store }): RecordSearch {
  const db = deps.store.db<RecordsTables>();
  return {
    async search(filter, { size, cursor, sizes, signal }) {
      const signed = sizes ?? (await signedSizes(db, filter));
      const found: RecordEntry[] = [];
      const count = Math.min(Math.max(1, size), PAGE_MAX);
      let from = cursor === undefined ? untilPlace(filter) : parseCursor(cursor);
      let [looked, read] = [0, 0];
      for (let looks = 0; looks < LOOKS_MAX && looked < ENTRIES_MAX && read < ROWS_MAX; looks++) {
        throwIfAborted(signal);
        // More at a time from the second on: what the first has brought is mostly not what is asked for.
        const limit = looks === 0 ? count + 1 : ENTRIES_A_LOOK;
        const { places, next, rows } = await readPlaces(db, filter, { from, limit });
        const entries = await readEntries(
          db,
          places.filter(({ log, position }) => position < (signed.get(log) ?? 0)),
        );
        looked += places.length;
        read += rows;
        for (const place of places) {
          from = place;
          const one = recordAt(place, entries.get(idOf(place)), filter);
          if (one === undefined) continue;
          found.push(one);
          const isLast = place === places.at(-1) && next === undefined;
          if (found.length === count) return { entries: found, next: isLast ? undefined : formatCursor(place) };
        }
        if (next === undefined) return { entries: found, next: undefined };
        from = next;
      }
      return { entries: found, next: from && formatCursor(from) };
    },
    async show(log, position) {
      const size = (await signedSizes(db, { log })).get(log) ?? 0;
      const rows =
        position < size
          ? await selectEntries(db).where('log', '=', log).where('position', '=', position).execute()
          : [];
      const [one] = await openRows(db, rows);
      if (one !== undefined) return { log, position, entry: parseEntry(one.bytes), bytes: one.bytes };
      if (position < size) throw await whyGone(db, { log, position });
      throw new RecordsError('ERR_RECORDS_NOT_FOUND', `the record has no entry ${log}/${position}`);
    },
  };
}

/** The entry at a place, if it is one of those; what was left of one that was given up says another time. */
function recordAt(place: Place, bytes: Buffer | undefined, filter: RecordFilter): RecordEntry | undefined {
  if (bytes === undefined) return undefined;
  const { atMs, log, position } = place;
  const entry = parseEntry(bytes);
  const isThis = (entry.wallMs ?? entry.timeMs) === atMs && matchesFilter(entry, filter);
  return isThis && (filter.log ?? log) === log ? { log, position, entry, bytes } : undefined;
}

/**
 * Places behind `from` where entries may be that are asked for, newest first, and where to go on. The term that is rarest leads: it reaches back
 * farthest by as many rows. Where another does not reach as far, the entry itself is looked at.
 */
async function readPlaces(
  db: Kysely<RecordsTables>,
  filter: RecordFilter,
  of: { readonly from: Place | undefined; readonly limit: number },
): Promise<{ readonly places: readonly Place[]; readonly next: Place | undefined; readonly rows: number }> {
  const { from, limit } = of;
  const reaches: TermReach[] = [];
  for (const term of indexFilter(filter))
    reaches.push(await readReach(db, term, { from, sinceMs: filter.sinceMs, limit: ROWS_A_LOOK }));
  const rows = reaches.reduce((sum, reach) => sum + reach.rows, 0);
  const [lead, ...others] = reaches.toSorted(fartherFirst);
  const meets = others.map(({ floor, places }) => ({ floor, has: follow(places()) }));
  const places: Place[] = [];
  for (const place of lead?.places() ?? []) {
    if (meets.every(({ floor, has }) => (floor !== undefined && comparePlaces(place, floor) < 0) || has(place)))
      places.push(place);
    if (places.length === limit) return { places, next: place, rows };
  }
  return { places, next: lead?.floor, rows };
}

function fartherFirst(a: TermReach, b: TermReach): number {
  if (a.floor === undefined || b.floor === undefined)
    return Number(b.floor === undefined) - Number(a.floor === undefined) || a.rows - b.rows;
  return comparePlaces(a.floor, b.floor);
}

/** Tells of places that are asked about from new to old whether they are among those. */
function follow(places: Generator<Place>): (place: Place) => boolean {
  let head = places.next();
  return (place) => {
    while (!head.done && comparePlaces(head.value, place) > 0) head = places.next();
    return !head.done && comparePlaces(head.value, place) === 0;
  };
}

async function readEntries(db: Kysely<RecordsTables>, places: readonly Place[]): Promise<ReadonlyMap<string, Buffer>> {
  const found = new Map<string, Buffer>();
  const byLog = Map.groupBy(places, ({ log }) => log);
  for (const [log, of] of byLog) {
    const positions = of.map(({ position }) => position);
    const rows = await selectEntries(db).where('log', '=', log).where('position', 'in', positions).execute();
    for (const { position, bytes } of await openRows(db, rows)) found.set(idOf({ log, position }), bytes);
  }
  return found;
}

function idOf({ log, position }: Pick<Place, 'log' | 'position'>): string {
  return `${log}/${position}`;
}

/** Where a search goes on behind that entry. */
export function cursorBehind({ log, position, entry }: RecordEntry): string {
  return formatCursor({ atMs: entry.wallMs ?? entry.timeMs, log, position });
}

function untilPlace({ untilMs }: RecordFilter): Place | undefined {
  return untilMs === undefined ? undefined : { atMs: untilMs + 1, log: 0, position: 0 };
}

function formatCursor({ atMs, log, position }: Place): string {
  return `${atMs}.${log}.${position}`;
}

/** @throws RecordsError ERR_RECORDS_REQUEST */
function parseCursor(text: string): Place {
  const [, atMs, log, position] = /^(\d{1,15})\.(\d{1,9})\.(\d{1,15})$/.exec(text) ?? [];
  if (position === undefined) throw new RecordsError('ERR_RECORDS_REQUEST', 'the page token is none of a search');
  return { atMs: Number(atMs), log: Number(log), position: Number(position) };
}

/** What one message carries: an entry is a kilobyte as a rule. */
export const PAGE_MAX = 1000;
/** A page may have fewer entries than were asked for, and another behind it: no page takes longer than so many looks and entries. */
const LOOKS_MAX = 6;
const ENTRIES_MAX = 600;
const ENTRIES_A_LOOK = 300;
/** Of postings: a full row takes 30 us to go through. */
const ROWS_A_LOOK = 64;
const ROWS_MAX = 500;
