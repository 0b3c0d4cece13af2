import { constants } from 'node:fs';
import { open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { codeOf, type Random } from '../std/index.ts';
import { checkFile, ioFailure, UNFINISHED_SUFFIX, unsafe } from './checks.ts';

/**
 * Reads a whole file of ours: a plain one, no link, mode 0600, of `bytesMax` bytes at most. Undefined when there is none.
 * @throws PrivateFileError ERR_PRIVATE_FILE_UNSAFE, ERR_PRIVATE_FILE_SIZE, ERR_PRIVATE_FILE_IO
 */
export async function readPrivateFile(path: string, options: { bytesMax: number }): Promise<Buffer | undefined> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
    try {
      // Opened first and looked at through the descriptor: a file swapped in between is the one that was checked. A pipe must not hold us up.
      checkFile(path, await file.stat(), options.bytesMax);
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

/** Has a folder's names on disk. Fails as Node does. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
