import { type Kysely, type RawBuilder, sql } from 'kysely';
import type { Clock, Log, Service, Timer } from '../std/index.ts';
import { StoreError } from './errors.ts';
import { createFollower } from './follow.ts';
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
  /**
   * In a transaction of whoever acts on it: takes those of a kind away whose time is over, and resolves to them. Whoever held one and comes back finds
   * it lost.
   */
  removeOver(trx: Kysely<never>, kind: string): Promise<readonly Lease[]>;
}

/** Those that are held, in memory, as of now. */
export interface LeaseView extends Service {
  held(): readonly Lease[];
}

interface LeaseDeps {
  readonly store: Store;
  readonly clock: Clock;
}

/** Creates {@link Leases} over a migrated store. */
export function createLeases({ store, clock }: LeaseDeps): Leases {
  const db = store.db<LeaseTables>();
  const stuck = createStuckRows(clock);
  return {
    hold: (wanted) =>
      store.transaction<LeaseTables, Lease | undefined>(
        async (trx, effects) => {
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
          effects.notify(TOPIC, kind);
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
    release: (lease) =>
      store.transaction<LeaseTables, void>(
        async (trx, effects) => {
          await deleteRow(trx, lease);
          effects.notify(TOPIC, lease.kind);
        },
        { order: ORDER },
      ),
    async guard(given, lease) {
      const trx = tablesOf(given);
      const nowMs = await databaseMs(store, clock, trx);
      const query = rowQuery(trx, lease);
      // Locked until this transaction ends: serializable alone would let it commit after another one has taken the lease, as if it had been before.
      const row = await (store.dialect === 'postgres' ? query.forKeyShare() : query).executeTakeFirst();
      if (row !== undefined && row.fence === lease.fence && row.ends_ms > nowMs) return;
      throw new StoreError('ERR_STORE_LEASE', `the lease ${lease.kind} ${lease.name} is not held any more`);
    },
    async removeOver(given, kind) {
      const trx = tablesOf(given);
      const nowMs = await databaseMs(store, clock, trx);
      const rows = await readRows(trx, kind);
      const over = rows.filter((row) => stuck.isOver(row, nowMs));
      for (const row of over) await deleteRow(trx, row);
      return over.map(leaseOf);
    },
  };
}

/**
 * Creates a {@link LeaseView} of those of a kind: reads them when one is held or given back, and when the first of them would end. `changed`
 * is called after each reading. That the time of one is over is the database's to say; this process's clock says only when to look.
 */
export function createLeaseView(
  deps: LeaseDeps & { readonly log: Log },
  options: { readonly kind: string; changed(): void },
): LeaseView {
  const { store, clock } = deps;
  const { kind, changed } = options;
  const db = store.db<LeaseTables>();
  const stuck = createStuckRows(clock);
  let held: readonly Lease[] = [];
  let timer: Timer | undefined;
  const follower = createFollower(deps, {
    ...{ topic: TOPIC, pollMs: POLL_MS, isKnown: (told: string) => told !== kind },
    async load(signal) {
      const nowMs = await databaseMs(store, clock, db);
      const rows = await readRows(db, kind);
      if (signal.aborted) return;
      const live = rows.filter((row) => !stuck.isOver(row, nowMs));
      held = live.map(leaseOf);
      timer?.cancel();
      // One that was not renewed in the middle of its time may end.
      const nextMs = Math.min(...live.map(({ ends_ms, ttl_ms }) => Math.min(ends_ms - nowMs, ttl_ms)));
      if (live.length > 0) timer = clock.after(Math.max(nextMs, 0) + 1, () => void follower.refresh().catch(() => {}));
      changed();
    },
  });
  return {
    held: () => held,
    start: follower.start,
    async stop() {
      await follower.stop();
      timer?.cancel();
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

const TOPIC = 'store.leases';
const ORDER = 'store.leases';
/** A notification that was lost is made up for within it. */
const POLL_MS = 5_000;
