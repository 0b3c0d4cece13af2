import { join } from 'node:path';
import { codeOf } from '../../std/index.ts';
import { type LedgerFiles, replaceFile, writeFully } from '../files.ts';
import { type CheckpointAt, checkpointsPath, openCheckpoints, readCheckpoints } from './checkpoint-file.ts';

/** Adds to the file of all checkpoints, and keeps it short. */
export interface CheckpointWriter {
  /** Goes on behind the newest, as it was found; without one, at the beginning. */
  open(last: CheckpointAt | undefined): void;
  /** Adds the checkpoint of a tree of `size`; on disk when it resolves. */
  add(note: string, size: number): Promise<void>;
}

/** Creates a {@link CheckpointWriter} over a ledger's folder. */
export function createCheckpointWriter(deps: {
  readonly files: LedgerFiles;
  readonly directory: string;
}): CheckpointWriter {
  const { files, directory } = deps;
  let end = 0;
  /**
   * The newest as the start found it, to be written again with the next: after a sync that failed, the system may hold in memory, as if
   * clean, what the disk never took.
   */
  let before = Buffer.alloc(0);
  let thinnedEnd = 0;
  return {
    open(last) {
      end = last?.end ?? 0;
      before = last ? Buffer.from(`${last.note}\n`, 'utf8') : Buffer.alloc(0);
    },
    async add(note, size) {
      // From here on it counts: what fails after this must not have it overwritten by the next one.
      end = await appendCheckpoint(files, directory, { before, note, end });
      before = Buffer.alloc(0);
      replaceNewest(files, directory, note);
      const thinned = await thinCheckpoints(files, directory, { end, thinnedEnd, size });
      if (thinned !== end) thinnedEnd = thinned;
      end = thinned;
    },
  };
}

/** Adds a checkpoint behind `end`, cutting off what a crash left there; on disk when it resolves. Returns the new end. */
async function appendCheckpoint(
  files: LedgerFiles,
  directory: string,
  added: { readonly before: Buffer; readonly note: string; readonly end: number },
): Promise<number> {
  const bytes = Buffer.from(`${added.note}\n`, 'utf8');
  const existing = openCheckpoints(files, directory, 'update');
  const file = existing ?? files.open(checkpointsPath(directory), 'create');
  try {
    files.truncate(file, added.end);
    writeFully(files, file, Buffer.concat([added.before, bytes]), added.end - added.before.length);
    await files.sync(file);
    // Also where an earlier attempt made the file and failed then: the first checkpoint must not go with its name.
    if (added.end === 0) await files.syncDirectory(directory);
  } finally {
    files.close(file);
  }
  return added.end + bytes.length;
}

/**
 * Leaves of the older checkpoints only the first in each {@link ENTRIES_A_CHECKPOINT} entries, once the file is twice as long as that
 * makes it. Returns where it ends then. A failure leaves it as long as it was, to be tried again. @see docs/decisions/0013
 */
async function thinCheckpoints(
  files: LedgerFiles,
  directory: string,
  now: { readonly end: number; readonly thinnedEnd: number; readonly size: number },
): Promise<number> {
  const sparse = (now.size / ENTRIES_A_CHECKPOINT) * NOTE_BYTES_USUAL;
  if (now.end < Math.max(2 * (RECENT_BYTES + sparse), now.thinnedEnd + RECENT_BYTES)) return now.end;
  const fresh = `${checkpointsPath(directory)}.new`;
  let end = now.end;
  try {
    files.remove(fresh);
    const file = files.open(fresh, 'create');
    let written = 0;
    try {
      let text = '';
      const flush = () => {
        const bytes = Buffer.from(text, 'utf8');
        writeFully(files, file, bytes, written);
        written += bytes.length;
        text = '';
      };
      for (const note of thinned(readCheckpoints(files, directory), now.end - RECENT_BYTES)) {
        text += `${note}\n`;
        if (text.length > CHUNK_BYTES) flush();
      }
      flush();
      await files.sync(file);
    } finally {
      files.close(file);
    }
    files.rename(fresh, checkpointsPath(directory));
    end = written;
    await files.syncDirectory(directory);
  } catch (error) {
    // Every checkpoint is in the one file or the other, whole: nothing is lost but the room.
    if (codeOf(error) === undefined) throw error;
  }
  return end;
}

/** What stays: all that end behind `recentFrom`, of the others one for each stretch of entries, and whatever is no checkpoint, for a verifier to see. */
function* thinned(all: Iterable<CheckpointAt>, recentFrom: number): Generator<string> {
  let stretch = -1;
  for (const { note, claim, end } of all) {
    const own = claim && Math.floor(claim.size / ENTRIES_A_CHECKPOINT);
    if (end <= recentFrom && own === stretch) continue;
    stretch = own ?? stretch;
    yield note;
  }
}

/** Puts the newest checkpoint where C2SP tlog-tiles has it. Not synced: it is only ever behind the file of all. */
function replaceNewest(files: LedgerFiles, directory: string, note: string): void {
  replaceFile(files, join(directory, 'checkpoint'), Buffer.from(note, 'utf8'));
}

/** Some four thousand checkpoints, more than an hour of them: all that are newer than that are kept. */
export const RECENT_BYTES = 1024 * 1024;
const CHUNK_BYTES = 64 * 1024;
/** A fifteenth of a byte of checkpoints for each entry, in the long run: less than a thousandth of what the entry takes. */
export const ENTRIES_A_CHECKPOINT = 4096;
/** One of ours with an origin of usual length. */
const NOTE_BYTES_USUAL = 256;
