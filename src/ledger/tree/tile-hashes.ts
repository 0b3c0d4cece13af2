import {
  evaluatePlan,
  HASH_BYTES,
  type ProofPlan,
  parseTile,
  rootInTile,
  TILE_WIDTH,
  tileOf,
  tilesAt,
} from '../../wire/tlog/index.ts';
import { LedgerError } from '../errors.ts';
import { isUnwritten, readPacked, type TileDeps } from './tile-pack.ts';

/** The first `width` hashes of a tile; undefined when they are not all there. @throws ERR_LEDGER_IO, ERR_LEDGER_CORRUPT */
export function readTile(
  deps: TileDeps,
  tile: { readonly level: number; readonly index: number; readonly width: number },
): Buffer[] | undefined {
  const { level, index, width } = tile;
  const bytes = readPacked(deps, { level, first: index * TILE_WIDTH, count: width });
  if (bytes.length < width * HASH_BYTES) return undefined;
  const hashes = parseTile(bytes, width);
  return hashes.some(isUnwritten) ? undefined : hashes;
}

/** The hashes of a proof within the tree of `size`, from its tiles. @throws ERR_LEDGER_CORRUPT when a tile is missing or cut */
export function readHashes(deps: TileDeps, plan: ProofPlan, size: number): Buffer[] {
  return evaluatePlan(plan, (node) => {
    const { level, index, start, count } = tileOf(node);
    const { full, partial } = tilesAt(level, size);
    const hashes = readTile(deps, { level, index, width: index < full ? TILE_WIDTH : partial });
    if (!hashes) throw new LedgerError('ERR_LEDGER_CORRUPT', `tile ${index} of level ${level} is missing or cut`);
    return rootInTile(hashes, start, count);
  });
}
