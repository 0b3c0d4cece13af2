import type { LedgerEvent } from '../model/index.ts';
import { type Clock, type Log, messageOf, type Random, type Service, type Timer } from '../std/index.ts';
import type { Store } from '../store/index.ts';
import { formatWitnessKey } from '../wire/tlog/index.ts';
import { RecordsError } from './errors.ts';
import { createExports, type RecordExports } from './export/exports.ts';
import { createProofs, type RecordProofs } from './export/prove-entry.ts';
import { createFollow, type RecordFollow } from './follow/follow.ts';
import { newestLog, orderOf } from './log/bind-log.ts';
import { createIntake, type Intake } from './log/intake.ts';
import { type LogView, logView } from './log/log-rows.ts';
import { tellNotices, writeNotice } from './log/notices.ts';
import type { Witness } from './log/witness.ts';
import type { RecordsTables } from './migrations.ts';
import { createSearch, type RecordSearch } from './search/search.ts';

/** The record of a server: every ledger that was shipped to any server on its store. */
export interface Records extends Intake, RecordSearch, RecordFollow, RecordExports, RecordProofs {
  /** All logs, as they stood a moment ago; undefined before the first look. */
  logs(): readonly LogView[] | undefined;
  /** Whether one says nothing though it did not end: how long it was heard last before that look, ms. */
  silentMs(log: LogView): number | undefined;
  /** The verifier key of this server as a witness. @see C2SP tlog-cosignature */
  readonly witnessKey: string;
  /** All logs as they stand. @throws StoreError */
  listLogs(): Promise<readonly LogView[]>;
  /**
   * Closes a log: what is wrong with it, or that it is silent, is known and settled. What is there stays; who ships a log of that name begins a new one.
   * @throws RecordsError ERR_RECORDS_NOT_FOUND; StoreError
   */
  accept(origin: string): Promise<LogView>;
}

/**
 * Creates it. While it runs it looks at all logs, each second, and has what happened to them told by an entry of the server's own ledger.
 * `write` resolves when the entry is on disk.
 */
export function createRecords(deps: {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly witness: Witness;
  readonly write: (event: LedgerEvent) => Promise<void>;
  /** How long a log may say nothing, ms. */
  readonly silenceMs: number;
}): Records & Service {
  const { store, clock, log } = deps;
  let known: { readonly logs: readonly LogView[]; readonly atMs: number } | undefined;
  let timer: Timer | undefined;
  let looking: Promise<void> | undefined;
  let stopped = true;
  let noticed = false;

  const listLogs = async () => {
    const rows = await store.db<RecordsTables>().selectFrom('records_logs').selectAll().orderBy('id').execute();
    return rows.map(logView);
  };
  const look = async () => {
    try {
      known = { logs: await listLogs(), atMs: clock.now() };
      // What another server has noticed is its to tell, unless it died over it.
      const beforeMs = noticed ? clock.now() : clock.now() - OTHERS_TELL_MS;
      noticed = false;
      await tellNotices(store, { write: deps.write, beforeMs });
    } catch (error) {
      noticed = true;
      log.warn('records.look.failed', { reason: messageOf(error) });
    }
  };
  const lookRegularly = () => {
    looking = look().finally(() => {
      if (!stopped) timer = clock.after(LOOK_EVERY_MS, lookRegularly);
    });
  };
  const intake = createIntake({
    ...deps,
    noticed: () => {
      noticed = true;
    },
  });
  const search = createSearch(deps);
  return {
    ...intake,
    ...search,
    ...createExports({ ...deps, search: search.search }),
    ...createProofs(deps),
    ...createFollow(deps),
    ...{ listLogs, logs: () => known?.logs, witnessKey: formatWitnessKey(deps.witness.key) },
    silentMs(view) {
      if (known === undefined || view.closed || view.ended) return undefined;
      const forMs = known.atMs - view.heardMs;
      return forMs > deps.silenceMs ? forMs : undefined;
    },
    async accept(origin) {
      const row = await store.transaction<RecordsTables, LogView>(
        async (trx) => {
          const found = await newestLog(trx, origin);
          if (found === undefined || found.closed === 1)
            throw new RecordsError('ERR_RECORDS_NOT_FOUND', `no log ${origin} is shipped`);
          await trx.updateTable('records_logs').set({ closed: 1 }).where('id', '=', found.id).execute();
          const detail = { alarm: found.alarm ?? '' };
          await writeNotice(trx, found, { nowMs: clock.now(), what: 'accepted', detail });
          return logView({ ...found, closed: 1 });
        },
        { order: orderOf(origin) },
      );
      noticed = true;
      return row;
    },
    async start() {
      stopped = false;
      lookRegularly();
    },
    async stop() {
      stopped = true;
      timer?.cancel();
      await looking;
    },
  };
}

const LOOK_EVERY_MS = 1000;
const OTHERS_TELL_MS = 10_000;
