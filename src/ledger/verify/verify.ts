import { setImmediate as turn } from 'node:timers/promises';
import { codeOf, messageOf, throwIfAborted } from '../../std/index.ts';
import {
  type Checkpoint,
  createTree,
  leafHash,
  type NoteKey,
  TILE_HEIGHT,
  TILE_WIDTH,
  type Tree,
  type TreeNode,
} from '../../wire/tlog/index.ts';
import { createTailCheck } from '../checkpoints/unsigned-tail.ts';
import { createDiskFiles, type LedgerFiles } from '../files.ts';
import { entryIn } from '../segments/torn-tail.ts';
import { createTileLeaves, type TileLeaves } from '../tree/tile-leaves.ts';
import { entriesInTiles } from '../tree/tiles-shown.ts';
import { type CheckpointFinding, checkpointsInOrder } from './checkpoint-order.ts';
import { locateDifference } from './locate.ts';
import { type WalkNote, walkEntries } from './walk.ts';

/**
 * One thing found. Those with `broken` mean that the log is not what was written; the others are worth knowing. `sequence` is
 * the first entry concerned; with `untilSequence` it is one of those from `sequence` to just before that. Of damaged tiles
 * that of `sequence` is the first, and others may be in the same stretch.
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
    | 'segment-damaged'
    /** There is no ledger, or none of one is left. */
    | 'nothing-to-verify'
    /** Something stands in a file's place, or a file is larger than any of a ledger. */
    | 'not-a-ledger-file'
    /** It is of an older or newer version: it can't be verified, which says nothing of tampering. */
    | 'other-version';
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
 * it lies between. Memory does not grow with the log. Whoever can put the whole folder back to an earlier state shows that state:
 * only `knownCheckpoints` tell.
 * @throws ERR_LEDGER_IO, the abort error
 */
export async function verifyLedger(directory: string, key: NoteKey, options: VerifyOptions): Promise<VerifyReport> {
  const files = options.files ?? createDiskFiles();
  const { signal } = options;
  const origin = options.origin ?? key.name;
  const findings: VerifyFinding[] = [];
  const found: Found = { entries: 0, signedEntries: 0, checkpoints: 0 };
  try {
    // Before anything is walked: a writer that goes on meanwhile makes tiles of later entries.
    const tiled = entriesInTiles({ files, directory });
    const check = createCheck({ files, directory, origin, tiled, findings, found });
    const checkpoints = checkpointsInOrder(
      {
        ...{ files, directory, origin, signal },
        keys: [key, ...(options.formerKeys ?? [])],
        known: options.knownCheckpoints ?? [],
      },
      (finding) => findings.push({ ...finding, broken: true }),
    );
    let whole = true;
    for await (const checkpoint of checkpoints) {
      throwIfAborted(signal);
      found.checkpoints++;
      whole &&= await check.span(checkpoint, signal);
    }
    if (whole) await check.tail(signal);
    if (found.entries === 0 && findings.length === 0) findings.push(nothing(files, directory));
  } catch (error) {
    findings.push(hindrance(error));
  }
  return { ok: !findings.some((finding) => finding.broken), origin, ...found, findings };
}

/** What was found so far. */
interface Found {
  entries: number;
  signedEntries: number;
  checkpoints: number;
}

/** What keeps the folder from being read any further; a disk that fails is thrown on. */
function hindrance(error: unknown): VerifyFinding {
  const code = codeOf(error);
  if (code !== 'ERR_LEDGER_CORRUPT' && code !== 'ERR_LEDGER_VERSION') throw error;
  const kind = code === 'ERR_LEDGER_VERSION' ? 'other-version' : 'not-a-ledger-file';
  return { kind, broken: true, message: messageOf(error) };
}

function nothing(files: LedgerFiles, directory: string): VerifyFinding {
  const names = files.list(directory);
  const has = names.includes('segments') || names.includes('checkpoints');
  const others = names.slice(0, NAMES_TOLD).join(', ');
  const message = has
    ? `${directory} is a ledger's folder without an entry and without a checkpoint: it was emptied, or never written to`
    : `${directory} ${names.length === 0 ? 'is empty' : `holds ${others}, and no segments`}: this is no ledger's folder, or a disk that is not mounted`;
  return { kind: 'nothing-to-verify', broken: true, message };
}

/** The walk over entries and tiles side by side, from checkpoint to checkpoint. */
function createCheck(deps: {
  readonly files: LedgerFiles;
  readonly directory: string;
  readonly origin: string;
  /** Entries that tiles show to have been on disk. */
  readonly tiled: number;
  readonly findings: VerifyFinding[];
  readonly found: Found;
}) {
  const { findings, found } = deps;
  const notes: WalkNote[] = [];
  const walk = walkEntries(deps, (note) => {
    if (notes.length < NOTES_MAX) notes.push(note);
  });
  const tiles: TileLeaves = createTileLeaves(deps);
  const tail = createTailCheck();
  let good: Tree = createTree();
  /** The last entry of what was hashed last. */
  let last: Buffer | undefined;

  /** Hashes the entries and the tiles' leaves up to the checkpoint; returns both trees and where they, or tiles above, first differ. */
  const hashSpan = async (size: number, signal: AbortSignal) => {
    const actual = good.copy();
    const tiled = good.copy();
    let differs: number | undefined;
    const above = createAboveCheck(tiles);
    for (let at = good.size; at < size; at++) {
      if (at % ENTRIES_A_TURN === 0) await pause(signal);
      const step = walk.next();
      const leaf = step.done ? undefined : leafHash(step.value.payload);
      if (at === size - 1 && !step.done) last = Buffer.from(step.value.payload);
      const listed = tiles.leaf(at);
      if (leaf && actual.size === at) actual.append(leaf, above.seen);
      if (listed && tiled.size === at) tiled.append(listed);
      if (!leaf || !listed || !leaf.equals(listed)) differs ??= at;
      if (!leaf && !listed) break;
    }
    return { actual, tiled, differs, above: above.differs() };
  };
  /** Follows what no checkpoint covers: numbers must go on without a gap, and it must be what a crash leaves. */
  const followTail = async (signal: AbortSignal): Promise<VerifyFinding | undefined> => {
    const lastSigned = last && found.signedEntries > 0 ? entryIn(last) : undefined;
    if (lastSigned) tail.after(lastSigned);
    for (let step = walk.next(); !step.done; step = walk.next()) {
      const at = found.entries;
      if (at % ENTRIES_A_TURN === 0) await pause(signal);
      const entry = entryIn(step.value.payload);
      const damage = notes.find((note) => note.at === at && note.kind !== 'torn-tail');
      if (entry?.seq !== at || damage) return brokenTail(at, entry?.seq, damage);
      if (at < deps.tiled && tiles.differs(at, leafHash(step.value.payload))) {
        const message = `entry ${at}, behind the last checkpoint, is not the one that its tile was made of`;
        return { kind: 'entry-changed', broken: true, sequence: at, message };
      }
      const dishonest = tail.take(entry);
      if (dishonest !== undefined && found.checkpoints > 0) {
        const message = `no checkpoint covers the entries from ${found.signedEntries} on, and a crash leaves none like these: ${dishonest}`;
        return { kind: 'unsigned-tail', broken: true, sequence: found.signedEntries, message };
      }
      found.entries++;
    }
    return undefined;
  };
  return {
    /** Leads the entries on to a checkpoint; false when they do not get there. */
    async span(checkpoint: Checkpoint, signal: AbortSignal): Promise<boolean> {
      const { size, root } = checkpoint;
      const { actual, tiled, differs, above } = await hashSpan(size, signal);
      if (actual.size === size && actual.root().equals(root)) {
        tellTiles(findings, { differs, above, from: good.size, size });
        good = actual;
        found.entries = size;
        found.signedEntries = size;
        return true;
      }
      const tilesAreTrue = tiled.size === size && tiled.root().equals(root);
      findings.push(
        tilesAreTrue && differs !== undefined
          ? await locateDifference({ ...deps, at: differs, size, notes, signal })
          : bounded({ from: good.size, size, found: actual.size, notes }),
      );
      if (tilesAreTrue && differs !== undefined) found.entries = differs;
      return false;
    },
    async tail(signal: AbortSignal): Promise<void> {
      const broken = await followTail(signal);
      if (broken) findings.push(broken);
      else findings.push(...notes.map(noted), ...ending(found, deps.tiled));
    },
  };
}

/** Holds the hashes above those of entries against what the tiles list; `differs` is the first entry below one that does. */
function createAboveCheck(tiles: TileLeaves) {
  let first: number | undefined;
  return {
    seen({ height, index }: TreeNode, hash: Buffer): void {
      if (height === 0 || height % TILE_HEIGHT !== 0) return;
      const level = height / TILE_HEIGHT;
      if (!tiles.above(level, index)?.equals(hash)) first ??= index * TILE_WIDTH ** level;
    },
    differs: () => first,
  };
}

function noted({ kind, at, message }: WalkNote): VerifyFinding {
  return { kind, broken: kind !== 'torn-tail', sequence: at, message };
}

/** What is to be said of where the log ends, once all of it is in order. */
function ending({ entries, signedEntries, checkpoints }: Found, tiled: number): VerifyFinding[] {
  if (tiled > entries) {
    const message = `the log ends before entry ${entries}, but tiles were made of ${tiled} entries`;
    return [{ kind: 'truncated', broken: true, sequence: entries, untilSequence: tiled, message }];
  }
  if (entries > 0 && checkpoints === 0) {
    const message = `no signed checkpoint vouches for any of the ${entries} entries`;
    return [{ kind: 'unsigned', broken: true, sequence: 0, message }];
  }
  if (entries === signedEntries) return [];
  const message = `the last ${entries - signedEntries} entries are whole, but no checkpoint covers them yet`;
  return [{ kind: 'unsigned-tail', broken: false, sequence: signedEntries, message }];
}

async function pause(signal: AbortSignal): Promise<void> {
  throwIfAborted(signal);
  await turn();
}

/** Damage that goes on from one checkpoint to the next is told of once: a file of tiles that is lost has that of many. */
function tellTiles(
  findings: VerifyFinding[],
  at: { differs: number | undefined; above: number | undefined; from: number; size: number },
): void {
  const { differs, above, from, size: untilSequence } = at;
  const sequence = differs ?? above;
  if (sequence === undefined) return;
  const last = findings.at(-1);
  const goesOn = last?.kind === 'tile-damaged' && last.untilSequence === from;
  const first = goesOn ? (last.sequence ?? from) : sequence;
  const which = goesOn
    ? `tiles of entries from ${first} to ${untilSequence - 1} are`
    : `the tile ${differs === undefined ? 'above' : 'with the hash of'} entry ${sequence} is`;
  const message = `${which} missing or damaged; the entries themselves are as they were signed`;
  if (goesOn) findings.pop();
  findings.push({ kind: 'tile-damaged', broken: false, sequence: first, untilSequence, message });
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
/** Enough to see what the folder is instead. */
const NAMES_TOLD = 5;
/** The first ones are what explains a difference; a file of noise has no end of them. */
const NOTES_MAX = 64;
