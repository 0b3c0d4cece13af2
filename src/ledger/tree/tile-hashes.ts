import { join } from 'node:path';
import {
  evaluatePlan,
  HASH_BYTES,
  type ProofPlan,
  parseTile,
  rootInTile,
  TILE_WIDTH,
  tileOf,
  tilePath,
  tilesAt,
} from '../../wire/tlog/index.ts';
import { LedgerError, withIoErrors } from '../errors.ts';
import { type LedgerFiles, readFile } from '../files.ts';

interface TileDeps {
  readonly files: LedgerFiles;
  readonly directory: string;
}

/** Reads a tile of at least `width` hashes: the partial one, or the full one that took its place; undefined when neither is whole. */
export function readTile(
  deps: TileDeps,
  tile: { readonly level: number; readonly index: number; readonly width: number },
): Buffer[] | undefined {
  for (const width of new Set([tile.width, TILE_WIDTH])) {
    const path = join(deps.directory, tilePath({ ...tile, width }));
    const bytes = withIoErrors('a tile can not be read', () => readFile(deps.files, path, TILE_BYTES));
    if (bytes?.length === width * HASH_BYTES) return parseTile(bytes, tile.width);
  }
  return undefined;
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

const TILE_BYTES = TILE_WIDTH * HASH_BYTES;
