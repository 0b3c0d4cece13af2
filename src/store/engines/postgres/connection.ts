import type { CompiledQuery, DatabaseConnection, QueryResult } from 'kysely';
import pg from 'pg';
import { refuseStream } from '../../bound-kysely.ts';
import { storeErrorOf } from './postgres-errors.ts';

/** kysely's view of a connection. */
export interface PostgresConnection extends DatabaseConnection {
  /** Gives the client back to its pool, which closes it when it must not be used again. */
  giveBack(broken: boolean): void;
  /** One statement outside the builder; failures as StoreError. */
  run(text: string, values?: readonly unknown[]): Promise<pg.QueryResult>;
}

/** Wraps a client of the pool; a statement without an answer for `queryTimeoutMs` fails, even when the network swallowed it. */
export function createPostgresConnection(client: pg.PoolClient, queryTimeoutMs: number): PostgresConnection {
  // It broke, or an answer may still come that nobody waits for.
  let broken = false;
  const onError = () => {
    // Between two statements nobody else hears of it; the next one fails by itself.
    broken = true;
  };
  client.on('error', onError);
  const run = async (text: string, values: readonly unknown[] = []) => {
    // The driver reads `query_timeout` from a query too, which its types leave out.
    const query: pg.QueryConfig & { query_timeout: number } = {
      text,
      values: [...values],
      types: columnTypes,
      query_timeout: queryTimeoutMs,
    };
    try {
      return await client.query(query);
    } catch (error) {
      broken ||= !(error instanceof pg.DatabaseError);
      throw storeErrorOf(error);
    }
  };
  return {
    giveBack(unusable) {
      client.off('error', onError);
      client.release(broken || unusable);
    },
    run,
    async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
      const result = await run(query.sql, query.parameters);
      // kysely promises rows of the type that its builder worked out.
      return { rows: result.rows as R[], numAffectedRows: BigInt(result.rowCount ?? 0) };
    },
    streamQuery: refuseStream,
  };
}

/** 64-bit integers as numbers, as in SQLite; one that a number can't hold is a failure, not a wrong value. */
const columnTypes: pg.CustomTypesConfig = {
  getTypeParser(oid, format) {
    if (oid === pg.types.builtins.INT8 && format !== 'binary') return parseSafeInteger;
    return pg.types.getTypeParser(oid, format);
  },
};

function parseSafeInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new RangeError(`${text} is too large for a number`);
  return value;
}
