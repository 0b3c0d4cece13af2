import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { assert, codeOf, type Random } from '../std/index.ts';
import { checkFile, ioFailure, UNFINISHED_SUFFIX, unsafe } from './checks.ts';

/**
 * Reads a file of ours (see `readPrivateFile`) or, when there is none, creates it whole and on disk with what `make` gives: of two processes
 * that try at once, one creates, and both read what that one made. It blocks: for small files, before a role runs.
 * @throws PrivateFileError ERR_PRIVATE_FILE_UNSAFE, ERR_PRIVATE_FILE_SIZE, ERR_PRIVATE_FILE_IO
 */
export function readOrCreatePrivateFile(
  path: string,
  options: { readonly bytesMax: number; readonly random: Random; readonly make: () => Uint8Array },
): Buffer {
  const there = readNow(path, options.bytesMax);
  if (there !== undefined) return there;
  createWhole(path, options.make(), options.random);
  const made = readNow(path, options.bytesMax);
  assert(made !== undefined, `${path} is gone right after it was made`);
  return made;
}

function readNow(path: string, bytesMax: number): Buffer | undefined {
  try {
    const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      checkFile(path, fstatSync(file), bytesMax);
      return readFileSync(file);
    } finally {
      closeSync(file);
    }
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return undefined;
    if (codeOf(cause) === 'ELOOP') throw unsafe(`${path} is a link`, cause);
    throw ioFailure(`read ${path}`, cause);
  }
}

function createWhole(path: string, bytes: Uint8Array, random: Random): void {
  const beside = `${path}.${random.bytes(8).toString('hex')}${UNFINISHED_SUFFIX}`;
  try {
    const file = openSync(beside, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
    try {
      fchmodSync(file, 0o600); // The umask may have taken bits away.
      writeFileSync(file, bytes);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    linkUnlessThere(beside, path);
    const folder = openSync(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      fsyncSync(folder);
    } finally {
      closeSync(folder);
    }
  } catch (cause) {
    throw ioFailure(`write ${path}`, cause);
  } finally {
    rmSync(beside, { force: true });
  }
}

/** A link, unlike a rename, replaces nothing: the file of another process that was first counts. */
function linkUnlessThere(beside: string, path: string): void {
  try {
    linkSync(beside, path);
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  }
}
