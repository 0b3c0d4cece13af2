import { sql } from 'kysely';
import { type Clock, type PeerClock, raceAbort, type Service, type Timer, timeoutSignal } from '../../std/index.ts';
import { type Migration, type NewerMigration, newerMigrations, type Store } from '../../store/index.ts';

/** Asks the store for a sign of life while it runs. */
export interface StoreProbe extends Service {
  /** What the last question failed with, and for how long they have; undefined after one that was answered. */
  problem(): { readonly error: unknown; readonly forMs: number } | undefined;
  /** What a newer release has made of the store, by the last look, which is at most a minute old while the store answers. */
  newer(): readonly NewerMigration[];
}

/** Creates one. `databaseClock` is told the database's time, where it has a clock of its own. */
export function createStoreProbe(deps: {
  readonly clock: Clock;
  readonly store: Store;
  readonly databaseClock: Pick<PeerClock, 'says'>;
  readonly migrations: readonly Pick<Migration, 'name'>[];
}): StoreProbe {
  const { clock, store, databaseClock } = deps;
  const stopping = new AbortController();
  let problem: { readonly error: unknown; readonly sinceMonoMs: number } | undefined;
  let timer: Timer | undefined;
  let newer: readonly NewerMigration[] = [];
  let lookedMonoMs: number | undefined;

  const look = async () => {
    if (lookedMonoMs !== undefined && clock.monotonicMs() - lookedMonoMs < LOOK_EVERY_MS) return;
    newer = await newerMigrations(store, deps.migrations);
    lookedMonoMs = clock.monotonicMs();
  };
  const ask = async () => {
    const timeout = timeoutSignal(clock, ANSWER_MS_MAX);
    try {
      const answer = await raceAbort(askTime(store), timeout.signal);
      if (answer !== undefined) databaseClock.says(answer);
      await raceAbort(look(), timeout.signal);
      problem = undefined;
    } catch (error) {
      problem = { error, sinceMonoMs: problem?.sinceMonoMs ?? clock.monotonicMs() };
    } finally {
      timeout.cancel();
    }
    if (!stopping.signal.aborted) timer = clock.after(ASK_EVERY_MS, () => void ask());
  };
  return {
    problem: () => problem && { error: problem.error, forMs: clock.monotonicMs() - problem.sinceMonoMs },
    newer: () => newer,
    async start() {
      timer = clock.after(0, () => void ask());
    },
    async stop() {
      stopping.abort();
      timer?.cancel();
    },
  };
}

/** Epoch milliseconds by the database's clock; undefined where that is this machine's own. */
async function askTime(store: Store): Promise<number | undefined> {
  switch (store.dialect) {
    case 'sqlite':
      await sql`select 1`.execute(store.db());
      return undefined;
    case 'postgres': {
      // Of the server's own machine, at this moment and not at the beginning of a transaction.
      const answer = await sql<{ ms: number }>`
        select (extract(epoch from clock_timestamp()) * 1000)::bigint as ms`.execute(store.db());
      return Number(answer.rows[0]?.ms);
    }
    default:
      return store.dialect satisfies never;
  }
}

const ASK_EVERY_MS = 5_000;
const LOOK_EVERY_MS = 60_000;
/** A database that takes longer for this keeps everybody waiting. */
const ANSWER_MS_MAX = 5_000;
