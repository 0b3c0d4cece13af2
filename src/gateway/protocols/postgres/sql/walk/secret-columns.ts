import { type Fields, fieldOf, hasField, isFields, listOf, nodeOf, stringOf, textOf } from '../text/tree.ts';

/**
 * True for a query that reads one system relation and names every column it wants, none of them a secret one: then it may read a
 * relation that nobody may read whole here. PostgreSQL grants the other columns to everyone, and pg_dump counts subscriptions by them.
 */
export function readsNoSecretColumn(select: Fields): boolean {
  const [only, ...more] = listOf(select, 'fromClause');
  const range = nodeOf(only);
  if (more.length > 0 || range?.kind !== 'RangeVar') return false;
  const name = textOf(range.fields, 'relname') ?? '';
  const secrets = secretColumns.get(name);
  // An alias could rename its columns, or stand for whole rows.
  if (secrets === undefined || hasField(range.fields, 'alias')) return false;
  return namesOnly(select, (column) => column !== name && !secrets.has(column));
}

/** True when every column in that tree is referred to by a name that is allowed, and none by `*`. */
function namesOnly(tree: unknown, isAllowed: (column: string) => boolean): boolean {
  if (Array.isArray(tree)) return tree.every((item) => namesOnly(item, isAllowed));
  if (!isFields(tree)) return true;
  const node = nodeOf(tree);
  if (node?.kind === 'ColumnRef') {
    const path = listOf(node.fields, 'fields').map(stringOf);
    // A qualified name that is no column calls a function with the whole row.
    const [column, ...more] = path;
    return column !== undefined && more.length === 0 && isAllowed(column);
  }
  // Names that stand for columns without a reference: of a join, and of a field.
  if (node?.kind === 'JoinExpr' || node?.kind === 'A_Indirection') return false;
  return Object.keys(tree).every((name) => namesOnly(fieldOf(tree, name), isAllowed));
}

/** Where PostgreSQL itself keeps one column from everyone, and where one column holds texts of other sessions. */
const secretColumns: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  ['pg_stat_activity', new Set(['query'])],
  ['pg_subscription', new Set(['subconninfo'])],
]);
