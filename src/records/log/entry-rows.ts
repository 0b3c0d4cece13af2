import type { Kysely } from 'kysely';
import { HASH_BYTES, leafHash } from '../../wire/tlog/index.ts';
import type { RecordsTables } from '../migrations.ts';
import { openSealed } from '../retention/seal.ts';

/** An entry as it was shipped. */
export interface KeptEntry {
  readonly log: number;
  readonly position: number;
  /** Canonical. */
  readonly bytes: Buffer;
}

/** A row of an entry, its content sealed or not. */
export interface EntryRow {
  readonly log: number;
  readonly position: number;
  readonly entry: Buffer;
  readonly seal: number | null;
}

/** The rows of entries, to be narrowed, and given to {@link openRows}: nobody else reads them. */
export function selectEntries(db: Kysely<RecordsTables>) {
  return db.selectFrom('records_entries').select(['log', 'position', 'entry', 'seal']);
}

/** What the rows say, in their order. Those whose key was destroyed are left out: nobody reads them any more. @throws StoreError */
export async function openRows(db: Kysely<RecordsTables>, rows: readonly EntryRow[]): Promise<KeptEntry[]> {
  const sealed = new Set(rows.flatMap(({ seal }) => (seal === null ? [] : [seal])));
  if (sealed.size === 0) return rows.map(({ log, position, entry }) => ({ log, position, bytes: entry }));
  const keys = new Map<number, Buffer>();
  const ids = [...sealed];
  for (let at = 0; at < ids.length; at += KEYS_A_STATEMENT) {
    const part = ids.slice(at, at + KEYS_A_STATEMENT);
    for (const { id, key } of await db
      .selectFrom('records_keys')
      .select(['id', 'key'])
      .where('id', 'in', part)
      .execute())
      keys.set(id, key);
  }
  return rows.flatMap(({ log, position, entry, seal }) => {
    if (seal === null) return [{ log, position, bytes: entry }];
    const key = keys.get(seal);
    return key === undefined ? [] : [{ log, position, bytes: openSealed(entry, key, { log, position }) }];
  });
}

/** The leaf hashes of entries `[from, end)` of a log, those whose content is gone included; shorter where it ends before. @throws StoreError */
export async function readLeaves(
  db: Kysely<RecordsTables>,
  { log, from, end }: { readonly log: number; readonly from: number; readonly end: number },
): Promise<Buffer[]> {
  if (from >= end) return [];
  const leaves = new Map<number, Buffer>();
  const rows = await db
    .selectFrom('records_entries')
    .select(['position', 'entry', 'leaf'])
    .where('log', '=', log)
    .where('position', '>=', from)
    .where('position', '<', end)
    .execute();
  for (const { position, entry, leaf } of rows) leaves.set(position, leaf ?? leafHash(entry));
  if (leaves.size < end - from) {
    const gone = await db
      .selectFrom('records_gone')
      .select(['first', 'leaves'])
      .where('log', '=', log)
      .where('first', '>', from - GONE_RUN_MAX)
      .where('first', '<', end)
      .execute();
    for (const { first, leaves: hashes } of gone)
      for (let n = 0; n * HASH_BYTES < hashes.length; n++)
        leaves.set(first + n, hashes.subarray(n * HASH_BYTES, (n + 1) * HASH_BYTES));
  }
  const found: Buffer[] = [];
  for (let position = from; position < end; position++) {
    const leaf = leaves.get(position);
    if (leaf === undefined) break;
    found.push(leaf);
  }
  return found;
}

/** So many entries one row of `records_gone` has at most. */
export const GONE_RUN_MAX = 256;
const KEYS_A_STATEMENT = 500;
