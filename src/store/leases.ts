import { type Kysely, type RawBuilder, sql } from 'kysely';
import type { Clock } from '../std/index.ts';
import { StoreError } from './errors.ts';
import type { LeaseTables } from './lease-migrations.ts';
import type { Store } from './store.ts';

/** Something that one holds at a time, for as long as it goes on saying so. */
export interface Lease {
  /** As in `resources.server`: whose it is. */
  readonly kind: string;
  /** Which one of them. */
  readonly name: string;
  readonly holder: string;
  /** Grows with each that is held, of whatever kind: of two who both believe to hold one, the larger is right. */
  readonly fence: number;
  readonly ttlMs: number;
}

/** Leases, over all processes on a database. They end by the clock of the database, which all of them share. */
export interface Leases {
  /**
   * Holds it from now on for `ttlMs`, when nobody does or its time is over; undefined while another holder has it. A holder who has it already gets it
   * anew, with a larger number: the one before is nobody's any more. @throws StoreError
   */
  hold(wanted: Omit<Lease, 'fence'>): Promise<Lease | undefined>;
  /**
   * Has it end `ttlMs` from now. One whose time is over and that nobody took is held again. Resolves to the clock of the database in epoch milliseconds;
   * undefined: it is lost for good. @throws StoreError
   */
  renew(lease: Lease): Promise<number | undefined>;
  /** Gives it back, if it is still held. @throws StoreError */
  release(lease: Lease): Promise<void>;
  /**
   * In a transaction: makes sure that what it writes is written under that lease, whatever this process has slept through.
   * @throws StoreError ERR_STORE_LEASE when it is another's by now, or over
   */
  guard(trx: Kysely<never>, lease: Lease): Promise<void>;
  /** Those of a kind, as they are now by the clock of the database. @throws StoreError */
  look(kind: string): Promise<SeenLeases>;
  /**
   * In a transaction of whoever acts on it: takes those away whose time was over when they were looked at and is still, and resolves to them. Whoever
   * held one and comes back finds it lost.
   */
  removeOver(trx: Kysely<never>, over: readonly Lease[]): Promise<readonly Lease[]>;
}

/** Leases at one moment. */
export interface SeenLeases {
  /** That moment by the clock of the database, epoch milliseconds. */
  readonly nowMs: number;
  readonly held: readonly Lease[];
  /** Nobody has taken them, nor acted on that they are over. */
  readonly over: readonly Lease[];
}

/** Creates {@link Leases} over a migrated store. */
export function createLeases({ store, clock }: { store: Store; clock: Clock }): Leases {
  const db = store.db<LeaseTables>();
  const stuck = createStuckRows(clock);
  return {
    hold: (wanted) =>
      store.transaction<LeaseTables, Lease | undefined>(
        async (trx) => {
          const { kind, name, holder, ttlMs } = wanted;
          const nowMs = await databaseMs(store, clock, trx);
          const row = await rowQuery(trx, wanted).executeTakeFirst();
          if (row !== undefined && row.holder !== holder && !stuck.isOver(row, nowMs)) return undefined;
          const { last } = await trx
            .updateTable('store_fence')
            .set((set) => ({ last: set('last', '+', 1) }))
            .returning('last')
            .executeTakeFirstOrThrow();
          if (row !== undefined) await deleteRow(trx, row);
          const fresh = { kind, name, holder, fence: last, ttl_ms: ttlMs, ends_ms: nowMs + ttlMs };
          await trx.insertInto('store_leases').values(fresh).execute();
          return { ...wanted, fence: last };
        },
        { order: ORDER },
      ),
    async renew({ kind, name, fence, ttlMs }) {
      // One statement, since it is what every holder does all the time: the row itself is what two would wait for.
      const row = await db
        .updateTable('store_leases')
        .set({ ends_ms: sql<number>`${databaseClock(store, clock)} + ${ttlMs}` })
        .where('kind', '=', kind)
        .where('name', '=', name)
        .where('fence', '=', fence)
        .returning('ends_ms')
        .executeTakeFirst();
      return row && row.ends_ms - ttlMs;
    },
    release: (lease) => store.transaction<LeaseTables, void>((trx) => deleteRow(trx, lease), { order: ORDER }),
    async guard(given, lease) {
      const trx = tablesOf(given);
      const nowMs = await databaseMs(store, clock, trx);
      const query = rowQuery(trx, lease);
      // Locked until this transaction ends: serializable alone would let it commit after another one has taken the lease, as if it had been before.
      const row = await (store.dialect === 'postgres' ? query.forKeyShare() : query).executeTakeFirst();
      if (row !== undefined && row.fence === lease.fence && row.ends_ms > nowMs) return;
      throw new StoreError('ERR_STORE_LEASE', `the lease ${lease.kind} ${lease.name} is not held any more`);
    },
    async look(kind) {
      // Before the rows, so that none counts as over which was renewed in between.
      const nowMs = await databaseMs(store, clock, db);
      const rows = await readRows(db, kind);
      const over = rows.filter((row) => stuck.isOver(row, nowMs));
      return { nowMs, held: rows.filter((row) => !over.includes(row)).map(leaseOf), over: over.map(leaseOf) };
    },
    async removeOver(given, over) {
      const trx = tablesOf(given);
      const nowMs = await databaseMs(store, clock, trx);
      const removed: Lease[] = [];
      for (const lease of over) {
        const row = await rowQuery(trx, lease).executeTakeFirst();
        if (row?.fence !== lease.fence || !stuck.isOver(row, nowMs)) continue;
        await deleteRow(trx, row);
        removed.push(lease);
      }
      return removed;
    },
  };
}

/**
 * Tells whose time is over. A clock of the database that went back leaves those with too much time who can't renew any more: such a one is over when it
 * has stood still for its whole time by this process's own clock. Who lives has renewed by then.
 */
function createStuckRows(clock: Clock) {
  const seen = new Map<string, { readonly fence: number; readonly endsMs: number; readonly sinceMs: number }>();
  return {
    isOver({ kind, name, fence, ttl_ms, ends_ms: endsMs }: LeaseRow, nowMs: number): boolean {
      const key = `${kind} ${name}`;
      const before = seen.get(key);
      seen.delete(key);
      if (endsMs <= nowMs) return true;
      if (endsMs <= nowMs + ttl_ms) return false;
      const isSame = before?.fence === fence && before.endsMs === endsMs;
      const one = isSame ? before : { fence, endsMs, sinceMs: clock.monotonicMs() };
      seen.set(key, one);
      return clock.monotonicMs() - one.sinceMs >= ttl_ms;
    },
  };
}

type LeaseRow = LeaseTables['store_leases'];

function leaseOf({ kind, name, holder, fence, ttl_ms }: LeaseRow): Lease {
  return { kind, name, holder, fence, ttlMs: ttl_ms };
}

function readRows(db: Kysely<LeaseTables>, kind: string): Promise<readonly LeaseRow[]> {
  return db.selectFrom('store_leases').selectAll().where('kind', '=', kind).orderBy('name').execute();
}

function rowQuery(db: Kysely<LeaseTables>, { kind, name }: LeaseName) {
  return db.selectFrom('store_leases').selectAll().where('kind', '=', kind).where('name', '=', name);
}

/** Not one that somebody else holds by now. */
async function deleteRow(trx: Kysely<LeaseTables>, { kind, name, fence }: LeaseName & Pick<Lease, 'fence'>) {
  await trx
    .deleteFrom('store_leases')
    .where('kind', '=', kind)
    .where('name', '=', name)
    .where('fence', '=', fence)
    .execute();
}

type LeaseName = Pick<Lease, 'kind' | 'name'>;

/** The clock that leases end by, as an expression: that of the database; an embedded one has that of its process. */
function databaseClock(store: Store, clock: Clock): RawBuilder<number> {
  switch (store.dialect) {
    case 'sqlite':
      return sql<number>`${clock.now()}`;
    case 'postgres':
      // At this moment, and not at the beginning of a transaction that has waited.
      return sql<number>`(extract(epoch from clock_timestamp()) * 1000)::bigint`;
    default:
      return store.dialect satisfies never;
  }
}

/** The clock that all processes on the database share, in epoch milliseconds; of an embedded one that of its process. @throws StoreError */
export async function databaseMs<Tables>(store: Store, clock: Clock, db: Kysely<Tables>): Promise<number> {
  const { rows } = await sql<{ ms: number }>`select ${databaseClock(store, clock)} as ms`.execute(db);
  return Number(rows[0]?.ms);
}

function tablesOf(trx: Kysely<never>): Kysely<LeaseTables> {
  return trx as unknown as Kysely<LeaseTables>; // A transaction of another feature, whose tables are in the same database.
}

const ORDER = 'store.leases';
