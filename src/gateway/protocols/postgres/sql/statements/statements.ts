import { withoutMasks } from '../masks/derived.ts';
import type { CreatedRelation, DeclaredCursor, Reads, SessionEffect, SessionFacts } from '../plan.ts';
import { maskedUse, notUnderstood, RefusedText } from '../refusal.ts';
import { databaseResource } from '../resources.ts';
import { applySessionEffects, sessionNamesMax } from '../session/facts.ts';
import { charactersOf, nodeOfPrepared, type PreparedStatement } from '../session/prepared.ts';
import { lookupOf, roleOf } from '../session/search-path.ts';
import {
  childOf,
  type Fields,
  fieldOf,
  fieldsOf,
  flagOf,
  hasField,
  listOf,
  type Node,
  nodeOf,
  textOf,
} from '../text/tree.ts';
import type { Analysis } from '../walk/analysis.ts';
import { isBuiltinType } from '../walk/builtin-types.ts';
import { checkType } from '../walk/code.ts';
import { asOwnTable } from '../walk/own-tables.ts';
import { refuseMasked } from '../walk/query.ts';
import { createScope, type Output, outermost } from '../walk/scope.ts';
import { askNewView } from '../walk/server-views.ts';
import { movingEffects } from './alterations.ts';
import { kindName, statementClasses } from './classes.ts';
import { walkCopy } from './copy.ts';
import {
  askDefinition,
  definitionEffects,
  newRelation,
  walkDefinition,
  walkDo,
  walkStoredQuery,
} from './definitions.ts';
import { type DefinitionBlock, readDefinitions } from './do-block.ts';
import { hidingEffectsOfBlock } from './hidden-types.ts';
import { intoOf, withoutInto } from './into.ts';
import { walkMaintain } from './maintain.ts';
import { walkDiscard, walkSet, walkTransaction } from './session.ts';
import { refuseTakenPlace } from './taken-names.ts';
import { walkTruncate } from './truncate.ts';

/** What a walked statement is, beyond what its analysis gathered. */
export interface Outcome {
  readonly kind: string;
  /** Columns of its rows; undefined when it answers none that could hold a table's values. */
  readonly output: Output | undefined;
  readonly effects: readonly SessionEffect[];
  readonly copy: 'in' | 'out' | undefined;
  readonly reads: Reads | undefined;
  readonly changesCatalog: boolean;
}

interface Place {
  readonly analysis: Analysis;
  readonly session: SessionFacts;
  /** Where the statement stands. */
  readonly source: { readonly text: string; readonly index: number };
  /** It is only parsed, and planned again before it is executed. */
  readonly isParsed?: boolean;
}

/** Walks one whole statement. Throws {@link RefusedText} for what isn't understood or can't be allowed. */
export function walkStatement(place: Place, statement: Node): Outcome {
  const walk = walks.get(statement.kind);
  const kind = kindName(statement.kind);
  if (walk !== undefined) return { ...plain, kind, ...walk(place, statement.fields, statement.kind) };
  const known = statementClasses.get(statement.kind);
  if (known === undefined) throw notUnderstood(statement.kind);
  const created = walkDefinition(place.analysis, statement, known);
  return {
    ...plain,
    kind,
    effects: [
      ...(created === undefined ? [] : [{ kind: 'create', relation: created } as const]),
      ...definitionEffects(place.analysis, statement.kind, statement.fields),
      ...movingEffects(place.analysis, statement.kind, statement.fields),
    ],
    changesCatalog: true,
  };
}

const plain = { output: undefined, effects: [], copy: undefined, reads: undefined, changesCatalog: false } as const;

type Walk = (place: Place, fields: Fields, kind: string) => Partial<Outcome>;

const walks: ReadonlyMap<string, Walk> = new Map<string, Walk>([
  ['SelectStmt', walkSelectStatement],
  ['InsertStmt', walkWrite],
  ['UpdateStmt', walkWrite],
  ['DeleteStmt', walkWrite],
  ['MergeStmt', walkWrite],
  ['CopyStmt', ({ analysis }, fields) => ({ copy: walkCopy(analysis, fields) })],
  ['ExplainStmt', walkExplain],
  ['PrepareStmt', walkPrepare],
  ['ExecuteStmt', walkExecute],
  ['DeallocateStmt', (_, fields) => ({ effects: [{ kind: 'deallocate', name: textOf(fields, 'name') }] })],
  ['DeclareCursorStmt', walkDeclare],
  ['FetchStmt', walkFetch],
  ['ClosePortalStmt', (_, fields) => ({ effects: [{ kind: 'close', name: textOf(fields, 'portalname') }] })],
  ['TransactionStmt', walkTransaction],
  ['VariableSetStmt', walkSet],
  ['VariableShowStmt', () => ({})],
  ['ConstraintsSetStmt', walkUnseen],
  ['DiscardStmt', walkDiscard],
  ['ListenStmt', walkListen],
  ['UnlistenStmt', () => ({})],
  ['NotifyStmt', walkNotify],
  ['TruncateStmt', walkTruncate],
  ['LockStmt', walkMaintain],
  ['VacuumStmt', walkMaintain],
  ['ReindexStmt', walkMaintain],
  ['ClusterStmt', walkMaintain],
  ['RefreshMatViewStmt', walkMaintain],
  ['CallStmt', walkCall],
  ['DoStmt', walkDoStatement],
  ['CreateSchemaStmt', walkCreateSchema],
  ['CreateTableAsStmt', walkCreateAs],
  ['ViewStmt', walkView],
]);

function walkSelectStatement({ analysis }: Place, fields: Fields): Partial<Outcome> {
  const into = intoOf(fields);
  if (into === undefined) {
    noteCertainCalls(analysis, fields);
    return { output: analysis.query(fields, outermost) };
  }
  const relation = asOwnTable(analysis, into, walkStoredQuery(analysis, withoutInto(fields), into));
  return { kind: 'select into', effects: [{ kind: 'create', relation }], changesCatalog: true };
}

/** `SELECT f(…), g(…)` and nothing more: each runs once. */
function noteCertainCalls({ certainCalls }: Analysis, select: Fields): void {
  if (Object.keys(select).some((field) => !plainSelectFields.has(field))) return;
  for (const item of listOf(select, 'targetList')) {
    const value = childOf(nodeOf(item)?.fields ?? {}, 'val');
    if (value?.kind === 'FuncCall') certainCalls.add(value.fields);
  }
}

function walkWrite({ analysis }: Place, fields: Fields, kind: string): Partial<Outcome> {
  const output = analysis.modify(kind, fields, outermost);
  return { output: hasField(fields, 'returningClause') ? output : undefined };
}

function walkExplain(place: Place, fields: Fields): Partial<Outcome> {
  const query = childOf(fields, 'query');
  if (query === undefined) throw notUnderstood('EXPLAIN');
  const inner = walkStatement(place, query);
  // Row estimates come from samples of the values, and plans quote constants.
  if (place.analysis.found.touchesMasked)
    throw new RefusedText(
      'masked-column-use',
      'EXPLAIN of relations with masked columns is refused: estimates tell about their values',
    );
  const isRun = listOf(fields, 'options').some((option) => {
    const node = nodeOf(option);
    return node !== undefined && textOf(node.fields, 'defname') === 'analyze';
  });
  if (!isRun) {
    place.analysis.found.writes = false;
    place.analysis.found.settings.length = 0;
    place.analysis.found.encoding = undefined;
    return { kind: 'explain' };
  }
  return { kind: 'explain analyze', effects: inner.effects, changesCatalog: inner.changesCatalog };
}

function walkPrepare(place: Place, fields: Fields): Partial<Outcome> {
  const name = textOf(fields, 'name') ?? '';
  const query = childOf(fields, 'query');
  if (query === undefined) throw notUnderstood('PREPARE');
  const { prepared } = place.session;
  refuseFull(Array.from(prepared.values()), 'prepared statements');
  for (const type of listOf(fields, 'argtypes')) checkType(place.analysis, nodeOf(type)?.fields ?? {});
  walkStatement(place, query);
  place.analysis.found.writes = false;
  place.analysis.found.settings.length = 0;
  place.analysis.found.encoding = undefined;
  // The server keeps the types of the parameters from now on, whatever the names in it mean later.
  const { found } = place.analysis;
  const hasOwnTypes =
    !listOf(fields, 'argtypes').every((type) => isBuiltinType(place.analysis, nodeOf(type)?.fields ?? {})) ||
    found.runsUnseen ||
    Array.from(found.relations).some((relation) => relation.hasOwnTypes);
  return { effects: [{ kind: 'prepare', name, prepared: { ...preparedQuery(place, query), hasOwnTypes } }] };
}

function walkExecute(place: Place, fields: Fields): Partial<Outcome> {
  const name = textOf(fields, 'name') ?? '';
  const prepared = place.session.prepared.get(name);
  if (prepared === undefined) throw new RefusedText('unknown-prepared', `prepared statement "${name}" does not exist`);
  if (prepared.kind === 'ExecuteStmt' || prepared.kind === 'PrepareStmt') throw notUnderstood('EXECUTE of EXECUTE');
  const { analysis } = place;
  analysis.expression(listOf(fields, 'params'), createScope(outermost));
  const inner = walkStatement({ ...place, source: prepared }, parsedAgain(place, prepared));
  // They become values of the types that PREPARE names or is led to by columns, domains among them. Those that casts name are seen there.
  const hasOwnTypes =
    prepared.hasOwnTypes !== false || Array.from(analysis.found.relations).some((relation) => relation.hasOwnTypes);
  if (hasField(fields, 'params') && hasOwnTypes) analysis.found.runsUnseen = true;
  return { ...inner, kind: `execute ${inner.kind}`, reads: { ...inner.reads, prepared: name } };
}

function walkDeclare(place: Place, fields: Fields): Partial<Outcome> {
  const query = childOf(fields, 'query');
  if (query?.kind !== 'SelectStmt') throw notUnderstood('DECLARE');
  refuseFull(
    Array.from(place.session.cursors.values(), (cursor) => cursor.prepared),
    'cursors',
  );
  withoutMasks(place.analysis, place.analysis.query(query.fields, outermost));
  const name = textOf(fields, 'portalname') ?? '';
  const isHeld = (Number(fieldOf(fields, 'options') ?? 0) & CURSOR_OPT_HOLD) !== 0;
  return { effects: [{ kind: 'declare', name, prepared: preparedQuery(place, query), isHeld }] };
}

function walkFetch(place: Place, fields: Fields): Partial<Outcome> {
  const { analysis, session } = place;
  const name = textOf(fields, 'portalname') ?? '';
  const isMove = flagOf(fields, 'ismove');
  const cursor = session.cursors.get(name);
  const kind = isMove ? 'move' : 'fetch';
  // Policy may have changed since it was declared, so the query is judged again.
  if (cursor?.isPortal === true)
    return { kind, output: walkPortal(place, cursor), reads: { cursor: { name, isPortal: true } } };
  if (cursor !== undefined) {
    const then = analysis.under(lookupOf(analysis.catalog, { ...session, searchPath: cursor.searchPath }));
    refuseMasked(then.query(parsedAgain(place, cursor.prepared).fields, outermost));
  }
  if (cursor === undefined) analysis.found.runsUnseen = true;
  if (cursor === undefined && analysis.taint.isInForce && !isMove) {
    if (place.isParsed !== true)
      throw new RefusedText(
        'unknown-cursor',
        `cursor "${name}" was not declared in this session, so its columns aren't known`,
      );
    analysis.found.needsValues = true;
  }
  return { kind, reads: { cursor: { name, isPortal: false } } };
}

/** The statement of a portal, which FETCH carries on, or begins: only one that does nothing but answer rows. */
function walkPortal({ analysis, session }: Place, { prepared, searchPath }: DeclaredCursor): Output | undefined {
  const then = { ...session, searchPath };
  // Of whatever types its parameters are.
  analysis.found.runsUnseen = true;
  const inner = walkStatement(
    { analysis: analysis.under(lookupOf(analysis.catalog, then)), session: then, source: prepared },
    parsedAgain({ analysis }, prepared),
  );
  const isMore = inner.effects.length > 0 || inner.changesCatalog || inner.copy !== undefined;
  if (isMore || inner.reads !== undefined || analysis.found.settings.length > 0)
    throw new RefusedText('unknown-cursor', `FETCH and MOVE of a portal that runs ${inner.kind} are refused`, {
      hint: 'Ask the portal for its rows by Execute.',
    });
  return inner.output;
}

function walkListen({ analysis }: Place): Partial<Outcome> {
  analysis.questions.push({ action: 'postgres:notify', resource: databaseResource(analysis.place) });
  return {};
}

/** Changes nothing that lasts, so its entry is not waited for as that of a change is. */
function walkNotify({ analysis }: Place): Partial<Outcome> {
  analysis.questions.push({ action: 'postgres:notify', resource: databaseResource(analysis.place) });
  return {};
}

/** SET CONSTRAINTS runs the triggers that were deferred. */
function walkUnseen({ analysis }: Place): Partial<Outcome> {
  analysis.found.runsUnseen = true;
  return {};
}

function walkCall({ analysis }: Place, fields: Fields): Partial<Outcome> {
  analysis.found.writes = true;
  analysis.found.runsUnseen = true;
  analysis.expression({ FuncCall: fieldOf(fields, 'funccall') }, createScope(outermost));
  return {};
}

function walkDoStatement(place: Place, fields: Fields): Partial<Outcome> {
  const { analysis } = place;
  const block = analysis.taint.isInForce ? readDefinitions(fields, analysis.catalog) : undefined;
  walkDo(analysis, fields, block !== undefined);
  if (block !== undefined) walkDefinitions(place, block);
  return { effects: [{ kind: 'move', isUntold: true }, ...hidingEffectsOfBlock(analysis)], changesCatalog: true };
}

/** Each is judged as if it stood alone; what it makes is known to those behind it. */
function walkDefinitions(place: Place, { condition, statements }: DefinitionBlock): void {
  const { analysis } = place;
  if (condition !== undefined) refuseMasked(analysis.query(condition.fields, outermost));
  let { session } = place;
  for (const statement of statements) {
    const { path, creation } = lookupOf(analysis.catalog, session);
    const made = walkStatement(
      { ...place, analysis: analysis.under({ path, creation, created: session.created }), session },
      statement,
    );
    session = applySessionEffects(session, made.effects);
  }
}

/** The objects of CREATE SCHEMA are made one after the other in the new schema, where names without one are looked up first. */
function walkCreateSchema(place: Place, fields: Fields): Partial<Outcome> {
  const { analysis } = place;
  const { schemaElts, ...bare } = fields;
  walkDefinition(analysis, { kind: 'CreateSchemaStmt', fields: bare }, schemaClass);
  const effects: SessionEffect[] = [...definitionEffects(analysis, 'CreateSchemaStmt', bare)];
  const elements = listOf({ schemaElts }, 'schemaElts');
  const name = textOf(fields, 'schemaname') ?? ownerName(place, fieldsOf(fields, 'authrole'));
  if (elements.length > 0 && name === undefined) throw notUnderstood('CREATE SCHEMA AUTHORIZATION with objects in it');
  if (elements.length > 0 && analysis.taint.isInForce) throw notUnderstood('CREATE SCHEMA with objects in it');
  let session = applySessionEffects(place.session, effects);
  for (const element of elements) {
    const node = nodeOf(element);
    if (node === undefined || name === undefined || !schemaElements.has(node.kind))
      throw notUnderstood('CREATE SCHEMA');
    const path = analysis.searchPath.flatMap((schema) => (schema === 'pg_catalog' ? [schema, name] : [schema]));
    const inside = analysis.under({ path, creation: name, created: session.created });
    const made = walkStatement({ ...place, analysis: inside, session }, node);
    effects.push(...made.effects);
    session = applySessionEffects(session, made.effects);
  }
  return { effects, changesCatalog: true };
}

/** Without a name of its own a schema has that of its owner. */
function ownerName({ analysis, session }: Place, role: Fields): string | undefined {
  switch (textOf(role, 'roletype')) {
    case 'ROLESPEC_CSTRING':
      return textOf(role, 'rolename');
    case 'ROLESPEC_CURRENT_ROLE':
    case 'ROLESPEC_CURRENT_USER':
      return roleOf(analysis.catalog, session.role) ?? analysis.catalog.user;
    default:
      return undefined;
  }
}

const schemaClass = { action: 'ddl', masked: 'shape' } as const;
const schemaElements: ReadonlySet<string> = new Set([
  ...['CreateStmt', 'ViewStmt', 'IndexStmt', 'CreateSeqStmt', 'CreateTrigStmt', 'GrantStmt'],
]);

function walkCreateAs(place: Place, fields: Fields): Partial<Outcome> {
  const { analysis } = place;
  const query = childOf(fields, 'query');
  const into = fieldsOf(fields, 'into');
  let relation: CreatedRelation;
  if (query?.kind === 'SelectStmt')
    relation = asOwnTable(analysis, fields, walkStoredQuery(analysis, query.fields, into));
  else if (query?.kind === 'ExecuteStmt') {
    const { output } = walkExecute(place, query.fields);
    if (output !== undefined) refuseMasked(output);
    if (analysis.found.touchesMasked) throw maskedUse();
    askDefinition(analysis, fieldsOf(into, 'rel'));
    relation = newRelation(analysis, fieldsOf(into, 'rel'), undefined);
  } else throw notUnderstood('CREATE TABLE AS');
  return { effects: [{ kind: 'create', relation }], changesCatalog: true };
}

function walkView({ analysis }: Place, fields: Fields): Partial<Outcome> {
  const query = childOf(fields, 'query');
  if (query?.kind !== 'SelectStmt') throw notUnderstood('CREATE VIEW');
  const into = { rel: fieldsOf(fields, 'view'), colNames: listOf(fields, 'aliases') };
  askNewView(analysis, query.fields);
  const relation = walkStoredQuery(analysis, query.fields, into);
  refuseTakenPlace(analysis);
  return { effects: [{ kind: 'create', relation }], changesCatalog: true };
}

function refuseFull(held: readonly PreparedStatement[], what: string): void {
  if (held.length < sessionNamesMax && charactersOf(held) < sessionCharactersMax) return;
  throw new RefusedText('session-limit', `this session holds ${held.length} ${what}, the most allowed`, {
    sqlstate: '53400',
  });
}

function preparedQuery({ source: { text, index } }: Place, { kind }: Node): PreparedStatement {
  return { kind, text, index, isQuery: true };
}

function parsedAgain({ analysis }: Pick<Place, 'analysis'>, prepared: PreparedStatement): Node {
  const node = nodeOfPrepared(prepared, analysis.trees);
  if (node?.kind !== prepared.kind) throw notUnderstood('a prepared statement');
  return node;
}

/** Texts that a session holds in SQL's own PREPARE and DECLARE, two bytes a character at most. */
const sessionCharactersMax = 8 << 20;
/** With any other clause a call might run more or less often than once. */
const plainSelectFields: ReadonlySet<string> = new Set(['targetList', 'limitOption', 'op']);
/** As the grammar numbers the options of DECLARE. */
const CURSOR_OPT_HOLD = 0x20;
