/** Statements that define or change objects: DDL, administration, and the queries inside of them. */

import type { Relation } from '../catalog/catalog.ts';
import { isMasked } from '../masks/withholding.ts';
import type { CreatedRelation, SessionEffect } from '../plan.ts';
import { notUnderstood, RefusedText } from '../refusal.ts';
import { databaseResource, functionResource, tableResource } from '../resources.ts';
import { createdBytes, createdBytesMax, sessionNamesMax } from '../session/facts.ts';
import {
  childOf,
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
} from '../text/tree.ts';
import { askAdministration, askPastSight } from '../verdict/administration.ts';
import type { Analysis } from '../walk/analysis.ts';
import { checkAttribute, checkCall, checkComparison, checkType } from '../walk/code.ts';
import { refuseKeepingCheck } from '../walk/computing.ts';
import { asOwnTable, isOwnTable } from '../walk/own-tables.ts';
import { refuseMasked } from '../walk/query.ts';
import { belongsToServer, findRelation, isHarmless, meaningsOf } from '../walk/relations.ts';
import { outermost } from '../walk/scope.ts';
import { droppingEffects, isStorage } from './alterations.ts';
import type { StatementClass } from './classes.ts';
import { droppedRelations } from './dropped.ts';
import { reachesTables, runsNothing, schemasOfRights } from './harmless-definitions.ts';
import { hidingEffects } from './hidden-types.ts';
import { isPlainPolicy, refuseRowSecurity, tableOfDropped } from './row-security.ts';
import { withoutSerial } from './serial-columns.ts';
import { refuseTakenNames, refuseTakenPlace, refuseTakenRelation, renamesRelation } from './taken-names.ts';

/** Judges a definition by its class; answers the relation that it makes. */
export function walkDefinition(
  analysis: Analysis,
  { kind, fields }: { kind: string; fields: Fields },
  { action, masked }: StatementClass,
): CreatedRelation | undefined {
  analysis.found.writes = true;
  if (analysis.catalog.hasEventTriggers) analysis.found.runsUnseen = true;
  if (
    analysis.taint.isInForce &&
    ((masked === 'code' && !runsNothing(analysis.catalog, kind, fields) && !isPlainPolicy(analysis, kind, fields)) ||
      reachesTables(kind, fields))
  )
    throw new RefusedText(
      'masked-ddl',
      'definitions that run code or change rights are refused, because columns of this database are masked for you',
    );
  refuseTakenNames(analysis, kind, fields);
  refuseRowSecurity(analysis, kind, fields);
  if (action === 'admin' || needsAdmin(kind, fields)) {
    const named: Fields[] = [];
    if (analysis.taint.isInForce) collectNames(fields, named);
    for (const range of named) {
      const known = findRelation(analysis, range);
      if (known?.kind === 'table') refuseMaskedRelation(analysis, known.relation);
    }
    refuseMaskedIn(analysis, kind, fields);
    if (kind === 'CreateExtensionStmt') analysis.found.runsUnseen = true;
    askAdministration(analysis);
    return undefined;
  }
  const ranges = kind === 'DropStmt' ? [...droppedRelations(fields), ...tableOfDropped(fields)] : [];
  if (masked === 'shape') collect(analysis, withoutSerial(kind, fields), ranges);
  else collectNames(fields, ranges);
  if (analysis.taint.isInForce && kind !== 'DropStmt') for (const range of ranges) refuseByNumber(range);
  for (const range of ranges) askDefinition(analysis, range);
  if (ranges.length === 0 || reachesFurther.has(kind))
    analysis.questions.push({ action: 'postgres:ddl', resource: databaseResource(analysis.place) });
  if (kind === 'CreateStmt' || kind === 'CreateSeqStmt') return createdRelation(analysis, kind, fields);
  const isAltered = kind === 'RenameStmt' || (kind === 'AlterTableStmt' && !isStorage(analysis, kind, fields));
  return isAltered ? alteredRelation(analysis, fields) : undefined;
}

/** The session's own temporary relations, or another's, by a name under which nobody here follows what becomes of them. */
function refuseByNumber(range: Fields): void {
  const schema = textOf(range, 'schemaname') ?? '';
  if (schema.startsWith('pg_temp_'))
    throw new RefusedText('statement-refused', `"${schema}" is not named while columns are masked for you`, {
      hint: 'Say pg_temp for the temporary relations of this session.',
    });
}

function refuseMaskedIn(analysis: Analysis, kind: string, fields: Fields): void {
  const schemas = schemasOfRights(kind, fields);
  if (schemas.length === 0) return;
  for (const relation of analysis.catalog.relations.values())
    if (schemas.includes(relation.schema)) refuseMaskedRelation(analysis, relation);
}

/** An altered relation has columns that nobody told; a renamed one is a new name as well. */
function alteredRelation(analysis: Analysis, fields: Fields): CreatedRelation | undefined {
  const range = fieldsOf(fields, 'relation');
  const known = findRelation(analysis, range);
  if (known === undefined || known.kind === 'system') return undefined;
  const [{ schema, name }] = meaningsOf(known);
  const newName = renamesRelation(fields) ? textOf(fields, 'newname') : undefined;
  return newName === undefined
    ? { schema, name, columns: undefined }
    : newRelation(analysis, { ...range, schemaname: schema, relname: newName }, undefined);
}

/** DO: code that runs at once and may define anything. It is asked about as a definition, and as a call of its language. */
export function walkDo(analysis: Analysis, fields: Fields, isUnderstood: boolean): void {
  if (analysis.taint.isInForce && !isUnderstood)
    throw new RefusedText(
      'masked-ddl',
      'DO is refused: it runs what the gateway can not see, and columns of this database are masked for you',
    );
  analysis.found.writes = true;
  const language = languagesOf(listOf(fields, 'args')).at(0) ?? 'plpgsql';
  if (!confinedLanguages.has(language)) askAdministration(analysis);
  analysis.questions.push(
    { action: 'postgres:ddl', resource: databaseResource(analysis.place) },
    { action: 'postgres:call', resource: functionResource(analysis.place, 'pg_catalog', language) },
  );
}

/** A language other than these runs outside of what the server itself confines. */
function needsAdmin(kind: string, fields: Fields): boolean {
  if (kind !== 'CreateFunctionStmt') return false;
  return languagesOf(listOf(fields, 'options')).some((language) => !confinedLanguages.has(language));
}

const confinedLanguages: ReadonlySet<string> = new Set(['sql', 'plpgsql']);

function languagesOf(options: readonly unknown[]): readonly string[] {
  return options.flatMap((option) => {
    const node = nodeOf(option);
    if (node === undefined || textOf(node.fields, 'defname') !== 'language') return [];
    return stringsOf([fieldOf(node.fields, 'arg')])?.[0]?.toLowerCase() ?? '';
  });
}

/** Asks `postgres:ddl` for one relation that a statement names, there or still to be made. */
export function askDefinition(analysis: Analysis, range: Fields): void {
  const known = findRelation(analysis, range);
  if (analysis.catalog.hasEventTriggers) analysis.found.runsUnseen = true;
  if (known?.kind === 'system') {
    // One that hides it would leave nobody here knowing which one a name means.
    if (newSchema(analysis, range) === 'pg_temp') throw belongsToServer(known);
    askPastSight(analysis, belongsToServer(known));
  }
  if (known?.kind === 'table') refuseMaskedRelation(analysis, known.relation);
  const isNew = known === undefined || known.kind === 'system';
  const meanings = [...(known === undefined ? [] : meaningsOf(known)), ...(isNew ? newMeanings(analysis, range) : [])];
  for (const { schema, name } of meanings)
    analysis.questions.push({ action: 'postgres:ddl', resource: tableResource(analysis.place, schema, name) });
}

/** What a name that nobody here knows may stand for: a relation to be made, or one that was made just now. */
function newMeanings(analysis: Analysis, range: Fields): readonly { readonly schema: string; readonly name: string }[] {
  const name = textOf(range, 'relname') ?? '';
  return [{ schema: textOf(range, 'schemaname') ?? newSchema(analysis, range), name }];
}

function refuseMaskedRelation({ taint }: Analysis, relation: Relation): void {
  if (taint.isInForce && isMasked(taint, relation))
    throw new RefusedText(
      'masked-ddl',
      `"${relation.schema}.${relation.name}" has columns masked for you, so you can't change its definition`,
    );
}

function newSchema(analysis: Analysis, range: Fields): string {
  return textOf(range, 'relpersistence') === 't' ? 'pg_temp' : (analysis.creationSchema ?? 'public');
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

/**
 * The relation that a statement makes under the name in `range`. Refuses names that would make an existing one ambiguous, unless it `mayHide`: it will
 * surely be a table of the session's own.
 */
export function newRelation(
  analysis: Analysis,
  range: Fields,
  columns: readonly string[] | undefined,
  { mayHide = false }: { readonly mayHide?: boolean } = {},
): CreatedRelation {
  refuseTooMany(analysis.created);
  const name = textOf(range, 'relname') ?? '';
  const schema = textOf(range, 'schemaname') ?? newSchema(analysis, range);
  if (schema.startsWith('pg_temp_') || schema.startsWith('pg_toast'))
    throw new RefusedText('statement-refused', `schema "${schema}" belongs to the server`);
  const isTemporary = schema === 'pg_temp' || textOf(range, 'relpersistence') === 't';
  const isTaken =
    isTemporary &&
    analysis.taint.isInForce &&
    analysis.searchPath.some((one) => {
      const permanent = analysis.catalog.relation(one, name);
      if (permanent === undefined) return analysis.catalog.systemRelations(one)?.has(name) === true;
      return !mayHide || !isHarmless(analysis, permanent);
    });
  if (isTaken)
    throw new RefusedText('name-taken', `a temporary relation "${name}" would hide the permanent one`, {
      hint: 'Give the temporary relation another name.',
    });
  const made = { schema: isTemporary ? 'pg_temp' : schema, name, columns };
  refuseTakenRelation(analysis, made);
  return made;
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
  if (isOpen) refuseTakenPlace(analysis);
  const nameless = asOwnTable(analysis, fields, { schema: 'pg_temp', name: '', columns: undefined });
  const mayHide = kind === 'CreateStmt' && isOwnTable(analysis, nameless);
  const made = newRelation(analysis, range, isOpen ? undefined : names, { mayHide });
  const relation = asOwnTable(analysis, fields, made);
  return textOf(fields, 'oncommit') === 'ONCOMMIT_DROP' ? { ...relation, isDroppedOnCommit: true } : relation;
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
  const relation = newRelation(analysis, range, isKnown ? names : undefined);
  return textOf(into, 'onCommit') === 'ONCOMMIT_DROP' ? { ...relation, isDroppedOnCommit: true } : relation;
}

/** What a definition changes beside the relation that it makes: names of code, schemas and types, and names that are free again. */
export function definitionEffects(analysis: Analysis, kind: string, fields: Fields): readonly SessionEffect[] {
  return [...namingEffects(analysis, kind, fields), ...hidingEffects(analysis, kind, fields)];
}

function namingEffects(analysis: Analysis, kind: string, fields: Fields): readonly SessionEffect[] {
  switch (kind) {
    case 'CreateFunctionStmt':
      return createdFunction(stringsOf(listOf(fields, 'funcname')));
    case 'DefineStmt':
      return textOf(fields, 'kind') === 'OBJECT_AGGREGATE'
        ? createdFunction(stringsOf(listOf(fields, 'defnames')))
        : [];
    case 'CreateRangeStmt':
      return createdFunction(stringsOf(listOf(fields, 'typeName')));
    case 'CreateExtensionStmt':
      return [{ kind: 'create-name', name: `extension ${textOf(fields, 'extname') ?? ''}` }];
    case 'CreateSchemaStmt':
      return createdSchema(textOf(fields, 'schemaname'));
    case 'RenameStmt': {
      const newName = textOf(fields, 'newname');
      if (newName === undefined) return [];
      if (textOf(fields, 'renameType') === 'OBJECT_SCHEMA') return createdSchema(newName);
      return codeKinds.has(textOf(fields, 'renameType') ?? '') ? createdFunction([newName]) : [];
    }
    case 'AlterObjectSchemaStmt': {
      const object = childOf(fields, 'object');
      return createdFunction(stringsOf(listOf(object?.fields ?? {}, 'objname')));
    }
    case 'DropStmt':
      return droppingEffects(analysis, fields);
    default:
      return [];
  }
}

const codeKinds: ReadonlySet<string> = new Set([
  ...['OBJECT_FUNCTION', 'OBJECT_PROCEDURE', 'OBJECT_AGGREGATE', 'OBJECT_ROUTINE'],
]);

function createdFunction(path: readonly string[] | undefined): readonly SessionEffect[] {
  const name = path?.at(-1);
  return name === undefined ? [] : [{ kind: 'create-name', name: `function ${name}` }];
}

/** Without a name it is that of a role, which nobody here knows to be another than the login. */
function createdSchema(name: string | undefined): readonly SessionEffect[] {
  return name === undefined ? [] : [{ kind: 'create-name', name: `schema ${name}` }];
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
    case 'Constraint':
      refuseKeepingCheck(analysis, fields);
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
