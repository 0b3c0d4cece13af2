import { childOf, type Fields, fieldOf, fieldsOf, hasField, listOf, nodeOf, stringsOf, textOf } from '../text/tree.ts';
import type { Analysis } from './analysis.ts';
import { findRelation } from './relations.ts';
import type { Outer } from './scope.ts';

/**
 * The select list of `SELECT set_config(name, 'value', false) FROM pg_settings WHERE name = 'setting'` with the name that the condition
 * leaves in place of the column, so that it is judged like any `set_config`; of every other query its own. pg_dump changes a setting
 * so that older servers may lack.
 */
export function withSettingName(analysis: Analysis, select: Fields, outer: Outer): readonly unknown[] {
  const targets = listOf(select, 'targetList');
  const call = onlyCall(select, targets);
  const setting = call && settingOf(select);
  if (call === undefined || setting === undefined || !readsSettings(analysis, select, outer)) return targets;
  const [, ...more] = listOf(call, 'args');
  return [{ ResTarget: { val: { FuncCall: { ...call, args: [setting, ...more] } } } }];
}

/** The call, when nothing else is asked for. Its value must be a constant of the text: see below. */
function onlyCall(select: Fields, targets: readonly unknown[]): Fields | undefined {
  if (Object.keys(select).some((field) => !FIELDS.has(field)) || targets.length !== 1) return undefined;
  const target = nodeOf(targets[0]);
  const call = target?.kind === 'ResTarget' ? childOf(target.fields, 'val') : undefined;
  if (call?.kind !== 'FuncCall' || stringsOf(listOf(call.fields, 'funcname'))?.at(-1) !== 'set_config')
    return undefined;
  const [name, value] = listOf(call.fields, 'args');
  // A verdict for a shape (`text/shape.ts`) would not see another setting in the condition. Texts with a constant argument have none.
  return isNameColumn(name) && textConstant(value) !== undefined ? call.fields : undefined;
}

/** The constant that `name` equals; undefined when the condition says anything else. */
function settingOf(select: Fields): unknown {
  const condition = childOf(select, 'whereClause');
  if (condition?.kind !== 'A_Expr' || textOf(condition.fields, 'kind') !== 'AEXPR_OP') return undefined;
  if (stringsOf(listOf(condition.fields, 'name'))?.join('.') !== '=') return undefined;
  if (!isNameColumn(fieldOf(condition.fields, 'lexpr'))) return undefined;
  const constant = fieldOf(condition.fields, 'rexpr');
  const name = textConstant(constant);
  // Names of settings are compared as they are written here, elsewhere without regard to case.
  return name !== undefined && name === name.toLowerCase() ? constant : undefined;
}

/** True when the query reads the server's own view and nothing else: no WITH query and no temporary relation of that name. */
function readsSettings(analysis: Analysis, select: Fields, outer: Outer): boolean {
  const [only, ...more] = listOf(select, 'fromClause');
  const range = nodeOf(only);
  if (more.length > 0 || range?.kind !== 'RangeVar' || hasField(range.fields, 'alias')) return false;
  if (textOf(range.fields, 'relname') !== 'pg_settings' || outer.ctes.has('pg_settings')) return false;
  const relation = findRelation(analysis, range.fields);
  return relation?.kind === 'system' && relation.schema === 'pg_catalog';
}

function isNameColumn(value: unknown): boolean {
  const node = nodeOf(value);
  return node?.kind === 'ColumnRef' && stringsOf(listOf(node.fields, 'fields'))?.join('.') === 'name';
}

/** A string that is written without a cast. */
function textConstant(value: unknown): string | undefined {
  const node = nodeOf(value);
  if (node?.kind !== 'A_Const' || !hasField(node.fields, 'sval')) return undefined;
  return textOf(fieldsOf(node.fields, 'sval'), 'sval') ?? '';
}

/** With any other clause the function might run more or less often than once. */
const FIELDS: ReadonlySet<string> = new Set(['targetList', 'fromClause', 'whereClause', 'limitOption', 'op']);
