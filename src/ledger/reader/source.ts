import { planConsistency } from '../../wire/tlog/index.ts';
import { readCheckpoints, readLastCheckpoint } from '../checkpoints/checkpoint-file.ts';
import { LedgerError } from '../errors.ts';
import { createDiskFiles, type LedgerFiles } from '../files.ts';
import { createLeafReader } from '../segments/leaf-reader.ts';
import { readHashes } from '../tree/tile-hashes.ts';

/** A checkpoint, and how many entries it covers. Its signature is not checked here. */
export interface SizedCheckpoint {
  readonly note: string;
  readonly size: number;
}

/**
 * What of a ledger's folder is handed on to others: the bytes that were signed. It reads beside the writer, locks nothing, holds no more than
 * it was asked for, and each call takes a few milliseconds at most.
 */
export interface LedgerSource {
  /** The newest checkpoint; undefined before the first. @throws ERR_LEDGER_IO, ERR_LEDGER_CORRUPT */
  newest(): SizedCheckpoint | undefined;
  /**
   * The checkpoint to go on to from `size` on: the newest, or one before it where that is far. Undefined when none covers more.
   * @throws ERR_LEDGER_IO, ERR_LEDGER_CORRUPT
   */
  next(size: number): SizedCheckpoint | undefined;
  /**
   * The bytes of entries from `first` to before `end`: as many as fit `bytesMax`, one at least. Fewer, or none, where the log is cut or can't
   * be read any further, though checkpoints cover it. @throws ERR_LEDGER_IO
   */
  read(first: number, end: number, bytesMax: number): Buffer[];
  /** Consistency proof between two checkpoints' sizes; empty where the tree can't be read. */
  consistency(oldSize: number, newSize: number): readonly Buffer[];
  close(): void;
}

/** Creates a {@link LedgerSource}. */
export function createLedgerSource(deps: { readonly directory: string; readonly files?: LedgerFiles }): LedgerSource {
  const { directory, files = createDiskFiles() } = deps;
  const reader = createLeafReader({ files, directory });
  /** Goes through older checkpoints once, by a file that stays what it was when they are thinned out. */
  let older: Generator<{ note: string; claim: { size: number } | undefined }, unknown> | undefined;
  let ahead: SizedCheckpoint | undefined;

  const newest = () => sized(readLastCheckpoint(files, directory));
  const leaveOlder = () => {
    older?.return(undefined);
    older = undefined;
    ahead = undefined;
  };
  /** The last one that is near, else the first behind `size`. */
  const nextOfOlder = (size: number): SizedCheckpoint | undefined => {
    older ??= readCheckpoints(files, directory);
    let best: SizedCheckpoint | undefined;
    for (;;) {
      if (ahead === undefined) {
        const step = older.next();
        if (step.done) return best;
        ahead = sized(step.value);
      }
      if (ahead !== undefined && ahead.size > size) {
        if (best !== undefined && ahead.size > size + NEAR) return best;
        best = ahead;
      }
      ahead = undefined;
    }
  };
  return {
    newest,
    next(size) {
      const last = newest();
      if (last === undefined || last.size <= size) return undefined;
      if (last.size - size > NEAR) {
        const before = nextOfOlder(size);
        if (before !== undefined) return before;
      }
      leaveOlder();
      return last;
    },
    read(first, end, bytesMax) {
      const entries: Buffer[] = [];
      reader.refresh();
      for (let sequence = first, bytes = 0; sequence < end; sequence++) {
        const entry = readOne(() => reader.next(sequence));
        if (entry === undefined) return entries;
        bytes += entry.length;
        if (entries.length > 0 && bytes > bytesMax) return entries;
        entries.push(Buffer.from(entry));
      }
      return entries;
    },
    consistency(oldSize, newSize) {
      try {
        const size = newest()?.size ?? 0;
        return newSize > size ? [] : readHashes({ files, directory }, planConsistency(oldSize, newSize), size);
      } catch (error) {
        if (error instanceof Error) return []; // Whoever wants the proof is told nothing by it, and decides by the entries.
        throw error;
      }
    },
    close() {
      reader.close();
      leaveOlder();
    },
  };
}

function sized(at: { note: string; claim: { size: number } | undefined } | undefined): SizedCheckpoint | undefined {
  return at?.claim === undefined ? undefined : { note: at.note, size: at.claim.size };
}

/** What is damaged can't be read: that is all a reader knows of it. */
function readOne(read: () => Buffer | undefined): Buffer | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof LedgerError && error.code === 'ERR_LEDGER_CORRUPT') return undefined;
    throw error;
  }
}

/** A second of a busy log: some megabytes. */
const NEAR = 8192;
