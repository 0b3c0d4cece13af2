import { type Clock, codeOf, type Log, messageOf, type Service, sleep } from '../../std/index.ts';
import { createLeases, databaseMs, type Store } from '../../store/index.ts';
import { keepLease } from '../delivery/keep-lease.ts';
import { type RetentionPlan, type Swept, sweep } from './sweep.ts';

/** How retention fares at this server. */
export interface RetentionView {
  /** Whether this server is the one that looks after it. */
  readonly isRunner: boolean;
  /** Entries that have left since this process was started. */
  readonly removed: number;
  /** What holds back entries that are past their time, and since when, epoch milliseconds. */
  readonly waiting: readonly { readonly for: string; readonly entries: number; readonly sinceMs: number }[];
  /** Why nothing leaves. */
  readonly problem: { readonly reason: string; readonly sinceMs: number } | undefined;
}

/** Takes content that is past its time, for as long as it runs. */
export interface Retention extends Service {
  view(): RetentionView;
}

/**
 * Creates it. One server at a time looks after all logs, under a lease, and what it has begun another goes on with. A clock of the database that is not
 * this server's within a minute lets nothing leave: what is gone does not come back when somebody sets it right.
 */
export function createRetention(
  deps: { readonly store: Store; readonly clock: Clock; readonly log: Log; readonly holder: string },
  plan: RetentionPlan,
): Retention {
  const { store, clock, log, holder } = deps;
  const leases = createLeases(deps);
  const stop = new AbortController();
  let running: Promise<void> = Promise.resolve();
  let [isRunner, removed] = [false, 0];
  let waiting: RetentionView['waiting'] = [];
  let problem: RetentionView['problem'];

  const note = (swept: Swept) => {
    removed += swept.removed;
    if (swept.removed > 0) log.info('records.retention.removed', { entries: swept.removed });
    waiting = swept.waiting.map((one) => {
      const before = waiting.find((other) => other.for === one.for);
      return { ...one, sinceMs: before?.sinceMs ?? clock.now() };
    });
    problem = undefined;
  };
  const runHeld = async (kept: { readonly signal: AbortSignal }, lease: Parameters<typeof keepLease>[1]) => {
    while (!kept.signal.aborted) {
      const aheadMs = (await databaseMs(store, clock, store.db())) - clock.now();
      if (Math.abs(aheadMs) > CLOCKS_APART_MS_MAX)
        throw new Error(
          'the clocks of this server and its database are more than a minute apart: nothing leaves until they agree',
        );
      note(await sweep({ store, clock, leases }, plan, { lease, signal: kept.signal }));
      await sleep(clock, LOOK_EVERY_MS, kept.signal).catch(() => {});
    }
  };
  const run = async () => {
    while (!stop.signal.aborted) {
      try {
        const lease = await leases.hold({ kind: 'records.retention', name: 'all', holder, ttlMs: LEASE_MS });
        if (lease !== undefined) {
          const kept = keepLease({ clock, leases }, lease, stop.signal);
          isRunner = true;
          try {
            await runHeld(kept, lease);
          } finally {
            kept.stop();
            await leases.release(lease).catch(() => {}); // It ends by itself, too.
          }
        }
      } catch (error) {
        if (stop.signal.aborted) return;
        log.warn('records.retention.failed', { reason: messageOf(error) });
        if (codeOf(error) !== 'ERR_STORE_LEASE')
          problem = { reason: messageOf(error), sinceMs: problem?.sinceMs ?? clock.now() };
      } finally {
        isRunner = false;
      }
      await sleep(clock, AGAIN_MS, stop.signal).catch(() => {});
    }
  };
  return {
    view: () => ({ isRunner, removed, waiting: isRunner ? waiting : [], problem }),
    async start() {
      running = run();
    },
    async stop() {
      stop.abort();
      await running;
    },
  };
}

const LEASE_MS = 15_000;
const LOOK_EVERY_MS = 60_000;
const AGAIN_MS = 5_000;
const CLOCKS_APART_MS_MAX = 60_000;
