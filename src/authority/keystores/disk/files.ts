import { constants } from 'node:fs';
import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import { codeOf } from '../../../std/index.ts';
import { AuthorityError } from '../../errors.ts';

/**
 * Makes the folder (0700) when it is missing, and refuses one that is not ours alone: who may write to it could put other keys in the place
 * of ours.
 * @throws AuthorityError ERR_KEYSTORE_UNSAFE, ERR_KEYSTORE_IO
 */
export async function openFolder(folder: string): Promise<void> {
  await io(`make the folder ${folder}`, () => fs.mkdir(folder, { recursive: true, mode: 0o700 }));
  const stat = await io(`look at ${folder}`, () => fs.lstat(folder));
  if (!stat.isDirectory()) throw new AuthorityError('ERR_KEYSTORE_UNSAFE', `${folder} is not a folder`);
  checkAccess(folder, stat, 0o700);
}

/**
 * Reads a whole small file that must be ours alone (0600, no link). Undefined when there is none.
 * @throws AuthorityError ERR_KEYSTORE_UNSAFE, ERR_KEYSTORE_DAMAGED (too large), ERR_KEYSTORE_IO
 */
export async function readOwnFile(file: string): Promise<Buffer | undefined> {
  // Opened first and looked at through the descriptor: a file swapped in between is the one that was checked.
  const handle = await openUnlessMissing(file);
  if (!handle) return undefined;
  try {
    const stat = await io(`look at ${file}`, () => handle.stat());
    if (!stat.isFile()) throw new AuthorityError('ERR_KEYSTORE_UNSAFE', `${file} is not a plain file`);
    checkAccess(file, stat, 0o600);
    if (stat.size > FILE_BYTES_MAX) {
      throw new AuthorityError(
        'ERR_KEYSTORE_DAMAGED',
        `${file} has ${stat.size} bytes, at most ${FILE_BYTES_MAX} are expected`,
      );
    }
    return await io(`read ${file}`, () => handle.readFile());
  } finally {
    await handle.close();
  }
}

/**
 * Puts a file in place whole or not at all, 0600, on disk when it resolves: written beside, synced, renamed, the folder synced.
 * @throws AuthorityError ERR_KEYSTORE_IO
 */
export async function writeOwnFile(file: string, bytes: Buffer): Promise<void> {
  const beside = `${file}${UNFINISHED_SUFFIX}`;
  await io(`write ${file}`, async () => {
    await fs.rm(beside, { force: true });
    const handle = await fs.open(beside, 'wx', 0o600);
    try {
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await fs.rename(beside, file);
    await syncFolder(path.dirname(file));
  });
}

/** Removes a file for good; nothing happens when there is none. @throws AuthorityError ERR_KEYSTORE_IO */
export async function removeOwnFile(file: string): Promise<void> {
  await io(`remove ${file}`, async () => {
    await fs.rm(file, { force: true });
    await syncFolder(path.dirname(file));
  });
}

/** The names in a folder, those of unfinished writes removed first: a crash left them. @throws AuthorityError ERR_KEYSTORE_IO */
export async function listFolder(folder: string): Promise<string[]> {
  return io(`list ${folder}`, async () => {
    const names: string[] = [];
    for (const name of await fs.readdir(folder)) {
      if (name.endsWith(UNFINISHED_SUFFIX)) await fs.rm(path.join(folder, name), { force: true });
      else names.push(name);
    }
    return names.sort();
  });
}

async function openUnlessMissing(file: string): Promise<fs.FileHandle | undefined> {
  try {
    return await fs.open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return undefined;
    if (codeOf(cause) === 'ELOOP') throw new AuthorityError('ERR_KEYSTORE_UNSAFE', `${file} is a link`, { cause });
    throw new AuthorityError('ERR_KEYSTORE_IO', `could not open ${file}`, { cause });
  }
}

function checkAccess(name: string, stat: { uid: number; mode: number }, allowed: number): void {
  const uid = process.geteuid?.();
  if (uid !== undefined && stat.uid !== uid) {
    throw new AuthorityError('ERR_KEYSTORE_UNSAFE', `${name} belongs to uid ${stat.uid}, this process runs as ${uid}`);
  }
  if ((stat.mode & 0o777 & ~allowed) !== 0) {
    const mode = (stat.mode & 0o777).toString(8);
    throw new AuthorityError('ERR_KEYSTORE_UNSAFE', `${name} has mode 0${mode}, allowed is 0${allowed.toString(8)}`);
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await fs.open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function io<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof AuthorityError) throw cause;
    throw new AuthorityError('ERR_KEYSTORE_IO', `could not ${what}`, { cause });
  }
}

const UNFINISHED_SUFFIX = '.unfinished';
/** A sealed RSA-4096 key has about 2,500 bytes. */
const FILE_BYTES_MAX = 64 * 1024;
