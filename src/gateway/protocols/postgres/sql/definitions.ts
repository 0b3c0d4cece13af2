/** Statements that define or change objects: DDL, administration, and the queries inside of them. */
import type { Analysis } from './analysis.ts';
import type { Relation } from './catalog.ts';
import { checkAttribute, checkCall, checkComparison, checkType } from './code.ts';
import { databaseResource, tableResource } from './names.ts';
import type { CreatedRelation } from './plan.ts';
import { refuseMasked } from './query.ts';
import { notUnderstood, RefusedText } from './refusal.ts';
import { findRelation, usedRelation } from './relations.ts';
import { outermost } from './scope.ts';
import { createdBytes, createdBytesMax, sessionNamesMax } from './session-facts.ts';
import type { StatementClass } from './statement-classes.ts';
import {
  type Fields,
  fieldOf,
  fieldsOf,
  hasField,
  isFields,
  listOf,
  nodeOf,
  stringOf,
  stringsOf,
  textOf,
} from './tree.ts';

/** Judges a definition by its class; answers the relation that it makes. */
export function walkDefinition(
  analysis: Analysis,
  { kind, fields }: { kind: string; fields: Fields },
  { action, masked }: StatementClass,
): CreatedRelation | undefined {
  if (action === 'refused')
    throw new RefusedText(
      'statement-refused',
      `${kind.replace(/Stmt$/, '')} is refused: it runs or changes what the gateway can't see`,
    );
  analysis.found.writes = true;
  if (analysis.taint.isInForce && (masked === 'code' || isTypeChange(kind, fields)))
    throw new RefusedText(
      'masked-ddl',
      'definitions that run code or change rights are refused, because columns of this database are masked for you',
    );
  if (action === 'admin' || needsAdmin(kind, fields)) {
    analysis.questions.push({ action: 'postgres:admin', resource: databaseResource(analysis.place) });
    return undefined;
  }
  if (kind === 'CreateSchemaStmt' && listOf(fields, 'schemaElts').length > 0)
    throw notUnderstood('CREATE SCHEMA with objects in it');
  const ranges = kind === 'DropStmt' ? droppedRelations(fields) : [];
  if (masked === 'shape') collect(analysis, fields, ranges);
  else collectNames(fields, ranges);
  for (const range of ranges) askDefinition(analysis, range);
  if (ranges.length === 0 || reachesFurther.has(kind))
    analysis.questions.push({ action: 'postgres:ddl', resource: databaseResource(analysis.place) });
  if (kind === 'CreateStmt' || kind === 'CreateSeqStmt') return createdRelation(analysis, kind, fields);
  return kind === 'AlterTableStmt' || kind === 'RenameStmt' ? alteredRelation(analysis, fields) : undefined;
}

/** ALTER TYPE of a row type: it reaches into the tables made of it, and none of them is named. */
function isTypeChange(kind: string, fields: Fields): boolean {
  return kind === 'AlterTableStmt' && textOf(fields, 'objtype') === 'OBJECT_TYPE';
}

/** An altered relation has columns that nobody told; a renamed one is a new name as well. */
function alteredRelation(analysis: Analysis, fields: Fields): CreatedRelation | undefined {
  const range = fieldsOf(fields, 'relation');
  const known = findRelation(analysis, range);
  if (known === undefined || known.kind === 'system') return undefined;
  const { schema, name } = usedRelation(known);
  const isRenamed = textOf(fields, 'renameType') === 'OBJECT_TABLE' || textOf(fields, 'renameType') === 'OBJECT_VIEW';
  const newName = isRenamed ? textOf(fields, 'newname') : undefined;
  return newName === undefined
    ? { schema, name, columns: undefined }
    : newRelation(analysis, { ...range, schemaname: schema, relname: newName }, undefined);
}

/** A language other than these runs outside of what the server itself confines. */
function needsAdmin(kind: string, fields: Fields): boolean {
  if (kind !== 'CreateFunctionStmt') return false;
  const languages = listOf(fields, 'options').map((option) => {
    const node = nodeOf(option);
    if (node === undefined || textOf(node.fields, 'defname') !== 'language') return 'sql';
    return stringsOf([fieldOf(node.fields, 'arg')])?.[0]?.toLowerCase() ?? '';
  });
  return languages.some((language) => language !== 'sql' && language !== 'plpgsql');
}

/** Asks `postgres:ddl` for one relation that a statement names, there or still to be made. */
export function askDefinition(analysis: Analysis, range: Fields): void {
  const schema = textOf(range, 'schemaname');
  const name = textOf(range, 'relname') ?? '';
  const known = findRelation(analysis, range);
  if (known?.kind === 'system')
    throw new RefusedText(
      'statement-refused',
      `"${known.schema}.${known.name}" belongs to the server and is not changed`,
    );
  if (known?.kind === 'table') refuseMaskedRelation(analysis, known.relation);
  const where =
    known?.kind === 'table'
      ? known.relation
      : (known?.created ?? { schema: schema ?? newSchema(analysis, range), name });
  analysis.questions.push({
    action: 'postgres:ddl',
    resource: tableResource(analysis.place, where.schema, where.name),
  });
}

function refuseMaskedRelation({ taint }: Analysis, relation: Relation): void {
  if (!taint.isInForce) return;
  const masks = taint.masksOf(relation);
  if (masks === 'opaque' || masks.some((mask) => mask !== undefined))
    throw new RefusedText(
      'masked-ddl',
      `"${relation.schema}.${relation.name}" has columns masked for you, so you can't change its definition`,
    );
}

function newSchema(analysis: Analysis, range: Fields): string {
  return textOf(range, 'relpersistence') === 't' ? 'pg_temp' : (analysis.searchPath[0] ?? 'public');
}

/** What a session made is held until a snapshot shows it; temporary relations are in none. */
function refuseTooMany(created: ReadonlyMap<string, CreatedRelation>): void {
  if (created.size < sessionNamesMax && createdBytes(created) < createdBytesMax) return;
  throw new RefusedText(
    'session-limit',
    `this session has made ${created.size} relations, the most that are followed`,
    {
      sqlstate: '53400',
      hint: 'Commit before more are made; temporary ones go by DISCARD ALL, or with the session.',
    },
  );
}

/** The relation that a statement makes under the name in `range`. Refuses names that would make an existing one ambiguous. */
export function newRelation(
  analysis: Analysis,
  range: Fields,
  columns: readonly string[] | undefined,
): CreatedRelation {
  refuseTooMany(analysis.created);
  const name = textOf(range, 'relname') ?? '';
  const schema = textOf(range, 'schemaname') ?? newSchema(analysis, range);
  if (schema.startsWith('pg_temp_') || schema.startsWith('pg_toast'))
    throw new RefusedText('statement-refused', `schema "${schema}" belongs to the server`);
  const isTemporary = schema === 'pg_temp' || textOf(range, 'relpersistence') === 't';
  const isTaken =
    isTemporary &&
    ['pg_catalog', ...analysis.catalog.searchPath].some(
      (one) =>
        analysis.catalog.relation(one, name) !== undefined || analysis.catalog.systemRelations(one)?.has(name) === true,
    );
  if (isTaken)
    throw new RefusedText('name-taken', `a temporary relation "${name}" would hide the permanent one`, {
      hint: 'Give the temporary relation another name.',
    });
  return { schema: isTemporary ? 'pg_temp' : schema, name, columns };
}

function createdRelation(analysis: Analysis, kind: string, fields: Fields): CreatedRelation {
  const range = fieldsOf(fields, kind === 'CreateStmt' ? 'relation' : 'sequence');
  const elements = listOf(fields, 'tableElts').map(nodeOf);
  const names = elements
    .filter((element) => element?.kind === 'ColumnDef')
    .map((element) => textOf(element?.fields ?? {}, 'colname') ?? '');
  const isOpen =
    kind !== 'CreateStmt' ||
    ['inhRelations', 'partbound', 'ofTypename'].some((name) => hasField(fields, name)) ||
    elements.some((element) => element?.kind === 'TableLikeClause');
  return newRelation(analysis, range, isOpen ? undefined : names);
}

/** A query whose rows are stored under the name that an IntoClause gives: SELECT INTO, CREATE TABLE AS, CREATE VIEW. */
export function walkStoredQuery(analysis: Analysis, query: Fields, into: Fields): CreatedRelation {
  analysis.found.writes = true;
  const output = analysis.query(query, outermost);
  refuseMasked(output);
  if (analysis.found.touchesMasked)
    throw new RefusedText('masked-ddl', 'a relation made from masked ones is refused: it would carry no mask');
  const range = fieldsOf(into, 'rel');
  askDefinition(analysis, range);
  const aliases = stringsOf(listOf(into, 'colNames')) ?? [];
  const names = output.columns.map(({ name }, index) => aliases[index] ?? name);
  const isKnown = output.isExact && names.every((name) => name !== undefined);
  return newRelation(analysis, range, isKnown ? names : undefined);
}

/** The relations that DROP names, as if they were RangeVars. */
function droppedRelations(fields: Fields): Fields[] {
  const kinds = ['OBJECT_TABLE', 'OBJECT_VIEW', 'OBJECT_MATVIEW', 'OBJECT_FOREIGN_TABLE', 'OBJECT_SEQUENCE'];
  if (!kinds.includes(textOf(fields, 'removeType') ?? '')) return [];
  return listOf(fields, 'objects').map((object) => {
    const node = nodeOf(object);
    const names = node?.kind === 'List' ? stringsOf(listOf(node.fields, 'items')) : undefined;
    const relname = names?.at(-1);
    const schemaname = names?.at(-2);
    if (relname === undefined) throw notUnderstood('DROP');
    return schemaname === undefined ? { relname } : { relname, schemaname };
  });
}

/** Walks a whole definition: relations named in it, and code that it runs (defaults, checks, index expressions). */
function collect(analysis: Analysis, value: unknown, ranges: Fields[]): void {
  if (Array.isArray(value)) {
    for (const item of value) collect(analysis, item, ranges);
    return;
  }
  if (!isFields(value)) return;
  const node = nodeOf(value);
  const fields = node?.fields ?? value;
  switch (node?.kind) {
    case 'SelectStmt':
      refuseMasked(analysis.query(fields, outermost));
      return;
    case 'InsertStmt':
    case 'UpdateStmt':
    case 'DeleteStmt':
    case 'MergeStmt':
      throw notUnderstood('a write inside of a definition');
    case 'FuncCall':
      checkCall(analysis, fields);
      break;
    case 'ColumnRef':
      // `t.f` in a check or a default may call the function f, as `(x).f` may.
      for (const item of listOf(fields, 'fields').slice(1)) checkAttribute(analysis, stringOf(item));
      break;
    case 'A_Indirection':
      for (const item of listOf(fields, 'indirection')) checkAttribute(analysis, stringOf(item));
      break;
    case 'A_Expr':
      checkComparison(analysis, fields);
      break;
    default:
      break;
  }
  if (hasField(fields, 'relname')) {
    ranges.push(fields);
    return;
  }
  for (const [name, child] of Object.entries(fields)) {
    if (name === 'typeName' && isFields(child)) checkType(analysis, child);
    collect(analysis, child, ranges);
  }
}

/** Only the relations named; bodies that run later are not walked. */
function collectNames(value: unknown, ranges: Fields[]): void {
  if (Array.isArray(value)) for (const item of value) collectNames(item, ranges);
  if (!isFields(value) || Array.isArray(value)) return;
  if (hasField(value, 'relname')) {
    ranges.push(value);
    return;
  }
  for (const [name, child] of Object.entries(value)) if (!bodyFields.has(name)) collectNames(child, ranges);
}

/** What these run, with the rights of the gateway's login, may touch any relation: to name one of one's own is not enough. */
const reachesFurther: ReadonlySet<string> = new Set([
  'RuleStmt',
  'CreatePolicyStmt',
  'AlterPolicyStmt',
  'CreateTrigStmt',
]);

const bodyFields: ReadonlySet<string> = new Set([
  'sql_body',
  'actions',
  'whereClause',
  'whenClause',
  'qual',
  'with_check',
]);
