import type { LedgerEvent } from '../../model/index.ts';
import { assert, type Clock, codeOf, type Log } from '../../std/index.ts';
import { LedgerError } from '../errors.ts';
import type { LedgerFiles } from '../files.ts';
import { createEncoder } from './encode.ts';
import { createGroupCommit, type GroupCommit } from './group-commit.ts';
import { createRoom } from './room.ts';
import { formatSegmentHeader } from './segment.ts';
import type { SegmentPool } from './segment-pool.ts';
import { type ActiveSegment, createSegmentWriter } from './segment-writer.ts';

/** Where the log stands: what recovery found, and what the appender goes on from. */
export interface LogState {
  /** The segment being written; undefined in a new log. */
  readonly active: ActiveSegment | undefined;
  /** Sequence number of the newest entry, -1 for none. All of it is on disk. */
  readonly sequence: number;
  /** Time of the newest entry. */
  readonly timeMs: number;
  /** Sequence numbers of intents without outcome, by operation key, oldest first. */
  readonly open: ReadonlyMap<string, number>;
}

/** The data path: encodes, finds room, writes. Everything in it happens within the call, but for the sync. */
export interface Appender {
  appendAll(events: readonly LedgerEvent[]): number;
  readonly sequence: number;
  readonly commit: GroupCommit;
  /** True when an intent would find room now. */
  hasRoom(): boolean;
  /** Syncs what is left and closes the files; appends fail from now on. */
  close(): Promise<void>;
}

/** Creates the appender over recovered state; it owns the active segment's file from now on. */
export function createAppender(deps: {
  readonly clock: Clock;
  readonly log: Log;
  readonly files: LedgerFiles;
  readonly origin: string;
  readonly segmentBytes: number;
  readonly syncDelayMs: number;
  readonly pool: SegmentPool;
  readonly state: LogState;
  /** Why nothing new may be accepted for now. */
  readonly refusal: () => LedgerError | undefined;
  /** After entries were written; after entries were synced. */
  readonly onAppended: () => void;
  readonly onSynced: () => void;
}): Appender {
  const { pool, state } = deps;
  const encoder = createEncoder(deps.segmentBytes);
  const room = createRoom({ pool, segmentBytes: deps.segmentBytes, open: state.open });
  const segments = createSegmentWriter(deps.files, state.active);
  let { sequence, timeMs } = state;
  let closed = false;
  const commit = createGroupCommit({
    clock: deps.clock,
    log: deps.log,
    delayMs: deps.syncDelayMs,
    syncedSequence: sequence,
    onSynced: deps.onSynced,
    sync: () => segments.sync(),
  });

  const appendBatch = (events: readonly LedgerEvent[]): number => {
    const firstSeq = sequence + 1;
    const batch = encoder.encode(events, { firstSeq, timeMs, syncedSequence: commit.syncedSequence });
    const admission = room.admit(events, batch.bytes.length, segments.active);
    if (admission.to === 'active') {
      segments.write(batch.bytes);
    } else {
      const [spare] = pool.ready;
      assert(spare, 'a batch is admitted to a spare only if there is one');
      const openFrom = room.oldestOpen() ?? firstSeq;
      const header = formatSegmentHeader({ index: spare.index, origin: deps.origin, firstSeq, openFrom });
      segments.writeTo(spare, encoder.withPrefix(header, batch));
      pool.take();
    }
    sequence += events.length;
    timeMs = batch.timeMs;
    admission.settle(firstSeq);
    commit.wrote(sequence);
    deps.onAppended();
    return firstSeq;
  };
  const allPromised = (events: readonly LedgerEvent[]): boolean => {
    // As it will stand behind the others: a number or a time more may be the bytes too many, and half of a batch must not be written.
    let from = { firstSeq: sequence + 1, timeMs, syncedSequence: commit.syncedSequence };
    return room.areOwed(events, (event) => {
      const batch = encoder.encode([event], from);
      from = { ...from, firstSeq: from.firstSeq + 1, timeMs: batch.timeMs };
      return batch.bytes.length;
    });
  };
  const appendOrFail = (events: readonly LedgerEvent[]): number => {
    try {
      return appendBatch(events);
    } catch (error) {
      if (error instanceof LedgerError && error.code === 'ERR_LEDGER_IO') commit.fail(error);
      throw error;
    }
  };
  return {
    appendAll(events) {
      assert(events.length > 0, 'a batch holds at least one event');
      if (closed) throw new LedgerError('ERR_LEDGER_CLOSED', 'the ledger is stopped');
      if (commit.failure) throw commit.failure;
      const refusal = deps.refusal();
      // What was begun may end, and the log may speak of itself.
      if (refusal && !events.every(({ kind }) => kind === 'outcome' || kind === 'ledger')) throw refusal;
      try {
        return appendOrFail(events);
      } catch (error) {
        // Outcomes have room one by one, though perhaps not as one piece.
        if (events.length === 1 || codeOf(error) !== 'ERR_LEDGER_FULL' || !allPromised(events)) throw error;
        const firstSeq = sequence + 1;
        for (const event of events) appendOrFail([event]);
        return firstSeq;
      }
    },
    get sequence() {
      return sequence;
    },
    commit,
    hasRoom: () => room.hasRoom(segments.active),
    async close() {
      closed = true;
      try {
        if (!commit.failure) await commit.synced(sequence);
      } finally {
        segments.close();
      }
    },
  };
}
