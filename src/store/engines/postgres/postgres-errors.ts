import pg from 'pg';
import { messageOf } from '../../../std/index.ts';
import { StoreError } from '../../errors.ts';

/** Turns PostgreSQL's SQLSTATEs and broken connections into our errors; a fault of the statement itself stays as it is: a bug. */
export function storeErrorOf(error: unknown): unknown {
  if (error instanceof StoreError || !(error instanceof Error)) return error;
  const options = { cause: error };
  if (!(error instanceof pg.DatabaseError)) {
    if (error.message === 'Query read timeout') {
      return new StoreError('ERR_STORE_TIMEOUT', 'the database did not answer in time', options);
    }
    // Everything that the driver throws without an answer of the server is about the connection.
    return error instanceof TypeError || error instanceof RangeError
      ? error
      : new StoreError('ERR_STORE_UNAVAILABLE', `no connection to the database: ${error.message}`, options);
  }
  const state = error.code ?? '';
  const code = CODE_BY_STATE[state] ?? CODE_BY_CLASS[state.slice(0, 2)];
  return code === undefined ? error : new StoreError(code, `${messageOf(error)} (SQLSTATE ${state})`, options);
}

type Code = StoreError['code'];

const CODE_BY_STATE: Readonly<Record<string, Code>> = {
  '25006': 'ERR_STORE_UNAVAILABLE', // A failover left us on a read-only server.
  '25P03': 'ERR_STORE_TIMEOUT',
  '25P04': 'ERR_STORE_TIMEOUT',
  '3D000': 'ERR_STORE_UNAVAILABLE',
  '40001': 'ERR_STORE_CONFLICT',
  '40P01': 'ERR_STORE_CONFLICT',
  '53300': 'ERR_STORE_UNAVAILABLE',
  '55P03': 'ERR_STORE_TIMEOUT',
  '57014': 'ERR_STORE_TIMEOUT',
};
/** By the first two characters of the SQLSTATE. @see PostgreSQL appendix A */
const CODE_BY_CLASS: Readonly<Record<string, Code>> = {
  '08': 'ERR_STORE_UNAVAILABLE',
  '23': 'ERR_STORE_CONSTRAINT',
  '28': 'ERR_STORE_UNAVAILABLE',
  '53': 'ERR_STORE_IO',
  '57': 'ERR_STORE_UNAVAILABLE',
  '58': 'ERR_STORE_IO',
};
