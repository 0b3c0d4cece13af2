import { type Checkpoint, type NoteKey, parseNote, TlogError, verifyCheckpoint } from '../wire/tlog/index.ts';
import { readCheckpoints } from './checkpoint-file.ts';
import type { LedgerFiles } from './files.ts';

/** What can be wrong with a checkpoint itself. */
export interface CheckpointFinding {
  readonly kind: 'checkpoint-forged' | 'wrong-key' | 'checkpoints-contradict';
  readonly message: string;
}

interface OrderDeps {
  readonly files: LedgerFiles;
  readonly directory: string;
  readonly origin: string;
  readonly keys: readonly NoteKey[];
  /** Signed notes from elsewhere. */
  readonly known: readonly string[];
}

/**
 * The checkpoints of a folder and those known from elsewhere whose signature is right, by size. The others, and two of the same
 * size with different roots, are told to `found`, each kind at most once a place.
 */
export function* checkpointsInOrder(
  deps: OrderDeps,
  found: (finding: CheckpointFinding) => void,
): Generator<Checkpoint, void> {
  const known = deps.known
    .map((note, i) => read(deps, note, `known checkpoint ${i + 1}`, found))
    .filter((checkpoint) => checkpoint !== undefined)
    .sort((a, b) => a.size - b.size);
  let last: Checkpoint | undefined;
  let place = 0;
  let reported = 0;
  const report = (finding: CheckpointFinding) => {
    // One is enough to act on; a file of forgeries need not fill the report.
    if (reported++ < FINDINGS_MAX) found(finding);
  };
  const follow = function* (next: Checkpoint): Generator<Checkpoint, void> {
    if (last && (next.size < last.size || (next.size === last.size && !next.root.equals(last.root)))) {
      const message = `the log signed a tree of ${last.size} entries, then another one of ${next.size} that does not extend it`;
      report({ kind: 'checkpoints-contradict', message });
      return;
    }
    if (next.size === last?.size) return;
    last = next;
    yield next;
  };
  for (const { note } of readCheckpoints(deps.files, deps.directory)) {
    place++;
    const checkpoint = read(deps, note, `checkpoint ${place}`, report);
    if (!checkpoint) continue;
    while (known[0] && known[0].size < checkpoint.size) yield* follow(known.shift() ?? checkpoint);
    yield* follow(checkpoint);
  }
  for (const checkpoint of known) yield* follow(checkpoint);
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
