import * as fs from 'node:fs';
import * as path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { StoreError } from '../../errors.ts';
import { storeErrorOf } from './sqlite-errors.ts';

/**
 * Opens the database file for this process alone: durable commits (WAL, synchronous FULL), foreign keys on. The file is made 0600 when
 * missing, its folder 0700. The lock lasts as long as the database is open and ends with the process, however it ends.
 * @throws StoreError ERR_STORE_FILE, ERR_STORE_LOCKED, ERR_STORE_IO
 */
export function openDatabaseFile(file: string, options: { lockWaitMs: number }): DatabaseSync {
  checkFolder(path.dirname(file));
  createOrCheckFile(file);
  const database = new DatabaseSync(file, {
    timeout: options.lockWaitMs,
    enableForeignKeyConstraints: true,
    enableDoubleQuotedStringLiterals: false,
    allowExtension: false,
  });
  try {
    // Exclusive locking must come before the first access: SQLite then keeps its index of the log in memory and the lock for good.
    database.exec('pragma locking_mode = exclusive; pragma trusted_schema = off; pragma cell_size_check = on;');
    const mode = database.prepare('pragma journal_mode = wal').get()?.['journal_mode'];
    if (mode !== 'wal') throw new StoreError('ERR_STORE_FILE', `${file} can not be used with a write-ahead log`);
    database.exec(`pragma synchronous = full; pragma journal_size_limit = ${LOG_BYTES_KEPT};`);
    claim(database, file);
    return database;
  } catch (error) {
    database.close();
    throw storeErrorOf(error);
  }
}

/** Takes the lock, and marks the file as ours or checks the mark. */
function claim(database: DatabaseSync, file: string): void {
  database.exec('begin exclusive');
  const found = database.prepare('pragma application_id').get()?.['application_id'];
  const empty = database.prepare('select count(*) as tables from sqlite_schema').get()?.['tables'] === 0;
  if (found !== APPLICATION_ID) {
    if (!empty) throw new StoreError('ERR_STORE_FILE', `${file} is the database of another application`);
    database.exec(`pragma application_id = ${APPLICATION_ID}`);
  }
  database.exec('commit');
}

function checkFolder(folder: string): void {
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  const stat = fs.statSync(folder);
  if (!stat.isDirectory()) throw new StoreError('ERR_STORE_FILE', `${folder} is not a folder`);
  checkOwner(folder, stat);
  // Who may write to the folder may put another file in the place of ours.
  if ((stat.mode & 0o022) !== 0) {
    throw new StoreError(
      'ERR_STORE_FILE',
      `${folder} has mode ${octal(stat.mode)}: others may write to it; make it 0700`,
    );
  }
}

function createOrCheckFile(file: string): void {
  // Looked at by name and never opened here: closing any other descriptor of the file would drop SQLite's locks in this process.
  const stat = fs.lstatSync(file, { throwIfNoEntry: false });
  if (!stat) {
    fs.closeSync(fs.openSync(file, 'wx', 0o600));
    return;
  }
  if (!stat.isFile()) throw new StoreError('ERR_STORE_FILE', `${file} is not a plain file`);
  checkOwner(file, stat);
  if ((stat.mode & 0o077) !== 0) {
    throw new StoreError('ERR_STORE_FILE', `${file} has mode ${octal(stat.mode)}, allowed is 0600`);
  }
}

function checkOwner(name: string, stat: fs.Stats): void {
  const uid = process.geteuid?.();
  if (uid !== undefined && stat.uid !== uid) {
    throw new StoreError('ERR_STORE_FILE', `${name} belongs to uid ${stat.uid}, this process runs as ${uid}`);
  }
}

function octal(mode: number): string {
  return `0${(mode & 0o777).toString(8)}`;
}

/** "CSgn": tells our files from other applications' in `file` and here. */
const APPLICATION_ID = 0x4353676e;
/** After a large transaction the log is cut back to this, so that it does not keep the room for good. */
const LOG_BYTES_KEPT = 64 * 1024 * 1024;
