import type { Kysely } from 'kysely';
import { parseEntry } from '../../ledger/index.ts';
import { type Clock, sha256, throwIfAborted } from '../../std/index.ts';
import { databaseMs, type Lease, type Leases, type Store } from '../../store/index.ts';
import { openRows, selectEntries } from '../log/entry-rows.ts';
import type { RecordsTables } from '../migrations.ts';
import { createMatcher, lookAt, type RecordFilter } from '../search/filter.ts';
import { holdMatcher, RETENTION_ORDER, readHolds } from './holds.ts';
import { limitsOf, markArrivals } from './reach.ts';
import { removeEntries } from './remove-entries.ts';

/** How long entries of one class keep their content. The first rule that an entry is of counts; what is of none stays for ever. */
export interface RetentionRule {
  readonly name: string;
  readonly filter: RecordFilter;
  /** From when a server took the entry, ms; undefined: for ever. */
  readonly keepMs: number | undefined;
}

export interface RetentionPlan {
  readonly rules: readonly RetentionRule[];
  /** Sinks, by name, that are waited for. */
  readonly sinks: readonly string[];
  /** How long past its time an entry waits for sinks and exports at the most, ms. */
  readonly waitMs: number;
}

/** What came of one look at all logs. */
export interface Swept {
  readonly removed: number;
  /** Entries past their time, or a few more, that a sink or an export holds back, and which. */
  readonly waiting: readonly { readonly for: string; readonly entries: number }[];
}

export interface SweepDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly leases: Pick<Leases, 'guard'>;
}

/**
 * Takes the content of what is past its time, some entries a transaction, each under the lease: it may be cut off anywhere, and goes on there.
 * @throws StoreError; the abort error
 */
export async function sweep(
  deps: SweepDeps,
  plan: RetentionPlan,
  { lease, signal }: { readonly lease: Lease; readonly signal: AbortSignal },
): Promise<Swept> {
  const db = deps.store.db<RecordsTables>();
  const nowMs = await databaseMs(deps.store, deps.clock, db);
  await markArrivals(db, { nowMs, everyMs: markEveryMs(plan) });
  let removed = 0;
  const waiting = new Map<string, number>();
  const classOf = classifier(plan.rules);
  for (const [index, rule] of plan.rules.entries()) {
    if (rule.keepMs === undefined) continue;
    const key = ruleKey(plan.rules.slice(0, index + 1));
    for (const reach of await limitsOf(db, { ...plan, keepMs: rule.keepMs, nowMs })) {
      const at = { rule: key, log: reach.log, end: reach.end, nowMs };
      const isOfRule = (bytes: Buffer) => classOf(bytes, reach.log) === rule;
      removed += await sweepLog(deps, { ...at, plan: rule, isOfRule, lease, signal });
      for (const name of reach.waitsFor) waiting.set(name, (waiting.get(name) ?? 0) + reach.due - reach.end);
    }
  }
  return { removed, waiting: [...waiting].map(([name, entries]) => ({ for: name, entries })) };
}

interface LogSweep {
  readonly rule: string;
  readonly log: number;
  readonly end: number;
  readonly nowMs: number;
  readonly plan: RetentionRule;
  readonly isOfRule: (bytes: Buffer) => boolean;
  readonly lease: Lease;
  readonly signal: AbortSignal;
}

async function sweepLog(deps: SweepDeps, of: LogSweep): Promise<number> {
  const { log, end, rule, signal } = of;
  const db = deps.store.db<RecordsTables>();
  let removed = 0;
  for (;;) {
    throwIfAborted(signal);
    const from = (await readSweep(db, of)).position;
    if (from >= end) return removed;
    const rows = await selectEntries(db)
      .where('log', '=', log)
      .where('position', '>=', from)
      .where('position', '<', end)
      .orderBy('position')
      .limit(ENTRIES_A_TIME)
      .execute();
    const positions = (await openRows(db, rows)).flatMap(({ position, bytes }) =>
      of.isOfRule(bytes) ? [position] : [],
    );
    const to = rows.length < ENTRIES_A_TIME ? end : (rows.at(-1)?.position ?? end) + 1;
    removed += await deps.store.transaction<RecordsTables, number>(
      async (trx) => {
        await deps.leases.guard(trx as unknown as Kysely<never>, of.lease); // The lease has its own tables.
        const now = await readSweep(trx, of);
        // Somebody has lifted a hold meanwhile: it is looked at from where that has set it.
        if (now.position !== from) return 0;
        const removal = await removalOf(trx, of.plan, of.nowMs);
        const isHeld = holdMatcher(await readHolds(trx));
        const done = await removeEntries(trx, { log, positions, isHeld, removal, nowMs: of.nowMs });
        const heldFrom = [now.held_from, done.held[0]].filter((one) => typeof one === 'number');
        const row = { rule, log, position: to, held_from: heldFrom.length === 0 ? null : Math.min(...heldFrom) };
        await trx
          .insertInto('records_sweeps')
          .values(row)
          .onConflict((conflict) =>
            conflict.columns(['rule', 'log']).doUpdateSet({ position: row.position, held_from: row.held_from }),
          )
          .execute();
        await trx
          .updateTable('records_removals')
          .set((set) => ({ removed: set('removed', '+', done.removed) }))
          .where('id', '=', removal)
          .execute();
        return done.removed;
      },
      { order: RETENTION_ORDER },
    );
  }
}

async function readSweep(db: Kysely<RecordsTables>, { rule, log }: Pick<LogSweep, 'rule' | 'log'>) {
  const row = await db
    .selectFrom('records_sweeps')
    .select(['position', 'held_from'])
    .where('rule', '=', rule)
    .where('log', '=', log)
    .executeTakeFirst();
  return row ?? { position: 0, held_from: null };
}

/** The row that says which rule it was, as it was then. */
async function removalOf(trx: Kysely<RecordsTables>, { name, filter, keepMs }: RetentionRule, nowMs: number) {
  const what = JSON.stringify({ filter, keepMs });
  const there = await trx
    .selectFrom('records_removals')
    .select('id')
    .where('name', '=', name)
    .where('what', '=', what)
    .executeTakeFirst();
  if (there !== undefined) return there.id;
  const last = await trx.selectFrom('records_removals').select('id').orderBy('id', 'desc').limit(1).executeTakeFirst();
  const id = (last?.id ?? 0) + 1;
  await trx.insertInto('records_removals').values({ id, name, what, at_ms: nowMs, removed: 0 }).execute();
  return id;
}

function classifier(rules: readonly RetentionRule[]) {
  const matchers = rules.map((rule) => ({ rule, matches: createMatcher(rule.filter) }));
  return (bytes: Buffer, log: number): RetentionRule | undefined => {
    const looked = lookAt(parseEntry(bytes));
    return matchers.find(({ rule, matches }) => (rule.filter.log ?? log) === log && matches(looked))?.rule;
  };
}

/** What was passed by is not looked at again while the rule, and those before it, select the same. */
function ruleKey(rules: readonly RetentionRule[]): string {
  return sha256(Buffer.from(JSON.stringify(rules.map(({ filter }) => filter)))).toString('hex');
}

/** A fiftieth of the shortest time, at least a second and at most a day: so much later than said an entry may go. */
function markEveryMs({ rules }: RetentionPlan): number {
  const shortest = Math.min(DAY_MS, ...rules.flatMap(({ keepMs }) => (keepMs === undefined ? [] : [keepMs / 50])));
  return Math.max(1000, shortest);
}

const DAY_MS = 24 * 3_600_000;
/** One transaction: some tens of milliseconds. */
const ENTRIES_A_TIME = 200;
