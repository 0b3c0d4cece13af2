import { lstatSync, mkdirSync, realpathSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { checkMode, checkOwner, ioFailure, isOurs, unsafe } from './checks.ts';

/**
 * Makes a folder (0700) when it is missing, and refuses one that is not ours alone: who may write to it could put other files in the place
 * of ours.
 * @throws PrivateFileError ERR_PRIVATE_FILE_UNSAFE, ERR_PRIVATE_FILE_IO
 */
export function openPrivateFolder(path: string): void {
  openFolder(path, 0o700);
}

/**
 * Makes a folder that others may look into (0755) when it is missing, and refuses one that is not ours or that others may put anything into:
 * a link planted there would have us write elsewhere.
 * @throws PrivateFileError ERR_PRIVATE_FILE_UNSAFE, ERR_PRIVATE_FILE_IO
 */
export function openSharedFolder(path: string): void {
  openFolder(path, 0o755);
}

/**
 * Makes the folder of a socket when it is missing, for its owner alone, and checks the whole way to it: who may write a folder on it can put
 * another socket in place of ours, and what was meant for us would be said there.
 * @throws PrivateFileError ERR_PRIVATE_FILE_UNSAFE, ERR_PRIVATE_FILE_IO
 */
export function openSocketFolder(socket: string): void {
  const folder = resolve(dirname(socket));
  makeFolder(folder, 0o700);
  checkWay(folder);
}

/**
 * Refuses a folder (an absolute path) when somebody but us or root could put another one in its place: itself, each folder above it, and
 * where links on the way lead.
 * @throws PrivateFileError ERR_PRIVATE_FILE_UNSAFE, ERR_PRIVATE_FILE_IO
 */
export function checkWay(folder: string): void {
  try {
    for (const way of new Set([folder, realpathSync(folder)])) walkUp(way);
  } catch (cause) {
    throw ioFailure(`look at the way to ${folder}`, cause);
  }
}

function walkUp(folder: string): void {
  for (let at = folder; ; at = dirname(at)) {
    const stat = lstatSync(at);
    if (stat.uid !== 0 && !isOurs(stat))
      throw unsafe(`${at}, on the way to ${folder}, belongs to uid ${stat.uid}, not to root or us`);
    // A link's own mode says nothing; who owns it may change it.
    if (!stat.isSymbolicLink()) {
      if (!stat.isDirectory()) throw unsafe(`${at} is not a folder`);
      // In a sticky folder nobody may move what is ours away, but new things may be put into it.
      if ((stat.mode & 0o022) !== 0 && (at === folder || (stat.mode & STICKY) === 0))
        throw unsafe(`${at}, on the way to ${folder}, may be written by others; chmod go-w it`);
    }
    if (at === '/') return;
  }
}

/** Makes the folder when it is missing; it must be one, and this user's, and have no more rights than `mode`. */
function openFolder(path: string, mode: number): void {
  makeFolder(path, mode);
  const stat = lstatSync(path);
  if (!stat.isDirectory()) throw unsafe(`${path} is not a folder`);
  checkOwner(path, stat);
  checkMode(path, stat, mode);
}

function makeFolder(path: string, mode: number): void {
  try {
    mkdirSync(path, { recursive: true, mode });
  } catch (cause) {
    throw ioFailure(
      `make the folder ${path} as this user: make it for this user (systemd: StateDirectory=, RuntimeDirectory=), or name another`,
      cause,
    );
  }
}

const STICKY = 0o1000;
