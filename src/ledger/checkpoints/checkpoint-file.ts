import { join } from 'node:path';
import { codeOf } from '../../std/index.ts';
import { type Checkpoint, parseCheckpoint, parseNote, TlogError } from '../../wire/tlog/index.ts';
import { LedgerError, withIoErrors } from '../errors.ts';
import { type LedgerFiles, readFully } from '../files.ts';

/** A signed note as it stands in the file of all checkpoints. Its signature is not checked here. */
export interface CheckpointAt {
  readonly note: string;
  /** What its text says; undefined when that can't be read as a checkpoint. */
  readonly claim: Checkpoint | undefined;
  /** Offset behind it. */
  readonly end: number;
}

/**
 * The checkpoints that were kept, oldest first: notes, each followed by an empty line. They are there so that an entry changed together
 * with its tiles can still be bounded between two of them. Stops before a note that was cut short, or bytes that hold none.
 */
export function* readCheckpoints(files: LedgerFiles, directory: string): Generator<CheckpointAt, { torn: number }> {
  const file = openCheckpoints(files, directory, 'read');
  if (file === undefined) return { torn: 0 };
  try {
    let text = Buffer.alloc(0);
    let position = 0;
    /** A note that lost a page in a power cut: only what was being added then can, so it counts if something follows it. */
    let holed: CheckpointAt | undefined;
    for (;;) {
      const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
      const count = readFully(files, file, chunk, position + text.length);
      text = Buffer.concat([text, chunk.subarray(0, count)]);
      let start = 0;
      for (let end = noteEnd(text, 0); end > 0; end = noteEnd(text, start)) {
        if (holed) yield holed;
        const each = checkpointAt(text.subarray(start, end), position + end);
        holed = isHoled(each) ? each : undefined;
        if (!holed) yield each;
        start = end;
      }
      position += start;
      text = text.subarray(start);
      if (count < CHUNK_BYTES || text.length > NOTE_BYTES_MAX) return { torn: files.size(file) - position };
    }
  } finally {
    files.close(file);
  }
}

/** The newest checkpoint, found from the end of the file, however long that is. @throws ERR_LEDGER_IO, ERR_LEDGER_CORRUPT */
export function readLastCheckpoint(files: LedgerFiles, directory: string): CheckpointAt | undefined {
  return withIoErrors('the checkpoints can not be read', () => findLast(files, directory));
}

function findLast(files: LedgerFiles, directory: string): CheckpointAt | undefined {
  const file = openCheckpoints(files, directory, 'read');
  if (file === undefined) return undefined;
  try {
    const size = files.size(file);
    const from = Math.max(0, size - TAIL_BYTES);
    const bytes = Buffer.alloc(size - from);
    const text = bytes.subarray(0, readFully(files, file, bytes, from));
    const ends = [...(from === 0 ? [0] : []), ...noteEnds(text, from === 0)];
    const at = (back: number): CheckpointAt | undefined => {
      const [start, end] = ends.slice(ends.length - 1 - back);
      return start === undefined || end === undefined ? undefined : checkpointAt(text.subarray(start, end), from + end);
    };
    const newest = at(1);
    const last = newest && isHoled(newest) ? at(2) : newest;
    if (last || from === 0) return last;
    throw new LedgerError('ERR_LEDGER_CORRUPT', `the last ${TAIL_BYTES} bytes of \`checkpoints\` hold no checkpoint`);
  } finally {
    files.close(file);
  }
}

/** The file of all checkpoints; `checkpoint` beside it holds the newest alone, where C2SP tlog-tiles has it. */
export function checkpointsPath(directory: string): string {
  return join(directory, 'checkpoints');
}

/** Opens the file of all checkpoints; undefined when there is none. */
export function openCheckpoints(files: LedgerFiles, directory: string, mode: 'read' | 'update'): number | undefined {
  try {
    return files.open(checkpointsPath(directory), mode);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** `bytes` are a note and its empty line. */
function checkpointAt(bytes: Buffer, end: number): CheckpointAt {
  const note = bytes.toString('utf8', 0, bytes.length - 1);
  return { note, claim: claimOf(note), end };
}

function isHoled({ note }: CheckpointAt): boolean {
  return note.includes('\0');
}

/** Offset behind the note that begins at `start` and its empty line; 0 when it is not all there. */
function noteEnd(text: Buffer, start: number): number {
  const end = noteEnds(text.subarray(start), true).next().value;
  return end === undefined ? 0 : start + end;
}

/**
 * Where notes end: behind an empty line that follows a signature line. That shows from the two lines alone, so it is the same from
 * wherever one begins to read; the empty line within a note follows a line of its text, which is never a signature line in a checkpoint.
 */
function* noteEnds(text: Buffer, beginsLine: boolean): Generator<number, undefined> {
  for (let blank = text.indexOf(BLANK); blank >= 0; blank = text.indexOf(BLANK, blank + 1)) {
    const before = blank === 0 ? -1 : text.lastIndexOf(LF, blank - 1);
    // Of the line that the window cut, nothing is known.
    if (before < 0 && !beginsLine) continue;
    if (text.subarray(before + 1, blank).indexOf(SIGNATURE) === 0) yield blank + BLANK.length;
  }
  return undefined;
}

function claimOf(note: string): Checkpoint | undefined {
  try {
    return parseCheckpoint(parseNote(note).text);
  } catch (error) {
    if (error instanceof TlogError) return undefined;
    throw error;
  }
}

const LF = 0x0a;
const BLANK = Buffer.from('\n\n');
const SIGNATURE = Buffer.from('\u2014 ');
const CHUNK_BYTES = 64 * 1024;
/** Ours are some 250 bytes; leaves room for long names and witnesses' signatures. */
export const NOTE_BYTES_MAX = 32 * 1024;
/** Holds what a crash left of one note, a whole one, and the line before it that shows where it begins. */
const TAIL_BYTES = 3 * NOTE_BYTES_MAX;
