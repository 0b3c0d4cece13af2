/** Expressions that are kept and run later, for whatever rows come then. */

import { RefusedText } from '../refusal.ts';
import {
  type Fields,
  fieldOf,
  fieldsOf,
  hasField,
  isFields,
  listOf,
  type Node,
  nodeOf,
  stringOf,
  stringsOf,
  textOf,
} from '../text/tree.ts';
import type { Analysis } from './analysis.ts';
import { isBuiltinType } from './builtin-types.ts';

/** True when it computes from a row and the session alone, by PostgreSQL's own functions, operators and types. */
export function computesOnly(analysis: Analysis, expression: unknown): boolean {
  return everyNode(expression, (node, fields) => {
    if (node !== undefined && !mayStand(analysis, node)) return false;
    return !hasField(fields, 'typeName') || isBuiltinType(analysis, fieldsOf(fields, 'typeName'));
  });
}

/** Judges a check: code on masked rows may write to its table, and what is volatile keeps a value, or tells it to others. */
export function refuseKeepingCheck({ catalog, taint }: Analysis, constraint: Fields): void {
  if (!taint.isInForce || textOf(constraint, 'contype') !== 'CONSTR_CHECK') return;
  if (!calls(fieldOf(constraint, 'raw_expr'), (name) => catalog.functions.builtins.get(name) === 'volatile')) return;
  throw new RefusedText(
    'masked-ddl',
    'a check that calls volatile functions is refused while columns are masked for you',
  );
}

/** Judges a view: in the place of a table that such code writes to, its conditions would be given what is written. */
export function refuseKeepingView({ taint }: Analysis, query: Fields): void {
  if (!taint.isInForce || !calls(query, (name) => keeping.test(name))) return;
  throw new RefusedText(
    'masked-ddl',
    'a view that calls what keeps a value, or tells it to others, is refused while columns are masked for you',
  );
}

const keeping = /^(set_config|setval|nextval|pg_notify|pg_sleep.*|pg_(try_)?advisory_.*)$/;

function calls(expression: unknown, isMeant: (name: string) => boolean): boolean {
  return !everyNode(
    expression,
    (node) => node?.kind !== 'FuncCall' || !isMeant(stringsOf(listOf(node.fields, 'funcname'))?.at(-1) ?? ''),
  );
}

/** By a loop: a chain of operators is as deep as it is long. */
function everyNode(expression: unknown, holds: (node: Node | undefined, fields: Fields) => boolean): boolean {
  const queue = [expression];
  while (queue.length > 0) {
    const value = queue.pop();
    if (Array.isArray(value)) for (const item of value) queue.push(item);
    if (!isFields(value)) continue;
    const node = nodeOf(value);
    const fields = node?.fields ?? value;
    if (!holds(node, fields)) return false;
    for (const child of Object.values(fields)) queue.push(child);
  }
  return true;
}

function mayStand(analysis: Analysis, { kind, fields }: Node): boolean {
  switch (kind) {
    case 'SubLink':
    case 'SelectStmt':
      return false;
    case 'FuncCall':
      return isBuiltinCall(analysis, stringsOf(listOf(fields, 'funcname')));
    case 'A_Expr':
      return isBuiltinOperator(analysis, stringsOf(listOf(fields, 'name')));
    // `t.f` and `(x).f` may call the function f.
    case 'ColumnRef':
      return listOf(fields, 'fields')
        .slice(1)
        .every((one) => isNoFunction(analysis, stringOf(one)));
    case 'A_Indirection':
      return listOf(fields, 'indirection').every((one) => isNoFunction(analysis, stringOf(one)));
    case 'TypeName':
      return isBuiltinType(analysis, fields);
    default:
      return true;
  }
}

/** What is volatile may keep a value, or tell it to others. */
function isBuiltinCall(analysis: Analysis, path: readonly string[] | undefined): boolean {
  const name = builtinName(analysis, path, isNoFunction);
  const volatility = name === undefined ? undefined : analysis.catalog.functions.builtins.get(name);
  return volatility === 'immutable' || volatility === 'stable';
}

function isBuiltinOperator(analysis: Analysis, path: readonly string[] | undefined): boolean {
  const { operators } = analysis.catalog.functions;
  const isOwnOnly = (_: Analysis, name: string) => operators.get(name)?.every((one) => one.takesOwnOnly) !== false;
  return builtinName(analysis, path, isOwnOnly) !== undefined;
}

/** The name, where it means one of PostgreSQL's own: qualified so, or alone while the database has none of its own by that name. */
function builtinName(
  analysis: Analysis,
  path: readonly string[] | undefined,
  isFree: (analysis: Analysis, name: string) => boolean,
): string | undefined {
  const [name, schema, ...more] = (path ?? []).toReversed();
  if (name === undefined || more.length > 0) return undefined;
  return schema === 'pg_catalog' || (schema === undefined && isFree(analysis, name)) ? name : undefined;
}

function isNoFunction({ catalog, createdNames }: Analysis, name: string | undefined): boolean {
  return name === undefined || (!catalog.functions.functions.has(name) && !createdNames.has(`function ${name}`));
}
