import type { RevocationFacts } from '../model/index.ts';
import { type Clock, type Log, messageOf, type Service, type Timer } from '../std/index.ts';
import { databaseMs, type Store } from '../store/index.ts';
import { isOf } from './holds.ts';
import type { ApprovalTables } from './migrations.ts';
import { type LightRow, lightRows, ORDER, setState, stateAt, type Tables, takeSequence } from './rows.ts';
import type { ApprovalSurroundings, HoldState } from './types.ts';

interface SweepDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  readonly around: Pick<ApprovalSurroundings, 'revoked' | 'onRevoked' | 'gateways'>;
}

interface Ended {
  readonly state: HoldState;
  readonly reason: string;
}

/**
 * Ends what nobody answers any more: its time is over, its identity is revoked, or its gateway is gone. Every server does so; what one has ended the
 * others find ended. It forgets what is over for long, which the record has.
 */
export function createSweep(deps: SweepDeps): Service & { sweep(): Promise<void> } {
  const { clock, log, around } = deps;
  const absent = createAbsences(deps);
  let timer: Timer | undefined;
  let stopRevoked = () => {};
  let running: Promise<void> | undefined;
  let isStopped = false;

  const sweep = async () => {
    const live = await lightRows(deps.store.db<ApprovalTables>()).where('state', 'in', LIVE).execute();
    const gone = await absent(live);
    const ends = await endsOf(live, { ...deps, gone });
    if (ends.size > 0) await endAll(deps, ends);
    await forgetPast(deps);
  };
  /** One after another: what is asked for while one runs is looked at by the next. */
  const run = () => {
    timer?.cancel();
    if (isStopped) return;
    running = (running ?? Promise.resolve())
      .then(sweep)
      .catch((error: unknown) => log.warn('approval.sweep.failed', { reason: messageOf(error) }))
      .then(() => {
        timer?.cancel();
        if (!isStopped) timer = clock.after(SWEEP_MS, run);
      });
  };
  return {
    sweep,
    async start() {
      stopRevoked = around.onRevoked(run);
      run();
    },
    async stop() {
      isStopped = true;
      stopRevoked();
      timer?.cancel();
      await running;
    },
  };
}

async function endsOf(
  live: readonly LightRow[],
  { store, clock, around, gone }: SweepDeps & { readonly gone: ReadonlySet<string> },
): Promise<ReadonlyMap<string, Ended>> {
  const ends = new Map<string, Ended>();
  if (live.length === 0) return ends;
  const nowMs = await databaseMs(store, clock, store.db<ApprovalTables>());
  const facts = live.map((row): RevocationFacts => JSON.parse(row.facts)); // Written by `holds.ts` alone.
  const revoked = await around.revoked(facts);
  for (const [index, row] of live.entries()) {
    if (stateAt(row, nowMs) === 'expired') ends.set(row.id, { state: 'expired', reason: '' });
    else if (revoked[index] !== undefined) ends.set(row.id, { state: 'withdrawn', reason: 'revoked' });
    else if (gone.has(row.id)) ends.set(row.id, { state: 'withdrawn', reason: 'gateway-gone' });
  }
  return ends;
}

async function endAll({ store, clock }: SweepDeps, ends: ReadonlyMap<string, Ended>): Promise<void> {
  await store.transaction<ApprovalTables, void>(
    async (trx, effects) => {
      const rows = await liveOf(trx, [...ends.keys()]);
      if (rows.length === 0) return;
      const nowMs = await databaseMs(store, clock, trx);
      const sequence = await takeSequence(trx, effects);
      for (const row of rows) {
        const end = ends.get(row.id);
        // One that was answered since it was looked at has its time to be used.
        if (end === undefined || (end.state === 'expired' && stateAt(row, nowMs) !== 'expired')) continue;
        await setState(trx, row.id, { ...end, nowMs, sequence });
      }
    },
    { order: ORDER },
  );
}

async function liveOf(trx: Tables, ids: readonly string[]): Promise<readonly LightRow[]> {
  const rows: LightRow[] = [];
  for (let start = 0; start < ids.length; start += IDS_MAX)
    rows.push(
      ...(await lightRows(trx)
        .where('state', 'in', LIVE)
        .where('id', 'in', ids.slice(start, start + IDS_MAX))
        .execute()),
    );
  return rows;
}

/**
 * Tells of which the gateway is gone: it was connected to no server at each look for a while. One that changes its server is away for a second or
 * two; the wrong answer costs a held operation, which is refused.
 */
function createAbsences({ clock, around }: SweepDeps): (live: readonly LightRow[]) => Promise<ReadonlySet<string>> {
  let since = new Map<string, number>();
  return async (live) => {
    if (live.length === 0) {
      since = new Map();
      return new Set();
    }
    const present = await around.gateways();
    const nowMs = clock.monotonicMs();
    const away = live.filter((row) => !present.some((gateway) => isOf(row, gateway)));
    since = new Map(away.map(({ id }) => [id, since.get(id) ?? nowMs]));
    return new Set(away.flatMap(({ id }) => (nowMs - (since.get(id) ?? nowMs) >= GONE_MS ? [id] : [])));
  };
}

/** What is over stays for a day, the newest some thousand. */
async function forgetPast({ store, clock }: SweepDeps): Promise<void> {
  const db = store.db<ApprovalTables>();
  const over = db.selectFrom('approval_holds').where('state', 'not in', LIVE);
  const beyond = await over.select('number').orderBy('number', 'desc').offset(OVER_MAX).limit(1).executeTakeFirst();
  const nowMs = await databaseMs(store, clock, db);
  const past = await over
    .select('id')
    .where((row) =>
      row.or([row('decided_ms', '<', nowMs - PAST_MS), row('number', '<=', beyond === undefined ? -1 : beyond.number)]),
    )
    .limit(IDS_MAX)
    .execute();
  if (past.length === 0) return;
  const ids = past.map(({ id }) => id);
  await store.transaction<ApprovalTables, void>(
    async (trx) => {
      await trx.deleteFrom('approval_answers').where('approval', 'in', ids).execute();
      await trx.deleteFrom('approval_holds').where('id', 'in', ids).where('state', 'not in', LIVE).execute();
    },
    { order: ORDER },
  );
}

const LIVE: HoldState[] = ['waiting', 'approved'];
/** How late an end may be written; whoever asks before goes by the time all the same. */
const SWEEP_MS = 2_000;
/** A server that was killed is found gone after ten to thirteen seconds, and its gateways are elsewhere by then. */
const GONE_MS = 15_000;
const PAST_MS = 86_400_000;
const OVER_MAX = 5_000;
/** Of one statement. */
const IDS_MAX = 500;
