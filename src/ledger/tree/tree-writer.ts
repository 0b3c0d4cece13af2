import { codeOf } from '../../std/index.ts';
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
  tilesAt,
  verifyConsistency,
} from '../../wire/tlog/index.ts';
import { readLastCheckpoint } from '../checkpoints/checkpoint-file.ts';
import { createCheckpointWriter } from '../checkpoints/checkpoint-writer.ts';
import { LedgerError } from '../errors.ts';
import { createLeafReader, type LeafReader } from '../segments/leaf-reader.ts';
import { createPackWriter, type PackWriter } from './pack-writer.ts';
import { readHashes, readTile } from './tile-hashes.ts';
import { createTileLeaves } from './tile-leaves.ts';
import type { TileDeps } from './tile-pack.ts';
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
  /** Hashes entries up to `size` (all of them synced); their tiles are on disk when it resolves. May be called again after a failure. */
  advance(size: number): Promise<TreeHead>;
  /** Puts the signed checkpoint of the current head on disk. */
  publish(note: string): Promise<void>;
  close(): Promise<void>;
}

/** Creates a {@link TreeWriter} over the ledger's folder. */
export function createTreeWriter(deps: TileDeps): TreeWriter {
  const { files, directory } = deps;
  const reader = createLeafReader(deps);
  const checkpoints = createCheckpointWriter(deps);
  const packs = createPackWriter(deps);
  let tree: Tree = createTree();

  const seen = ({ height, index }: TreeNode, hash: Buffer) => {
    if (height % TILE_HEIGHT === 0) packs.add({ level: height / TILE_HEIGHT, index }, hash);
  };
  const advance = async (size: number): Promise<TreeHead> => {
    // What a failure left over comes first: no more than one round is ever held.
    await packs.flush();
    reader.refresh();
    while (tree.size < size) {
      const stopAt = Math.min(size, tree.size + LEAVES_A_ROUND);
      while (tree.size < stopAt) tree.append(leafHash(leafAt(reader, tree.size)), seen);
      await packs.flush();
    }
    return { size: tree.size, root: tree.root() };
  };
  const goOn = (size: number, tails: readonly Buffer[][]) => {
    packs.goOn(size);
    tree = createTree(
      size,
      completeNodes(0, size).map((node) => hashInTails(tails, node)),
    );
  };
  /** Makes all tiles anew, once the entries alone led to those heads: what contradicts the entries is not written over. */
  const rebuild = async (heads: readonly TreeHead[]): Promise<boolean> => {
    const size = heads.at(-1)?.size ?? 0;
    if (!leadTo(reader, heads)) return false;
    tree = createTree();
    packs.startOver();
    await advance(size);
    packs.goOn(size);
    return true;
  };
  return {
    async open(kept) {
      const last = readLastCheckpoint(files, directory);
      checkpoints.open(last);
      const signed = last?.claim ?? { size: 0, root: createTree().root() };
      const tails = readTails(deps, reader, signed.size);
      if (tails) goOn(signed.size, tails);
      if (tails && tree.root().equals(signed.root)) mendTails(deps, packs, { size: signed.size, tails });
      // The tiles are only derived: before the entries are blamed, everything is hashed again.
      else if (!(await rebuild([signed]))) throw notSigned(signed);
      if (kept && !joins(deps, kept, signed) && !(await rebuild([kept, signed]))) throw notExtended(kept);
      checkTiledTail(deps, reader, tree.size);
      return { size: tree.size, root: tree.root() };
    },
    advance,
    publish: (note) => checkpoints.add(note, tree.size),
    close: async () => reader.close(),
  };
}

function notSigned({ size }: TreeHead): LedgerError {
  return new LedgerError('ERR_LEDGER_CORRUPT', `the first ${size} entries are not those that were signed`);
}

function notExtended({ size }: TreeHead): LedgerError {
  const message = `the first ${size} entries are not those of the checkpoint that is kept beside the key`;
  return new LedgerError('ERR_LEDGER_ROLLED_BACK', message);
}

/** Whether the entries, whatever the tiles say, lead to one head after the other. */
function leadTo(reader: LeafReader, heads: readonly TreeHead[]): boolean {
  const tree = createTree();
  return heads.every(({ size, root }) => {
    while (tree.size < size) tree.append(leafHash(leafAt(reader, tree.size)));
    return tree.root().equals(root);
  });
}

/** Whether the tiles show that one head extends the other. */
function joins(deps: TileDeps, kept: TreeHead, head: TreeHead): boolean {
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
function checkTiledTail(deps: TileDeps, reader: LeafReader, from: number): void {
  const listed = entriesInTiles(deps);
  const tiles = createTileLeaves(deps);
  for (let at = from; at < listed; at++) {
    const leaf = reader.next(at);
    if (!leaf) return;
    if (tiles.differs(at, leafHash(leaf))) {
      const message = `entry ${at}, behind the last checkpoint, is not the one that its tile was made of`;
      throw new LedgerError('ERR_LEDGER_CORRUPT', message);
    }
  }
}

/** The last tile of each level, which was worked out from what it is made of, is written again where it is not that. */
function mendTails(
  deps: TileDeps,
  packs: PackWriter,
  { size, tails }: { readonly size: number; readonly tails: readonly Buffer[][] },
): void {
  for (const [level, tail] of tails.entries()) {
    const { full: index, partial: width } = tilesAt(level, size);
    if (width === 0) continue;
    const there = readTile(deps, { level, index, width });
    if (!there?.every((hash, place) => tail[place]?.equals(hash)))
      packs.redo({ level, index: index * TILE_WIDTH }, tail);
  }
}

/** The unfinished tile of each level, worked out from the full tiles below and, at the bottom, from the entries; undefined when a tile is missing. */
function readTails(deps: TileDeps, reader: LeafReader, size: number): Buffer[][] | undefined {
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

/** Bounds the hashes held between two writes: some 2 MiB of them. */
const LEAVES_A_ROUND = 65_536;
