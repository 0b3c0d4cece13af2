import { copyFile, mkdir, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf, messageOf, throwIfAborted } from '../../std/index.ts';
import { LedgerError } from '../errors.ts';
import { createDiskFiles } from '../files.ts';
import { listSegments, readSegmentHeader, segmentPath, segmentsDirectory } from '../segments/segment.ts';

/** How a copy is made. */
export interface CopyOptions {
  readonly signal: AbortSignal;
  /** Called before each file that is copied, with its path in the copy; waited for. */
  onFile?(path: string): void | Promise<void>;
}

/**
 * Copies a ledger's folder, beside a role that writes it, into a new one for this user alone, and syncs the copy. It holds at least what was
 * signed when this began. What can't change any more is copied first; then the checkpoints, the tiles that they were made of, and the
 * segments that were or came into use, **newest first**: what a segment holds follows on all that is in those before it, which are copied
 * later and so hold it. Whether the copy is whole is for its verification to say.
 * @throws LedgerError ERR_LEDGER_IO, the abort error
 */
export async function copyLedger(from: string, to: string, options: CopyOptions): Promise<void> {
  const tiles = { from: join(from, TILES), to: join(to, TILES) };
  try {
    await mkdir(to, { mode: 0o700 });
    await mkdir(segmentsDirectory(to), { mode: 0o700 });
    const written = firstThatChanges(from);
    const copySegment = (index: number) => copyOne(segmentPath(from, index), segmentPath(to, index), options);
    for (const index of listSegments(disk, from).filter((each) => each < written)) await copySegment(index);
    await copyTiles(tiles, options);
    for (const name of CHECKPOINTS) await copyOne(join(from, name), join(to, name), options);
    await copyTiles(tiles, options);
    // One that takes the place of narrower ones while the folder is read is there by now.
    await copyTiles(tiles, options);
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

/** Copies the tiles that are not there yet, and the folders of them: under its name, a tile never changes. */
async function copyTiles({ from, to }: { from: string; to: string }, options: CopyOptions): Promise<void> {
  const entries = (await readdir(from, { withFileTypes: true }).catch(absent)) ?? [];
  await mkdir(to, { recursive: true, mode: 0o700 });
  const there = new Set(await readdir(to));
  for (const entry of entries) {
    const [source, copy] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) await copyTiles({ from: source, to: copy }, options);
    else if (entry.isFile() && !entry.name.endsWith(UNFINISHED) && !there.has(entry.name))
      await copyOne(source, copy, options);
  }
  await syncOne(to);
}

async function copyOne(from: string, to: string, { signal, onFile }: CopyOptions): Promise<void> {
  throwIfAborted(signal);
  await onFile?.(to);
  // Gone since its folder was read: something else holds what was in it.
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
const TILES = 'tile';
const CHECKPOINTS = ['checkpoint', 'checkpoints'];
/** As `replaceFile` names what it has not put in place yet. */
const UNFINISHED = '.new';
