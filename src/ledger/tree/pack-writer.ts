import { dirname } from 'node:path';
import { assert, codeOf } from '../../std/index.ts';
import { HASH_BYTES, hashesAt } from '../../wire/tlog/index.ts';
import { type LedgerFiles, writeFully } from '../files.ts';
import { LEVELS_MAX, PACK_WIDTH, packPath } from './tile-pack.ts';

/** Puts the hashes of all levels into their packs, each behind the one before. Holds what was added since the last flush. */
export interface PackWriter {
  /** Goes on behind the hashes of a tree of `size`: what else stands there is cut off by the next hash. */
  goOn(size: number): void;
  /** Goes on from the first hash of all, over those that are there; what stands behind them stays. */
  startOver(): void;
  /** Has the last hashes of a level written again, from the one at `place`. */
  redo(place: HashPlace, hashes: readonly Buffer[]): void;
  /** The next hash of a level: what was written for an earlier one is never changed. */
  add(place: HashPlace, hash: Buffer): void;
  /** Everything that was added is on disk when it resolves. After a failure, the next flush writes all of it again. */
  flush(): Promise<void>;
}

/** Hash `index` of those that are over 256^`level` entries each. */
export interface HashPlace {
  readonly level: number;
  readonly index: number;
}

/** Creates a {@link PackWriter} over a ledger's folder, of a tree that is empty. */
export function createPackWriter(deps: { readonly files: LedgerFiles; readonly directory: string }): PackWriter {
  let levels: Level[] = [];
  let over = false;
  /** By level, the pack whose name is on disk. */
  const named = new Map<number, number>();
  return {
    goOn(size) {
      levels = [];
      over = false;
      for (let level = 0; level < LEVELS_MAX; level++) levels.push({ first: hashesAt(level, size), hashes: [] });
    },
    startOver() {
      levels = [];
      over = true;
    },
    redo({ level, index }, hashes) {
      levels[level] = { first: index, hashes: [...hashes] };
    },
    add({ level, index }, hash) {
      const at = levels[level] ?? { first: 0, hashes: [] };
      assert(at.first + at.hashes.length === index, `hash ${index} of level ${level} is the next one`);
      levels[level] = at;
      at.hashes.push(hash);
    },
    async flush() {
      const pieces = levels.flatMap((each, level) => piecesOf(deps.directory, level, each));
      await writePieces(deps.files, pieces, { cut: !over, onMade: ({ level }) => void named.delete(level) });
      await syncNames(deps, pieces, named);
      for (const level of levels) {
        level.first += level.hashes.length;
        level.hashes = [];
      }
    },
  };
}

/** What a level waits to have written: `first` is the number of the first of these hashes. */
interface Level {
  first: number;
  hashes: Buffer[];
}

/** What goes into one pack. */
interface Piece {
  readonly level: number;
  readonly pack: number;
  readonly path: string;
  /** In bytes. */
  readonly position: number;
  readonly bytes: Buffer;
}

/** In order: a pack is only begun when the one before it is full. */
function piecesOf(directory: string, level: number, { first, hashes }: Level): Piece[] {
  const pieces: Piece[] = [];
  for (let at = 0; at < hashes.length; ) {
    const pack = Math.floor((first + at) / PACK_WIDTH);
    const start = (first + at) % PACK_WIDTH;
    const bytes = Buffer.concat(hashes.slice(at, at + PACK_WIDTH - start));
    pieces.push({ level, pack, path: packPath(directory, level, pack), position: start * HASH_BYTES, bytes });
    at += bytes.length / HASH_BYTES;
  }
  return pieces;
}

/** Syncs them together, which the disk does in little more time than one. */
async function writePieces(
  files: LedgerFiles,
  pieces: readonly Piece[],
  { cut, onMade }: { readonly cut: boolean; readonly onMade: (piece: Piece) => void },
): Promise<void> {
  const open: number[] = [];
  try {
    for (const piece of pieces) {
      const { path, position, bytes } = piece;
      const file = openOrCreate(files, path, () => onMade(piece));
      open.push(file);
      if (cut) await cutOff(files, file, position);
      writeFully(files, file, bytes, position);
    }
    // All of them, whatever fails: a file must not be closed under a sync that is still running.
    const syncs = await Promise.allSettled(open.map((file) => files.sync(file)));
    for (const sync of syncs) if (sync.status === 'rejected') throw sync.reason;
  } finally {
    for (const file of open) files.close(file);
  }
}

/** Half a hash, as a kill may leave it, must be gone before hashes follow: a power cut could have it stand among them. */
async function cutOff(files: LedgerFiles, file: number, position: number): Promise<void> {
  if (files.size(file) <= position) return;
  files.truncate(file, position);
  await files.sync(file);
}

/** Also one that was there a second ago: whoever removed it has damaged what is derived, which the next start makes anew. */
function openOrCreate(files: LedgerFiles, path: string, onMade: () => void): number {
  try {
    return files.open(path, 'update');
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
  onMade();
  files.makeDirectory(dirname(path));
  return files.open(path, 'create');
}

/** A pack is only there for good once its name is, and those of the folders above it; an earlier life may have made it and failed then. */
async function syncNames(
  { files, directory }: { readonly files: LedgerFiles; readonly directory: string },
  pieces: readonly Piece[],
  named: Map<number, number>,
): Promise<void> {
  const fresh = pieces.filter(({ level, pack }) => named.get(level) !== pack);
  const folders = new Set<string>();
  for (const { path } of fresh) {
    for (let folder = dirname(path); folder.length >= directory.length; folder = dirname(folder)) folders.add(folder);
  }
  for (const folder of folders) await files.syncDirectory(folder);
  for (const { level, pack } of fresh) named.set(level, pack);
}
