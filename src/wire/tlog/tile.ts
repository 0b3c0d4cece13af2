import { assert } from '../../std/index.ts';
import { TlogError } from './errors.ts';
import { createTree, HASH_BYTES, type TreeNode } from './merkle.ts';

/** Hashes in a full tile: subtrees of height 8. */
export const TILE_WIDTH = 256;
export const TILE_HEIGHT = 8;

/** Where a tile stands, and how many hashes it holds (256 unless partial). @see C2SP tlog-tiles */
export interface TilePlace {
  readonly level: number;
  readonly index: number;
  readonly width: number;
}

/** Path below the log's prefix where C2SP has it served, such as `tile/0/x001/234` or, partial, `tile/1/000.p/17`. @throws ERR_TLOG_TILE */
export function tilePath(tile: TilePlace): string {
  const { level, index, width } = tile;
  if (!inRange(level, 0, LEVEL_MAX) || !inRange(index, 0, Number.MAX_SAFE_INTEGER) || !inRange(width, 1, TILE_WIDTH)) {
    throw new TlogError('ERR_TLOG_TILE', `no tile has level ${level}, index ${index} and width ${width}`);
  }
  const digits = String(index);
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, '0').match(/.{3}/g) ?? [];
  const path = groups.map((group, i) => (i === groups.length - 1 ? group : `x${group}`)).join('/');
  return `tile/${level}/${path}${width === TILE_WIDTH ? '' : `.p/${width}`}`;
}

/** The hashes that a tree of `size` has at `level`: one for each 256^`level` entries. */
export function hashesAt(level: number, size: number): number {
  return Math.floor(size / TILE_WIDTH ** level);
}

/** The tiles that a tree of `size` has at `level`: how many full ones, and the width of the partial one behind them (0 = none). */
export function tilesAt(level: number, size: number): { readonly full: number; readonly partial: number } {
  const hashes = hashesAt(level, size);
  return { full: Math.floor(hashes / TILE_WIDTH), partial: hashes % TILE_WIDTH };
}

/** Where the hashes stand that a complete subtree is the root of. */
export function tileOf(node: TreeNode): {
  readonly level: number;
  readonly index: number;
  readonly start: number;
  readonly count: number;
} {
  const level = Math.floor(node.height / TILE_HEIGHT);
  const count = 2 ** (node.height % TILE_HEIGHT);
  const first = node.index * count;
  return { level, index: Math.floor(first / TILE_WIDTH), start: first % TILE_WIDTH, count };
}

/** The hashes of a tile's bytes. @throws ERR_TLOG_TILE unless they are `width` hashes or more (a wider tile of the same place holds them too) */
export function parseTile(bytes: Buffer, width: number): Buffer[] {
  if (bytes.length < width * HASH_BYTES || bytes.length > TILE_WIDTH * HASH_BYTES || bytes.length % HASH_BYTES !== 0) {
    throw new TlogError('ERR_TLOG_TILE', `a tile of ${width} hashes has ${bytes.length} bytes`);
  }
  const hashes: Buffer[] = [];
  for (let i = 0; i < width; i++) hashes.push(bytes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES));
  return hashes;
}

/** Root over `count` (a power of two) hashes of a tile from `start`: the hash of the node that {@link tileOf} placed there. */
export function rootInTile(hashes: readonly Buffer[], start: number, count: number): Buffer {
  const tree = createTree();
  for (const hash of hashes.slice(start, start + count)) tree.append(hash);
  assert(tree.size === count, `a tile of ${hashes.length} hashes has no ${count} from ${start}`);
  return tree.root();
}

function inRange(value: number, min: number, max: number): boolean {
  return Number.isSafeInteger(value) && value >= min && value <= max;
}

const LEVEL_MAX = 63;
