import type { DatabaseSync, SQLInputValue, SQLOutputValue, StatementSync } from 'node:sqlite';
import type { CompiledQuery, DatabaseConnection, QueryResult } from 'kysely';
import { refuseStream } from '../../bound-kysely.ts';
import { storeErrorOf } from './sqlite-errors.ts';

/** kysely's view of an open database. Statements are prepared once and kept, up to {@link STATEMENTS_MAX}. */
export function createSqliteConnection(database: DatabaseSync): DatabaseConnection {
  const prepared = new Map<string, Prepared>();
  const prepare = (sql: string) => {
    const known = prepared.get(sql);
    if (known) {
      // Moves it to the young end: the map is in order of last use.
      prepared.delete(sql);
      prepared.set(sql, known);
      return known;
    }
    const statement = database.prepare(sql);
    const fresh = { statement, columns: statement.columns().map((column) => column.name) };
    // Objects made by SQLite's binding cost three times what those of `rowOf` do.
    statement.setReturnArrays(true);
    // A batch insert of many rows is long and seldom seen again with as many.
    if (sql.length > STATEMENT_CHARS_MAX) return fresh;
    prepared.set(sql, fresh);
    if (prepared.size > STATEMENTS_MAX) prepared.delete(prepared.keys().next().value ?? '');
    return fresh;
  };
  return {
    async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
      try {
        const { statement, columns } = prepare(query.sql);
        const parameters = query.parameters.map(bindable);
        if (columns.length > 0) {
          // Arrays, as was asked for above, which the types do not follow.
          const tuples = statement.all(...parameters) as unknown as SQLOutputValue[][];
          // kysely promises rows of the type that its builder worked out.
          const rows = tuples.map((tuple) => rowOf(columns, tuple)) as R[];
          return { rows, numAffectedRows: BigInt(rows.length) };
        }
        const { changes } = statement.run(...parameters);
        return { rows: [], numAffectedRows: BigInt(changes) };
      } catch (error) {
        throw storeErrorOf(error);
      }
    },
    streamQuery: refuseStream,
  };
}

/** Whole numbers go in as integers: as floating point, which is the default, they would become `1.0` in a text column. */
function bindable(value: unknown): SQLInputValue {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value);
  if (typeof value === 'boolean') return value ? 1n : 0n;
  return value as SQLInputValue; // Anything else that SQLite can't hold is refused by `run` with a TypeError.
}

function rowOf(columns: readonly string[], tuple: readonly SQLOutputValue[]): Record<string, SQLOutputValue> {
  const row: Record<string, SQLOutputValue> = {};
  for (let place = 0; place < columns.length; place++) {
    const value = tuple[place] ?? null;
    row[columns[place] ?? ''] =
      value instanceof Uint8Array ? Buffer.from(value.buffer, value.byteOffset, value.byteLength) : value;
  }
  return row;
}

interface Prepared {
  readonly statement: StatementSync;
  readonly columns: readonly string[];
}

/** Features have some tens of statements each; batch inserts add a few sizes of each. */
const STATEMENTS_MAX = 500;
const STATEMENT_CHARS_MAX = 4096;
