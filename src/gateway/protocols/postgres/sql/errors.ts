import { CodedError, type ErrorEntry, type ErrorTable } from '../../../../std/index.ts';

export const errorTable = {
  ERR_SQL_CATALOG: {
    status: 502,
    exit: 'unavailable',
    meaning: 'The answers to the catalog queries of a PostgreSQL target are incomplete or malformed.',
    remedy: 'Check that the target is PostgreSQL 12 or later and that the login may read pg_catalog.',
  },
  ERR_SQL_PARSER: {
    status: 500,
    exit: 'internal',
    meaning: 'The SQL parser is not loaded, so no statement can be understood.',
    remedy: 'Restart the gateway; report it when it comes back.',
  },
} as const satisfies ErrorTable;

/** Failure of reading a catalog or of the parser itself. What a client's text does is never one: that is a refusal in a plan. */
export class SqlError extends CodedError<keyof typeof errorTable> {
  get entry(): ErrorEntry {
    return errorTable[this.code];
  }
}
