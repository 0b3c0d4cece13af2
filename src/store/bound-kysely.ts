import {
  type CompiledQuery,
  type DatabaseConnection,
  type DialectAdapter,
  type Driver,
  Kysely,
  type QueryCompiler,
} from 'kysely';
import { assert } from '../std/index.ts';
import { StoreError } from './errors.ts';

/** How an engine's SQL is written. */
export interface SqlParts {
  adapter(): DialectAdapter;
  compiler(): QueryCompiler;
}

/** Hands out connections for one statement each. */
export interface Turns {
  acquire(): Promise<DatabaseConnection>;
  release(connection: DatabaseConnection): Promise<void>;
}

/** A query builder that takes a turn for each statement. */
export function turnKysely(sql: SqlParts, turns: Turns): Kysely<unknown> {
  return build(sql, { acquireConnection: () => turns.acquire(), releaseConnection: (held) => turns.release(held) });
}

/** A query builder on one connection, for as long as a transaction lasts. */
export interface ConnectionKysely<Tables> {
  readonly kysely: Kysely<Tables>;
  /** The first error of a statement, if any. */
  failure(): unknown;
  /** From here on every statement is refused: the connection belongs to somebody else. */
  close(): void;
}

/** Creates a {@link ConnectionKysely}. */
export function connectionKysely<Tables>(sql: SqlParts, connection: DatabaseConnection): ConnectionKysely<Tables> {
  let open = true;
  let failure: unknown;
  const guarded: DatabaseConnection = {
    async executeQuery<R>(query: CompiledQuery) {
      if (!open) throw new StoreError('ERR_STORE_CLOSED', 'a statement came after its transaction had ended');
      try {
        return await connection.executeQuery<R>(query);
      } catch (error) {
        failure ??= error;
        throw error;
      }
    },
    streamQuery: refuseStream,
  };
  return {
    kysely: build<Tables>(sql, { acquireConnection: async () => guarded, releaseConnection: async () => {} }),
    failure: () => failure,
    close() {
      open = false;
    },
  };
}

/** Rows are read whole: a stream would hold its connection for as long as its reader likes. */
export function refuseStream(): never {
  throw new Error('bug: the store does not stream rows; read in pages');
}

function build<Tables>(sql: SqlParts, driver: Pick<Driver, 'acquireConnection' | 'releaseConnection'>): Kysely<Tables> {
  const refuseTransaction = async () => assert(false, 'transactions are made by store.transaction');
  return new Kysely<Tables>({
    dialect: {
      createAdapter: () => sql.adapter(),
      createQueryCompiler: () => sql.compiler(),
      createDriver: () => ({
        ...driver,
        init: async () => {},
        destroy: async () => {},
        beginTransaction: refuseTransaction,
        commitTransaction: refuseTransaction,
        rollbackTransaction: refuseTransaction,
      }),
      createIntrospector() {
        throw new Error('bug: the store does not introspect');
      },
    },
  });
}
