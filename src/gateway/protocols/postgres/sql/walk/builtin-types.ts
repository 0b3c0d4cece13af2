import { type Fields, listOf, stringsOf } from '../text/tree.ts';
import type { Analysis } from './analysis.ts';

/** True of a name that means a type of PostgreSQL's: another schema may have one of the same name. */
export function isBuiltinType({ catalog, searchPath }: Analysis, type: Fields): boolean {
  const names = stringsOf(listOf(type, 'names')) ?? [];
  const schemas = names.length > 1 ? names.slice(-2, -1) : searchPath;
  const first = schemas.find((schema) => schema !== 'pg_temp');
  return first === 'pg_catalog' && catalog.functions.builtinTypes.has(names.at(-1) ?? '');
}
