import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { throwIfAborted } from '../../std/index.ts';
import { type Checkpoint, type NoteKey, parseNote, TlogError, verifyCheckpoint } from '../../wire/tlog/index.ts';
import { NOTE_BYTES_MAX, readCheckpoints } from '../checkpoints/checkpoint-file.ts';
import { type LedgerFiles, readFile } from '../files.ts';

/** What can be wrong with a checkpoint itself, or with where checkpoints stand. */
export interface CheckpointFinding {
  readonly kind:
    | 'checkpoint-forged'
    | 'wrong-key'
    | 'checkpoints-contradict'
    /** The file of all checkpoints ends before the newest. */
    | 'checkpoints-cut';
  readonly message: string;
}

interface OrderDeps {
  readonly files: LedgerFiles;
  readonly directory: string;
  readonly origin: string;
  readonly keys: readonly NoteKey[];
  /** Signed notes from elsewhere. */
  readonly known: readonly string[];
  readonly signal: AbortSignal;
}

/**
 * The checkpoints of a folder and those known from elsewhere whose signature is right, by size. The others, and two of the same
 * size with different roots, are told to `found`. Those that a writer adds meanwhile are given too: the folder may be in use.
 */
export async function* checkpointsInOrder(
  deps: OrderDeps,
  found: (finding: CheckpointFinding) => void,
): AsyncGenerator<Checkpoint, void> {
  let reported = 0;
  const report = (finding: CheckpointFinding) => {
    // One is enough to act on; a file of forgeries need not fill the report.
    if (reported++ < FINDINGS_MAX) found(finding);
  };
  // Read first: it is written behind the file of all, so that one holds it too, or was cut.
  const beside = readBeside(deps, report);
  const known = deps.known
    .map((note, i) => read(deps, note, `known checkpoint ${i + 1}`, report))
    .filter((checkpoint) => checkpoint !== undefined)
    .sort((a, b) => a.size - b.size);
  const order = createOrder(report);
  for await (const checkpoint of ownCheckpoints(deps, () => order.last?.size ?? -1, report)) {
    while (known[0] && known[0].size < checkpoint.size) yield* order.follow(known.shift() ?? checkpoint);
    yield* order.follow(checkpoint);
  }
  const ownSize = order.last?.size ?? 0;
  if (beside && beside.size > ownSize) {
    const message = `\`checkpoints\` ends with that of ${ownSize} entries, but \`checkpoint\` covers ${beside.size}: the newest were cut off`;
    report({ kind: 'checkpoints-cut', message });
    known.push(beside);
    known.sort((a, b) => a.size - b.size);
  }
  for (const checkpoint of known) yield* order.follow(checkpoint);
}

/** Lets those pass that each extend the one before. */
function createOrder(report: (finding: CheckpointFinding) => void) {
  let last: Checkpoint | undefined;
  return {
    get last() {
      return last;
    },
    *follow(next: Checkpoint): Generator<Checkpoint, void> {
      if (last && (next.size < last.size || (next.size === last.size && !next.root.equals(last.root)))) {
        const message = `the log signed a tree of ${last.size} entries, then another one of ${next.size} that does not extend it`;
        report({ kind: 'checkpoints-contradict', message });
        return;
      }
      if (next.size === last?.size) return;
      last = next;
      yield next;
    },
  };
}

/** Those in the file of all; then those that were added since, as long as there are some. */
async function* ownCheckpoints(
  deps: OrderDeps,
  lastSize: () => number,
  report: (finding: CheckpointFinding) => void,
): AsyncGenerator<Checkpoint, void> {
  for (let pass = 0; pass < PASSES_MAX; pass++) {
    const seen = lastSize();
    const notes = readCheckpoints(deps.files, deps.directory);
    let step = notes.next();
    for (let place = 1; !step.done; step = notes.next(), place++) {
      if (place % NOTES_A_TURN === 0) await turn();
      throwIfAborted(deps.signal);
      const { note, claim } = step.value;
      if (pass > 0 && (!claim || claim.size <= seen)) continue;
      const checkpoint = read(deps, note, `checkpoint ${place}`, report);
      if (checkpoint) yield checkpoint;
    }
    if (pass === 0 && step.value.torn > NOTE_BYTES_MAX) {
      const message = `behind the last of them, \`checkpoints\` holds ${step.value.torn} bytes that are no checkpoint`;
      report({ kind: 'checkpoint-forged', message });
    }
    if (lastSize() === seen) return;
  }
}

/** The newest checkpoint as `checkpoint` has it; undefined when that is missing, or no note: a power cut may leave half of it, for it is not synced. */
function readBeside(deps: OrderDeps, report: (finding: CheckpointFinding) => void): Checkpoint | undefined {
  const note = readFile(deps.files, join(deps.directory, 'checkpoint'), NOTE_BYTES_MAX)?.toString('utf8');
  if (note === undefined || !isNote(note)) return undefined;
  return read(deps, note, '`checkpoint`', report);
}

function isNote(text: string): boolean {
  try {
    parseNote(text);
    return true;
  } catch (error) {
    if (error instanceof TlogError) return false;
    throw error;
  }
}

function read(
  deps: OrderDeps,
  note: string,
  name: string,
  found: (finding: CheckpointFinding) => void,
): Checkpoint | undefined {
  let refusal = 'no key was given';
  for (const key of deps.keys) {
    try {
      return verifyCheckpoint(note, { origin: deps.origin, key });
    } catch (error) {
      if (!(error instanceof TlogError)) throw error;
      refusal = error.message; // Told below unless another key fits.
    }
  }
  found({ kind: isOfAnotherKey(note, deps.keys) ? 'wrong-key' : 'checkpoint-forged', message: `${name}: ${refusal}` });
  return undefined;
}

/** True when a note is whole but names none of the keys: rather a wrong key in the verifier's hand than a forged signature. */
function isOfAnotherKey(note: string, keys: readonly NoteKey[]): boolean {
  try {
    const { signatures } = parseNote(note);
    return !signatures.some((line) => keys.some((key) => key.name === line.name && key.id === line.id));
  } catch (error) {
    if (error instanceof TlogError) return false;
    throw error;
  }
}

const FINDINGS_MAX = 8;
/** A signature takes some fifty microseconds to check. */
const NOTES_A_TURN = 64;
/** Each pass has a fraction of the one before to do, unless entries come faster than they can be hashed. */
const PASSES_MAX = 8;
