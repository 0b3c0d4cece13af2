import type { Kysely } from 'kysely';
import type { LedgerEvent } from '../../model/index.ts';
import { type Clock, codeOf, type Log, messageOf, type Random, sleep, timeoutSignal } from '../../std/index.ts';
import type { Lease, Leases, Store } from '../../store/index.ts';
import type { RecordsTables } from '../migrations.ts';
import { matchesFilter, type RecordFilter } from '../search/filter.ts';
import type { Sink, SinkAnswer, SinkItem } from '../sink.ts';
import { ocsfEvent } from './ocsf-event.ts';
import { type Pending, readBatch, type Span } from './read-batch.ts';
import { readCursors, type SinkTables, writeCursors } from './sink-rows.ts';
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
interface Delivery {
  readonly plan: SinkPlan;
  readonly sink: Sink;
  readonly state: SinkState;
  /** Under which cursors move. */
  readonly lease: Lease;
  readonly signal: AbortSignal;
}

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
      const { entries, ends } = await readBatch(db, [{ ...span, from, end: from + 1 }]);
      await hand.over(entries.filter(isWanted(plan)), ends);
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

async function spansBehind(db: Kysely<RecordsTables>, cursors: ReadonlyMap<number, number>): Promise<readonly Span[]> {
  const logs = await db.selectFrom('records_logs').select(['id', 'origin', 'signed_size']).orderBy('id').execute();
  return logs.flatMap(({ id, origin, signed_size: end }) => {
    const from = cursors.get(id) ?? 0;
    return from < end ? [{ log: id, origin, from, end }] : [];
  });
}

/** Those behind the one that was looked into last come first, so that a busy one holds up none. */
function turned(spans: readonly Span[], last: number): readonly Span[] {
  const at = spans.findIndex(({ log }) => log > last);
  return at <= 0 ? spans : [...spans.slice(at), ...spans.slice(0, at)];
}

function isWanted({ filter }: SinkPlan): (pending: Pending) => boolean {
  return ({ entry, log }) => (filter.log ?? log) === log && matchesFilter(entry, filter);
}

/** Hands over a batch, and moves the cursors. */
function createHand(
  deps: DeliveryDeps,
  of: Delivery & { readonly cursors: Map<number, number>; readonly waiting: WaitingLogs },
) {
  const { plan, state, cursors, waiting, signal } = of;
  const move = (to: ReadonlyMap<number, number>) => moveCursors(deps, of, to);
  const settle = (logs: readonly number[]) => {
    for (const log of logs) {
      waiting.passed(log);
      state.passed(log);
    }
  };
  return {
    async over(entries: readonly Pending[], ends: ReadonlyMap<number, number>): Promise<void> {
      const stopped = new Set<number>();
      // In halves from the first that is refused on, until what is refused is known: all before it goes on in its order.
      const parts = [...partsOf(entries, plan)];
      for (let part = parts.shift(); part !== undefined && !signal.aborted; part = parts.shift()) {
        const left = part.filter(({ log }) => !stopped.has(log));
        const [first, ...others] = left;
        if (first === undefined) continue;
        const isSkipped = isLeftOut(first, plan);
        const answer = isSkipped ? TAKEN : await sendUntilAnswered(deps, of, left);
        if (answer === undefined) return;
        if (answer.kind === 'refused' && others.length > 0) {
          const middle = Math.ceil(left.length / 2);
          parts.unshift(left.slice(0, middle), left.slice(middle));
          continue;
        }
        const { log, position, origin } = first;
        if (answer.kind === 'refused') {
          stopped.add(log);
          waiting.add(log);
          state.refused({ log, position, origin, reason: answer.reason });
          deps.log.warn('records.sink.refused', {
            sink: plan.name,
            entry: `${log}/${position}`,
            reason: answer.reason,
          });
          // All before it were taken, or are not asked for.
          if ((cursors.get(log) ?? 0) < position) await move(new Map([[log, position]]));
          continue;
        }
        if (isSkipped) await tellSkipped(deps, plan, first);
        else state.taken(left.length);
        await move(new Map(left.map((one) => [one.log, one.position + 1])));
        settle(left.map((one) => one.log));
      }
      if (signal.aborted) return;
      const passed = Array.from(ends).filter(([log, end]) => !stopped.has(log) && (cursors.get(log) ?? 0) < end);
      if (passed.length > 0) await move(new Map(passed));
      settle(passed.map(([log]) => log));
    },
  };
}

/** Under the lease: a server that has lost it moves nothing. */
async function moveCursors(
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

/** Tries for as long as it is away; undefined when it was told to stop. */
async function sendUntilAnswered(
  { clock, random, log, store, trustDomain, version }: DeliveryDeps,
  of: Delivery & { readonly cursors: ReadonlyMap<number, number> },
  pending: readonly Pending[],
): Promise<Exclude<SinkAnswer, { kind: 'away' }> | undefined> {
  const { sink, state, signal, plan } = of;
  const items = pending.map((one) => itemOf(one, { trustDomain, version }));
  let pauseMs = PAUSE_FIRST_MS;
  while (!signal.aborted) {
    const answer = await attempt(clock, sink, { items, signal });
    if (signal.aborted && answer.kind === 'away') return undefined;
    if (answer.kind !== 'away') {
      if (state.view().away !== undefined) log.info('records.sink.back', { sink: plan.name });
      state.reached();
      return answer;
    }
    if (state.view().away === undefined) log.warn('records.sink.away', { sink: plan.name, reason: answer.reason });
    state.away(answer.reason, pending[0]);
    const spans = await spansBehind(store.db<RecordsTables>(), of.cursors);
    state.behind(spans.reduce((sum, { from, end }) => sum + end - from, 0));
    const waitMs = Math.max(
      Math.min(answer.retryAfterMs ?? 0, RETRY_AFTER_MS_MAX),
      pauseMs * (0.5 + random.fraction() / 2),
    );
    await sleep(clock, waitMs, signal).catch(() => {});
    pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX);
  }
  return undefined;
}

async function attempt(
  clock: Clock,
  sink: Sink,
  { items, signal }: { readonly items: readonly SinkItem[]; readonly signal: AbortSignal },
): Promise<SinkAnswer> {
  const limit = timeoutSignal(clock, SEND_MS_MAX, signal);
  try {
    return await sink.send(items, { signal: limit.signal });
  } catch (error) {
    if (limit.isOver) return { kind: 'away', reason: `it did not answer within ${SEND_MS_MAX / 1000} s` };
    return { kind: 'away', reason: `${messageOf(error)}${codeText(error)}` };
  } finally {
    limit.cancel();
  }
}

function itemOf({ log, position, origin, entry }: Pending, of: { trustDomain: string; version: string }): SinkItem {
  const id = `${of.trustDomain}/${log}/${position}`;
  const event = ocsfEvent(entry, { id, origin, position, version: of.version });
  return { id, event, json: JSON.stringify(event) };
}

/** That an entry is left out is itself an entry. */
async function tellSkipped(
  { write, clock, trustDomain, log }: DeliveryDeps,
  plan: SinkPlan,
  one: Pending,
): Promise<void> {
  log.warn('records.sink.skipped', { sink: plan.name, entry: `${one.log}/${one.position}` });
  await write({
    ...{ kind: 'ledger', timeMs: clock.now(), actor: `spiffe://${trustDomain}/spire/server`, target: one.origin },
    ...{ action: 'record:sink-skipped', session: '', operation: '' },
    detail: { sink: plan.name, log: one.log, position: one.position },
  });
}

/** Logs whose next entry is refused, and when it is tried again. */
interface WaitingLogs {
  has(log: number): boolean;
  isDue(log: number): boolean;
  add(log: number): void;
  passed(log: number): void;
}

function createWaitingLogs(clock: Clock): WaitingLogs {
  const logs = new Map<number, { readonly untilMs: number; readonly nextMs: number }>();
  return {
    has: (log) => logs.has(log),
    isDue: (log) => clock.monotonicMs() >= (logs.get(log)?.untilMs ?? Number.POSITIVE_INFINITY),
    add(log) {
      const pauseMs = logs.get(log)?.nextMs ?? REFUSED_FIRST_MS;
      logs.set(log, { untilMs: clock.monotonicMs() + pauseMs, nextMs: Math.min(pauseMs * 2, REFUSED_MS_MAX) });
    },
    passed: (log) => void logs.delete(log),
  };
}

/** What is left out stands alone. */
function* partsOf(entries: readonly Pending[], plan: SinkPlan): Generator<readonly Pending[]> {
  let from = 0;
  for (const [n, one] of entries.entries()) {
    if (!isLeftOut(one, plan)) continue;
    yield entries.slice(from, n);
    yield [one];
    from = n + 1;
  }
  yield entries.slice(from);
}

function isLeftOut({ log, position }: Pending, { skip }: SinkPlan): boolean {
  return skip.has(`${log}/${position}`);
}

function codeText(error: unknown): string {
  const code = codeOf(error);
  return code === undefined || messageOf(error).includes(code) ? '' : ` (${code})`;
}

function orderOf(sink: string): string {
  return `records.sinks.${sink}`;
}

const TAKEN: SinkAnswer = { kind: 'taken' };
/** As those who follow the record. */
const LOOK_EVERY_MS = 500;
/** Each is two statements. */
const LOGS_MAX = 50;
const SEND_MS_MAX = 30_000;
const PAUSE_FIRST_MS = 1000;
const PAUSE_MS_MAX = 60_000;
/** Whoever says to come back in a day is asked sooner. */
const RETRY_AFTER_MS_MAX = 300_000;
const REFUSED_FIRST_MS = 30_000;
const REFUSED_MS_MAX = 600_000;
