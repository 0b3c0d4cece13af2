import { constants } from 'node:fs';
import { type FileHandle, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { codeOf, type Random } from '../std/index.ts';
import { checkFile, checkMode, checkPlain, ioFailure, isOurs, UNFINISHED_SUFFIX, unsafe } from './checks.ts';

/**
 * Reads a whole file of ours: a plain one, no link, mode 0600, of `bytesMax` bytes at most. Undefined when there is none.
 * @throws PrivateFileError ERR_PRIVATE_FILE_UNSAFE, ERR_PRIVATE_FILE_SIZE, ERR_PRIVATE_FILE_IO
 */
export async function readPrivateFile(path: string, options: { bytesMax: number }): Promise<Buffer | undefined> {
  return read(path, constants.O_NOFOLLOW, async (file) => checkFile(path, await file.stat(), options.bytesMax));
}

/**
 * Reads a file that an operator gave, such as a mounted secret: a link may lead there; it must be ours or root's and closed to others, to
 * its group too unless `groupMayRead`. Undefined when there is none.
 * @throws PrivateFileError ERR_PRIVATE_FILE_UNSAFE, ERR_PRIVATE_FILE_SIZE, ERR_PRIVATE_FILE_IO
 */
export async function readGivenFile(
  path: string,
  options: { bytesMax: number; groupMayRead?: boolean },
): Promise<Buffer | undefined> {
  return read(path, 0, async (file) => {
    const stat = await file.stat();
    checkPlain(path, stat, options.bytesMax);
    if (stat.uid !== 0 && !isOurs(stat)) throw unsafe(`${path} belongs to uid ${stat.uid}, not to root or us`);
    checkMode(path, stat, options.groupMayRead === true ? 0o770 : 0o700);
  });
}

/**
 * Puts a file in place, mode 0600 whatever the umask: a crash leaves the old content or the new, never a part, and the new is on disk when
 * this resolves. It is written beside, synced, renamed, and its folder synced.
 * @throws PrivateFileError ERR_PRIVATE_FILE_IO
 */
export async function writePrivateFile(path: string, bytes: Uint8Array, random: Random): Promise<void> {
  // A name of its own: two writes at once must not write into each other's file.
  const beside = `${path}.${random.bytes(8).toString('hex')}${UNFINISHED_SUFFIX}`;
  try {
    const file = await open(beside, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
    try {
      await file.chmod(0o600); // The umask may have taken bits away.
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(beside, path);
    await syncFolder(dirname(path));
  } catch (cause) {
    await rm(beside, { force: true }).catch(() => {}); // The first failure is the one to report.
    throw ioFailure(`write ${path}`, cause);
  }
}

/** Removes a file for good; nothing happens when there is none. @throws PrivateFileError ERR_PRIVATE_FILE_IO */
export async function removePrivateFile(path: string): Promise<void> {
  try {
    await rm(path, { force: true });
    await syncFolder(dirname(path));
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return; // Not even its folder is there.
    throw ioFailure(`remove ${path}`, cause);
  }
}

/**
 * Removes what writes that a crash cut short have left in a folder. Only for who holds the folder alone: it would take away a write under
 * way, which then fails.
 * @throws PrivateFileError ERR_PRIVATE_FILE_IO
 */
export async function removeUnfinished(folder: string): Promise<void> {
  try {
    for (const name of await readdir(folder))
      if (name.endsWith(UNFINISHED_SUFFIX)) await rm(join(folder, name), { force: true });
  } catch (cause) {
    throw ioFailure(`clear ${folder}`, cause);
  }
}

/** Opened first and looked at through the descriptor: a file swapped in between is the one that was checked. A pipe must not hold us up. */
async function read(
  path: string,
  flags: number,
  check: (file: FileHandle) => Promise<void>,
): Promise<Buffer | undefined> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | flags);
    try {
      await check(file);
      return await file.readFile();
    } finally {
      await file.close();
    }
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return undefined;
    if (codeOf(cause) === 'ELOOP') throw unsafe(`${path} is a link`, cause);
    throw ioFailure(`read ${path}`, cause);
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
