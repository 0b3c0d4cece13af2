import { TlogError } from './errors.ts';
import { HASH_BYTES } from './merkle.ts';
import { decodeBase64, type Note, type NoteKey, verifyNote } from './note.ts';

/** A tree head: which log, how many leaves, which root. */
export interface Checkpoint {
  /** Names the log; one non-empty line. */
  readonly origin: string;
  readonly size: number;
  readonly root: Buffer;
}

/** The text that is signed. @throws ERR_TLOG_CHECKPOINT @see C2SP tlog-checkpoint */
export function formatCheckpoint(checkpoint: Checkpoint): string {
  const text = `${checkpoint.origin}\n${checkpoint.size}\n${checkpoint.root.toString('base64')}\n`;
  parseCheckpoint(text);
  return text;
}

/** Reads the text of a checkpoint; extension lines are allowed and ignored. @throws ERR_TLOG_CHECKPOINT */
export function parseCheckpoint(text: string): Checkpoint {
  const lines = text.split('\n');
  const [origin = '', size = '', root = ''] = lines;
  const hash = decodeBase64(root);
  if (lines.length < 4 || lines.pop() !== '' || lines.includes('')) {
    throw new TlogError('ERR_TLOG_CHECKPOINT', 'a checkpoint has three or more lines, none of them empty');
  }
  if (!/^(0|[1-9][0-9]{0,15})$/.test(size) || !Number.isSafeInteger(Number(size))) {
    throw new TlogError('ERR_TLOG_CHECKPOINT', 'the size of a checkpoint is a decimal number below 2^53');
  }
  if (hash?.length !== HASH_BYTES)
    throw new TlogError('ERR_TLOG_CHECKPOINT', 'the root of a checkpoint is 32 bytes in base64');
  return { origin, size: Number(size), root: hash };
}

/** The checkpoint in a signed note, once its signature by `key` and its origin are found right. @throws ERR_TLOG_NOTE, ERR_TLOG_CHECKPOINT */
export function verifyCheckpoint(
  note: string,
  expected: { readonly origin: string; readonly key: NoteKey },
): Checkpoint {
  const verified: Note = verifyNote(note, expected.key);
  const checkpoint = parseCheckpoint(verified.text);
  if (checkpoint.origin !== expected.origin) {
    throw new TlogError('ERR_TLOG_CHECKPOINT', `the checkpoint is of ${checkpoint.origin}, not of ${expected.origin}`);
  }
  return checkpoint;
}
