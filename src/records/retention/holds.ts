import type { Kysely } from 'kysely';
import type { Clock } from '../../std/index.ts';
import type { Store } from '../../store/index.ts';
import { RecordsError } from '../errors.ts';
import type { RecordsTables } from '../migrations.ts';
import { createMatcher, type LookedAt, type RecordFilter } from '../search/filter.ts';

/** Entries that stay, whatever rule or erasure says otherwise, until somebody lifts it. */
export interface RecordHold {
  readonly name: string;
  readonly filter: RecordFilter;
  readonly reason: string;
  readonly by: string;
  /** Epoch milliseconds. */
  readonly atMs: number;
}

/** Legal holds. */
export interface RecordHolds {
  /**
   * When it resolves nothing that the filter names leaves the record any more. What has left is not brought back.
   * @throws RecordsError ERR_RECORDS_REQUEST when there is one of that name, ERR_RECORDS_LIMIT; StoreError
   */
  addHold(hold: Omit<RecordHold, 'atMs'>): Promise<RecordHold>;
  /** By name. @throws StoreError */
  listHolds(): Promise<readonly RecordHold[]>;
  /** What it has kept goes by the rules again. @throws RecordsError ERR_RECORDS_NOT_FOUND; StoreError */
  liftHold(name: string): Promise<RecordHold>;
}

export function createHolds({ store, clock }: { readonly store: Store; readonly clock: Clock }): RecordHolds {
  return {
    addHold: (hold) =>
      store.transaction<RecordsTables, RecordHold>(
        async (trx) => {
          const all = await readHolds(trx);
          if (all.some(({ name }) => name === hold.name))
            throw new RecordsError('ERR_RECORDS_REQUEST', `there is a hold ${hold.name} already; give it another name`);
          if (all.length >= HOLDS_MAX)
            throw new RecordsError('ERR_RECORDS_LIMIT', `${HOLDS_MAX} holds are there; lift those that are settled`);
          const atMs = clock.now();
          const { name, reason, by } = hold;
          const what = JSON.stringify(hold.filter);
          await trx.insertInto('records_holds').values({ name, what, reason, by_whom: by, at_ms: atMs }).execute();
          return { ...hold, atMs };
        },
        { order: RETENTION_ORDER },
      ),
    listHolds: () => readHolds(store.db<RecordsTables>()),
    liftHold: (name) =>
      store.transaction<RecordsTables, RecordHold>(
        async (trx) => {
          const hold = (await readHolds(trx)).find((one) => one.name === name);
          if (hold === undefined) throw new RecordsError('ERR_RECORDS_NOT_FOUND', `there is no hold ${name}`);
          await trx.deleteFrom('records_holds').where('name', '=', name).execute();
          // What holds have kept is looked at again, by each rule that has passed it.
          await trx
            .updateTable('records_sweeps')
            .set((set) => ({ position: set.fn.coalesce('held_from', 'position'), held_from: null }))
            .where('held_from', 'is not', null)
            .execute();
          return hold;
        },
        { order: RETENTION_ORDER },
      ),
  };
}

/** Holds as that transaction sees them. @throws StoreError */
export async function readHolds(db: Kysely<RecordsTables>): Promise<readonly RecordHold[]> {
  const rows = await db.selectFrom('records_holds').selectAll().orderBy('name').execute();
  return rows.map(({ name, what, reason, by_whom: by, at_ms: atMs }) => {
    // Written by this feature alone.
    return { name, filter: JSON.parse(what) as RecordFilter, reason, by, atMs };
  });
}

/** Whether one of the holds keeps an entry. */
export function holdMatcher(holds: readonly RecordHold[]): (looked: LookedAt, log: number) => boolean {
  const matchers = holds.map(({ filter }) => ({ log: filter.log, matches: createMatcher(filter) }));
  return (looked, log) => matchers.some((one) => (one.log ?? log) === log && one.matches(looked));
}

/** All that takes content, and all that keeps it, one after another over all servers; who ships waits for none of it. */
export const RETENTION_ORDER = 'records.retention';
/** Each is held against every entry that is to go. */
const HOLDS_MAX = 1000;
