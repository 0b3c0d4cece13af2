import type { Stats } from 'node:fs';
import { codeOf } from '../std/index.ts';
import { PrivateFileError } from './errors.ts';

/** Refuses what is another user's. @throws PrivateFileError ERR_PRIVATE_FILE_UNSAFE */
export function checkOwner(path: string, stat: Stats): void {
  if (!isOurs(stat)) throw unsafe(`${path} belongs to uid ${stat.uid}; this process runs as ${process.geteuid?.()}`);
}

/**
 * Refuses modes with more bits than `allowed`. What is not ours is to be given to us first: closed to others, we could not read it any more.
 * @throws PrivateFileError ERR_PRIVATE_FILE_UNSAFE
 */
export function checkMode(
  path: string,
  stat: Pick<Stats, 'mode' | 'uid' | 'isFile'>,
  allowed: number,
  self = process.geteuid?.(),
): void {
  if ((stat.mode & 0o777 & ~allowed) === 0) return;
  // A file needs no right to run, though it may have it.
  const told = stat.isFile() ? allowed & 0o666 : allowed;
  const give = self === undefined || self === stat.uid ? '' : `chown it to uid ${self}, then `;
  throw unsafe(`${path} has mode ${octal(stat.mode)}, allowed is ${octal(told)}; ${give}chmod ${told.toString(8)} it`);
}

/** Refuses all but a plain file of ours with mode 0600 or less. @throws PrivateFileError ERR_PRIVATE_FILE_UNSAFE, _SIZE */
export function checkFile(path: string, stat: Stats, bytesMax: number): void {
  checkPlain(path, stat, bytesMax);
  checkOwner(path, stat);
  checkMode(path, stat, 0o600);
}

/** Refuses what is no plain file, or a larger one. @throws PrivateFileError ERR_PRIVATE_FILE_UNSAFE, _SIZE */
export function checkPlain(path: string, stat: Stats, bytesMax: number): void {
  if (!stat.isFile()) throw unsafe(`${path} is not a plain file`);
  if (stat.size > bytesMax)
    throw new PrivateFileError('ERR_PRIVATE_FILE_SIZE', `${path} has ${stat.size} bytes; at most ${bytesMax} are read`);
}

/** Refuses what belongs neither to root nor to us. @throws PrivateFileError ERR_PRIVATE_FILE_UNSAFE */
export function checkGiver(path: string, stat: Stats): void {
  if (stat.uid !== 0 && !isOurs(stat)) throw unsafe(`${path} belongs to uid ${stat.uid}, not to root or us`);
}

/** True when it belongs to the user that this process acts as: what it makes itself belongs to that one. */
export function isOurs(stat: Stats): boolean {
  return stat.uid === process.geteuid?.();
}

export function unsafe(message: string, cause?: unknown): PrivateFileError {
  return new PrivateFileError('ERR_PRIVATE_FILE_UNSAFE', message, { cause });
}

/** The failure of an operation of the file system, in words: `what` is what could not be done. */
export function ioFailure(what: string, cause: unknown): PrivateFileError {
  if (cause instanceof PrivateFileError) return cause;
  const code = codeOf(cause) ?? 'unknown error';
  const isClosed = code === 'EACCES' || code === 'EPERM';
  const closed = isClosed ? `; uid ${process.geteuid?.()} has no right to it, or to a folder above it` : '';
  return new PrivateFileError('ERR_PRIVATE_FILE_IO', `could not ${what} (${code})${closed}`, { cause });
}

function octal(mode: number): string {
  return (mode & 0o777).toString(8).padStart(4, '0');
}

/** What names a file that is not whole yet: a crash may leave it. */
export const UNFINISHED_SUFFIX = '.unfinished';
