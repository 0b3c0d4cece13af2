import { join } from 'node:path';
import { codeOf } from '../../std/index.ts';
import { HASH_BYTES, TILE_WIDTH } from '../../wire/tlog/index.ts';
import { LedgerError, withIoErrors } from '../errors.ts';
import { type LedgerFiles, readFully } from '../files.ts';

// The hashes of a level of the tree stand one behind the other, in packs: hash i of the level is the (i mod 65,536)th of pack
// ⌊i / 65,536⌋. A pack is all tiles that one tile of the level above is made of. @see docs/decisions/0038

/** Hashes of a full pack. */
export const PACK_WIDTH: number = TILE_WIDTH ** 2;
/** Bytes of a full pack: 2 MiB. */
export const PACK_BYTES: number = PACK_WIDTH * HASH_BYTES;
/** Levels whose hashes are over fewer entries than there are numbers for. */
export const LEVELS_MAX = 7;

/** Which folder is read. */
export interface TileDeps {
  readonly files: LedgerFiles;
  readonly directory: string;
}

/** Folder of all levels in the ledger's folder. */
export function tilesDirectory(directory: string): string {
  return join(directory, 'tile');
}

/** Folder of the packs of a level. */
export function levelDirectory(directory: string, level: number): string {
  return join(tilesDirectory(directory), String(level));
}

/** Path of the pack with that number, from 0. */
export function packPath(directory: string, level: number, pack: number): string {
  return join(levelDirectory(directory, level), `${String(pack).padStart(NAME_DIGITS, '0')}.tiles`);
}

/** Numbers of the packs of a level, ascending. */
export function listPacks({ files, directory }: TileDeps, level: number): number[] {
  const names = files.list(levelDirectory(directory, level)).filter((name) => /^\d{10}\.tiles$/.test(name));
  return names.map((name) => Number(name.slice(0, NAME_DIGITS)));
}

/** Bytes of a pack; 0 when it is not there. @throws ERR_LEDGER_IO, ERR_LEDGER_CORRUPT for what is no pack */
export function packBytes(deps: TileDeps, level: number, pack: number): number {
  return withPack(deps, { level, pack }, (_, bytes) => bytes) ?? 0;
}

/**
 * The hashes of a level from the one with number `first` on: `count` of them, fewer where the pack ends.
 * @throws ERR_LEDGER_IO, ERR_LEDGER_CORRUPT for what is no pack
 */
export function readPacked(
  deps: TileDeps,
  range: { readonly level: number; readonly first: number; readonly count: number },
): Buffer {
  const { level, first, count } = range;
  const start = first % PACK_WIDTH;
  const into = Buffer.alloc(Math.min(count, PACK_WIDTH - start) * HASH_BYTES);
  const read = withPack(deps, { level, pack: Math.floor(first / PACK_WIDTH) }, (file) =>
    readFully(deps.files, file, into, start * HASH_BYTES),
  );
  return into.subarray(0, wholeHashes(read ?? 0) * HASH_BYTES);
}

/** How many hashes so many bytes hold; what a crash left of another does not count. */
export function wholeHashes(bytes: number): number {
  return Math.floor(bytes / HASH_BYTES);
}

/** Zeros are what a power cut leaves where a hash was not on disk yet: no hash is that. */
export function isUnwritten(hash: Buffer): boolean {
  return hash.equals(UNWRITTEN);
}

/** Runs `use` with the pack open for reading; undefined when there is none. What is longer than a pack is not believed, nor read. */
function withPack<T>(
  { files, directory }: TileDeps,
  { level, pack }: { readonly level: number; readonly pack: number },
  use: (file: number, bytes: number) => T,
): T | undefined {
  return withIoErrors('tiles can not be read', () => {
    const path = packPath(directory, level, pack);
    const file = openIfThere(files, path);
    if (file === undefined) return undefined;
    try {
      const bytes = files.size(file);
      if (bytes <= PACK_BYTES) return use(file, bytes);
      throw new LedgerError('ERR_LEDGER_CORRUPT', `${path} has ${bytes} bytes, over the ${PACK_BYTES} of its tiles`);
    } finally {
      files.close(file);
    }
  });
}

function openIfThere(files: LedgerFiles, path: string): number | undefined {
  try {
    return files.open(path, 'read');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

const NAME_DIGITS = 10;
const UNWRITTEN = Buffer.alloc(HASH_BYTES);
