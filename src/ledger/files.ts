import {
  closeSync,
  constants,
  fdatasync,
  fstatSync,
  fsync,
  ftruncateSync,
  mkdirSync,
  open,
  opendirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  type Stats,
  write,
  writeSync,
} from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { codeOf } from '../std/index.ts';
import { LedgerError } from './errors.ts';

/**
 * The disk as the ledger sees it: a port, so that tests can cut a write short, fail a sync or lose power. Every call throws (or
 * rejects with) the system's error. Paths are absolute or relative to the process; positions are byte offsets.
 */
export interface LedgerFiles {
  /** Makes a folder, and those above it, for this user alone (0700); an existing one is left as it is. */
  makeDirectory(path: string): void;
  /** Names in a folder, sorted; none when there is no such folder. @throws ERR_LEDGER_CORRUPT for what is no folder, or has no end of names */
  list(directory: string): readonly string[];
  /**
   * `create` makes a new file for this user alone (0600) and fails when there is one. What is there must be a plain file: a link, a pipe
   * or a device may lead anywhere, hold up the caller, or have no end. @throws ERR_LEDGER_CORRUPT for anything else
   */
  open(path: string, mode: 'read' | 'update' | 'create'): number;
  /** As {@link open} with `create`, off the caller's thread: a crowded disk may look for a free inode for a tenth of a second. */
  createBehind(path: string): Promise<number>;
  close(file: number): void;
  size(file: number): number;
  /** Bytes read: fewer than asked only at the end of the file or by accident; ask again. */
  read(file: number, into: Buffer, position: number): number;
  /** Bytes written: may be fewer than given. */
  write(file: number, from: Buffer, position: number): number;
  /** As {@link write}, off the caller's thread. */
  writeBehind(file: number, from: Buffer, position: number): Promise<number>;
  /** Resolves when the file's data, and what is needed to find it, are on disk. */
  sync(file: number): Promise<void>;
  /** Resolves when the names in a folder are on disk. */
  syncDirectory(path: string): Promise<void>;
  /** Cuts a file to `bytes`. */
  truncate(file: number, bytes: number): void;
  rename(from: string, to: string): void;
  /** Removes a file if it is there. */
  remove(path: string): void;
  /** Takes a lock that the system drops when this process ends, however it ends; undefined when another holds it. */
  lock(path: string): (() => void) | undefined;
}

/** The machine's own disk. */
export function createDiskFiles(): LedgerFiles {
  return {
    makeDirectory: (path) => void mkdirSync(path, { recursive: true, mode: 0o700 }),
    list: listDirectory,
    open: openPlain,
    createBehind: (path) =>
      new Promise((resolve, reject) => {
        open(path, FLAGS.create, 0o600, (error, file) => (error ? reject(error) : resolve(file)));
      }),
    close: closeSync,
    size: (file) => fstatSync(file).size,
    read: (file, into, position) => readSync(file, into, 0, into.length, position),
    write: (file, from, position) => writeSync(file, from, 0, from.length, position),
    writeBehind: (file, from, position) =>
      new Promise((resolve, reject) => {
        write(file, from, 0, from.length, position, (error, written) => (error ? reject(error) : resolve(written)));
      }),
    sync: (file) =>
      new Promise((resolve, reject) => {
        fdatasync(file, (error) => (error ? reject(error) : resolve()));
      }),
    syncDirectory,
    truncate: ftruncateSync,
    rename: renameSync,
    remove: (path) => rmSync(path, { force: true }),
    lock: lockFile,
  };
}

/** Writes all of `from`, however often the system cuts it short. */
export function writeFully(files: LedgerFiles, file: number, from: Buffer, position: number): void {
  let done = 0;
  while (done < from.length) done += progress(files.write(file, from.subarray(done), position + done));
}

/** As {@link writeFully}, off the caller's thread. */
export async function writeFullyBehind(
  files: LedgerFiles,
  file: number,
  from: Buffer,
  position: number,
): Promise<void> {
  let done = 0;
  while (done < from.length) done += progress(await files.writeBehind(file, from.subarray(done), position + done));
}

/** Reads up to `into.length` bytes; fewer only at the end of the file. */
export function readFully(files: LedgerFiles, file: number, into: Buffer, position: number): number {
  let done = 0;
  while (done < into.length) {
    const count = files.read(file, into.subarray(done), position + done);
    if (count === 0) break;
    done += count;
  }
  return done;
}

/** The bytes of a whole file of at most `bytesMax`; undefined when there is none. */
export function readFile(files: LedgerFiles, path: string, bytesMax: number): Buffer | undefined {
  let file: number;
  try {
    file = files.open(path, 'read');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const bytes = Buffer.alloc(Math.min(files.size(file), bytesMax));
    return bytes.subarray(0, readFully(files, file, bytes, 0));
  } finally {
    files.close(file);
  }
}

/** Puts a whole file in place of another (or of none), so that a reader sees the one or the other. Not synced. */
export function replaceFile(files: LedgerFiles, path: string, bytes: Buffer): void {
  const fresh = `${path}.new`;
  files.remove(fresh);
  const file = files.open(fresh, 'create');
  try {
    writeFully(files, file, bytes, 0);
  } finally {
    files.close(file);
  }
  files.rename(fresh, path);
}

/** A write that moves nothing and reports no error would spin for ever. */
function progress(written: number): number {
  if (written <= 0) throw Object.assign(new Error('the system wrote no byte and gave no error'), { code: 'EIO' });
  return written;
}

function listDirectory(path: string): readonly string[] {
  const names: string[] = [];
  try {
    const folder = opendirSync(path, { bufferSize: NAMES_A_READ });
    try {
      for (let each = folder.readSync(); each; each = folder.readSync()) {
        if (names.push(each.name) <= NAMES_MAX) continue;
        throw new LedgerError('ERR_LEDGER_CORRUPT', `${path} holds over ${NAMES_MAX} names, more than any ledger`);
      }
    } finally {
      folder.closeSync();
    }
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    if (codeOf(error) === 'ENOTDIR') throw new LedgerError('ERR_LEDGER_CORRUPT', `${path} is not a folder`);
    throw error;
  }
  return names.sort();
}

/** Looked at through the descriptor that is then read by, and never waited for. */
function openPlain(path: string, mode: keyof typeof FLAGS): number {
  let file: number;
  try {
    file = openSync(path, FLAGS[mode], 0o600);
  } catch (cause) {
    const what = NOT_OPENED.get(codeOf(cause) ?? '');
    if (what === undefined) throw cause;
    throw new LedgerError('ERR_LEDGER_CORRUPT', `${path} is ${what}, not a file`, { cause });
  }
  const stats = fstatSync(file);
  if (stats.isFile()) return file;
  closeSync(file);
  throw new LedgerError('ERR_LEDGER_CORRUPT', `${path} is ${kindOf(stats)}, not a file`);
}

function kindOf(stats: Stats): string {
  if (stats.isFIFO()) return 'a pipe';
  return stats.isDirectory() ? 'a folder' : 'a device';
}

function syncDirectory(path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const directory = openSync(path, 'r');
    fsync(directory, (error) => {
      closeSync(directory);
      if (error) reject(error);
      else resolve();
    });
  });
}

/**
 * Node has no flock. SQLite takes a record lock that the kernel drops with the process (so kill -9 leaves nothing stale, and
 * processes in other PID namespaces are seen too), and it also knows of a second holder inside this process.
 */
function lockFile(path: string): (() => void) | undefined {
  closeSync(openPlain(path, 'lock'));
  const database = new DatabaseSync(path);
  try {
    database.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (error instanceof Error && /locked|busy/i.test(error.message)) return undefined;
    throw error;
  }
  return () => database.close();
}

const SAFELY = constants.O_NONBLOCK | constants.O_NOFOLLOW;
const FLAGS = {
  read: constants.O_RDONLY | SAFELY,
  update: constants.O_RDWR | SAFELY,
  create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL,
  lock: constants.O_RDWR | constants.O_CREAT | SAFELY,
} as const;
/** What an open fails with when there is no plain file. */
const NOT_OPENED: ReadonlyMap<string, string> = new Map([
  ['ELOOP', 'a link'],
  ['ENXIO', 'a socket or a device'],
  ['EISDIR', 'a folder'],
]);
/** As many segments of the usual size are 16 TiB. */
const NAMES_MAX = 1_000_000;
const NAMES_A_READ = 1024;
