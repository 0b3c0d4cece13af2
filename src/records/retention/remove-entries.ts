import type { Kysely } from 'kysely';
import { parseEntry } from '../../ledger/index.ts';
import { leafHash } from '../../wire/tlog/index.ts';
import { type EntryRow, GONE_RUN_MAX, openRows, selectEntries } from '../log/entry-rows.ts';
import type { RecordsTables } from '../migrations.ts';
import { type LookedAt, lookAt } from '../search/filter.ts';
import { indexEntry } from '../search/indexed-entry.ts';
import { removePostings } from './unpost.ts';

/** An entry that is to lose its content. */
interface Leaving {
  readonly position: number;
  readonly looked: LookedAt;
  readonly bytes: Buffer;
}

/** What became of entries that were to go. */
export interface Removal {
  readonly removed: number;
  /** Positions that a hold has kept. */
  readonly held: readonly number[];
}

/**
 * In a transaction: takes the content of those entries of one log, if it is there, with all that they are found by, and leaves their leaf hashes. One that
 * a hold keeps stays: `isHeld` is of the holds as this very transaction sees them. Keys under which nothing is sealed any more are destroyed.
 */
export async function removeEntries(
  trx: Kysely<RecordsTables>,
  of: {
    readonly log: number;
    readonly positions: readonly number[];
    readonly isHeld: (looked: LookedAt, log: number) => boolean;
    readonly removal: number;
    readonly nowMs: number;
  },
): Promise<Removal> {
  const { log, positions, removal, nowMs } = of;
  if (positions.length === 0) return { removed: 0, held: [] };
  const rows = await selectEntries(trx)
    .where('log', '=', log)
    .where('position', 'in', positions)
    .orderBy('position')
    .execute();
  const kept = await openRows(trx, rows);
  const all = kept.map(({ position, bytes }): Leaving => {
    return { position, bytes, looked: lookAt(parseEntry(bytes)) };
  });
  const held = all.filter(({ looked }) => of.isHeld(looked, log));
  const leaving = all.filter((one) => !held.includes(one));
  if (leaving.length === 0) return { removed: 0, held: held.map(({ position }) => position) };
  await removePostings(
    trx,
    log,
    leaving.map(({ looked }) => indexEntry(looked.entry)),
  );
  for (const run of runsOf(leaving)) {
    const leaves = Buffer.concat(run.map(({ bytes }) => leafHash(bytes)));
    const first = run[0]?.position ?? 0;
    await trx
      .insertInto('records_gone')
      .values({ log, first, count: run.length, leaves, removal, at_ms: nowMs })
      .execute();
    await trx
      .deleteFrom('records_entries')
      .where('log', '=', log)
      .where('position', '>=', first)
      .where('position', '<', first + run.length)
      .execute();
  }
  await destroyKeys(trx, rows);
  return { removed: leaving.length, held: held.map(({ position }) => position) };
}

/** Entries that stand one behind the other. */
function runsOf(entries: readonly Leaving[]): Leaving[][] {
  const runs: Leaving[][] = [];
  for (const one of entries) {
    const run = runs.at(-1);
    const isNext = run !== undefined && run.length < GONE_RUN_MAX && run.at(-1)?.position === one.position - 1;
    if (isNext) run.push(one);
    else runs.push([one]);
  }
  return runs;
}

async function destroyKeys(trx: Kysely<RecordsTables>, rows: readonly EntryRow[]): Promise<void> {
  const seals = new Set(rows.flatMap(({ seal }) => (seal === null ? [] : [seal])));
  for (const id of seals) {
    const other = await trx
      .selectFrom('records_entries')
      .select('log')
      .where('seal', '=', id)
      .limit(1)
      .executeTakeFirst();
    if (other === undefined) await trx.deleteFrom('records_keys').where('id', '=', id).execute();
  }
}
