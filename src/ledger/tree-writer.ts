import { dirname, join } from 'node:path';
import { assert } from '../std/index.ts';
import {
  completeNodes,
  createTree,
  HASH_BYTES,
  leafHash,
  parseTile,
  rootInTile,
  TILE_HEIGHT,
  TILE_WIDTH,
  type Tree,
  type TreeNode,
  tileOf,
  tilePath,
  tilesAt,
} from '../wire/tlog/index.ts';
import { readLastCheckpoint } from './checkpoint-file.ts';
import { createCheckpointWriter } from './checkpoint-writer.ts';
import { LedgerError, withIoErrors } from './errors.ts';
import { type LedgerFiles, readFile, replaceFile, writeFully } from './files.ts';
import { createLeafReader, type LeafReader } from './leaf-reader.ts';

/** A tree head, not signed yet. */
export interface TreeHead {
  readonly size: number;
  readonly root: Buffer;
}

/** Hashes what the segments hold into the tree and its tiles. Off the data path: it runs in a worker, one call at a time. */
export interface TreeWriter {
  /** Takes up the tree of the newest checkpoint. @throws ERR_LEDGER_CORRUPT when the entries do not lead to its root */
  open(): Promise<TreeHead>;
  /** Hashes entries up to `size` (all of them synced) and writes the tiles they fill. May be called again after a failure. */
  advance(size: number): Promise<TreeHead>;
  /** Puts the signed checkpoint of the current head on disk, and the partial tiles it needs. */
  publish(note: string): Promise<void>;
  close(): Promise<void>;
}

/** Creates a {@link TreeWriter} over the ledger's folder. */
export function createTreeWriter(deps: { readonly files: LedgerFiles; readonly directory: string }): TreeWriter {
  const { files, directory } = deps;
  const reader = createLeafReader(deps);
  let tree: Tree = createTree();
  /** For each level, the hashes of its last, unfinished tile. */
  let tails: Buffer[][] = [];
  let fullTiles: { level: number; index: number; hashes: readonly Buffer[] }[] = [];
  const checkpoints = createCheckpointWriter(deps);

  const seen = (node: TreeNode, hash: Buffer) => {
    if (node.height % TILE_HEIGHT !== 0) return;
    const level = node.height / TILE_HEIGHT;
    const tail = tails[level] ?? [];
    tail.push(hash);
    tails[level] = tail;
    if (tail.length < TILE_WIDTH) return;
    fullTiles.push({ level, index: Math.floor(node.index / TILE_WIDTH), hashes: tail });
    tails[level] = [];
  };
  const writeFullTiles = async () => {
    const tiles = fullTiles.map(({ level, index, hashes }) => {
      return { path: join(directory, tilePath({ level, index, width: TILE_WIDTH })), hashes };
    });
    for (let at = 0; at < tiles.length; at += TILES_AT_ONCE) {
      await writeTiles(files, tiles.slice(at, at + TILES_AT_ONCE));
    }
    // A tile is only there for good once its name is, and those of the folders above it.
    const folders = new Set<string>();
    for (const { path } of tiles) {
      for (let folder = dirname(path); folder.length >= directory.length; folder = dirname(folder)) folders.add(folder);
    }
    for (const folder of folders) await files.syncDirectory(folder);
    fullTiles = [];
  };
  const advance = async (size: number): Promise<TreeHead> => {
    // Tiles left over by a failure come first: no more than one round of them is ever held.
    await writeFullTiles();
    reader.refresh();
    while (tree.size < size) {
      const stopAt = Math.min(size, tree.size + LEAVES_A_ROUND);
      while (tree.size < stopAt) tree.append(leafHash(leafAt(reader, tree.size)), seen);
      await writeFullTiles();
    }
    return { size: tree.size, root: tree.root() };
  };
  const restart = (at: { size: number; tails: Buffer[][] }) => {
    tails = at.tails;
    fullTiles = [];
    tree = createTree(
      at.size,
      completeNodes(0, at.size).map((node) => hashInTails(at.tails, node)),
    );
  };
  return {
    async open() {
      const last = readLastCheckpoint(files, directory);
      checkpoints.open(last?.end ?? 0);
      const signed = last?.claim;
      if (!signed) return { size: 0, root: tree.root() };
      restart({ size: signed.size, tails: readTails(deps, reader, signed.size) ?? [] });
      if (tree.root().equals(signed.root)) return { size: tree.size, root: tree.root() };
      // The tiles are only derived: before the entries are blamed, everything is hashed again.
      restart({ size: 0, tails: [] });
      await advance(signed.size);
      if (!tree.root().equals(signed.root)) {
        throw new LedgerError('ERR_LEDGER_CORRUPT', `the first ${signed.size} entries are not those that were signed`);
      }
      return { size: tree.size, root: tree.root() };
    },
    advance,
    async publish(note) {
      for (let level = 0; tilesAt(level, tree.size).full > 0 || tilesAt(level, tree.size).partial > 0; level++) {
        const { full, partial } = tilesAt(level, tree.size);
        const hashes = tails[level] ?? [];
        assert(hashes.length === partial, `level ${level} keeps the hashes of its partial tile`);
        if (partial > 0) replaceTile(deps, tilePath({ level, index: full, width: partial }), hashes);
      }
      await checkpoints.add(note, tree.size);
    },
    async close() {
      reader.close();
    },
  };
}

/** Reads a tile of at least `width` hashes: the partial one, or the full one that took its place; undefined when neither is whole. */
export function readTile(
  deps: { readonly files: LedgerFiles; readonly directory: string },
  tile: { readonly level: number; readonly index: number; readonly width: number },
): Buffer[] | undefined {
  for (const width of new Set([tile.width, TILE_WIDTH])) {
    const path = join(deps.directory, tilePath({ ...tile, width }));
    const bytes = withIoErrors('a tile can not be read', () => readFile(deps.files, path, TILE_BYTES));
    if (bytes?.length === width * HASH_BYTES) return parseTile(bytes, tile.width);
  }
  return undefined;
}

interface TileFile {
  readonly path: string;
  readonly hashes: readonly Buffer[];
}

/** Syncs them together, which the disk does in little more time than one. */
async function writeTiles(files: LedgerFiles, tiles: readonly TileFile[]): Promise<void> {
  const open: number[] = [];
  try {
    for (const { path, hashes } of tiles) {
      files.makeDirectory(dirname(path));
      files.remove(freshPath(path));
      const file = files.open(freshPath(path), 'create');
      open.push(file);
      writeFully(files, file, Buffer.concat(hashes), 0);
    }
    // All of them, whatever fails: a file must not be closed under a sync that is still running.
    const syncs = await Promise.allSettled(open.map((file) => files.sync(file)));
    for (const sync of syncs) if (sync.status === 'rejected') throw sync.reason;
  } finally {
    for (const file of open) files.close(file);
  }
  for (const { path } of tiles) {
    files.rename(freshPath(path), path);
    // The specification lets partial tiles go once the full one is there.
    for (const name of files.list(`${path}.p`)) files.remove(join(`${path}.p`, name));
  }
}

function freshPath(path: string): string {
  return `${path}.new`;
}

/** Partial tiles are not synced: each start works them out again from what is. */
function replaceTile(
  deps: { readonly files: LedgerFiles; readonly directory: string },
  path: string,
  hashes: readonly Buffer[],
): void {
  const whole = join(deps.directory, path);
  deps.files.makeDirectory(dirname(whole));
  replaceFile(deps.files, whole, Buffer.concat(hashes));
}

/** The unfinished tile of each level, worked out from the full tiles below and, at the bottom, from the entries; undefined when a tile is missing. */
function readTails(
  deps: { readonly files: LedgerFiles; readonly directory: string },
  reader: LeafReader,
  size: number,
): Buffer[][] | undefined {
  const tails: Buffer[][] = [];
  const bottom = tilesAt(0, size);
  tails[0] = [];
  for (let i = 0; i < bottom.partial; i++) tails[0].push(leafHash(leafAt(reader, bottom.full * TILE_WIDTH + i)));
  for (let level = 1; tilesAt(level - 1, size).full > 0; level++) {
    const { full, partial } = tilesAt(level, size);
    const tail: Buffer[] = [];
    for (let i = 0; i < partial; i++) {
      const below = readTile(deps, { level: level - 1, index: full * TILE_WIDTH + i, width: TILE_WIDTH });
      if (!below) return undefined;
      tail.push(rootInTile(below, 0, TILE_WIDTH));
    }
    tails[level] = tail;
  }
  return tails;
}

function leafAt(reader: LeafReader, sequence: number): Buffer {
  const leaf = reader.next(sequence);
  if (!leaf) throw new LedgerError('ERR_LEDGER_CORRUPT', `entry ${sequence} was synced but is not there`);
  return leaf;
}

function hashInTails(tails: readonly Buffer[][], node: TreeNode): Buffer {
  const { level, start, count } = tileOf(node);
  return rootInTile(tails[level] ?? [], start, count);
}

/** Bounds the hashes and tiles held between two writes: 256 tiles, 2 MiB. */
const LEAVES_A_ROUND = 65_536;
/** Enough for the disk to take them as one, and few beside the descriptors that the process keeps in reserve. */
const TILES_AT_ONCE = 16;
const TILE_BYTES = TILE_WIDTH * HASH_BYTES;
