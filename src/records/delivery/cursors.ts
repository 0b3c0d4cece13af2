import type { Kysely } from 'kysely';
import type { LedgerEvent } from '../../model/index.ts';
import type { Clock, Log, Random } from '../../std/index.ts';
import type { Lease, Leases, Store } from '../../store/index.ts';
import type { RecordsTables } from '../migrations.ts';
import type { RecordFilter } from '../search/filter.ts';
import type { Sink } from '../sink.ts';
import type { Span } from './read-batch.ts';
import { type SinkTables, writeCursors } from './sink-rows.ts';
import type { SinkState } from './sink-state.ts';

/** What goes to a sink. */
export interface SinkPlan {
  readonly name: string;
  readonly filter: RecordFilter;
  /** What is there when it begins goes there too, or only what comes. */
  readonly from: 'beginning' | 'now';
  /** Entries, as `LOG/POSITION`, that are not handed over: an operator has said so. */
  readonly skip: ReadonlySet<string>;
}

/** What handing over works with. */
export interface DeliveryDeps {
  readonly store: Store;
  readonly leases: Leases;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Writes an entry of the server's own ledger; resolves when it is on disk. */
  readonly write: (event: LedgerEvent) => Promise<void>;
  readonly trustDomain: string;
  /** Of the product. */
  readonly version: string;
}

/** What one delivery is about. */
export interface Delivery {
  readonly plan: SinkPlan;
  readonly sink: Sink;
  readonly state: SinkState;
  /** Under which cursors move. */
  readonly lease: Lease;
  readonly signal: AbortSignal;
}

/** Where each log goes on that has something which the sink lacks. */
export async function spansBehind(
  db: Kysely<RecordsTables>,
  cursors: ReadonlyMap<number, number>,
): Promise<readonly Span[]> {
  const logs = await db.selectFrom('records_logs').select(['id', 'origin', 'signed_size']).orderBy('id').execute();
  return logs.flatMap(({ id, origin, signed_size: end }) => {
    const from = cursors.get(id) ?? 0;
    return from < end ? [{ log: id, origin, from, end }] : [];
  });
}

/** Under the lease: a server that has lost it moves nothing. */
export async function moveCursors(
  { store, leases }: DeliveryDeps,
  of: Delivery & { readonly cursors: Map<number, number> },
  to: ReadonlyMap<number, number>,
): Promise<void> {
  const { plan, lease, cursors } = of;
  await store.transaction<SinkTables, void>(
    async (trx) => {
      await leases.guard(trx as unknown as Kysely<never>, lease); // The lease has its own tables.
      await writeCursors(trx, plan.name, to);
    },
    { order: orderOf(plan.name) },
  );
  for (const [log, position] of to) cursors.set(log, position);
}

/** Transactions of one sink come one after another. */
export function orderOf(sink: string): string {
  return `records.sinks.${sink}`;
}
