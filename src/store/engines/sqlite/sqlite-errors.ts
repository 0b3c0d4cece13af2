import { codeOf, messageOf } from '../../../std/index.ts';
import { StoreError } from '../../errors.ts';

/** Turns SQLite's result codes into ours; anything that is a fault of the statement itself stays as it is: a bug. */
export function storeErrorOf(error: unknown): unknown {
  if (codeOf(error) !== 'ERR_SQLITE_ERROR') return error;
  const code = resultCode(error);
  const options = { cause: error };
  switch (code) {
    case SQLITE_CONSTRAINT:
      // SQLite names the table and columns, never the values.
      return new StoreError('ERR_STORE_CONSTRAINT', messageOf(error), options);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return new StoreError('ERR_STORE_LOCKED', 'another process has the database file open', options);
    case SQLITE_NOTADB:
    case SQLITE_CANTOPEN:
      return new StoreError('ERR_STORE_FILE', `not a usable database file: ${messageOf(error)}`, options);
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_CORRUPT:
    case SQLITE_READONLY:
      return new StoreError('ERR_STORE_IO', messageOf(error), options);
    default:
      return error;
  }
}

/** The primary result code: the low byte of the extended one. */
function resultCode(error: unknown): number {
  if (typeof error !== 'object' || error === null || !('errcode' in error)) return -1;
  return typeof error.errcode === 'number' ? error.errcode & 0xff : -1;
}

const SQLITE_BUSY = 5;
const SQLITE_LOCKED = 6;
const SQLITE_READONLY = 8;
const SQLITE_IOERR = 10;
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_CANTOPEN = 14;
const SQLITE_CONSTRAINT = 19;
const SQLITE_NOTADB = 26;
