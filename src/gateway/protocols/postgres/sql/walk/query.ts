import { readDerived, withoutMasks } from '../masks/derived.ts';
import { maskedUse, notUnderstood, type RefusalDetail, RefusedText } from '../refusal.ts';
import { databaseResource } from '../resources.ts';
import {
  childOf,
  type Fields,
  fieldOf,
  fieldsOf,
  flagOf,
  hasField,
  listOf,
  locationOf,
  nodeOf,
  stringOf,
  stringsOf,
  textOf,
} from '../text/tree.ts';
import type { Analysis } from './analysis.ts';
import { checkAttribute, checkOperator } from './code.ts';
import { addFrom } from './from.ts';
import {
  type Ctes,
  createScope,
  expandAll,
  expandItem,
  noteEverything,
  type Outer,
  type Output,
  type OutputColumn,
  type Reference,
  renameColumns,
  resolveColumn,
  resolveQualified,
  type Scope,
} from './scope.ts';
import { readsNoSecretColumn } from './secret-columns.ts';
import { withSettingName } from './setting-by-name.ts';

/** Walks a SELECT of any form; see `Analysis.query`. */
export function walkQuery(analysis: Analysis, select: Fields, outer: Outer): Output {
  const ctes = withQueries(analysis, select, outer);
  const inside = { parent: outer.parent, ctes };
  // SELECT INTO makes a table; the statement level takes it away before it comes here. Anywhere else the server refuses it.
  if (hasField(select, 'intoClause')) {
    const otherwise = notUnderstood('INTO inside of a query');
    if (analysis.taint.isInForce) throw otherwise;
    analysis.questions.push({ action: 'postgres:ddl', resource: databaseResource(analysis.place), otherwise });
  }
  const operation = textOf(select, 'op');
  if (operation !== undefined && operation !== 'SETOP_NONE') return walkSetOperation(analysis, select, inside);
  const values = listOf(select, 'valuesLists');
  return values.length > 0 ? walkValues(analysis, select, inside) : walkSelect(analysis, select, inside);
}

/** Walks the WITH clause of a statement; answers the WITH queries in sight of the rest. */
export function withQueries(analysis: Analysis, statement: Fields, outer: Outer): Ctes {
  const clause = fieldsOf(statement, 'withClause');
  const isRecursive = flagOf(clause, 'recursive');
  const ctes = new Map(outer.ctes);
  const entries = listOf(clause, 'ctes').map((item) => {
    const node = nodeOf(item);
    if (node?.kind !== 'CommonTableExpr') throw notUnderstood('WITH');
    return { name: textOf(node.fields, 'ctename') ?? '', fields: node.fields };
  });
  // Under RECURSIVE each name is in sight of all bodies, its columns not yet known.
  if (isRecursive) for (const { name } of entries) ctes.set(name, { columns: [], isExact: false });
  for (const { name, fields } of entries) {
    const output = walkCte(analysis, fields, { parent: outer.parent, ctes: new Map(ctes) });
    // A masked column could have gone around the recursion under another name.
    ctes.set(name, isRecursive ? withoutMasks(analysis, output) : output);
  }
  return ctes;
}

function walkCte(analysis: Analysis, fields: Fields, outer: Outer): Output {
  const query = childOf(fields, 'ctequery');
  const aliases = stringsOf(listOf(fields, 'aliascolnames'));
  if (query === undefined || aliases === undefined) throw notUnderstood('WITH');
  const output =
    query.kind === 'SelectStmt'
      ? analysis.query(query.fields, outer)
      : analysis.modify(query.kind, query.fields, outer);
  // SEARCH and CYCLE add columns and compare listed ones.
  if (!hasField(fields, 'search_clause') && !hasField(fields, 'cycle_clause')) return renameColumns(output, aliases);
  withoutMasks(analysis, output);
  return { columns: [], isExact: false };
}

function walkSetOperation(analysis: Analysis, select: Fields, outer: Outer): Output {
  const left = analysis.query(fieldsOf(select, 'larg'), outer);
  const right = analysis.query(fieldsOf(select, 'rarg'), outer);
  // UNION and the like compare rows, and their columns have no origin in the answer.
  withoutMasks(analysis, left);
  withoutMasks(analysis, right);
  const scope = createScope(outer);
  scope.items.push({
    alias: undefined,
    schema: undefined,
    output: { columns: [], isExact: false },
    use: undefined,
    relation: undefined,
  });
  // Of a set operation no rows can be locked: the server refuses it.
  for (const clause of ['sortClause', 'limitOffset', 'limitCount']) analysis.expression(fieldOf(select, clause), scope);
  return { columns: left.columns.map(({ name }) => ({ name, masked: undefined })), isExact: left.isExact };
}

function walkValues(analysis: Analysis, select: Fields, outer: Outer): Output {
  const scope = createScope(outer);
  let width = 0;
  for (const row of listOf(select, 'valuesLists')) {
    const node = nodeOf(row);
    const items = node?.kind === 'List' ? listOf(node.fields, 'items') : undefined;
    if (items === undefined) throw notUnderstood('VALUES');
    width = items.length;
    for (const item of items) analysis.expression(item, scope);
  }
  const columns = Array.from({ length: width }, (_, index) => ({ name: `column${index + 1}`, masked: undefined }));
  walkOrder(analysis, select, { scope, output: { columns, isExact: true } });
  return { columns, isExact: true };
}

function walkSelect(analysis: Analysis, select: Fields, outer: Outer): Output {
  const scope = createScope(outer);
  const hasWhere = hasField(select, 'whereClause');
  const sparesSecrets = readsNoSecretColumn(select);
  for (const entry of listOf(select, 'fromClause')) addFrom(analysis, entry, { scope, hasWhere, sparesSecrets });
  const shown = walkTargets(analysis, withSettingName(analysis, select, outer), scope);
  analysis.expression(fieldOf(select, 'whereClause'), scope);
  analysis.expression(fieldOf(select, 'havingClause'), scope);
  analysis.expression(listOf(select, 'windowClause'), scope);
  const output = hasField(select, 'distinctClause') ? withoutMasks(analysis, shown) : shown;
  walkOrder(analysis, select, { scope, output });
  lockRows(analysis, select, scope);
  return output;
}

/** Walks a select list (or RETURNING list); masked columns may stand in it as they are. */
export function walkTargets(analysis: Analysis, targets: readonly unknown[], scope: Scope): Output {
  const columns: OutputColumn[] = [];
  let isExact = true;
  for (const target of targets) {
    const node = nodeOf(target);
    if (node?.kind !== 'ResTarget') throw notUnderstood('select list');
    const output = walkTarget(analysis, node.fields, scope);
    columns.push(...output.columns);
    isExact &&= output.isExact;
  }
  return { columns, isExact };
}

function walkTarget(analysis: Analysis, target: Fields, scope: Scope): Output {
  const label = textOf(target, 'name');
  const value = childOf(target, 'val');
  if (value === undefined) throw notUnderstood('select list');
  if (value.kind === 'ColumnRef') {
    const path = listOf(value.fields, 'fields');
    if (nodeOf(path.at(-1))?.kind === 'A_Star') return expandStar(analysis, path, scope);
    const reference = resolveReference(analysis, value.fields, scope);
    // A whole row, or a name that may mean several columns, arrives without an origin.
    if (reference.masked !== undefined && !reference.isPlain) throw maskedUse(lastName(path));
    const column = { name: label ?? lastName(path), masked: reference.masked };
    return {
      columns: [reference.masked === undefined ? column : { ...column, reference: value.fields }],
      isExact: true,
    };
  }
  analysis.expression(fieldOf(target, 'val'), scope);
  const isRowExpansion =
    value.kind === 'A_Indirection' && nodeOf(listOf(value.fields, 'indirection').at(-1))?.kind === 'A_Star';
  if (isRowExpansion) return { columns: [], isExact: false };
  // Only a label is certain; names that PostgreSQL makes up are left unknown.
  return label === undefined
    ? { columns: [{ name: undefined, masked: undefined }], isExact: true }
    : { columns: [{ name: label, masked: undefined }], isExact: true };
}

function expandStar(analysis: Analysis, path: readonly unknown[], scope: Scope): Output {
  if (path.length === 1) return unnamed(expandAll(scope));
  const names = stringsOf(path.slice(0, -1));
  const alias = names?.at(-1);
  if (names === undefined || alias === undefined || names.length > 3) throw notUnderstood('*');
  const resolve = () => expandItem(scope, { alias, schema: names.at(-2) });
  return unnamed(orUnknown(analysis, scope, { resolve, unknown: { columns: [], isExact: false } }));
}

/** Columns that nothing in this select list names: what named them stands in another one. */
function unnamed({ columns, isExact }: Output): Output {
  return { columns: columns.map(({ name, masked }) => ({ name, masked })), isExact };
}

/** Resolves a ColumnRef that doesn't end in `*`. */
export function resolveReference(analysis: Analysis, column: Fields, scope: Scope): Reference {
  const names = stringsOf(listOf(column, 'fields'));
  const name = names?.at(-1);
  if (names === undefined || name === undefined || names.length > 4) throw notUnderstood('column reference');
  const resolve = () => resolveNames(analysis, names, scope);
  const unknown = { masked: undefined, isPlain: false, mayCall: false };
  return orUnknown(analysis, scope, { resolve, unknown, at: { location: locationOf(column) } });
}

/** What a name stands for. One that nobody here knows may be a column just added, of any relation in sight: the server knows, where policy allows all. */
export function orUnknown<T>(
  analysis: Analysis,
  scope: Scope,
  name: { resolve(): T; readonly unknown: T; readonly at?: RefusalDetail },
): T {
  try {
    return name.resolve();
  } catch (error) {
    const isUnknown =
      error instanceof RefusedText && (error.reason === 'unknown-column' || error.reason === 'unknown-relation');
    if (!isUnknown) throw error;
    if (analysis.taint.isInForce) throw new RefusedText(error.reason, error.message, { ...error.detail, ...name.at });
    noteEverything(scope);
    analysis.found.unknown.add(error.message);
    return name.unknown;
  }
}

function resolveNames(analysis: Analysis, names: readonly string[], scope: Scope): Reference {
  const name = names.at(-1) ?? '';
  const alias = names.at(-2);
  if (alias === undefined) return resolveColumn(scope, name);
  const reference = resolveQualified(scope, { alias, schema: names.at(-3) }, name);
  if (reference.mayCall) checkAttribute(analysis, name);
  return reference;
}

function lastName(path: readonly unknown[]): string | undefined {
  return stringOf(path.at(-1));
}

/** GROUP BY, DISTINCT ON, ORDER BY and LIMIT: where a number or a lone name can also mean an output column. */
function walkOrder(analysis: Analysis, select: Fields, { scope, output }: { scope: Scope; output: Output }): void {
  const before = analysis.reads?.size;
  for (const item of listOf(select, 'groupClause')) walkGroupItem(analysis, item, { scope, output, isGroup: true });
  // What is grouped by NULL can't be shown beside.
  if (analysis.reads?.size !== before) refuseMasked(output);
  for (const clause of ['distinctClause', 'sortClause'])
    for (const item of listOf(select, clause)) walkOrderItem(analysis, item, { scope, output, isGroup: false });
  analysis.expression(fieldOf(select, 'limitOffset'), scope);
  analysis.expression(fieldOf(select, 'limitCount'), scope);
}

interface OrderPlace {
  readonly scope: Scope;
  readonly output: Output;
  /** GROUP BY, which prefers a column to a label, as nothing else does. */
  readonly isGroup: boolean;
}

/** GROUP BY: rows without a name, `(1, 2)`, are lists of the same kind of item, in grouping sets as well. */
function walkGroupItem(analysis: Analysis, item: unknown, place: OrderPlace): void {
  const node = nodeOf(item);
  const items =
    node?.kind === 'GroupingSet'
      ? listOf(node.fields, 'content')
      : node?.kind === 'RowExpr' && listOf(node.fields, 'args');
  if (!items) walkOrderItem(analysis, item, place);
  else for (const entry of items) walkGroupItem(analysis, entry, place);
}

function walkOrderItem(analysis: Analysis, item: unknown, place: OrderPlace): void {
  const node = nodeOf(item);
  // Plain DISTINCT is a list of one empty entry.
  if (node === undefined) return;
  const { output, scope } = place;
  const value = node.kind === 'SortBy' ? childOf(node.fields, 'node') : node;
  if (node.kind === 'SortBy') checkOperator(analysis, listOf(node.fields, 'useOp'));
  if (value === undefined) throw notUnderstood('ORDER BY');
  if (value.kind === 'A_Const') readOrdinal(analysis, value.fields, place);
  const path = value.kind === 'ColumnRef' ? listOf(value.fields, 'fields') : [];
  const name = path.length === 1 ? lastName(path) : undefined;
  const named = name === undefined ? [] : output.columns.filter((column) => column.name === name);
  const label = named.find(({ masked }) => masked !== undefined);
  if (label !== undefined) {
    const isPlain = named.length === 1 && !place.isGroup;
    readDerived(analysis, { masked: label.masked, isPlain }, { node: value.fields, name });
    return;
  }
  // A label of the select list needs no column of that name; an unknown name may be one that PostgreSQL made up.
  const mayBeLabel =
    name !== undefined && (named.length > 0 || output.columns.some((column) => column.name === undefined));
  if (mayBeLabel) noteIfKnown(analysis, { ...place, isLabel: named.length > 0 }, { node: value.fields, name });
  else analysis.expression({ [value.kind]: value.fields }, scope);
}

/** Notes what else the name may mean: a column, which GROUP BY prefers to a label; where there is no such label for certain, also a row. */
function noteIfKnown(
  analysis: Analysis,
  { scope, isGroup, isLabel }: OrderPlace & { readonly isLabel: boolean },
  at: { readonly node: Fields; readonly name: string },
): void {
  const known = scope.items.some(
    ({ alias, output }) => (alias === at.name && !isLabel) || output.columns.some((column) => column.name === at.name),
  );
  if (!known) return;
  const reference = resolveColumn(scope, at.name);
  if (isGroup || !isLabel) readDerived(analysis, reference, at);
}

function readOrdinal(analysis: Analysis, constant: Fields, { output, isGroup }: OrderPlace): void {
  if (!output.columns.some(({ masked }) => masked !== undefined)) return;
  const position = fieldOf(fieldsOf(constant, 'ival'), 'ival');
  const column = typeof position === 'number' ? output.columns[position - 1] : undefined;
  if (!output.isExact || column === undefined) throw maskedUse();
  readDerived(analysis, { masked: column.masked, isPlain: !isGroup }, { node: constant, name: column.name });
}

/** FOR UPDATE and FOR SHARE: PostgreSQL asks for the right to update. */
function lockRows(analysis: Analysis, select: Fields, scope: Scope): void {
  const hasWhere = hasField(select, 'whereClause');
  for (const clause of listOf(select, 'lockingClause')) {
    const node = nodeOf(clause);
    if (node?.kind !== 'LockingClause') throw notUnderstood('FOR UPDATE');
    const names = listOf(node.fields, 'lockedRels').map((range) => textOf(nodeOf(range)?.fields ?? {}, 'relname'));
    for (const { alias, use } of scope.items)
      if (use !== undefined && (names.length === 0 || names.includes(alias)))
        analysis.uses.add({ ...use, created: undefined }, 'update', { hasWhere });
  }
}

export function refuseMasked(output: Output): void {
  const masked = output.columns.find((column) => column.masked !== undefined);
  if (masked !== undefined) throw maskedUse(masked.name);
}
