import { HASH_BYTES, TILE_WIDTH } from '../../wire/tlog/index.ts';
import { isUnwritten, readPacked, type TileDeps, wholeHashes } from './tile-pack.ts';

/** What the tiles list, hash by hash; a tile is read once while its hashes are asked for in order. */
export interface TileLeaves {
  /** Hash of the entry with that number; undefined when it is not there. @throws ERR_LEDGER_IO, ERR_LEDGER_CORRUPT */
  leaf(index: number): Buffer | undefined;
  /** As {@link leaf}, of a level above: hash `index` of those that are over 256^`level` entries each. */
  above(level: number, index: number): Buffer | undefined;
  /** True when they list another hash for that entry. Where none was written, they say nothing. */
  differs(index: number, hash: Buffer): boolean;
}

/** Creates {@link TileLeaves} over a ledger's folder. */
export function createTileLeaves(deps: TileDeps): TileLeaves {
  /** By level, the tile that was read last. */
  const held = new Map<number, { readonly tile: number; readonly bytes: Buffer }>();
  const hashAt = (level: number, index: number): Buffer | undefined => {
    const tile = Math.floor(index / TILE_WIDTH);
    const place = index % TILE_WIDTH;
    let at = held.get(level);
    // One that was not full may have grown since.
    if (at?.tile !== tile || wholeHashes(at.bytes.length) <= place) {
      at = { tile, bytes: readPacked(deps, { level, first: tile * TILE_WIDTH, count: TILE_WIDTH }) };
      held.set(level, at);
    }
    const hash = at.bytes.subarray(place * HASH_BYTES, (place + 1) * HASH_BYTES);
    return hash.length < HASH_BYTES || isUnwritten(hash) ? undefined : hash;
  };
  return {
    leaf: (index) => hashAt(0, index),
    above: hashAt,
    differs(index, hash) {
      const listed = hashAt(0, index);
      return listed !== undefined && !listed.equals(hash);
    },
  };
}
