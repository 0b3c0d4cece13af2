import { join } from 'node:path';
import { type Checkpoint, parseCheckpoint, parseNote, TlogError } from '../wire/tlog/index.ts';
import { withIoErrors } from './errors.ts';
import { type LedgerFiles, readFully, replaceFile, writeFully } from './files.ts';

/** A signed note as it stands in the file of all checkpoints. Its signature is not checked here. */
export interface CheckpointAt {
  readonly note: string;
  /** What its text says; undefined when that can't be read as a checkpoint. */
  readonly claim: Checkpoint | undefined;
  /** Offset behind it. */
  readonly end: number;
}

/**
 * Every checkpoint ever signed, oldest first: notes, each followed by an empty line. Kept so that an entry changed together with
 * its tiles can still be bounded between two of them. Stops before a note that was cut short.
 */
export function* readCheckpoints(files: LedgerFiles, directory: string): Generator<CheckpointAt, { torn: number }> {
  const file = openCheckpoints(files, directory, 'read');
  if (file === undefined) return { torn: 0 };
  try {
    let text = Buffer.alloc(0);
    let position = 0;
    for (;;) {
      const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
      const count = readFully(files, file, chunk, position + text.length);
      text = Buffer.concat([text, chunk.subarray(0, count)]);
      let start = 0;
      for (let end = noteEnd(text, 0); end > 0; end = noteEnd(text, start)) {
        const note = text.toString('utf8', start, end - 1);
        yield { note, claim: claimOf(note), end: position + end };
        start = end;
      }
      position += start;
      text = text.subarray(start);
      if (count < CHUNK_BYTES || text.length > NOTE_BYTES_MAX) return { torn: text.length };
    }
  } finally {
    files.close(file);
  }
}

/** The newest checkpoint, found from the end of the file. @throws ERR_LEDGER_IO */
export function readLastCheckpoint(files: LedgerFiles, directory: string): CheckpointAt | undefined {
  return withIoErrors('the checkpoints can not be read', () => findLast(files, directory));
}

function findLast(files: LedgerFiles, directory: string): CheckpointAt | undefined {
  const file = openCheckpoints(files, directory, 'read');
  if (file === undefined) return undefined;
  try {
    const size = files.size(file);
    const from = Math.max(0, size - 2 * NOTE_BYTES_MAX);
    const bytes = Buffer.alloc(size - from);
    const text = bytes.subarray(0, readFully(files, file, bytes, from));
    // Somewhere in the file the first whole note begins behind the end of another.
    let start = from === 0 ? 0 : noteEnd(text, 0);
    let last: CheckpointAt | undefined;
    for (let end = noteEnd(text, start); end > 0; end = noteEnd(text, start)) {
      const note = text.toString('utf8', start, end - 1);
      last = { note, claim: claimOf(note), end: from + end };
      start = end;
    }
    return last;
  } finally {
    files.close(file);
  }
}

/** Adds a checkpoint behind `end`, cutting off what a crash left there; on disk when it resolves. Returns the new end. */
export async function appendCheckpoint(
  files: LedgerFiles,
  directory: string,
  added: { readonly note: string; readonly end: number },
): Promise<number> {
  const bytes = Buffer.from(`${added.note}\n`, 'utf8');
  const existing = openCheckpoints(files, directory, 'update');
  const file = existing ?? files.open(checkpointsPath(directory), 'create');
  try {
    files.truncate(file, added.end);
    writeFully(files, file, bytes, added.end);
    await files.sync(file);
    if (existing === undefined) await files.syncDirectory(directory);
  } finally {
    files.close(file);
  }
  replaceFile(files, join(directory, 'checkpoint'), Buffer.from(added.note, 'utf8'));
  return added.end + bytes.length;
}

/** The file of all checkpoints; `checkpoint` beside it holds the newest alone, where C2SP tlog-tiles has it. */
export function checkpointsPath(directory: string): string {
  return join(directory, 'checkpoints');
}

function openCheckpoints(files: LedgerFiles, directory: string, mode: 'read' | 'update'): number | undefined {
  return files.list(directory).includes('checkpoints') ? files.open(checkpointsPath(directory), mode) : undefined;
}

/** Offset behind the note that begins at `start` and its empty line; 0 when it is not all there. */
function noteEnd(text: Buffer, start: number): number {
  const blank = text.indexOf('\n\n', start);
  const end = blank < 0 ? -1 : text.indexOf('\n\n', blank + 2);
  return end < 0 ? 0 : end + 2;
}

function claimOf(note: string): Checkpoint | undefined {
  try {
    return parseCheckpoint(parseNote(note).text);
  } catch (error) {
    if (error instanceof TlogError) return undefined;
    throw error;
  }
}

const CHUNK_BYTES = 64 * 1024;
/** Ours are some 250 bytes; leaves room for long names and witnesses' signatures. */
const NOTE_BYTES_MAX = 32 * 1024;
