import { copyFile, mkdir, open, readdir, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf, messageOf, throwIfAborted } from '../../std/index.ts';
import { LedgerError } from '../errors.ts';
import { segmentsDirectory } from '../segments/segment.ts';

/**
 * Copies a ledger's folder, beside a role that writes it, into a new one for this user alone, and syncs the copy. It holds at least what was
 * signed when this began: what is long is copied first, then once more what changed meanwhile, in an order by which each part holds what
 * those before it speak of. Whether it is whole is for its verification to say.
 * @throws LedgerError ERR_LEDGER_IO, the abort error
 */
export async function copyLedger(from: string, to: string, options: { readonly signal: AbortSignal }): Promise<void> {
  const { signal } = options;
  const tiles = { from: join(from, TILES), to: join(to, TILES), signal };
  const segments = { from: segmentsDirectory(from), to: segmentsDirectory(to), signal };
  try {
    await mkdir(to, { mode: 0o700 });
    await copyFolder(segments);
    await copyFolder(tiles);
    for (const name of CHECKPOINTS) await copyOne(join(from, name), join(to, name), signal);
    await copyFolder(tiles);
    // One that takes the place of narrower ones while the folder is read is there by now.
    await copyFolder(tiles);
    await copyFolder({ ...segments, newest: SEGMENTS_WRITTEN });
  } catch (cause) {
    throwIfAborted(signal);
    throw new LedgerError('ERR_LEDGER_IO', `the copy could not be made: ${messageOf(cause)}`, { cause });
  }
}

interface FolderCopy {
  readonly from: string;
  readonly to: string;
  readonly signal: AbortSignal;
  /** So many at the end of the names are copied again whatever their time says, which is coarser than writes are. */
  readonly newest?: number;
}

/** Copies the files of a folder, and of those in it, that are not there yet or were written since. */
async function copyFolder({ from, to, signal, newest = 0 }: FolderCopy): Promise<void> {
  const entries = (await readdir(from, { withFileTypes: true }).catch(absent)) ?? [];
  const sorted = entries.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  await mkdir(to, { recursive: true, mode: 0o700 });
  for (const [index, entry] of sorted.entries()) {
    const [source, copy] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) await copyFolder({ from: source, to: copy, signal });
    else if (!entry.isFile() || entry.name.endsWith(UNFINISHED)) continue;
    else await copyOne(source, copy, signal, index >= sorted.length - newest);
  }
}

async function copyOne(from: string, to: string, signal: AbortSignal, isForced = false): Promise<void> {
  throwIfAborted(signal);
  const [now, before] = [await stat(from).catch(absent), await stat(to).catch(absent)];
  // Gone since its folder was read: something else holds what was in it.
  if (now === undefined) return;
  if (!isForced && before !== undefined && before.size === now.size && before.mtimeMs === now.mtimeMs) return;
  const copied = await copyFile(from, to).then(() => true, absent);
  if (copied === undefined) return;
  // The time of before: what is written while it is copied shows as a change the next time.
  await utimes(to, now.atime, now.mtime);
  const file = await open(to, 'r');
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

const TILES = 'tile';
const CHECKPOINTS = ['checkpoint', 'checkpoints'];
/** As `replaceFile` names what it has not put in place yet. */
const UNFINISHED = '.new';
/** The one that is written, and those that were made for the next ones. */
const SEGMENTS_WRITTEN = 4;
