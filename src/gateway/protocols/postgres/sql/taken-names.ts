/**
 * Names that come to mean something else. Code of the database's own looks for tables, types and functions by name when it runs, and a statement that
 * has waited for a lock looks once more: while columns are masked, nothing takes a name that either may then find.
 */
import type { Analysis } from './analysis.ts';
import type { Catalog, Relation } from './catalog.ts';
import { informationFunctions } from './function-lists.ts';
import { hasLateCode } from './harmless-definitions.ts';
import { type Changes, isMasked, reached } from './reach.ts';
import { RefusedText } from './refusal.ts';
import { findRelation } from './relations.ts';
import { type Fields, fieldsOf, hasField, listOf, nodeOf, stringsOf, textOf } from './tree.ts';

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
  if (kind === 'CreateStmt')
    for (const parent of listOf(fields, 'inhRelations')) refuseMaskedLead(analysis, nodeOf(parent)?.fields ?? {});
}

/** Of the relation itself, not of a part of it: whatever kind the statement says, PostgreSQL renames the relation that is there. */
export function renamesRelation(fields: Fields): boolean {
  return hasField(fields, 'relation') && !hasField(fields, 'subname');
}

/** Judges the name of a relation to be made: code that reads masked rows might write to it in the place of another. */
export function refuseTakenRelation(analysis: Analysis, { schema, name }: { schema: string; name: string }): void {
  if (!analysis.taint.isInForce || !hasCodeOnRows(analysis)) return;
  for (const relation of analysis.catalog.relations.values())
    if (relation.name === name && relation.schema !== schema)
      throw new RefusedText(
        'name-taken',
        `another schema has a relation "${name}", which code that reads columns masked for you may mean`,
        { hint: 'Give the relation another name.' },
      );
}

/**
 * Judges a relation that shows what others do, once all it names is found: in the place of one that this transaction has dropped or renamed, another
 * session's statement that waits for that one would come to it.
 */
export function refuseTakenPlace(analysis: Analysis): void {
  const { taint, moved, found } = analysis;
  if (!taint.isInForce || !moved || !Array.from(found.relations).some((one) => leads(analysis, one))) return;
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

/**
 * Judges a view, once all it names is found. Under a name that proven code will look for it would lead that code to masked rows; and what it runs itself
 * would run on them.
 */
export function refuseLeadingView(analysis: Analysis, query: Fields): void {
  refuseTakenPlace(analysis);
  if (!analysis.taint.isInForce) return;
  for (const relation of analysis.found.relations)
    if (leadsToMasked(analysis, relation, 'rows') && (mayBeWritten(query) || callsOwn(analysis)))
      throw leading(relation);
}

function callsOwn({ questions }: Analysis): boolean {
  return questions.some(({ action }) => action === 'postgres:call');
}

/** Judges what is to run for rows of the relation: none that are masked, or that masked ones come through. */
export function refuseNear(analysis: Analysis, range: Fields): void {
  const known = findRelation(analysis, range);
  if (known?.kind !== 'table' || !analysis.taint.isInForce || !analysis.taint.proofs.isNear(known.relation)) return;
  const { schema, name } = known.relation;
  throw new RefusedText(
    'masked-ddl',
    `"${schema}.${name}" shows rows that are masked for you, so no code is made for it`,
  );
}

/**
 * Judges the name of a function, new or changed. Statements of others pass values to PostgreSQL's own, to those of extensions, of operators and of types,
 * and PostgreSQL takes the one that fits better.
 */
export function mayTakeFunction({ catalog: { functions } }: Analysis, name: string): boolean {
  const { builtins, builtinTypes } = functions;
  if (Buffer.byteLength(name) > NAME_BYTES_MAX || builtins.has(name) || builtinTypes.has(name)) return false;
  const known = functions.functions.get(name) ?? [];
  return !informationFunctions.has(name) && known.every((one) => one.extension === undefined && !one.isBuiltUpon);
}

/** PostgreSQL cuts longer ones. */
const NAME_BYTES_MAX = 63;

/** Partitions, parents and keys by which rows of the one change those of the other. */
function refuseLinks(analysis: Analysis, fields: Fields): void {
  for (const item of listOf(fields, 'cmds')) {
    const command = nodeOf(item)?.fields ?? {};
    const definition = nodeOf(command['def']);
    const subtype = textOf(command, 'subtype');
    if (subtype === 'AT_AttachPartition') {
      refuseLeading(analysis, fieldsOf(definition?.fields ?? {}, 'name'));
      refuseMaskedLead(analysis, fieldsOf(fields, 'relation'));
    }
    if (subtype === 'AT_AddInherit') refuseMaskedLead(analysis, definition?.fields ?? {});
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
  if (known?.kind === 'table' && leads(analysis, known.relation)) throw leading(known.relation);
}

function refuseMaskedLead(analysis: Analysis, range: Fields): void {
  const known = findRelation(analysis, range);
  if (known?.kind === 'table' && leadsToMasked(analysis, known.relation, 'tables')) throw leading(known.relation);
}

function leading({ schema, name }: Relation): RefusedText {
  return new RefusedText(
    'masked-ddl',
    `"${schema}.${name}" leads to columns masked for you, or runs code that might, so it takes no other name or place`,
  );
}

/** To masked rows, or to code that is not proven. */
function leads(analysis: Analysis, relation: Relation): boolean {
  return !analysis.taint.proofs.provesRelation(relation, 'tables', analysis);
}

function leadsToMasked({ catalog, taint }: Analysis, relation: Relation, changes: Changes): boolean {
  return Array.from(reached(catalog, [relation], changes)).some((one) => isMasked(taint, one));
}

/** A view of one relation, each of whose rows is one of that. */
function mayBeWritten(query: Fields): boolean {
  const [only, ...more] = listOf(query, 'fromClause');
  const isOne = more.length === 0 && only !== undefined && nodeOf(only)?.kind === 'RangeVar';
  return isOne && !summing.some((clause) => hasField(query, clause));
}

const summing = ['groupClause', 'distinctClause', 'limitCount', 'limitOffset', 'havingClause', 'withClause'];

/** Code that looks for names when it runs, on rows that are masked. */
export function hasExposedCode({ catalog, taint }: Pick<Analysis, 'catalog' | 'taint'>): boolean {
  if (!hasLateCode(catalog) || taint.proofs.areThere) return false;
  for (const relation of catalog.relations.values())
    if (isMasked(taint, relation) && runsCode(catalog, relation)) return true;
  return false;
}

/** For its rows: what a view's query calls, nobody to whom it shows masked ones may run, but where its rows are kept. */
function runsCode(catalog: Catalog, relation: Relation): boolean {
  if (relation.kind === 'm') return Array.from(reached(catalog, [relation], 'nothing')).some(hasCode);
  return relation.kind === 'v' ? relation.hasTriggers || relation.hasUnseenCode : hasCode(relation);
}

function hasCode({ code, hasUnseenCode, hasOwnTypes }: Relation): boolean {
  return code.length > 0 || hasUnseenCode || hasOwnTypes;
}

/**
 * Code on masked rows may mean any type by its name alone; other code that reads them, those that have the name of a function, whose place a cast to
 * the type takes, or of another type.
 */
function mayBeMeant(analysis: Analysis, name = ''): boolean {
  if (hasExposedCode(analysis)) return true;
  const { functions, builtins, builtinTypes } = analysis.catalog.functions;
  const isKnown = functions.has(name) || builtins.has(name) || builtinTypes.has(name);
  const isRelation = () => Array.from(analysis.catalog.relations.values()).some((relation) => relation.name === name);
  return hasCodeOnRows(analysis) && (isKnown || isRelation());
}

/** The same on any rows: it may read masked ones besides, unless it is proven. */
function hasCodeOnRows({ catalog, taint }: Analysis): boolean {
  if (!hasLateCode(catalog) || taint.proofs.areThere) return false;
  return Array.from(catalog.relations.values()).some((relation) => runsCode(catalog, relation));
}

/** The list that holds the name. */
const typeKinds: ReadonlyMap<string, string> = new Map([
  ['CreateDomainStmt', 'domainname'],
  ['CreateEnumStmt', 'typeName'],
]);
