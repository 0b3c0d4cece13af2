import { maskedUse, notUnderstood, RefusedText } from '../refusal.ts';
import {
  childOf,
  type Fields,
  fieldOf,
  fieldsOf,
  flagOf,
  hasField,
  listOf,
  nodeOf,
  stringsOf,
  textOf,
} from '../text/tree.ts';
import { askPastSight } from '../verdict/administration.ts';
import type { RelationUse, RowAction } from '../verdict/uses.ts';
import type { Analysis } from './analysis.ts';
import { addFrom, aliasOf } from './from.ts';
import { refuseMasked, walkTargets, withQueries } from './query.ts';
import {
  belongsToServer,
  outputOf,
  type ResolvedRelation,
  resolveRelation,
  surelyHasSystemColumns,
  usedRelation,
} from './relations.ts';
import { createScope, type FromItem, type Outer, type Output, type Scope } from './scope.ts';
import { askBelowView } from './server-views.ts';

/** Walks INSERT, UPDATE, DELETE and MERGE; see `Analysis.modify`. */
export function walkModify(analysis: Analysis, kind: string, fields: Fields, outer: Outer): Output {
  analysis.found.writes = true;
  const ctes = withQueries(analysis, fields, outer);
  const scope = createScope({ parent: outer.parent, ctes });
  const target = openTarget(analysis, fields, scope);
  switch (kind) {
    case 'InsertStmt':
      walkInsert(analysis, fields, target);
      break;
    case 'UpdateStmt':
      walkUpdate(analysis, fields, target);
      break;
    case 'DeleteStmt':
      walkDelete(analysis, fields, target);
      break;
    case 'MergeStmt':
      walkMerge(analysis, fields, target);
      break;
    default:
      throw notUnderstood(kind);
  }
  return walkReturning(analysis, fields, target);
}

interface Target {
  readonly scope: Scope;
  /** The table written to, for names in conditions; reads of its columns are a select. */
  readonly item: FromItem;
  readonly use: (action: RowAction, hasWhere: boolean) => RelationUse;
}

function openTarget(analysis: Analysis, fields: Fields, scope: Scope): Target {
  const range = fieldsOf(fields, 'relation');
  const resolved = resolveRelation(analysis, range);
  if (resolved.kind === 'system') askPastSight(analysis, belongsToServer(resolved));
  askBelowView(analysis, resolved);
  const output = outputOf(analysis, resolved);
  refuseUnproven(analysis, resolved);
  const isOnly = !flagOf(range, 'inh');
  const hasWhere = hasField(fields, 'whereClause') || hasField(fields, 'joinCondition');
  const used = usedRelation(resolved);
  const alias = aliasOf(range).name;
  const item: FromItem = {
    alias: alias ?? used.name,
    schema: alias === undefined ? used.schema : undefined,
    output,
    use: analysis.uses.add(used, 'select', { hasWhere, isOnly, isCertain: false }),
    relation: resolved.kind === 'open' ? undefined : used.relation,
    hasSystemColumns: surelyHasSystemColumns(analysis, resolved),
  };
  return {
    scope,
    item,
    use: (action, restricted) => analysis.uses.add(used, action, { hasWhere: restricted, isOnly }),
  };
}

/** While masks are in force, what a write sets off must be in sight: rules and views over masked columns are not. */
function refuseUnproven(analysis: Analysis, resolved: ResolvedRelation): void {
  if (!analysis.taint.isInForce || resolved.kind !== 'table') return;
  const { relation } = resolved;
  const isMaskedView = relation.kind === 'v' && analysis.found.touchesMasked;
  if (relation.hasRules || isMaskedView)
    throw new RefusedText(
      'unproven-rule',
      `writing to "${relation.schema}.${relation.name}" runs rewrite rules that are not proven harmless while columns are masked`,
    );
}

function walkInsert(analysis: Analysis, fields: Fields, { scope, item, use }: Target): void {
  const insert = use('insert', false);
  const columns = listOf(fields, 'cols');
  if (columns.length === 0) insert.noteAll();
  for (const column of columns) noteTarget(analysis, column, { use: insert, scope });
  const source = childOf(fields, 'selectStmt');
  if (source !== undefined) {
    if (source.kind !== 'SelectStmt') throw notUnderstood(source.kind);
    // Another column would then hold what the mask hides.
    refuseMasked(analysis.query(source.fields, { parent: scope.parent, ctes: scope.ctes }));
  }
  scope.items.push(item);
  if (hasField(fields, 'onConflictClause'))
    walkConflict(analysis, fieldsOf(fields, 'onConflictClause'), { scope, item, use });
}

function walkConflict(analysis: Analysis, clause: Fields, { scope, item, use }: Target): void {
  const infer = fieldsOf(clause, 'infer');
  // Which columns a constraint compares, its name doesn't tell.
  if (hasField(infer, 'conname') && item.output.columns.some(({ masked }) => masked !== undefined)) throw maskedUse();
  for (const element of listOf(infer, 'indexElems')) {
    const node = nodeOf(element);
    if (node?.kind !== 'IndexElem') throw notUnderstood('ON CONFLICT');
    const name = textOf(node.fields, 'name');
    if (name !== undefined) readColumn(item, name);
    analysis.expression(fieldOf(node.fields, 'expr'), scope);
  }
  analysis.expression(fieldOf(infer, 'whereClause'), scope);
  if (textOf(clause, 'action') !== 'ONCONFLICT_UPDATE') return;
  const inside = createScope({ parent: scope.parent, ctes: scope.ctes });
  inside.items.push(item, { ...item, alias: 'excluded', schema: undefined, use: undefined });
  const update = use('update', true);
  for (const target of listOf(clause, 'targetList'))
    if (!isOwnProposal(target)) assign(analysis, target, { use: update, scope: inside });
    else noteTarget(analysis, target, { use: update, scope: inside });
  analysis.expression(fieldOf(clause, 'whereClause'), inside);
}

function walkUpdate(analysis: Analysis, fields: Fields, { scope, item, use }: Target): void {
  const hasWhere = hasField(fields, 'whereClause');
  scope.items.push(item);
  for (const entry of listOf(fields, 'fromClause')) addFrom(analysis, entry, { scope, hasWhere });
  const update = use('update', hasWhere);
  for (const target of listOf(fields, 'targetList')) assign(analysis, target, { use: update, scope });
  analysis.expression(fieldOf(fields, 'whereClause'), scope);
}

function walkDelete(analysis: Analysis, fields: Fields, { scope, item, use }: Target): void {
  const hasWhere = hasField(fields, 'whereClause');
  scope.items.push(item);
  for (const entry of listOf(fields, 'usingClause')) addFrom(analysis, entry, { scope, hasWhere });
  use('delete', hasWhere);
  analysis.expression(fieldOf(fields, 'whereClause'), scope);
}

function walkMerge(analysis: Analysis, fields: Fields, { scope, item, use }: Target): void {
  scope.items.push(item);
  addFrom(analysis, fieldOf(fields, 'sourceRelation'), { scope, hasWhere: hasField(fields, 'joinCondition') });
  analysis.expression(fieldOf(fields, 'joinCondition'), scope);
  for (const clause of listOf(fields, 'mergeWhenClauses')) {
    const node = nodeOf(clause);
    if (node?.kind !== 'MergeWhenClause') throw notUnderstood('MERGE');
    walkMergeWhen(analysis, node.fields, { scope, item, use });
  }
}

function walkMergeWhen(analysis: Analysis, clause: Fields, { scope, use }: Target): void {
  const hasWhere = hasField(clause, 'condition');
  analysis.expression(fieldOf(clause, 'condition'), scope);
  const targets = listOf(clause, 'targetList');
  switch (textOf(clause, 'commandType')) {
    case 'CMD_NOTHING':
      break;
    case 'CMD_DELETE':
      use('delete', hasWhere);
      break;
    case 'CMD_UPDATE': {
      const update = use('update', hasWhere);
      for (const target of targets) assign(analysis, target, { use: update, scope });
      break;
    }
    case 'CMD_INSERT': {
      const insert = use('insert', false);
      if (targets.length === 0) insert.noteAll();
      for (const target of targets) noteTarget(analysis, target, { use: insert, scope });
      analysis.expression(listOf(clause, 'values'), scope);
      break;
    }
    default:
      throw notUnderstood('MERGE action');
  }
}

/** One `column = value` of SET. */
function assign(analysis: Analysis, target: unknown, place: { use: RelationUse; scope: Scope }): void {
  const fields = noteTarget(analysis, target, place);
  analysis.expression(fieldOf(fields, 'val'), place.scope);
}

/**
 * `set ssn = excluded.ssn`, the usual upsert: the value proposed for a masked column goes into that same column. Only for ON CONFLICT:
 * anywhere else `excluded` may be the alias of any table.
 */
function isOwnProposal(target: unknown): boolean {
  const fields = nodeOf(target)?.fields ?? {};
  const value = childOf(fields, 'val');
  const path = value?.kind === 'ColumnRef' ? stringsOf(listOf(value.fields, 'fields')) : undefined;
  const isSame = path?.length === 2 && path[0] === 'excluded' && path[1] === textOf(fields, 'name');
  return isSame && !hasField(fields, 'indirection');
}

/** Notes a column that is written; answers the target's fields. */
function noteTarget(analysis: Analysis, target: unknown, { use, scope }: { use: RelationUse; scope: Scope }): Fields {
  const node = nodeOf(target);
  const name = node?.kind === 'ResTarget' ? textOf(node.fields, 'name') : undefined;
  if (node === undefined || name === undefined) throw notUnderstood('column list');
  use.noteColumn(name);
  analysis.expression(listOf(node.fields, 'indirection'), scope);
  return node.fields;
}

function readColumn(item: FromItem, name: string): void {
  if (item.output.columns.some((column) => column.name === name && column.masked !== undefined)) throw maskedUse(name);
  item.use?.noteColumn(name);
}

/** RETURNING: no masked column at all, also not as it is; triggers may have moved values between columns. */
function walkReturning(analysis: Analysis, fields: Fields, { scope, item }: Target): Output {
  const clause = fieldsOf(fields, 'returningClause');
  const inside = createScope({ parent: scope.parent, ctes: scope.ctes });
  inside.items.push(...scope.items);
  const names = { old: 'old', new: 'new' };
  for (const option of listOf(clause, 'options')) {
    const node = nodeOf(option);
    const alias = node === undefined ? undefined : textOf(node.fields, 'value');
    if (node === undefined || alias === undefined) throw notUnderstood('RETURNING WITH');
    names[textOf(node.fields, 'option') === 'RETURNING_OPTION_NEW' ? 'new' : 'old'] = alias;
  }
  for (const alias of [names.old, names.new]) inside.items.push({ ...item, alias, schema: undefined });
  const output = walkTargets(analysis, listOf(clause, 'exprs'), inside);
  refuseMasked(output);
  // `*` stands for the row once; here old and new are in the same scope, so positions can't be told.
  return { columns: output.columns, isExact: false };
}
