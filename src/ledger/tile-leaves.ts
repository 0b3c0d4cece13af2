import { TILE_WIDTH, tilesAt } from '../wire/tlog/index.ts';
import type { LedgerFiles } from './files.ts';
import { readTile } from './tree-writer.ts';

/** The leaf hashes that the tiles list, one by one; a tile is read once while they are asked for in order. */
export interface TileLeaves {
  /** Hash of the entry with that number, from the tiles of a tree of `size`; undefined when its tile is missing or cut. */
  leaf(index: number, size: number): Buffer | undefined;
}

/** Creates {@link TileLeaves} over a ledger's folder. */
export function createTileLeaves(deps: { readonly files: LedgerFiles; readonly directory: string }): TileLeaves {
  let held: { readonly index: number; readonly hashes: readonly Buffer[] } | undefined;
  return {
    leaf(index, size) {
      const tile = Math.floor(index / TILE_WIDTH);
      const { full, partial } = tilesAt(0, size);
      const width = tile < full ? TILE_WIDTH : partial;
      if (held?.index !== tile || held.hashes.length < width) {
        held = { index: tile, hashes: readTile(deps, { level: 0, index: tile, width }) ?? [] };
      }
      return held.hashes[index % TILE_WIDTH];
    },
  };
}
