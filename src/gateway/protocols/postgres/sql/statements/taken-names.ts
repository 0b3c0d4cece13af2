/**
 * Names that come to mean something else. Code of the database's own looks for tables, types and functions by name when it runs, and a statement that
 * has waited for a lock looks once more: while columns are masked, nothing takes a name that either may then find.
 */

import type { Relation } from '../catalog/catalog.ts';
import { isMasked, leadsToValues } from '../masks/withholding.ts';
import { RefusedText } from '../refusal.ts';
import { type Fields, fieldsOf, hasField, listOf, nodeOf, stringsOf, textOf } from '../text/tree.ts';
import type { Analysis } from '../walk/analysis.ts';
import { findRelation } from '../walk/relations.ts';
import { hasLateCode } from './harmless-definitions.ts';

/** Judges a definition that makes a type, or gives a relation another name or place. */
export function refuseTakenNames(analysis: Analysis, kind: string, fields: Fields): void {
  if (!analysis.taint.isInForce) return;
  if (typeKinds.has(kind) && mayBeMeant(analysis, stringsOf(listOf(fields, typeKinds.get(kind) ?? ''))?.at(-1)))
    throw new RefusedText(
      'masked-ddl',
      'a type of this name is not made while columns are masked for you: code that reads them might mean it by the name of a function',
    );
  if (kind === 'RenameStmt' && renamesRelation(fields)) refuseRename(analysis, fields);
  if (kind === 'AlterTableStmt') refuseLinks(analysis, fields);
}

/** Of the relation itself, not of a part of it: whatever kind the statement says, PostgreSQL renames the relation that is there. */
export function renamesRelation(fields: Fields): boolean {
  return hasField(fields, 'relation') && !hasField(fields, 'subname');
}

/**
 * Judges the name of a relation to be made: unqualified statements of others about masked rows might come to it, and code, which may read those
 * wherever it writes, in the place of another.
 */
export function refuseTakenRelation(analysis: Analysis, { schema, name }: { schema: string; name: string }): void {
  if (!analysis.taint.isInForce) return;
  const isAnyMeant = hasLateCode(analysis.catalog);
  const isMeant = (relation: Relation) => isAnyMeant || leadsToValues(analysis, new Set([relation]), true);
  if (!isAnyRelation(analysis, (one) => one.name === name && one.schema !== schema && isMeant(one))) return;
  throw new RefusedText(
    'name-taken',
    `another schema has a relation "${name}", which others that work on columns masked for you may mean`,
    { hint: 'Give the relation another name.' },
  );
}

/**
 * Judges a relation that shows what others do, once all it names is found: in the place of one that this transaction has dropped or renamed, another
 * session's statement that waits for that one would come to it.
 */
export function refuseTakenPlace(analysis: Analysis): void {
  const { taint, moved, found } = analysis;
  if (!taint.isInForce || !moved || !leadsToValues(analysis, found.relations, true)) return;
  throw new RefusedText(
    'masked-ddl',
    'what leads to columns masked for you, or runs code that might, takes no place of what this transaction has changed',
    { hint: 'Make it in a transaction of its own.' },
  );
}

function refuseRename(analysis: Analysis, fields: Fields): void {
  const range = fieldsOf(fields, 'relation');
  refuseLeading(analysis, range);
  // Perhaps one that nobody here knows.
  const schema = textOf(range, 'schemaname') ?? '';
  if (findRelation(analysis, range) === undefined)
    refuseTakenRelation(analysis, { schema, name: textOf(fields, 'newname') ?? '' });
}

/** Partitions, parents and keys by which rows of the one change those of the other. */
function refuseLinks(analysis: Analysis, fields: Fields): void {
  for (const item of listOf(fields, 'cmds')) {
    const command = nodeOf(item)?.fields ?? {};
    const definition = nodeOf(command['def']);
    const subtype = textOf(command, 'subtype');
    if (subtype === 'AT_AttachPartition') refuseLeading(analysis, fieldsOf(definition?.fields ?? {}, 'name'));
    if (subtype === 'AT_AddInherit' || bringsActingKey(definition?.fields ?? {}))
      refuseLeading(analysis, fieldsOf(fields, 'relation'));
  }
}

/** The constraint itself, or one of a new column's. */
function bringsActingKey(definition: Fields): boolean {
  return [definition, ...listOf(definition, 'constraints').map((one) => nodeOf(one)?.fields ?? {})].some((constraint) =>
    ['fk_upd_action', 'fk_del_action'].some((name) => ['c', 'n', 'd'].includes(textOf(constraint, name) ?? '')),
  );
}

function refuseLeading(analysis: Analysis, range: Fields): void {
  const known = findRelation(analysis, range);
  if (known?.kind !== 'table' || !leadsToValues(analysis, new Set([known.relation]), true)) return;
  const { schema, name } = known.relation;
  throw new RefusedText(
    'masked-ddl',
    `"${schema}.${name}" leads to columns masked for you, or runs code that might, so it takes no other name or place`,
  );
}

/**
 * Code that looks for names when it runs, on rows that are masked: of their own, or called where a materialized view is filled, which can't be
 * traced then. Another view of that kind is not read.
 */
export function hasExposedCode({ catalog, taint }: Relations): boolean {
  if (!hasLateCode(catalog)) return false;
  return isAnyRelation({ catalog, taint }, (relation) =>
    relation.runsCode ? isMasked(taint, relation) : relation.kind === 'm' && taint.masksOf(relation) === 'opaque',
  );
}

/** The same on any rows: it may read masked ones besides. */
function hasCodeOnRows(analysis: Relations): boolean {
  if (!hasLateCode(analysis.catalog)) return false;
  return isAnyRelation(analysis, ({ runsCode }) => runsCode) || hasExposedCode(analysis);
}

/**
 * Code on masked rows may mean any type by its name alone; other code that reads them, those that have the name of a function, whose place a cast to
 * the type takes, or of another type.
 */
function mayBeMeant(analysis: Analysis, name = ''): boolean {
  if (hasExposedCode(analysis)) return true;
  if (!hasCodeOnRows(analysis)) return false;
  const { functions, builtins, builtinTypes } = analysis.catalog.functions;
  const isKnown = functions.has(name) || builtins.has(name) || builtinTypes.has(name);
  return isKnown || isAnyRelation(analysis, (relation) => relation.name === name);
}

type Relations = Pick<Analysis, 'catalog' | 'taint'>;

function isAnyRelation({ catalog }: Relations, holds: (relation: Relation) => boolean): boolean {
  for (const relation of catalog.relations.values()) if (holds(relation)) return true;
  return false;
}

/** The list that holds the name. */
const typeKinds: ReadonlyMap<string, string> = new Map([
  ['CreateDomainStmt', 'domainname'],
  ['CreateEnumStmt', 'typeName'],
]);
