import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readFileSync,
  readSync,
  realpathSync,
  type Stats,
  statSync,
} from 'node:fs';
import { dirname, resolve } from 'node:path';
import { codeOf } from '../std/index.ts';
import { checkGiver, checkMode, checkPlain, ioFailure, unsafe } from './checks.ts';
import { PrivateFileError } from './errors.ts';
import { checkPath, othersMayWrite } from './path-check.ts';

/**
 * Reads a file with a secret that an operator gave, such as a mounted one: a link may lead there; it must be ours or root's and closed to
 * others, to its group too unless `groupMayRead`, or be a credential that systemd put into the folder `credentials` for this service.
 * Undefined when there is none. It blocks: for small files.
 * @throws PrivateFileError ERR_PRIVATE_FILE_UNSAFE, ERR_PRIVATE_FILE_SIZE, ERR_PRIVATE_FILE_IO
 */
export function readGivenFile(
  path: string,
  options: { bytesMax: number; groupMayRead?: boolean; credentials?: string | undefined },
): Buffer | undefined {
  return read(path, 0, (stat) => {
    checkPlain(path, stat, options.bytesMax);
    checkGiver(path, stat);
    if (options.credentials !== undefined && isCredential(path, stat, options.credentials)) return;
    checkMode(path, stat, options.groupMayRead === true ? 0o750 : 0o700);
  });
}

/**
 * Reads a file that holds no secret but says what we do: it, and every folder and link on the way to it, must be root's or ours, and be written
 * by nobody else. `/dev/stdin` and `/dev/fd/N` name what was handed to this process; nobody else can have put that there. Undefined when there
 * is none. It blocks: for small files.
 * @throws PrivateFileError ERR_PRIVATE_FILE_UNSAFE, ERR_PRIVATE_FILE_SIZE, ERR_PRIVATE_FILE_IO
 */
export function readTrustedFile(path: string, options: { bytesMax: number }): Buffer | undefined {
  const handed = path === '/dev/stdin' ? '0' : /^\/dev\/fd\/(\d{1,9})$/.exec(path)?.[1];
  if (handed !== undefined) return readHanded(path, Number(handed), options.bytesMax);
  let real: string;
  try {
    real = checkPath(resolve(path));
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return undefined;
    throw ioFailure(`look at the way to ${path}`, cause);
  }
  // Nobody but root and us can change the way any more.
  return read(real, constants.O_NOFOLLOW, (stat) => {
    checkPlain(path, stat, options.bytesMax);
    checkGiver(path, stat);
    if (othersMayWrite(stat)) throw unsafe(`${path} may be written by others; chmod go-w it`);
  });
}

function readHanded(path: string, descriptor: number, bytesMax: number): Buffer {
  try {
    const bytes = Buffer.alloc(bytesMax + 1);
    let length = 0;
    for (let read = 1; read > 0 && length < bytes.length; length += read)
      read = readSync(descriptor, bytes, length, bytes.length - length, null);
    if (length > bytesMax)
      throw new PrivateFileError('ERR_PRIVATE_FILE_SIZE', `${path} gives more than ${bytesMax} bytes`);
    return bytes.subarray(0, length);
  } catch (cause) {
    throw ioFailure(`read ${path}`, cause);
  }
}

/**
 * With `User=`, systemd lets that user read a credential by an access list. The mode then shows the list's mask where a group's rights stand
 * else (0440 root:root); nobody but root and the user may read it, and its folder is closed as well.
 */
function isCredential(path: string, stat: Stats, folder: string): boolean {
  if (stat.uid !== 0 || stat.gid !== 0 || (stat.mode & 0o777) !== 0o440) return false;
  if (dirname(realpathSync(path)) !== realpathSync(folder)) return false;
  const holder = statSync(folder);
  return holder.uid === 0 && holder.gid === 0 && (holder.mode & 0o027) === 0;
}

/** Opened first and looked at through the descriptor: a file swapped in between is the one that was checked. A pipe must not hold us up. */
function read(path: string, flags: number, check: (stat: Stats) => void): Buffer | undefined {
  try {
    const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | flags);
    try {
      check(fstatSync(file));
      return readFileSync(file);
    } finally {
      closeSync(file);
    }
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return undefined;
    throw ioFailure(`read ${path}`, cause);
  }
}
