import { TILE_WIDTH } from '../../wire/tlog/index.ts';
import { LEVELS_MAX, listPacks, PACK_WIDTH, packBytes, type TileDeps, wholeHashes } from './tile-pack.ts';

/**
 * How many entries the tiles show to have been on disk: they are made of synced entries alone. It is the length that tells, by the last
 * pack of each level: what it holds may have been lost in a power cut, but it was only as long because those entries were there.
 * @throws ERR_LEDGER_IO, ERR_LEDGER_CORRUPT for what is no pack
 */
export function entriesInTiles(deps: TileDeps): number {
  let entries = 0;
  for (let level = 0; level < LEVELS_MAX; level++) {
    const pack = listPacks(deps, level).at(-1);
    if (pack === undefined) continue;
    const hashes = pack * PACK_WIDTH + wholeHashes(packBytes(deps, level, pack));
    entries = Math.max(entries, Math.min(hashes * TILE_WIDTH ** level, Number.MAX_SAFE_INTEGER));
  }
  return entries;
}
