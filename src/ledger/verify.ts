import { setImmediate as turn } from 'node:timers/promises';
import { throwIfAborted } from '../std/index.ts';
import { type Checkpoint, createTree, leafHash, type NoteKey, type Tree } from '../wire/tlog/index.ts';
import { type CheckpointFinding, checkpointsInOrder } from './checkpoint-order.ts';
import { createDiskFiles, type LedgerFiles } from './files.ts';
import { locateDifference } from './locate.ts';
import { createTileLeaves, type TileLeaves } from './tile-leaves.ts';
import { entryIn } from './torn-tail.ts';
import { type WalkNote, walkEntries } from './walk.ts';

/**
 * One thing found. Those with `broken` mean that the log is not what was written; the others are worth knowing. `sequence` is
 * the first entry concerned; with `untilSequence` it is one of those from `sequence` to just before that.
 */
export interface VerifyFinding {
  readonly kind:
    | 'entry-changed'
    | 'entry-dropped'
    | 'entry-inserted'
    | 'entries-reordered'
    /** Entries and tiles were both rewritten: bounded by the signed checkpoints on either side. */
    | 'entries-rewritten'
    /** Entries that a checkpoint covers are missing at the end. */
    | 'truncated'
    | 'segment-missing'
    | 'unsigned'
    | CheckpointFinding['kind']
    | 'unsigned-tail'
    | 'torn-tail'
    | 'tile-damaged'
    | 'segment-damaged';
  readonly broken: boolean;
  readonly sequence?: number;
  readonly untilSequence?: number;
  readonly message: string;
}

/** What verification found. */
export interface VerifyReport {
  /** True when nothing is broken. */
  readonly ok: boolean;
  readonly origin: string;
  /** Entries shown to be what was written, one after another from the first: signed ones, then whole unsigned ones. */
  readonly entries: number;
  /** Of those, the entries that a signed checkpoint covers. */
  readonly signedEntries: number;
  /** Checkpoints whose signature is right. */
  readonly checkpoints: number;
  readonly findings: readonly VerifyFinding[];
}

/** What to hold a folder against. */
export interface VerifyOptions {
  /** The log's name; that of its key unless given. */
  readonly origin?: string;
  /** Keys that signed earlier checkpoints. */
  readonly formerKeys?: readonly NoteKey[];
  /** Signed checkpoints kept elsewhere (by a witness, in a mail, in a proof): the folder must lead to them too. */
  readonly knownCheckpoints?: readonly string[];
  readonly files?: LedgerFiles;
  readonly signal: AbortSignal;
}

/**
 * Verifies a ledger's folder, or a copy of it, with nothing but the public key: every entry against the signed checkpoints. Names
 * the first entry that was changed, dropped, inserted or moved; where the tiles were rewritten to fit, the two checkpoints that
 * it lies between. Memory does not grow with the log. Whoever can also delete the newest checkpoints can cut the log back to an
 * earlier one: only `knownCheckpoints` show that.
 * @throws ERR_LEDGER_IO, the abort error
 */
export async function verifyLedger(directory: string, key: NoteKey, options: VerifyOptions): Promise<VerifyReport> {
  const files = options.files ?? createDiskFiles();
  const origin = options.origin ?? key.name;
  const check = createCheck({ files, directory });
  const checkpoints = checkpointsInOrder(
    { files, directory, origin, keys: [key, ...(options.formerKeys ?? [])], known: options.knownCheckpoints ?? [] },
    (finding) => check.findings.push({ ...finding, broken: true }),
  );
  let count = 0;
  for (const checkpoint of checkpoints) {
    throwIfAborted(options.signal);
    count++;
    if (!check.broken && !(await check.span(checkpoint, options.signal))) check.broken = true;
  }
  if (!check.broken) await check.tail(count, options.signal);
  const { findings, entries, signedEntries } = check;
  return {
    ok: !findings.some((finding) => finding.broken),
    origin,
    entries,
    signedEntries,
    checkpoints: count,
    findings,
  };
}

/** The walk over entries and tiles side by side, from checkpoint to checkpoint. */
function createCheck(deps: { readonly files: LedgerFiles; readonly directory: string }) {
  const findings: VerifyFinding[] = [];
  const notes: WalkNote[] = [];
  const walk = walkEntries(deps, (note) => {
    if (notes.length < NOTES_MAX) notes.push(note);
  });
  const tiles: TileLeaves = createTileLeaves(deps);
  let good: Tree = createTree();
  let entries = 0;
  let signedEntries = 0;

  /** Hashes the entries and the tiles' leaves up to the checkpoint; returns both trees and where they first differ. */
  const hashSpan = async (size: number, signal: AbortSignal) => {
    const actual = good.copy();
    const tiled = good.copy();
    let differs: number | undefined;
    for (let at = good.size; at < size; at++) {
      if (at % ENTRIES_A_TURN === 0) await pause(signal);
      const step = walk.next();
      const leaf = step.done ? undefined : leafHash(step.value.payload);
      const listed = tiles.leaf(at, size);
      if (leaf && actual.size === at) actual.append(leaf);
      if (listed && tiled.size === at) tiled.append(listed);
      if (!leaf || !listed || !leaf.equals(listed)) differs ??= at;
      if (!leaf && !listed) break;
    }
    return { actual, tiled, differs };
  };
  return {
    findings,
    broken: false,
    get entries() {
      return entries;
    },
    get signedEntries() {
      return signedEntries;
    },
    /** Leads the entries on to a checkpoint; false when they do not get there. */
    async span(checkpoint: Checkpoint, signal: AbortSignal): Promise<boolean> {
      const { size, root } = checkpoint;
      const { actual, tiled, differs } = await hashSpan(size, signal);
      if (actual.size === size && actual.root().equals(root)) {
        if (differs !== undefined) findings.push(tileDamaged(differs));
        good = actual;
        entries = size;
        signedEntries = size;
        return true;
      }
      const tilesAreTrue = tiled.size === size && tiled.root().equals(root);
      findings.push(
        tilesAreTrue && differs !== undefined
          ? await locateDifference({ ...deps, at: differs, size, notes, signal })
          : bounded({ from: good.size, size, found: actual.size, notes }),
      );
      if (tilesAreTrue && differs !== undefined) entries = differs;
      return false;
    },
    /** Follows what no checkpoint covers: numbers must go on without a gap. */
    async tail(checkpoints: number, signal: AbortSignal): Promise<void> {
      for (let step = walk.next(); !step.done; step = walk.next()) {
        if (entries % ENTRIES_A_TURN === 0) await pause(signal);
        const entry = entryIn(step.value.payload);
        const damage = notes.find((note) => note.at === entries && note.kind !== 'torn-tail');
        if (entry?.seq !== entries || damage) {
          findings.push(brokenTail(entries, entry?.seq, damage));
          return;
        }
        entries++;
      }
      for (const note of notes) {
        findings.push({
          kind: note.kind,
          broken: note.kind === 'segment-missing',
          sequence: note.at,
          message: note.message,
        });
      }
      if (entries > 0 && checkpoints === 0) {
        const message = `no signed checkpoint vouches for any of the ${entries} entries`;
        findings.push({ kind: 'unsigned', broken: true, sequence: 0, message });
      } else if (entries > signedEntries) {
        const message = `the last ${entries - signedEntries} entries are whole, but no checkpoint covers them yet`;
        findings.push({ kind: 'unsigned-tail', broken: false, sequence: signedEntries, message });
      }
    },
  };
}

async function pause(signal: AbortSignal): Promise<void> {
  throwIfAborted(signal);
  await turn();
}

function tileDamaged(sequence: number): VerifyFinding {
  const message = `the tile with the hash of entry ${sequence} is missing or damaged; the entry itself is as it was signed`;
  return { kind: 'tile-damaged', broken: false, sequence, message };
}

/** Neither entries nor tiles lead to the checkpoint: no more can be said than between which two it went wrong. */
function bounded(at: { from: number; size: number; found: number; notes: readonly WalkNote[] }): VerifyFinding {
  const { from, size, found } = at;
  const note = at.notes.find((each) => each.at >= from && each.at < size);
  if (found < size && !note) {
    const message = `the log ends before entry ${found}, but a signed checkpoint covers ${size} entries`;
    return { kind: 'truncated', broken: true, sequence: found, untilSequence: size, message };
  }
  const message =
    `an entry from ${from} to ${size - 1} was changed, dropped, inserted or moved, and the tiles do not tell which: ` +
    `the checkpoint of ${from} entries still holds, that of ${size} does not${note ? ` (${note.message})` : ''}`;
  return { kind: 'entries-rewritten', broken: true, sequence: from, untilSequence: size, message };
}

function brokenTail(at: number, seq: number | undefined, damage: WalkNote | undefined): VerifyFinding {
  if (damage) {
    const kind = damage.kind === 'segment-missing' ? 'segment-missing' : 'entry-changed';
    return {
      kind,
      broken: true,
      sequence: at,
      message: `before entry ${at}, behind the last checkpoint: ${damage.message}`,
    };
  }
  if (seq === undefined) {
    const message = `entry ${at}, behind the last checkpoint, is not an entry`;
    return { kind: 'entry-changed', broken: true, sequence: at, message };
  }
  const message = `behind the last checkpoint, entry ${seq} stands where entry ${at} should`;
  return { kind: seq > at ? 'entry-dropped' : 'entry-inserted', broken: true, sequence: at, message };
}

const ENTRIES_A_TURN = 1024;
/** The first ones are what explains a difference; a file of noise has no end of them. */
const NOTES_MAX = 64;
