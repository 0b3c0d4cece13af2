import { join } from 'node:path';
import { TILE_WIDTH } from '../../wire/tlog/index.ts';
import type { LedgerFiles } from '../files.ts';

/**
 * How many entries the tiles show to have been on disk: tiles are made of synced entries alone, and only grow. Found by the greatest
 * name in each folder, so in as many steps as an index has digits.
 */
export function entriesInTiles(files: LedgerFiles, directory: string): number {
  return within(files, join(directory, 'tile', '0'), 0, GROUPS_MAX);
}

/** The greatest tile in the folder of those whose index begins with `prefix` (in thousands). */
function within(files: LedgerFiles, folder: string, prefix: number, depth: number): number {
  const names = files.list(folder);
  const above = depth > 1 ? names.filter((name) => /^x\d{3}$/.test(name)) : [];
  // Where a number of three groups begins like one of two, the longer is the greater: it shows in the first folder that has both.
  const [first] = above;
  const deeper = first !== undefined && files.list(join(folder, first)).some((name) => /^x\d{3}$/.test(name));
  const candidates = deeper ? above.filter((name) => files.list(join(folder, name)).some(isGroup)) : above;
  const greatest = candidates.at(-1);
  if (greatest !== undefined) {
    return within(files, join(folder, greatest), (prefix + Number(greatest.slice(1))) * 1000, depth - 1);
  }
  let entries = 0;
  for (const name of names) {
    const [, digits, partial] = /^(\d{3})(\.p)?$/.exec(name) ?? [];
    if (digits === undefined) continue;
    const index = prefix + Number(digits);
    const width = partial === undefined ? TILE_WIDTH : widest(files.list(join(folder, name)));
    if (width > 0) entries = Math.max(entries, index * TILE_WIDTH + width);
  }
  return entries;
}

function isGroup(name: string): boolean {
  return /^x\d{3}$/.test(name);
}

function widest(names: readonly string[]): number {
  return Math.max(
    0,
    ...names
      .filter((name) => /^[1-9]\d{0,2}$/.test(name))
      .map(Number)
      .filter((width) => width < TILE_WIDTH),
  );
}

/** Groups of three digits in the index of a tile: 2^53 entries have five. */
const GROUPS_MAX = 5;
