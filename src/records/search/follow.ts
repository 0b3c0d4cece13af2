import type { Kysely } from 'kysely';
import { parseEntry } from '../../ledger/index.ts';
import { type Clock, sleep } from '../../std/index.ts';
import type { Store } from '../../store/index.ts';
import { RecordsError } from '../errors.ts';
import type { RecordsTables } from '../migrations.ts';
import { matchesFilter, type RecordFilter } from './filter.ts';
import type { RecordEntry } from './search.ts';
import { signedSizes } from './signed-sizes.ts';

/** An entry as it came, and where whoever has it goes on. */
export interface ArrivedEntry extends RecordEntry {
  readonly cursor: string;
}

/** Tells of entries as a checkpoint comes to vouch for them. */
export interface RecordFollow {
  /**
   * Entries in the order in which they come: within a log by position, each once. `after`: the cursor of one that was seen; without it from now on. Ends
   * when the signal aborts. @throws RecordsError ERR_RECORDS_REQUEST for a cursor that is none; StoreError
   */
  follow(
    filter: RecordFilter,
    options: { readonly after?: string | undefined; readonly signal: AbortSignal },
  ): AsyncIterable<ArrivedEntry>;
}

/** Creates it. It looks twice a second: to be told of each batch by the database would hold up those who ship. */
export function createFollow(deps: { readonly store: Store; readonly clock: Clock }): RecordFollow {
  const db = deps.store.db<RecordsTables>();
  return {
    async *follow(filter, { after, signal }) {
      const seen = after === undefined ? await signedSizes(db, filter) : parseCursor(after);
      while (!signal.aborted) {
        let isBehind = false;
        for (const [log, size] of await signedSizes(db, filter)) {
          const from = seen.get(log) ?? 0;
          if (from >= size) continue;
          // By turns, so that none waits for another that has much to tell.
          const end = Math.min(size, from + ENTRIES_A_TURN);
          isBehind ||= end < size;
          for (const { position, entry: bytes } of await readSpan(db, { log, from, end })) {
            if (signal.aborted) return;
            seen.set(log, position + 1);
            const entry = parseEntry(bytes);
            if (matchesFilter(entry, filter)) yield { log, position, entry, bytes, cursor: formatCursor(seen) };
          }
          seen.set(log, end);
        }
        if (!isBehind) await sleep(deps.clock, LOOK_EVERY_MS, signal).catch(() => {});
      }
    },
  };
}

function readSpan(db: Kysely<RecordsTables>, { log, from, end }: { log: number; from: number; end: number }) {
  return db
    .selectFrom('records_entries')
    .select(['position', 'entry'])
    .where('log', '=', log)
    .where('position', '>=', from)
    .where('position', '<', end)
    .orderBy('position')
    .execute();
}

/** How far each log was told; one that is not named is told from its beginning. */
function formatCursor(seen: ReadonlyMap<number, number>): string {
  return Array.from(seen, ([log, position]) => `${log}.${position}`).join('-');
}

/** @throws RecordsError ERR_RECORDS_REQUEST */
function parseCursor(text: string): Map<number, number> {
  if (text.length > CURSOR_LENGTH_MAX || !/^\d{1,9}\.\d{1,15}(-\d{1,9}\.\d{1,15})*$/.test(text))
    throw new RecordsError('ERR_RECORDS_REQUEST', 'the cursor is none of whoever follows the record');
  const seen = new Map<number, number>();
  for (const part of text.split('-')) {
    const [log, position] = part.split('.').map(Number);
    if (log === undefined || position === undefined || seen.has(log))
      throw new RecordsError('ERR_RECORDS_REQUEST', 'the cursor names a log twice');
    seen.set(log, position);
  }
  return seen;
}

const LOOK_EVERY_MS = 500;
const ENTRIES_A_TURN = 500;
/** 10,000 logs of a billion entries each. */
const CURSOR_LENGTH_MAX = 160_000;
