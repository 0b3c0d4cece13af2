import { dirname, join } from 'node:path';
import { assert, codeOf } from '../../std/index.ts';
import {
  completeNodes,
  createTree,
  leafHash,
  planConsistency,
  rootInTile,
  TILE_HEIGHT,
  TILE_WIDTH,
  type Tree,
  type TreeNode,
  tileOf,
  tilePath,
  tilesAt,
  verifyConsistency,
} from '../../wire/tlog/index.ts';
import { readLastCheckpoint } from '../checkpoints/checkpoint-file.ts';
import { createCheckpointWriter } from '../checkpoints/checkpoint-writer.ts';
import { LedgerError } from '../errors.ts';
import { type LedgerFiles, replaceFile, writeFully } from '../files.ts';
import { createLeafReader, type LeafReader } from '../segments/leaf-reader.ts';
import { readHashes, readTile } from './tile-hashes.ts';
import { createTileLeaves } from './tile-leaves.ts';
import { entriesInTiles } from './tiles-shown.ts';

/** A tree head, not signed yet. */
export interface TreeHead {
  readonly size: number;
  readonly root: Buffer;
}

/** Hashes what the segments hold into the tree and its tiles. Off the data path: it runs in a worker, one call at a time. */
export interface TreeWriter {
  /**
   * Takes up the tree of the newest checkpoint, which must extend `kept`, a head that is known from elsewhere.
   * @throws ERR_LEDGER_CORRUPT when the entries do not lead to its root, or those behind it are not those that tiles were made of;
   * ERR_LEDGER_ROLLED_BACK when it does not extend `kept`
   */
  open(kept?: TreeHead): Promise<TreeHead>;
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
  let fullTiles: FullTile[] = [];
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
    await writeForGood(deps, fullTiles);
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
  /** The tiles are only derived: before the entries are blamed, everything is hashed again. */
  const hashAgain = async ({ size, root }: TreeHead) => {
    restart({ size: 0, tails: [] });
    await advance(size);
    if (tree.root().equals(root)) return;
    throw new LedgerError('ERR_LEDGER_CORRUPT', `the first ${size} entries are not those that were signed`);
  };
  const extendsKept = async (kept: TreeHead): Promise<boolean> => {
    const head = { size: tree.size, root: tree.root() };
    if (joins(deps, kept, head)) return true;
    restart({ size: 0, tails: [] });
    const early = await advance(kept.size);
    await advance(head.size);
    return early.root.equals(kept.root) && tree.root().equals(head.root);
  };
  return {
    async open(kept) {
      const last = readLastCheckpoint(files, directory);
      checkpoints.open(last);
      const signed = last?.claim ?? { size: 0, root: tree.root() };
      const tails = readTails(deps, reader, signed.size);
      if (tails) restart({ size: signed.size, tails });
      if (!tails || !tree.root().equals(signed.root)) await hashAgain(signed);
      if (kept && !(await extendsKept(kept))) throw notExtended(kept);
      checkTiledTail(deps, reader, tree.size);
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
    close: async () => reader.close(),
  };
}

function notExtended({ size }: TreeHead): LedgerError {
  const message = `the first ${size} entries are not those of the checkpoint that is kept beside the key`;
  return new LedgerError('ERR_LEDGER_ROLLED_BACK', message);
}

/** Whether the tiles show that one head extends the other. */
function joins(
  deps: { readonly files: LedgerFiles; readonly directory: string },
  kept: TreeHead,
  head: TreeHead,
): boolean {
  try {
    const proof = readHashes(deps, planConsistency(kept.size, head.size), head.size);
    verifyConsistency({ oldSize: kept.size, oldRoot: kept.root, newSize: head.size, newRoot: head.root, proof });
    return true;
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
    return false; // Tiles can be damaged: the entries are asked next.
  }
}

/** Tiles are made of entries on disk: what they list behind the last checkpoint is what was written there. @throws ERR_LEDGER_CORRUPT */
function checkTiledTail(
  deps: { readonly files: LedgerFiles; readonly directory: string },
  reader: LeafReader,
  from: number,
): void {
  const listed = entriesInTiles(deps.files, deps.directory);
  const tiles = createTileLeaves(deps);
  for (let at = from; at < listed; at++) {
    const leaf = reader.next(at);
    if (!leaf) return;
    if (tiles.differs(at, listed, leafHash(leaf))) {
      const message = `entry ${at}, behind the last checkpoint, is not the one that its tile was made of`;
      throw new LedgerError('ERR_LEDGER_CORRUPT', message);
    }
  }
}

interface FullTile {
  readonly level: number;
  readonly index: number;
  readonly hashes: readonly Buffer[];
}

/** A tile is only there for good once its name is, and those of the folders above it. */
async function writeForGood(
  { files, directory }: { readonly files: LedgerFiles; readonly directory: string },
  full: readonly FullTile[],
): Promise<void> {
  const tiles = full.map(({ level, index, hashes }) => {
    return { path: join(directory, tilePath({ level, index, width: TILE_WIDTH })), hashes };
  });
  for (let at = 0; at < tiles.length; at += TILES_AT_ONCE) await writeTiles(files, tiles.slice(at, at + TILES_AT_ONCE));
  const folders = new Set<string>();
  for (const { path } of tiles) {
    for (let folder = dirname(path); folder.length >= directory.length; folder = dirname(folder)) folders.add(folder);
  }
  for (const folder of folders) await files.syncDirectory(folder);
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
