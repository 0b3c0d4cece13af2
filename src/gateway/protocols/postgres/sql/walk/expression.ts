import { isNullOfMasked, readDerived, withoutMasks } from '../masks/derived.ts';
import { maskedUse, notUnderstood } from '../refusal.ts';
import { childOf, type Fields, fieldOf, isFields, listOf, nodeOf, stringOf, stringsOf, textOf } from '../text/tree.ts';
import type { Analysis } from './analysis.ts';
import { checkAttribute, checkCall, checkComparison, checkOperator, checkOperatorName, checkType } from './code.ts';
import { orUnknown, resolveReference } from './query.ts';
import { resolveRow, type Scope } from './scope.ts';

/** Walks any expression; see `Analysis.expression`. Accepts a wrapped node, a list, or a field of fixed type; scalars are no code. */
export function walkExpression(analysis: Analysis, value: unknown, scope: Scope): void {
  if (Array.isArray(value)) {
    for (const item of value) walkExpression(analysis, item, scope);
    return;
  }
  if (!isFields(value)) return;
  const node = nodeOf(value);
  if (node === undefined) walkFields(analysis, value, scope);
  else walkNode(analysis, node, scope);
}

function walkNode(analysis: Analysis, { kind, fields }: { kind: string; fields: Fields }, scope: Scope): void {
  switch (kind) {
    case 'ColumnRef':
      walkReference(analysis, fields, scope);
      return;
    case 'FuncCall':
      checkCall(analysis, fields);
      break;
    case 'A_Indirection':
      if (isNullOfMasked(analysis, fields)) return;
      for (const item of listOf(fields, 'indirection')) checkAttribute(analysis, stringOf(item));
      break;
    case 'A_Expr':
      walkOperators(analysis, fields, scope);
      return;
    case 'CaseExpr':
      checkOperatorName(analysis, '=');
      break;
    case 'SortBy':
      checkOperator(analysis, listOf(fields, 'useOp'));
      break;
    case 'TypeName':
      checkType(analysis, fields);
      break;
    case 'SubLink':
      walkSubLink(analysis, fields, scope);
      return;
    case 'JsonArrayQueryConstructor':
      walkJsonQuery(analysis, fields, scope);
      return;
    default:
      if (!plainKinds.has(kind)) throw notUnderstood(kind);
  }
  walkFields(analysis, fields, scope);
}

/** From left to right; by a loop, since a chain of operators is as deep as it is long. */
function walkOperators(analysis: Analysis, last: Fields, scope: Scope): void {
  const chain = [last];
  for (let left = childOf(last, 'lexpr'); left?.kind === 'A_Expr'; left = childOf(left.fields, 'lexpr'))
    chain.push(left.fields);
  const [first, ...more] = chain.reverse();
  for (const fields of chain) checkComparison(analysis, fields);
  walkFields(analysis, first ?? last, scope);
  for (const { lexpr: _, ...fields } of more) walkFields(analysis, fields, scope);
}

/** The fields of a node, each by its own type. Names of functions and operators were looked at before. */
function walkFields(analysis: Analysis, fields: Fields, scope: Scope): void {
  for (const name of Object.keys(fields)) {
    const value = fieldOf(fields, name);
    if (typeof value !== 'object' || value === null || nameFields.has(name)) continue;
    if (Array.isArray(value) || nodeOf(value) !== undefined) walkExpression(analysis, value, scope);
    else if (name === 'typeName') {
      if (isFields(value)) checkType(analysis, value);
      walkExpression(analysis, isFields(value) ? listOf(value, 'typmods') : [], scope);
    } else if (fixedFields.has(name)) walkExpression(analysis, value, scope);
    else if (Object.keys(value).length > 0) throw notUnderstood(name);
  }
}

function walkReference(analysis: Analysis, fields: Fields, scope: Scope): void {
  const path = listOf(fields, 'fields');
  const last = nodeOf(path.at(-1));
  if (last?.kind === 'A_Star') {
    // `row(t.*)`, `f(t.*)`: all columns of t in an expression.
    const names = stringsOf(path.slice(0, -1));
    const alias = names?.at(-1);
    if (names === undefined || alias === undefined || names.length > 3) throw notUnderstood('* in an expression');
    const resolve = () => resolveRow(scope, { alias, schema: names.at(-2) });
    const whole = orUnknown(analysis, scope, { resolve, unknown: undefined });
    if (whole?.masked !== undefined) throw maskedUse(alias);
    return;
  }
  const reference = resolveReference(analysis, fields, scope);
  readDerived(analysis, reference, { node: fields, name: stringOf(path.at(-1)) });
}

function walkSubLink(analysis: Analysis, fields: Fields, scope: Scope): void {
  const query = nodeOf(fieldOf(fields, 'subselect'));
  if (query?.kind !== 'SelectStmt') throw notUnderstood('subquery');
  checkOperatorName(analysis, '=');
  checkOperator(analysis, listOf(fields, 'operName'));
  walkExpression(analysis, fieldOf(fields, 'testexpr'), scope);
  const output = analysis.query(query.fields, { parent: scope, ctes: scope.ctes });
  // EXISTS looks at no column of its query.
  if (textOf(fields, 'subLinkType') !== 'EXISTS_SUBLINK') withoutMasks(analysis, output);
}

function walkJsonQuery(analysis: Analysis, fields: Fields, scope: Scope): void {
  const query = nodeOf(fieldOf(fields, 'query'));
  if (query?.kind !== 'SelectStmt') throw notUnderstood('subquery');
  withoutMasks(analysis, analysis.query(query.fields, { parent: scope, ctes: scope.ctes }));
  walkExpression(analysis, fieldOf(fields, 'output'), scope);
}

/** Nodes that are harmless themselves: only what is in them counts. */
const plainKinds: ReadonlySet<string> = new Set([
  ...[
    'A_ArrayExpr',
    'A_Const',
    'A_Indices',
    'A_Indirection',
    'A_Star',
    'BitString',
    'BoolExpr',
    'Boolean',
    'BooleanTest',
  ],
  ...['CaseWhen', 'CoalesceExpr', 'CollateClause', 'ColumnDef', 'CurrentOfExpr', 'Float', 'GroupingFunc'],
  ...['GroupingSet', 'Integer', 'JsonAggConstructor', 'JsonArgument', 'JsonArrayAgg', 'JsonArrayConstructor'],
  ...['JsonBehavior', 'JsonFormat', 'JsonFuncExpr', 'JsonIsPredicate', 'JsonKeyValue', 'JsonObjectAgg'],
  ...['JsonObjectConstructor', 'JsonOutput', 'JsonParseExpr', 'JsonReturning', 'JsonScalarExpr', 'JsonSerializeExpr'],
  ...['JsonTableColumn', 'JsonTablePathSpec', 'JsonValueExpr', 'List', 'MergeSupportFunc', 'MinMaxExpr'],
  ...['MultiAssignRef', 'NamedArgExpr', 'NullTest', 'ParamRef', 'RangeTableFuncCol', 'ResTarget', 'RowExpr'],
  ...['SQLValueFunction', 'SetToDefault', 'String', 'TypeCast', 'WindowDef', 'XmlExpr', 'XmlSerialize'],
]);

/** Fields of one fixed type whose content is walked like any other. */
const fixedFields: ReadonlySet<string> = new Set([
  ...['arg', 'boolval', 'bsval', 'collClause', 'constructor', 'context_item', 'expr', 'format', 'fval', 'ival'],
  ...['on_empty', 'on_error', 'output', 'over', 'pathspec', 'returning', 'sval', 'val', 'value', 'formatted_expr'],
  ...['raw_expr', 'alias'],
]);

/** Lists of names, which are no expressions. */
const nameFields: ReadonlySet<string> = new Set(['funcname', 'name', 'operName', 'collname', 'names', 'useOp']);
