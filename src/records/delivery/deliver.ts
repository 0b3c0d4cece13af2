import type { Kysely } from 'kysely';
import { sleep } from '../../std/index.ts';
import type { RecordsTables } from '../migrations.ts';
import { matchesFilter } from '../search/filter.ts';
import { type Delivery, type DeliveryDeps, orderOf, type SinkPlan, spansBehind } from './cursors.ts';
import { createHand, createWaitingLogs } from './hand-over.ts';
import { type Pending, readBatch, type Span } from './read-batch.ts';
import { readCursors, type SinkTables, writeCursors } from './sink-rows.ts';

/**
 * Hands over what a sink lacks, and what comes, until the signal aborts. Of a log in its order; a log whose next entry is refused waits, and the others
 * go on. A cursor moves once what is before it was taken, and only while the lease is held.
 * @throws StoreError ERR_STORE_LEASE when another server has it; whatever the store or the ledger throws
 */
export async function deliver(deps: DeliveryDeps, delivery: Delivery): Promise<void> {
  const { clock, store } = deps;
  const { plan, signal, state } = delivery;
  const db = store.db<RecordsTables>();
  const cursors = await begin(deps, delivery);
  const waiting = createWaitingLogs(clock);
  const hand = createHand(deps, { ...delivery, cursors, waiting });
  let last = 0;
  while (!signal.aborted) {
    const spans = await spansBehind(db, cursors);
    state.behind(spans.reduce((sum, { from, end }) => sum + end - from, 0));
    const due = turned(spans, last).filter(({ log }) => !waiting.has(log));
    const retried = spans.filter(({ log }) => waiting.isDue(log));
    if (due.length === 0 && retried.length === 0) {
      await sleep(clock, LOOK_EVERY_MS, signal).catch(() => {});
      continue;
    }
    if (due.length > 0) {
      const batch = await readBatch(db, due.slice(0, LOGS_MAX));
      last = batch.last;
      await hand.over(batch.entries.filter(isWanted(plan)), batch.ends);
    }
    for (const { from, ...span } of retried) {
      if (signal.aborted) return;
      const { entries } = await readBatch(db, [{ ...span, from, end: from + 1 }]);
      const [one] = entries;
      if (one === undefined) waiting.passed(span.log);
      else await hand.again(one);
    }
  }
}

/** The cursors as they stand; where it was never begun, as the plan wants it. */
async function begin({ store, leases, clock }: DeliveryDeps, { plan, lease }: Delivery): Promise<Map<number, number>> {
  await store.transaction<SinkTables & RecordsTables, void>(
    async (trx) => {
      await leases.guard(trx as unknown as Kysely<never>, lease); // The lease has its own tables.
      const begun = await trx.selectFrom('records_sinks').select('name').where('name', '=', plan.name).execute();
      if (begun.length > 0) return;
      await trx.insertInto('records_sinks').values({ name: plan.name, begun_ms: clock.now() }).execute();
      if (plan.from === 'beginning') return;
      const logs = await trx.selectFrom('records_logs').select(['id', 'signed_size']).execute();
      // The tables of sinks are among those of this transaction.
      const own = trx as unknown as Kysely<SinkTables>;
      await writeCursors(own, plan.name, new Map(logs.map(({ id, signed_size }) => [id, signed_size])));
    },
    { order: orderOf(plan.name) },
  );
  return readCursors(store.db<SinkTables>(), plan.name);
}

/** Those behind the one that was looked into last come first, so that a busy one holds up none. */
function turned(spans: readonly Span[], last: number): readonly Span[] {
  const at = spans.findIndex(({ log }) => log > last);
  return at <= 0 ? spans : [...spans.slice(at), ...spans.slice(0, at)];
}

function isWanted({ filter }: SinkPlan): (pending: Pending) => boolean {
  return ({ entry, log }) => (filter.log ?? log) === log && matchesFilter(entry, filter);
}

/** As those who follow the record. */
const LOOK_EVERY_MS = 500;
/** Each is two statements. */
const LOGS_MAX = 50;
