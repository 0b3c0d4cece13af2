import { type Clock, type Log, messageOf, type Timer } from '../../std/index.ts';
import { LedgerError } from '../errors.ts';

/**
 * One sync at a time for everything written meanwhile. Whoever waits shares the promise of the sync that covers him; when nobody
 * waits, one timer begins a sync `delayMs` after the first write that has none.
 */
export interface GroupCommit {
  /** An entry was written. */
  wrote(sequence: number): void;
  /** Resolves when everything up to `sequence` is on disk. @throws ERR_LEDGER_IO */
  synced(sequence: number): Promise<void>;
  readonly syncedSequence: number;
  /** The failure after which nothing is synced any more. */
  readonly failure: LedgerError | undefined;
  /** Makes everything after this fail, and all who wait. */
  fail(failure: LedgerError): void;
}

/** Creates a {@link GroupCommit}; `sync` puts everything written so far on disk, `onSynced` is told after each success. */
export function createGroupCommit(deps: {
  readonly clock: Clock;
  readonly log: Log;
  readonly delayMs: number;
  readonly syncedSequence: number;
  readonly sync: () => Promise<void>;
  readonly onSynced: () => void;
}): GroupCommit {
  let written = deps.syncedSequence;
  let synced = deps.syncedSequence;
  let failure: LedgerError | undefined;
  let running: Round | undefined;
  let next: Round | undefined;
  let timer: Timer | undefined;

  const begin = () => {
    timer?.cancel();
    timer = undefined;
    if (running || failure || written === synced) return;
    const round = next ?? createRound();
    next = undefined;
    round.upTo = written;
    running = round;
    deps.sync().then(
      () => {
        // A write failed meanwhile: the round was rejected, and nothing is claimed any more.
        if (running !== round) return;
        running = undefined;
        synced = round.upTo;
        round.resolve();
        if (next) begin();
        else if (written > synced) arm();
        deps.onSynced();
      },
      (cause: unknown) => {
        fail(new LedgerError('ERR_LEDGER_IO', `the disk failed to sync the ledger: ${messageOf(cause)}`, { cause }));
      },
    );
  };
  const arm = () => {
    timer ??= deps.clock.after(deps.delayMs, begin);
  };
  const fail = (error: LedgerError) => {
    if (failure) return;
    failure = error;
    timer?.cancel();
    deps.log.error('ledger.disk.failed', { error });
    running?.reject(error);
    next?.reject(error);
    running = undefined;
    next = undefined;
  };
  return {
    wrote(sequence) {
      written = sequence;
      if (!running && !next) arm();
    },
    synced(sequence) {
      if (sequence <= synced) return Promise.resolve();
      if (failure) return Promise.reject(failure);
      if (running && sequence <= running.upTo) return running.promise;
      if (!next) {
        next = createRound();
        // Not at once: those who ask in this turn of the event loop ride along.
        if (!running) setImmediate(begin);
      }
      return next.promise;
    },
    get syncedSequence() {
      return synced;
    },
    get failure() {
      return failure;
    },
    fail,
  };
}

interface Round {
  upTo: number;
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

function createRound(): Round {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  // Nobody need wait for a sync: a failure is also kept, logged, and met by the next append.
  promise.catch(() => {});
  return { upTo: -1, promise, resolve, reject };
}
