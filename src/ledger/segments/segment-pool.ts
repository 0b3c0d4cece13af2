import { type Clock, codeOf, type Log, type Timer } from '../../std/index.ts';
import { type LedgerFiles, writeFullyBehind } from '../files.ts';
import { segmentPath, segmentsDirectory } from './segment.ts';

/** A segment file full of zeros, open for update. */
export interface Spare {
  readonly index: number;
  readonly file: number;
  readonly bytes: number;
}

/**
 * Segments made ahead of need. Their blocks are written with zeros and synced before they count, so that entries written over
 * them later need no room and no change of the file's size: a sync is one flush, and a full disk can't stop an outcome.
 */
export interface SegmentPool {
  /** Those that are ready, oldest first. */
  readonly ready: readonly Spare[];
  /** The oldest spare, now the caller's; undefined when none is ready. */
  take(): Spare | undefined;
  /** Sets how many should be ready; they are made one after another in the background, again and again until there is room. */
  want(count: number): void;
  /** Resolves when as many as wanted are ready, or the last attempt failed (with its error). */
  settled(): Promise<Error | undefined>;
  /** Why the last attempt to make one failed; undefined once one succeeded. */
  readonly failure: Error | undefined;
  /** Gives up making, closes the spares. */
  stop(): Promise<void>;
}

/** Creates a pool whose next segment will have the number `nextIndex`; `spares` were found ready on disk. */
export function createSegmentPool(deps: {
  readonly clock: Clock;
  readonly log: Log;
  readonly files: LedgerFiles;
  readonly directory: string;
  readonly segmentBytes: number;
  readonly nextIndex: number;
  readonly spares: readonly Spare[];
}): SegmentPool {
  const { clock, log, files } = deps;
  const spares = [...deps.spares];
  let nextIndex = deps.nextIndex;
  let wanted = 0;
  let stopped = false;
  let failing: Error | undefined;
  let retry: Timer | undefined;
  let making: Promise<Error | undefined> | undefined;

  const makeAll = async (): Promise<Error | undefined> => {
    while (!stopped && spares.length < wanted) {
      const spare = await makeSpare(deps, nextIndex).catch((error: unknown) => asError(error));
      if (spare instanceof Error) {
        if (!failing) log.warn('ledger.segment.unavailable', { segment: nextIndex, code: codeOf(spare), error: spare });
        failing = spare;
        return spare;
      }
      if (failing) log.info('ledger.segment.available', { segment: nextIndex });
      failing = undefined;
      nextIndex++;
      spares.push(spare);
    }
    return undefined;
  };
  const start = () => {
    if (making || retry || stopped || spares.length >= wanted) return;
    making = makeAll().then((failure) => {
      making = undefined;
      if (failure && !stopped) {
        retry = clock.after(RETRY_MS, () => {
          retry = undefined;
          start();
        });
      }
      return failure;
    });
  };
  return {
    ready: spares,
    take() {
      const spare = spares.shift();
      start();
      return spare;
    },
    want(count) {
      wanted = Math.min(count, SPARES_MAX);
      start();
    },
    get failure() {
      return failing;
    },
    settled: async () => (await making) ?? undefined,
    async stop() {
      stopped = true;
      retry?.cancel();
      await making;
      for (const spare of spares.splice(0)) files.close(spare.file);
    },
  };
}

/** Name of a segment that is still being filled. */
export function unfinishedPath(directory: string, index: number): string {
  return `${segmentPath(directory, index)}${UNFINISHED_SUFFIX}`;
}

async function makeSpare(
  deps: { readonly files: LedgerFiles; readonly directory: string; readonly segmentBytes: number },
  index: number,
): Promise<Spare> {
  const { files, directory, segmentBytes } = deps;
  const path = unfinishedPath(directory, index);
  files.remove(path);
  const file = await files.createBehind(path);
  try {
    const zeros = Buffer.alloc(Math.min(FILL_BYTES, segmentBytes));
    for (let at = 0; at < segmentBytes; at += zeros.length) {
      await writeFullyBehind(files, file, zeros.subarray(0, Math.min(zeros.length, segmentBytes - at)), at);
    }
    await files.sync(file);
    files.rename(path, segmentPath(directory, index));
    await files.syncDirectory(segmentsDirectory(directory));
    return { index, file, bytes: segmentBytes };
  } catch (error) {
    files.close(file);
    // What was filled so far is given back: on a full disk others need it, and the next attempt starts over.
    files.remove(path);
    files.remove(segmentPath(directory, index));
    throw error;
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

/** Ending of a segment's name while it is being filled: found at a start, such a file is removed. */
export const UNFINISHED_SUFFIX = '.new';

/** A write that the disk takes without holding up the syncs of entries for long. */
const FILL_BYTES = 1024 * 1024;
/** How soon a full disk is asked again. */
const RETRY_MS = 1000;
/** Bounds what is held of the disk for outcomes: with the default size, 512 MiB. */
const SPARES_MAX = 32;
