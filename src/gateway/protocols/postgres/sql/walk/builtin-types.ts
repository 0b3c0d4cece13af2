import { type Fields, hasField, listOf, stringsOf } from '../text/tree.ts';
import type { Analysis } from './analysis.ts';

/** True of a name that means a type of PostgreSQL's: another schema may have one of the same name, and the session a temporary one. */
export function isBuiltinType(analysis: Analysis, type: Fields): boolean {
  const names = stringsOf(listOf(type, 'names')) ?? [];
  const isAlone = names.length === 1;
  return (
    !hasField(type, 'pct_type') && isBuiltinTypeName(analysis, names) && !(isAlone && isHidden(analysis, names[0]))
  );
}

/** The same of a name that means no temporary type, as that of a function does. */
export function isBuiltinTypeName({ catalog, searchPath }: Analysis, path: readonly string[]): boolean {
  const schemas = path.length > 1 ? path.slice(-2, -1) : searchPath;
  const first = schemas.find((schema) => schema !== 'pg_temp');
  return first === 'pg_catalog' && catalog.functions.builtinTypes.has(path.at(-1) ?? '');
}

/** The names under which what a session makes may hide a type: its own, and that of its elements. */
export function namesOfType(name: string): readonly string[] {
  return name.startsWith('_') ? [name, name.slice(1)] : [name];
}

function isHidden({ catalog, created, createdNames }: Analysis, name = ''): boolean {
  if (createdNames.has(ANY_TYPE)) return true;
  return namesOfType(name).some(
    (one) => catalog.hiddenTypes.has(one) || created.has(`pg_temp.${one}`) || createdNames.has(`type ${one}`),
  );
}

/** Among the names that a session has made: nobody knows of which types. */
export const ANY_TYPE = 'type *';
