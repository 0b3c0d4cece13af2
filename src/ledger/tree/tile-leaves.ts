import { TILE_WIDTH, tilesAt } from '../../wire/tlog/index.ts';
import type { LedgerFiles } from '../files.ts';
import { readTile } from './tile-hashes.ts';

/** The leaf hashes that the tiles list, one by one; a tile is read once while they are asked for in order. */
export interface TileLeaves {
  /** Hash of the entry with that number, from the tiles of a tree of `size`; undefined when its tile is missing or cut. */
  leaf(index: number, size: number): Buffer | undefined;
  /** True when it lists another hash. Zeros are what a power cut leaves of a partial tile, which is not synced, and say nothing. */
  differs(index: number, size: number, hash: Buffer): boolean;
}

/** Creates {@link TileLeaves} over a ledger's folder. */
export function createTileLeaves(deps: { readonly files: LedgerFiles; readonly directory: string }): TileLeaves {
  let held: { readonly index: number; readonly hashes: readonly Buffer[] } | undefined;
  const leafIn = (index: number, size: number): Buffer | undefined => {
    const tile = Math.floor(index / TILE_WIDTH);
    const { full, partial } = tilesAt(0, size);
    const width = tile < full ? TILE_WIDTH : partial;
    if (held?.index !== tile || held.hashes.length < width) {
      held = { index: tile, hashes: readTile(deps, { level: 0, index: tile, width }) ?? [] };
    }
    return held.hashes[index % TILE_WIDTH];
  };
  return {
    leaf: leafIn,
    differs(index, size, hash) {
      const listed = leafIn(index, size);
      return listed !== undefined && !listed.equals(hash) && listed.some((byte) => byte !== 0);
    },
  };
}
