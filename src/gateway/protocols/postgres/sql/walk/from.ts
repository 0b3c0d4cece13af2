import { samplingMethods } from '../catalog/function-lists.ts';
import { maskedUse, notUnderstood, RefusedText } from '../refusal.ts';
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
  stringsOf,
  textOf,
} from '../text/tree.ts';
import type { Analysis } from './analysis.ts';
import { askUnknown, checkOperatorName } from './code.ts';
import { outputOf, resolveRelation, surelyHasSystemColumns, usedRelation } from './relations.ts';
import { createScope, type FromItem, type Output, renameColumns, type Scope } from './scope.ts';

const unknownOutput: Output = { columns: [], isExact: false };

interface Place {
  readonly scope: Scope;
  /** The level has a WHERE. */
  readonly hasWhere: boolean;
  /** The level reads one relation, and no secret column of it: see `readsNoSecretColumn`. */
  readonly sparesSecrets?: boolean;
}

/** Adds what a FROM entry brings to the scope, and walks the expressions in it. */
export function addFrom(analysis: Analysis, value: unknown, place: Place): void {
  const node = nodeOf(value);
  if (node === undefined) throw notUnderstood('FROM entry');
  const { kind, fields } = node;
  const { scope } = place;
  switch (kind) {
    case 'RangeVar':
      scope.items.push(relationItem(analysis, fields, place));
      break;
    case 'RangeSubselect':
      scope.items.push(subselectItem(analysis, fields, scope));
      break;
    case 'JoinExpr':
      addJoin(analysis, fields, place);
      break;
    case 'RangeFunction':
      addFunction(analysis, fields, scope);
      break;
    case 'RangeTableFunc':
      addTableFunction(analysis, fields, { scope, name: 'xmltable' });
      break;
    case 'JsonTable':
      addTableFunction(analysis, fields, { scope, name: 'json_table' });
      break;
    case 'RangeTableSample':
      addSample(analysis, fields, place);
      break;
    default:
      throw notUnderstood(kind);
  }
}

/** A table (or WITH query) in FROM, read by a select. */
function relationItem(analysis: Analysis, range: Fields, { scope, hasWhere, sparesSecrets }: Place): FromItem {
  const name = textOf(range, 'relname') ?? '';
  const alias = aliasOf(range);
  const cte = textOf(range, 'schemaname') === undefined ? scope.ctes.get(name) : undefined;
  if (cte !== undefined)
    return {
      alias: alias.name ?? name,
      schema: undefined,
      output: renameColumns(cte, alias.columns),
      use: undefined,
      relation: undefined,
    };
  const resolved = resolveRelation(analysis, range, { sparesSecrets: sparesSecrets === true });
  const output = renameColumns(outputOf(analysis, resolved), alias.columns);
  const isOnly = !flagOf(range, 'inh');
  const use =
    resolved.kind === 'system' ? undefined : analysis.uses.add(usedRelation(resolved), 'select', { hasWhere, isOnly });
  const schema =
    resolved.kind === 'table' ? resolved.relation.schema : resolved.kind === 'system' ? resolved.schema : undefined;
  return {
    alias: alias.name ?? name,
    schema: alias.name === undefined ? schema : undefined,
    output,
    use,
    relation: resolved.kind === 'table' ? resolved.relation : undefined,
    hasSystemColumns: surelyHasSystemColumns(analysis, resolved),
  };
}

function subselectItem(analysis: Analysis, fields: Fields, scope: Scope): FromItem {
  const query = childOf(fields, 'subquery');
  if (query?.kind !== 'SelectStmt') throw notUnderstood('subquery');
  const parent = flagOf(fields, 'lateral') ? scope : scope.parent;
  const alias = aliasOf(fields);
  const output = renameColumns(analysis.query(query.fields, { parent, ctes: scope.ctes }), alias.columns);
  return { alias: alias.name, schema: undefined, output, use: undefined, relation: undefined };
}

function addJoin(analysis: Analysis, fields: Fields, place: Place): void {
  const { scope } = place;
  const start = scope.items.length;
  addFrom(analysis, fieldOf(fields, 'larg'), place);
  const middle = scope.items.length;
  addFrom(analysis, fieldOf(fields, 'rarg'), place);
  const left = scope.items.slice(start, middle);
  const right = scope.items.slice(middle);
  const using = stringsOf(listOf(fields, 'usingClause'));
  if (using === undefined) throw notUnderstood('USING');
  if (flagOf(fields, 'isNatural') || using.length > 0) checkOperatorName(analysis, '=');
  if (flagOf(fields, 'isNatural')) joinNaturally(scope, [...left, ...right]);
  if (using.length > 0) joinUsing(scope, [...left, ...right], using);
  // ON sees the two sides only: a name that a sibling of the join has as well means the level around, to PostgreSQL.
  if (hasField(fields, 'quals'))
    analysis.expression(fieldOf(fields, 'quals'), { ...scope, items: scope.items.slice(start) });
  const usingAlias = textOf(fieldsOf(fields, 'join_using_alias'), 'aliasname');
  if (usingAlias !== undefined)
    scope.items.push({
      alias: usingAlias,
      schema: undefined,
      output: { columns: [], isExact: false },
      use: undefined,
      relation: undefined,
    });
  const alias = aliasOf(fields);
  if (alias.name !== undefined) coverByAlias(scope, start, { name: alias.name, columns: alias.columns });
}

/** Names what both sides share without saying which: every column of both may be compared. */
function joinNaturally(scope: Scope, items: readonly FromItem[]): void {
  scope.isInexact = true;
  for (const item of items) {
    if (item.output.columns.some(({ masked }) => masked !== undefined)) throw maskedUse();
    item.use?.noteAll();
  }
}

function joinUsing(scope: Scope, items: readonly FromItem[], names: readonly string[]): void {
  scope.isInexact = true;
  for (const item of items)
    for (const [index, column] of item.output.columns.entries()) {
      if (column.name === undefined || !names.includes(column.name)) continue;
      if (column.masked !== undefined) throw maskedUse(column.name);
      item.use?.noteColumn(item.relation?.columns[index]?.name ?? column.name);
    }
}

/** `(a join b) as j`: only `j` can be named from outside. Uses stay noted on the items that it covers. */
function coverByAlias(scope: Scope, start: number, alias: { name: string; columns: readonly string[] }): void {
  const covered = scope.items.splice(start);
  const columns = covered.flatMap(({ output }) => output.columns);
  const isExact = !scope.isInexact && covered.every(({ output }) => output.isExact);
  for (const { use } of covered) use?.noteAll();
  scope.items.push({
    alias: alias.name,
    schema: undefined,
    output: renameColumns({ columns, isExact }, alias.columns),
    use: undefined,
    relation: undefined,
  });
}

function addFunction(analysis: Analysis, fields: Fields, scope: Scope): void {
  let functionName: string | undefined;
  for (const entry of listOf(fields, 'functions')) {
    const items = nodeOf(entry);
    if (items?.kind !== 'List') throw notUnderstood('function in FROM');
    for (const item of listOf(items.fields, 'items')) {
      const call = nodeOf(item);
      // An absent column definition list comes as an empty object.
      if (call === undefined) continue;
      if (call.kind === 'FuncCall') functionName ??= stringsOf(listOf(call.fields, 'funcname'))?.at(-1);
      analysis.expression(item, scope);
    }
  }
  const definitions = listOf(fields, 'coldeflist');
  analysis.expression(definitions, scope);
  const alias = aliasOf(fields);
  const names = [...alias.columns, ...definitions.map((one) => textOf(nodeOf(one)?.fields ?? {}, 'colname'))];
  scope.items.push({
    alias: alias.name ?? functionName,
    schema: undefined,
    output: { columns: names.map((name) => ({ name, masked: undefined })), isExact: false },
    use: undefined,
    relation: undefined,
  });
}

function addTableFunction(
  analysis: Analysis,
  fields: Fields,
  { scope, name: own }: { scope: Scope; name: string },
): void {
  for (const [name, value] of Object.entries(fields))
    if (typeof value === 'object' && name !== 'alias') analysis.expression(value, scope);
  scope.items.push({
    alias: aliasOf(fields).name ?? own,
    schema: undefined,
    output: unknownOutput,
    use: undefined,
    relation: undefined,
  });
}

function addSample(analysis: Analysis, fields: Fields, place: Place): void {
  const method = stringsOf(listOf(fields, 'method'));
  const name = method?.at(-1);
  const schema = method?.length === 2 ? method[0] : undefined;
  if (name === undefined) throw notUnderstood('sampling method');
  if (!samplingMethods.has(name) || (schema !== undefined && schema !== 'pg_catalog')) {
    if (analysis.taint.isInForce) throw unprovenSample(analysis, method ?? [], fields);
    askUnknown(analysis, { schema, name });
  }
  addFrom(analysis, fieldOf(fields, 'relation'), place);
  // Unlike functions in FROM, sampling sees nothing of its own level.
  const outside = createScope(place.scope);
  analysis.expression(listOf(fields, 'args'), outside);
  analysis.expression(fieldOf(fields, 'repeatable'), outside);
}

/** A method is a function of that name. */
function unprovenSample({ catalog: { functions } }: Analysis, method: readonly string[], fields: Fields): RefusedText {
  const name = method.at(-1) ?? '';
  if (functions.functions.has(name) || functions.builtins.has(name))
    return new RefusedText('restricted-function', `sampling method "${name}" is not proven harmless`);
  return new RefusedText('unknown-function', `tablesample method ${method.join('.')} does not exist`, {
    sqlstate: '42704',
    location: locationOf(fields),
  });
}

/** Alias and column aliases of a FROM entry. */
export function aliasOf(fields: Fields): { readonly name: string | undefined; readonly columns: readonly string[] } {
  const alias = fieldsOf(fields, 'alias');
  const columns = stringsOf(listOf(alias, 'colnames'));
  if (columns === undefined) throw notUnderstood('column alias');
  return { name: textOf(alias, 'aliasname'), columns };
}
