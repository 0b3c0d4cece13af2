import { join } from 'node:path';
import type { LedgerEvent } from '../model/index.ts';
import {
  type Clock,
  codeOf,
  createListeners,
  type Log,
  raceAbort,
  type Service,
  throwIfAborted,
} from '../std/index.ts';
import { noteKeyOf } from '../wire/tlog/index.ts';
import { type Checkpointer, createCheckpointer } from './checkpoints/checkpointer.ts';
import { readSignedStart } from './checkpoints/signed-start.ts';
import type {
  CheckpointKeeper,
  LedgerEntry,
  LedgerHealth,
  LedgerOptions,
  LedgerReader,
  LedgerSigner,
  LedgerState,
  LedgerWatch,
  LedgerWriter,
} from './contract.ts';
import { LedgerError, toIoError, withIoErrors } from './errors.ts';
import { createDiskFiles, type LedgerFiles } from './files.ts';
import { createReader } from './reader/read.ts';
import { type Recovered, recoverLog } from './recover.ts';
import { type Appender, createAppender } from './segments/append.ts';
import { SEGMENT_BYTES_MAX, SEGMENT_HEADER_BYTES_MAX, segmentsDirectory } from './segments/segment.ts';
import { createSegmentPool, type SegmentPool } from './segments/segment-pool.ts';
import { createTreeThread } from './tree/tree-thread.ts';
import { createTreeWriter, type TreeWriter } from './tree/tree-writer.ts';

/** What a ledger is made of. */
export interface LedgerDeps {
  readonly clock: Clock;
  readonly log: Log;
  /** Folder of this log alone; made (0700) when missing. */
  readonly directory: string;
  /** First line of every checkpoint: names the log for good, such as `countersign.example/gateway-1`. At most 256 characters. */
  readonly origin: string;
  readonly signer: LedgerSigner;
  /** Keeps the newest checkpoint beside the key. Without one, a folder put back to an earlier state is not told from that state. */
  readonly keeper?: CheckpointKeeper;
  /** What the log's writer says of itself in the entry of each start. */
  readonly about?: LedgerEvent['detail'];
  /** Why nothing new may be accepted for now, behind so many entries: its writer's own reason, asked before each append. Outcomes are taken all the same. */
  readonly refusal?: (written: number) => LedgerError | undefined;
  readonly options?: LedgerOptions;
  /** The disk; a test's own, when given. Hashing then runs inline. */
  readonly files?: LedgerFiles;
}

/**
 * Creates the ledger of one process. `start` takes the folder's lock, repairs a torn tail, gives every intent without outcome
 * the outcome `unknown`, takes up the tree and signs it; what it can't join to the last checkpoint it does not touch. `stop` syncs,
 * signs a last checkpoint and lets go.
 * @throws (from start) ERR_LEDGER_LOCKED, ERR_LEDGER_CORRUPT, ERR_LEDGER_ROLLED_BACK, ERR_LEDGER_VERSION, ERR_LEDGER_FULL,
 * ERR_LEDGER_IO; (from stop) ERR_LEDGER_IO
 */
export function createLedger(deps: LedgerDeps): LedgerWriter & LedgerReader & LedgerHealth & LedgerWatch & Service {
  const settings = settingsOf(deps);
  const files = deps.files ?? createDiskFiles();
  let running: Running | undefined;
  let unlock: (() => void) | undefined;
  const watchers = createListeners();
  const up = (): Running => {
    if (!running) throw new LedgerError('ERR_LEDGER_CLOSED', 'the ledger is not started, or stopped');
    return running;
  };
  const reader = createReader({
    files,
    directory: deps.directory,
    lastSequence: () => running?.appender.sequence,
    onMore: watchers.add,
  });
  return {
    ...reader,
    append: (event) => up().appender.appendAll([event]),
    appendAll: (events) => up().appender.appendAll(events),
    async synced(sequence) {
      const { appender } = up();
      if (!(sequence <= appender.sequence)) {
        throw new LedgerError(
          'ERR_LEDGER_NOT_FOUND',
          `entry ${sequence} was not written; the newest is ${appender.sequence}`,
        );
      }
      await appender.commit.synced(sequence);
    },
    get sequence() {
      return up().appender.sequence;
    },
    get syncedSequence() {
      return up().appender.commit.syncedSequence;
    },
    get failure() {
      return running?.appender.commit.failure;
    },
    state: () => running && stateOf(running),
    async start(signal) {
      throwIfAborted(signal);
      unlock = withIoErrors('the ledger folder can not be used', () => {
        files.makeDirectory(segmentsDirectory(deps.directory));
        return files.lock(join(deps.directory, 'lock'));
      });
      if (!unlock) throw new LedgerError('ERR_LEDGER_LOCKED', `another writer holds ${deps.directory}`);
      running = await open({ ...deps, ...settings, files, wake: () => watchers.tell(), signal }).catch(
        (cause: unknown) => {
          throw toIoError('the ledger could not be started', cause);
        },
      );
      throwIfAborted(signal);
    },
    async stop() {
      const closing = running;
      running = undefined;
      try {
        if (closing) await close(closing, deps.clock);
      } catch (cause) {
        throw toIoError('the ledger could not be brought to its end; its next start repairs it', cause);
      } finally {
        unlock?.();
        unlock = undefined;
        watchers.tell();
      }
    },
  };
}

interface Running {
  readonly pool: SegmentPool;
  readonly tree: TreeWriter;
  readonly appender: Appender;
  readonly checkpointer: Checkpointer;
  readonly refusal: () => LedgerError | undefined;
}

function stateOf({ appender, pool, checkpointer, refusal }: Running): LedgerState {
  const { failure: checkpointFailure, ...lag } = checkpointer.lag();
  const room = !appender.hasRoom() ? 'none' : pool.failure ? 'low' : 'enough';
  return {
    failure: appender.commit.failure,
    refusal: refusal(),
    room,
    roomFailure: pool.failure,
    ...lag,
    checkpointFailure,
  };
}

interface Settings {
  readonly segmentBytes: number;
  readonly syncDelayMs: number;
  readonly checkpointEveryMs: number;
  readonly hashing: 'thread' | 'inline';
}

type OpenDeps = LedgerDeps &
  Settings & { readonly files: LedgerFiles; readonly wake: () => void; readonly signal: AbortSignal };

async function open(deps: OpenDeps): Promise<Running> {
  const { files, directory, origin, signal } = deps;
  const key = noteKeyOf(deps.signer.name, deps.signer.publicKey);
  const signed = await readSignedStart(deps);
  const recovered = await recoverLog({ files, directory, origin, signedSize: signed.size, signal });
  const { state } = recovered;
  const pool = createSegmentPool({ ...deps, nextIndex: recovered.nextIndex, spares: recovered.spares });
  const tree = deps.hashing === 'thread' ? createTreeThread(directory) : createTreeWriter({ files, directory });
  let appender: Appender | undefined;
  try {
    const head = await raceAbort(tree.open(signed.kept), signal);
    const checkpointer = createCheckpointer({
      ...deps,
      key,
      tree,
      everyMs: deps.checkpointEveryMs,
      signedSize: head.size,
      writtenSize: () => (appender?.sequence ?? state.sequence) + 1,
      onSigned: deps.wake,
    });
    const refusal = () => checkpointer.refusal() ?? deps.refusal?.(opened.sequence + 1);
    const opened: Appender = createAppender({
      ...deps,
      pool,
      state,
      refusal,
      onAppended() {
        checkpointer.wrote();
        deps.wake();
      },
      onSynced: () => checkpointer.synced(opened.commit.syncedSequence + 1),
    });
    appender = opened;
    pool.want(1);
    const failure = state.active || pool.ready.length > 0 ? undefined : await pool.settled();
    if (failure) throw noFirstSegment(failure);
    await recordStart(opened, recovered, deps);
    await checkpointer.begin();
    return { pool, tree, appender: opened, checkpointer, refusal };
  } catch (error) {
    // The failure of the start is the one to report.
    await closeAll([
      async () => appender?.close(),
      async () => (!appender && state.active ? files.close(state.active.file) : undefined),
      () => tree.close(),
      () => pool.stop(),
    ]).catch(() => {});
    throw error;
  }
}

/** Says in the log itself that it was taken up again, what was cut off, and which operations have no known outcome. */
async function recordStart(
  appender: Appender,
  recovered: Recovered,
  { clock, log, about }: Pick<LedgerDeps, 'clock' | 'log' | 'about'>,
): Promise<void> {
  const timeMs = clock.now();
  const outcomes = recovered.unfinished.map((intent) => unknownOutcome(intent, timeMs));
  for (let at = 0; at < outcomes.length; at += OUTCOMES_A_BATCH)
    appender.appendAll(outcomes.slice(at, at + OUTCOMES_A_BATCH));
  const detail = { tornBytes: recovered.tornBytes, unknownOutcomes: outcomes.length };
  try {
    appender.appendAll([ownEvent('start', timeMs, { ...about, ...detail })]);
  } catch (error) {
    // On a full disk the outcomes had room; that the process started is then the one thing that may go unsaid.
    if (codeOf(error) !== 'ERR_LEDGER_FULL' || recovered.tornBytes > 0) throw error;
    log.warn('ledger.start.unrecorded', { error });
  }
  await appender.commit.synced(appender.sequence);
  if (recovered.tornBytes > 0) log.warn('ledger.tail.torn', detail);
}

async function close(running: Running, clock: Clock): Promise<void> {
  const { appender, checkpointer, tree, pool } = running;
  try {
    if (!appender.commit.failure) appender.appendAll([ownEvent('stop', clock.now(), {})]);
  } catch (error) {
    // A full ledger stops all the same.
    if (codeOf(error) !== 'ERR_LEDGER_FULL') throw error;
  } finally {
    await closeAll([() => appender.close(), () => checkpointer.finish(), () => tree.close(), () => pool.stop()]);
  }
}

/** Closes in order, whatever fails, and throws the first failure. */
async function closeAll(steps: readonly (() => Promise<void>)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const step of steps) await step().catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw failures[0];
}

function unknownOutcome(intent: LedgerEntry, timeMs: number): LedgerEvent {
  const { actor, target, action, session, operation, seq } = intent;
  const detail = { status: 'unknown', reason: 'the process ended before the operation did', intent: seq };
  return { kind: 'outcome', timeMs, actor, target, action, session, operation, detail };
}

function ownEvent(action: 'start' | 'stop', timeMs: number, detail: LedgerEvent['detail']): LedgerEvent {
  return { kind: 'ledger', timeMs, actor: 'ledger', target: '', action, session: '', operation: '', detail };
}

function noFirstSegment(cause: Error): LedgerError {
  const full = codeOf(cause) === 'ENOSPC' || codeOf(cause) === 'EDQUOT';
  const code = full ? 'ERR_LEDGER_FULL' : 'ERR_LEDGER_IO';
  return new LedgerError(code, `the first segment can't be made: ${cause.message}`, { cause });
}

function settingsOf(deps: LedgerDeps): Settings {
  const {
    segmentBytes = SEGMENT_BYTES,
    syncDelayMs = SYNC_DELAY_MS,
    checkpointEveryMs = CHECKPOINT_EVERY_MS,
    hashing,
  } = deps.options ?? {};
  if (!Number.isSafeInteger(segmentBytes) || segmentBytes < SEGMENT_BYTES_MIN || segmentBytes > SEGMENT_BYTES_MAX) {
    throw new RangeError(`segmentBytes is ${segmentBytes}, not ${SEGMENT_BYTES_MIN} to ${SEGMENT_BYTES_MAX}`);
  }
  if (deps.origin.length > ORIGIN_LENGTH_MAX)
    throw new RangeError(`the origin is over ${ORIGIN_LENGTH_MAX} characters`);
  return { segmentBytes, syncDelayMs, checkpointEveryMs, hashing: deps.files ? 'inline' : (hashing ?? 'thread') };
}

/** Some 40,000 entries: a second at full load, so that the next one is always ready in time. */
const SEGMENT_BYTES = 16 * 1024 * 1024;
/** Holds a few outcomes of the largest size besides the header; small ones are for tests. */
const SEGMENT_BYTES_MIN = 64 * SEGMENT_HEADER_BYTES_MAX;
/** Half of the 10 ms within which an entry is to be on disk; the other half is the disk's. */
const SYNC_DELAY_MS = 5;
const CHECKPOINT_EVERY_MS = 1000;
/** Keeps a segment's header within its bound, even if every character takes three bytes. */
const ORIGIN_LENGTH_MAX = 256;
const OUTCOMES_A_BATCH = 64;
