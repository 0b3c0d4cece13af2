import { type EntityRef, noObligations } from '../../../../model/index.ts';
import { maskCovers, type PotentialMask } from '../../../../policy/index.ts';
import { createCacheBudget } from '../../../../std/index.ts';
import type { AskedQuestion, AskedQuestions } from '../../../protocol.ts';
import type { Catalog, Relation } from './catalog/catalog.ts';
import { tableMasks } from './masks/table-masks.ts';
import type { Decider } from './plan.ts';
import { createPlanner } from './planner.ts';
import { RefusedText } from './refusal.ts';
import { databaseResource, type Place, tableResource } from './resources.ts';
import { noSessionFacts } from './session/facts.ts';
import { parseText } from './text/parse.ts';
import { type Fields, fieldOf, fieldsOf, isFields, listOf, stringOf, textOf } from './text/tree.ts';

/**
 * The questions that a text raises at a database of which nothing is known: the gateway's own analysis, on a catalog that has just what the text
 * names, and for `*` of what `columnsOf` knows besides. Tables without a schema are those of `public`, functions without one PostgreSQL's own.
 * `loadParser` first.
 */
export function askedAsWritten(
  sql: string,
  place: Place,
  columnsOf: (table: EntityRef) => readonly string[] = () => [],
): AskedQuestions {
  let names: Names;
  try {
    names = namesIn(parseText(sql).map(({ fields }) => fields));
  } catch (error) {
    if (error instanceof RefusedText) return { ok: false, why: error.message };
    throw error;
  }
  const whole = new Set<string>();
  for (const { schema, name, isWhole, columns } of names.tables.values()) {
    if (!isWhole) continue;
    const table = tableResource(place, schema, name);
    whole.add(table.id);
    for (const column of columnsOf(table)) columns.add(column);
  }
  const asked = new Map<string, AskedQuestion>();
  let version = 1;
  const decider: Decider = {
    version,
    policySet: undefined,
    principalKey: '',
    decide(action, resource, context) {
      const isOpen = Array.isArray(context['columns']) && action === READING && whole.has(resource.id);
      const question = { action, resource, context };
      asked.set(`${action} ${resource.id}`, isOpen ? { ...question, open: ['columns'] } : question);
      return { allow: true, policies: [], obligations: noObligations };
    },
    potentialMasks: () => [],
  };
  const planner = createPlanner({ ...place, caches: createCacheBudget(CACHE_BYTES) });
  const planUnder = (by: Decider, masks: readonly PotentialMask[]) =>
    planner.plan({
      sql,
      mode: 'simple',
      catalog: catalogOf(names, place, masks),
      decider: by,
      session: noSessionFacts,
    });
  const plan = planUnder(decider, []);
  if (plan.verdict === 'refuse') return { ok: false, why: plan.message };
  // The planner asks more than the statement does, to know what it could be.
  const touches = plan.statements.flatMap((statement) => statement.touches);
  const questions = Array.from(new Set(touches.map(({ action, resource }) => `${action} ${resource}`)));
  return {
    ok: true,
    questions: [
      { action: 'postgres:connect', resource: databaseResource(place), context: {} },
      ...questions.flatMap((key) => asked.get(key) ?? []),
    ],
    refusedUnder(policy) {
      // A planner keeps what it found under a version: these are other policies each time.
      const under = planUnder(
        { version: ++version, policySet: undefined, principalKey: '', ...policy },
        policy.potentialMasks(),
      );
      return under.verdict === 'refuse' ? under.message : undefined;
    },
    notes: notesOn(
      names,
      plan.statements.flatMap(({ unknown }) => unknown),
    ),
  };
}

interface Names {
  /** Columns by table, `schema.name`, in the order in which tables are named. */
  readonly tables: Map<string, NamedTable>;
  /** Those without a schema. */
  readonly functions: Set<string>;
  /** By name, with their schemas. */
  readonly ownFunctions: Map<string, { readonly schema: string; readonly isProcedure: boolean }>;
  readonly withoutTable: Set<string>;
}

interface NamedTable {
  readonly schema: string;
  readonly name: string;
  readonly columns: Set<string>;
  /** All of its columns are read. */
  isWhole: boolean;
}

function namesIn(statements: readonly Fields[]): Names {
  const names: Names = {
    ...{ tables: new Map(), functions: new Set(), ownFunctions: new Map(), withoutTable: new Set() },
  };
  for (const fields of statements) addStatement(fields, names);
  return names;
}

/** Names of one statement: its tables first, since columns are told by them. */
function addStatement(statement: Fields, names: Names): void {
  const expressions = new Set<string>();
  walk(statement, (fields) => {
    const name = textOf(fields, 'ctename');
    if (name !== undefined) expressions.add(name);
  });
  const called = new Map<string, NamedTable>();
  const read: NamedTable[] = [];
  const filled = new Set<unknown>();
  walk(statement, (fields) => {
    // What an INSERT names is no table that its query reads.
    if ('selectStmt' in fields || 'cols' in fields) filled.add(fieldOf(fields, 'relation'));
    const name = textOf(fields, 'relname');
    const schema = textOf(fields, 'schemaname');
    if (name === undefined || (schema === undefined && expressions.has(name))) return;
    const key = `${schema ?? DEFAULT_SCHEMA}.${name}`;
    const fresh = { schema: schema ?? DEFAULT_SCHEMA, name, columns: new Set<string>(), isWhole: false };
    const table = names.tables.get(key) ?? fresh;
    names.tables.set(key, table);
    if (filled.has(fields)) called.set(EXCLUDED, table);
    else read.push(table);
    called.set(textOf(fieldsOf(fields, 'alias'), 'aliasname') ?? name, table);
  });
  const [first = Array.from(called.values())[0]] = read;
  const from = { called, read, first, isAlone: new Set(called.values()).size === 1 };
  walk(statement, (fields) => {
    addWritten(fields, called);
    addReference(fields, names, from);
    addFunction(fields, names);
  });
}

/** Columns that are set, filled or copied: all that is named below the statement, since what is no column of it is never asked for. */
function addWritten(fields: Fields, called: ReadonlyMap<string, NamedTable>): void {
  const relation = fieldsOf(fields, 'relation');
  const table = called.get(textOf(fieldsOf(relation, 'alias'), 'aliasname') ?? textOf(relation, 'relname') ?? '');
  if (table === undefined) return;
  for (const column of listOf(fields, 'attlist')) table.columns.add(stringOf(column) ?? '');
  walk(fields, (inner) => {
    const name = textOf(fieldsOf(inner, 'ResTarget'), 'name');
    if (name !== undefined) table.columns.add(name);
  });
}

function addReference(
  fields: Fields,
  names: Names,
  from: {
    readonly called: ReadonlyMap<string, NamedTable>;
    readonly read: readonly NamedTable[];
    readonly first: NamedTable | undefined;
    readonly isAlone: boolean;
  },
): void {
  const parts = fieldOf(fields, 'ColumnRef');
  if (!isFields(parts)) return;
  const path = listOf(parts, 'fields');
  const [column, table] = path.map((part) => stringOf(part)).toReversed();
  if (path.some((part) => isFields(part) && 'A_Star' in part)) {
    const one = table === undefined ? undefined : from.called.get(table);
    for (const each of one === undefined ? from.read : [one]) each.isWhole = true;
    return;
  }
  if (column === undefined) return;
  if (table !== undefined) from.called.get(table)?.columns.add(column);
  else {
    if (!from.isAlone) names.withoutTable.add(column);
    from.first?.columns.add(column);
  }
}

function addFunction(fields: Fields, names: Names): void {
  const procedure = fieldsOf(fields, 'funccall');
  const isProcedure = listOf(procedure, 'funcname').length > 0;
  const call = isProcedure ? procedure : fieldsOf(fields, 'FuncCall');
  const [name, schema] = listOf(call, 'funcname')
    .map((part) => stringOf(part))
    .toReversed();
  if (name === undefined || schema === 'pg_catalog') return;
  if (schema === undefined && !isProcedure) names.functions.add(name);
  else names.ownFunctions.set(name, { schema: schema ?? DEFAULT_SCHEMA, isProcedure });
}

function walk(value: unknown, visit: (fields: Fields) => void): void {
  if (Array.isArray(value)) for (const one of value) walk(one, visit);
  else if (isFields(value)) {
    visit(value);
    for (const one of Object.values(value)) walk(one, visit);
  }
}

/** A masked column is taken to be there: that one is not would be another refusal. */
function catalogOf({ tables, functions, ownFunctions }: Names, place: Place, masks: readonly PotentialMask[]): Catalog {
  const relations = Array.from(
    tables.values(),
    ({ schema, name, columns }, index): Relation => ({
      ...{ oid: index + 1, schema, name, kind: 'r' },
      columns: Array.from(withMasked(columns, masks, tableResource(place, schema, name)), (column, at) => ({
        name: column,
        attributeNumber: at + 1,
        generated: undefined,
      })),
      ...{ definition: undefined, hasRules: false, runsCode: false, hasOwnTypes: false },
    }),
  );
  const own = Array.from(ownFunctions, ([name, { schema, isProcedure }]) => {
    const facts = { schema, name, isProcedure, language: 'sql', argumentsMin: 0, argumentsMax: ARGUMENTS_MAX };
    return [name, [{ ...facts, extension: undefined }]] as const;
  });
  return {
    ...{ version: 1, database: '', searchPath: [DEFAULT_SCHEMA], searchPathSetting: DEFAULT_SCHEMA },
    ...{
      hasEventTriggers: false,
      hasDeferrableTriggers: false,
      hiddenTypes: new Set<string>(),
      user: '',
      encoding: { name: 'UTF8', bytesMax: 4, foldsLetters: false },
    },
    schemas: new Set([DEFAULT_SCHEMA, ...relations.map(({ schema }) => schema)]),
    relations: new Map(relations.map((relation) => [relation.oid, relation])),
    relation: (schema, name) => relations.find((one) => one.schema === schema && one.name === name),
    hasSchema: (schema) => relations.some((one) => one.schema === schema),
    ...{ systemRelations: () => undefined, changesSince: () => undefined },
    ...{ dependencies: () => [], parents: () => [], children: () => [], referencing: () => [] },
    functions: {
      functions: new Map(own),
      builtins: new Map(Array.from(functions, (name) => [name, 'immutable'] as const)),
      ...{ operators: new Map(), casts: [], builtinTypes: new Set() },
    },
  };
}

function withMasked(
  columns: ReadonlySet<string>,
  masks: readonly PotentialMask[],
  table: EntityRef,
): ReadonlySet<string> {
  const covering = tableMasks(masks).filter((mask) => maskCovers(mask, table));
  return new Set([...columns, ...covering.map(({ column }) => column.name)]);
}

function notesOn({ tables, functions, withoutTable }: Names, unknown: readonly string[]): readonly string[] {
  const hasStar = Array.from(tables.values()).some(({ isWhole }) => isWhole);
  const isUnqualified = Array.from(tables.values()).some(({ schema }) => schema === DEFAULT_SCHEMA);
  return [
    ...(isUnqualified ? [`tables without a schema are taken for those of ${DEFAULT_SCHEMA}`] : []),
    ...(hasStar
      ? ['* is taken for the columns that the statement and the policies name; the table may have more']
      : []),
    ...(withoutTable.size > 0
      ? [
          `columns without a table are taken for those of the first one that is read: ${Array.from(withoutTable).join(', ')}`,
        ]
      : []),
    ...(functions.size > 0 ? [`taken for functions of PostgreSQL itself: ${Array.from(functions).join(', ')}`] : []),
    ...unknown.map((what) => `as far as can be told, ${what}`),
  ];
}

const READING = 'postgres:select';
const DEFAULT_SCHEMA = 'public';
/** The row that an INSERT would have made. */
const EXCLUDED = 'excluded';
const ARGUMENTS_MAX = 100;
/** The planner keeps nothing that is asked for again. */
const CACHE_BYTES = 1 << 16;
