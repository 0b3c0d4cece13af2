import { copyFile, mkdir, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { codeOf, messageOf, throwIfAborted } from '../../std/index.ts';
import { LedgerError } from '../errors.ts';
import { createDiskFiles } from '../files.ts';
import { listSegments, readSegmentHeader, segmentPath, segmentsDirectory } from '../segments/segment.ts';
import { LEVELS_MAX, listPacks, PACK_BYTES, packBytes, packPath, tilesDirectory } from '../tree/tile-pack.ts';

/** How a copy is made. */
export interface CopyOptions {
  readonly signal: AbortSignal;
  /** Called before each file that is copied, with its path in the copy; waited for. */
  onFile?(path: string): void | Promise<void>;
}

/**
 * Copies a ledger's folder, beside a role that writes it, into a new one for this user alone, and syncs the copy. It holds at least what was
 * signed when this began. What can't change any more is copied first; then the checkpoints, the tiles that they cover and more, and the
 * segments that were or came into use, **newest first**: what a segment holds follows on all that is in those before it, which are copied
 * later and so hold it. Whether the copy is whole is for its verification to say.
 * @throws LedgerError ERR_LEDGER_IO, the abort error
 */
export async function copyLedger(from: string, to: string, options: CopyOptions): Promise<void> {
  try {
    await mkdir(to, { mode: 0o700 });
    await mkdir(segmentsDirectory(to), { mode: 0o700 });
    const written = firstThatChanges(from);
    const copySegment = (index: number) => copyOne(segmentPath(from, index), segmentPath(to, index), options);
    for (const index of listSegments(disk, from).filter((each) => each < written)) await copySegment(index);
    const full = packsOf(from).filter(
      ({ level, pack }) => packBytes({ files: disk, directory: from }, level, pack) === PACK_BYTES,
    );
    await copyPacks({ from, to, packs: full }, options);
    for (const name of CHECKPOINTS) await copyOne(join(from, name), join(to, name), options);
    const copied = new Set(full.map(keyOf));
    await copyPacks({ from, to, packs: packsOf(from).filter((each) => !copied.has(keyOf(each))) }, options);
    const changing = listSegments(disk, from).filter((each) => each >= written);
    for (const index of changing.toReversed()) await copySegment(index);
    await syncOne(segmentsDirectory(to));
    await syncOne(to);
  } catch (cause) {
    throwIfAborted(options.signal);
    throw new LedgerError('ERR_LEDGER_IO', `the copy could not be made: ${messageOf(cause)}`, { cause });
  }
}

/** Number of the segment that is written: those before it are full. */
function firstThatChanges(directory: string): number {
  const used = listSegments(disk, directory).findLast((index) => readSegmentHeader(disk, directory, index));
  return used ?? 0;
}

/** A file of tiles. */
interface Pack {
  readonly level: number;
  readonly pack: number;
}

function packsOf(directory: string): Pack[] {
  const levels = Array.from({ length: LEVELS_MAX }, (_, level) => level);
  return levels.flatMap((level) => listPacks({ files: disk, directory }, level).map((pack) => ({ level, pack })));
}

function keyOf({ level, pack }: Pack): string {
  return `${level}/${pack}`;
}

/** Copies those files of tiles, and the folders of them. */
async function copyPacks(
  { from, to, packs }: { readonly from: string; readonly to: string; readonly packs: readonly Pack[] },
  options: CopyOptions,
): Promise<void> {
  const folders = new Set([tilesDirectory(to)]);
  for (const { level, pack } of packs) {
    const copy = packPath(to, level, pack);
    await mkdir(dirname(copy), { recursive: true, mode: 0o700 });
    folders.add(dirname(copy));
    await copyOne(packPath(from, level, pack), copy, options);
  }
  await mkdir(tilesDirectory(to), { recursive: true, mode: 0o700 });
  for (const folder of folders) await syncOne(folder);
}

async function copyOne(from: string, to: string, { signal, onFile }: CopyOptions): Promise<void> {
  throwIfAborted(signal);
  await onFile?.(to);
  // Not there, or no more: the verification of the copy says what that means.
  const copied = await copyFile(from, to).then(() => true, absent);
  if (copied) await syncOne(to);
}

async function syncOne(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

function absent(error: unknown): undefined {
  if (codeOf(error) === 'ENOENT') return undefined;
  throw error;
}

const disk = createDiskFiles();
const CHECKPOINTS = ['checkpoint', 'checkpoints'];
