import { lstatSync, mkdirSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { codeOf } from '../std/index.ts';
import { checkMode, checkOwner, ioFailure, unsafe } from './checks.ts';
import { checkPath, othersMayWrite } from './path-check.ts';

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
  makeFolders(folder, 0o700);
  checkFolderPath(folder);
}

/**
 * Makes a folder and those above it that are missing, with that mode less the umask. Returns the topmost that it made, undefined when all were
 * there. It does not use the system library's own way, which tries for ever where nothing can be made, as below /proc.
 * @throws PrivateFileError ERR_PRIVATE_FILE_IO
 */
export function makeFolders(path: string, mode: number): string | undefined {
  try {
    const missing: string[] = [];
    for (let at = resolve(path); !statSync(at, { throwIfNoEntry: false })?.isDirectory(); at = dirname(at)) {
      missing.unshift(at);
      if (at === dirname(at)) break;
    }
    for (const folder of missing) makeOne(folder, mode);
    return missing[0];
  } catch (cause) {
    throw ioFailure(
      `make the folder ${path} as this user: make it for this user (systemd: StateDirectory=, RuntimeDirectory=), or name another`,
      cause,
    );
  }
}

/**
 * Refuses a folder (an absolute path) when somebody but us or root could put another one in its place: itself, each folder above it, and
 * where links on the way lead.
 * @throws PrivateFileError ERR_PRIVATE_FILE_UNSAFE, ERR_PRIVATE_FILE_IO
 */
export function checkFolderPath(folder: string): void {
  try {
    const stat = lstatSync(checkPath(folder));
    if (!stat.isDirectory()) throw unsafe(`${folder} is not a folder`);
    // On the way a sticky folder is good enough, but into this one others could put things.
    if (othersMayWrite(stat)) throw unsafe(`${folder} may be written by others; chmod go-w it`);
  } catch (cause) {
    throw ioFailure(`look at the way to ${folder}`, cause);
  }
}

/** Makes the folder when it is missing; it must be one, and this user's, and have no more rights than `mode`. */
function openFolder(path: string, mode: number): void {
  makeFolders(path, mode);
  const stat = lstatSync(path);
  if (!stat.isDirectory()) throw unsafe(`${path} is not a folder`);
  checkOwner(path, stat);
  checkMode(path, stat, mode);
}

function makeOne(folder: string, mode: number): void {
  try {
    mkdirSync(folder, { mode });
  } catch (error) {
    // Another process made it just now.
    if (codeOf(error) !== 'EEXIST' || !statSync(folder).isDirectory()) throw error;
  }
}
