import { type LedgerEntry, LedgerError, parseEntry } from '../../ledger/index.ts';
import { type Clock, createLimiter, type Random } from '../../std/index.ts';
import type { Store } from '../../store/index.ts';
import { RecordsError } from '../errors.ts';
import type { RecordsTables } from '../migrations.ts';
import type { SealName } from '../retention/seal.ts';
import { indexEntry } from '../search/indexed-entry.ts';
import { bind, checkNames, type LogName, newestLog, orderOf, refuseKey } from './bind-log.ts';
import { judgeBatch, type LogBatch, type Verdict } from './judge-batch.ts';
import { type Indexed, keepBatch, keptLeaves, raiseAlarm } from './keep-batch.ts';
import { type LogRow, stateOf } from './log-rows.ts';
import type { Witness } from './witness.ts';

/** Where a log stands at the server: from here its shipper goes on. */
export interface LogStand {
  /** Entries that are kept. */
  readonly size: number;
  /** How many of them a checkpoint vouches for. */
  readonly signedSize: number;
  /** That checkpoint, with the cosignature of a server; undefined before the first. */
  readonly checkpoint: string | undefined;
}

/** One shipper of one log, for as long as it stays. */
export interface Shipment {
  /** Where the log stood when this was asked for. */
  readonly stand: LogStand;
  /**
   * Takes a batch: when this resolves it is kept for good. The same batch may be given again, or by another shipper to another server: each
   * entry is kept once.
   * @throws RecordsError ERR_RECORDS_ALARM for a log that contradicts itself, which is then named; ERR_RECORDS_REQUEST, ERR_RECORDS_LIMIT; StoreError
   */
  take(batch: LogBatch): Promise<LogStand>;
}

/** The door by which every ledger comes in. */
export interface Intake {
  /**
   * Begins to ship a log. The first time that a log is seen its key and owner are bound to it.
   * @throws RecordsError ERR_RECORDS_OWNER, ERR_RECORDS_ALARM for another key than the bound one, ERR_RECORDS_REQUEST, ERR_RECORDS_LIMIT
   */
  open(log: LogName): Promise<Shipment>;
}

/** Creates the {@link Intake}; `noticed` is called when something is to be told by an entry. */
export function createIntake(deps: {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly witness: Witness;
  /** By which key an entry is sealed that comes now. */
  readonly sealName: SealName;
  readonly noticed: () => void;
}): Intake {
  const { store, clock } = deps;
  const turns = createLimiter({
    runningMax: RUNNING_MAX,
    waitersMax: WAITERS_MAX,
    full: () => new RecordsError('ERR_RECORDS_LIMIT', `${WAITERS_MAX} batches wait already`),
  });
  const never = new AbortController().signal;

  const take = async (row: LogRow, batch: LogBatch, told: number): Promise<LogStand> => {
    checkSize(batch);
    const nowMs = clock.now();
    const indexed = batch.entries.map((bytes) => readEntry(bytes, (entry) => deps.sealName(entry, nowMs)));
    const result = await store.transaction<RecordsTables, LogStand | Extract<Verdict, { kind: 'alarm' }>>(
      async (trx) => {
        const now = await trx.selectFrom('records_logs').selectAll().where('id', '=', row.id).executeTakeFirstOrThrow();
        if (now.closed === 1)
          throw new RecordsError('ERR_RECORDS_ALARM', `${now.origin} was closed by an operator; ship it anew`);
        const kept = await keptLeaves(trx, now, batch);
        const verdict = judgeBatch(stateOf(now), batch, { told, kept, seqAt: (index) => indexed[index]?.seq });
        if (verdict.kind === 'alarm') {
          await raiseAlarm(trx, now, { ...verdict, evidence: batch.checkpoint, nowMs: clock.now() });
          return verdict;
        }
        return keepBatch(trx, now, { ...deps, batch, indexed, verdict, nowMs: clock.now() });
      },
      { order: orderOf(row.origin) },
    );
    if (!('kind' in result)) return result;
    deps.noticed();
    throw new RecordsError('ERR_RECORDS_ALARM', `${row.origin}: ${result.alarm}: ${result.found}`);
  };

  return {
    async open(name) {
      const { origin, verifierKey, owner } = name;
      checkNames(origin, verifierKey);
      const known = (await newestLog(store.db<RecordsTables>(), origin)) ?? (await bind(deps, name));
      const row = known.closed === 1 ? await bind(deps, name) : known;
      if (row.owner !== owner)
        throw new RecordsError('ERR_RECORDS_OWNER', `${origin} is shipped by ${row.owner}, not by ${owner}`);
      if (row.verifier_key !== verifierKey) await refuseKey(deps, row, verifierKey);
      let stand: LogStand = { size: row.size, signedSize: row.signed_size, checkpoint: row.checkpoint ?? undefined };
      return {
        stand,
        async take(batch) {
          const told = stand.signedSize;
          stand = await turns.run(() => take(row, batch, told), never);
          return stand;
        },
      };
    },
  };
}

function readEntry(bytes: Buffer, sealOf: (entry: LedgerEntry) => string | undefined): Indexed | undefined {
  let entry: LedgerEntry;
  try {
    entry = parseEntry(bytes);
  } catch (error) {
    if (error instanceof LedgerError) return undefined; // The verdict says which it is.
    throw error;
  }
  const isStop = entry.kind === 'ledger' && entry.action === 'stop';
  return { ...indexEntry(entry), isStop, seal: sealOf(entry) };
}

/** @throws RecordsError ERR_RECORDS_REQUEST */
function checkSize({ first, entries, consistency }: LogBatch): void {
  const bytes = entries.reduce((sum, entry) => sum + entry.length, 0);
  if (entries.length > batchLimits.entries || bytes > batchLimits.bytes || consistency.length > batchLimits.consistency)
    throw new RecordsError(
      'ERR_RECORDS_REQUEST',
      `a batch has at most ${batchLimits.entries} entries and ${batchLimits.bytes} bytes`,
    );
  if (!Number.isSafeInteger(first) || first < 0)
    throw new RecordsError('ERR_RECORDS_REQUEST', 'a batch begins at a position');
}

/** Most of one batch: one transaction, which others wait behind. */
export const batchLimits = {
  entries: 1000,
  /** Of entries' bytes; one entry alone may be as large as an entry may be. */
  bytes: 2 * 1024 * 1024,
  /** Two hashes for each level of a tree of 2^53. */
  consistency: 128,
} as const;

/** Each takes a connection of the store. */
const RUNNING_MAX = 4;
const WAITERS_MAX = 5000;
