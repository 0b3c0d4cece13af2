import { createHash } from 'node:crypto';
import type { Catalog, Column, Dependency, Relation } from './catalog.ts';
import type { FunctionFacts } from './catalog-functions.ts';
import { type CatalogQueryName, catalogQueries } from './catalog-queries.ts';
import { SqlError } from './errors.ts';

type Row = readonly (string | null)[];
/** Rows by query name, as the catalog queries gave them. */
type Results = ReadonlyMap<string, readonly Row[]>;

/** SHA-256, hex, of the answers: equal digests mean equal snapshots, so the old one (and its verdicts) can stay. */
export function catalogDigest(results: Results): string {
  const hash = createHash('sha256');
  for (const { name } of catalogQueries) hash.update(JSON.stringify(results.get(name) ?? null)).update('\n');
  return hash.digest('hex');
}

/**
 * A snapshot from the answers to `catalogQueries`, rows in text form, NULL as null.
 * @throws SqlError ERR_SQL_CATALOG when one that isn't optional is missing or malformed
 */
export function buildCatalog(results: Results, version: number): Catalog {
  const rows = createReader(results);
  const settings = rows('settings', 6)[0];
  if (settings === undefined) throw malformed('settings', 'no row');
  const [database, searchPathSetting, schemas, conforming, , pathOfNextLogin] = settings;
  // With it off, backslashes end strings elsewhere than the parser thinks: nothing would be understood.
  if (conforming !== 'on') throw malformed('settings', 'standard_conforming_strings must be on');
  if (pathOfNextLogin !== 'true' && pathOfNextLogin !== 'false')
    throw malformed('settings', 'nothing said of the search path of the next login');
  const { relations, bySchema, systemNames } = readRelations(rows);
  const edges = readEdges(rows, relations);
  return {
    version,
    database: text(database, 'settings'),
    searchPath: parseSchemas(text(schemas, 'settings')),
    searchPathSetting: text(searchPathSetting, 'settings'),
    relations,
    relation: (schema, name) => bySchema.get(schema)?.get(name),
    systemRelations: (schema) => systemNames.get(schema),
    ...edges,
    functions: readFunctions(rows),
  };
}

type Reader = (name: CatalogQueryName, width: number) => readonly Row[];

function createReader(results: Results): Reader {
  return (name, width) => {
    const rows = results.get(name);
    if (rows === undefined) {
      if (catalogQueries.find((query) => query.name === name)?.optional === true) return [];
      throw malformed(name, 'no answer');
    }
    for (const row of rows)
      if (row.length !== width) throw malformed(name, `a row of ${row.length} columns, not ${width}`);
    return rows;
  };
}

function readRelations(rows: Reader) {
  const definitions = new Map(
    rows('definitions', 2).map(([oid, sql]) => [number(oid, 'definitions'), sql ?? undefined]),
  );
  const columns = readColumns(rows);
  const relations = new Map<number, Relation>();
  const bySchema = new Map<string, Map<string, Relation>>();
  const systemNames = new Map<string, Set<string>>(systemSchemas.map((schema) => [schema, new Set<string>()]));
  for (const [oidText, schemaText, nameText, kind, hasRules] of rows('relations', 5)) {
    const oid = number(oidText, 'relations');
    const schema = text(schemaText, 'relations');
    const name = text(nameText, 'relations');
    const system = systemNames.get(schema);
    if (system !== undefined) {
      system.add(name);
      continue;
    }
    const relation: Relation = {
      oid,
      schema,
      name,
      kind: text(kind, 'relations'),
      columns: columns.get(oid) ?? [],
      definition: definitions.get(oid),
      hasRules: hasRules === 'true',
    };
    relations.set(oid, relation);
    const inSchema = bySchema.get(schema) ?? new Map<string, Relation>();
    bySchema.set(schema, inSchema.set(name, relation));
  }
  return { relations, bySchema, systemNames };
}

function readColumns(rows: Reader): Map<number, Column[]> {
  const columns = new Map<number, Column[]>();
  for (const [oid, attributeNumber, name, generated] of rows('columns', 4)) {
    const key = number(oid, 'columns');
    const list = columns.get(key) ?? [];
    list.push({
      name: text(name, 'columns'),
      attributeNumber: number(attributeNumber, 'columns'),
      generated: generated ?? undefined,
    });
    columns.set(key, list);
  }
  return columns;
}

function readEdges(rows: Reader, relations: ReadonlyMap<number, Relation>) {
  const dependencies = new Map<number, Map<number, string[]>>();
  for (const [oid, on, column] of rows('dependencies', 3)) {
    const key = number(oid, 'dependencies');
    const other = number(on, 'dependencies');
    const of = dependencies.get(key) ?? new Map<number, string[]>();
    dependencies.set(key, of);
    const columns = of.get(other) ?? [];
    if (column !== undefined && column !== null) columns.push(column);
    of.set(other, columns);
  }
  const parents = new Map<number, Relation[]>();
  const children = new Map<number, Relation[]>();
  for (const [childOid, parentOid] of rows('inheritance', 2)) {
    const child = relations.get(number(childOid, 'inheritance'));
    const parent = relations.get(number(parentOid, 'inheritance'));
    if (child === undefined || parent === undefined) continue;
    append(parents, child.oid, parent);
    append(children, parent.oid, child);
  }
  const referencing = new Map<number, Relation[]>();
  for (const [fromOid, toOid] of rows('foreign-keys', 2)) {
    const from = relations.get(number(fromOid, 'foreign-keys'));
    if (from !== undefined) append(referencing, number(toOid, 'foreign-keys'), from);
  }
  return {
    dependencies: (oid: number) => listDependencies(dependencies.get(oid), relations),
    parents: (oid: number) => parents.get(oid) ?? [],
    children: (oid: number) => children.get(oid) ?? [],
    referencing: (oid: number) => referencing.get(oid) ?? [],
  };
}

function listDependencies(
  of: ReadonlyMap<number, readonly string[]> | undefined,
  relations: ReadonlyMap<number, Relation>,
): readonly Dependency[] {
  const list: Dependency[] = [];
  for (const [oid, columns] of of ?? []) {
    const relation = relations.get(oid);
    if (relation !== undefined) list.push({ relation, columns });
  }
  return list;
}

function readFunctions(rows: Reader): FunctionFacts {
  const functions: Map<
    string,
    FunctionFacts['functions'] extends ReadonlyMap<string, readonly (infer One)[]> ? One[] : never
  > = new Map();
  for (const [schema, name, kind, language, count, defaults, isVariadic, extension] of rows('functions', 8)) {
    const argumentCount = number(count, 'functions');
    append(functions, text(name, 'functions'), {
      schema: text(schema, 'functions'),
      name: text(name, 'functions'),
      isProcedure: kind === 'p',
      language: text(language, 'functions'),
      argumentsMin: argumentCount - number(defaults, 'functions') - (isVariadic === 'true' ? 1 : 0),
      argumentsMax: isVariadic === 'true' ? Number.POSITIVE_INFINITY : argumentCount,
      extension: extension ?? undefined,
    });
  }
  const operators: Map<string, { schema: string; name: string; extension: string | undefined }[]> = new Map();
  for (const [schema, name, extension] of rows('operators', 3))
    append(operators, text(name, 'operators'), {
      schema: text(schema, 'operators'),
      name: text(name, 'operators'),
      extension: extension ?? undefined,
    });
  const casts = rows('casts', 5).map(([source, target, isOwnSource, isOwnTarget, extension]) => {
    const types = [
      { name: text(source, 'casts'), isOwn: isOwnSource === 'true' },
      { name: text(target, 'casts'), isOwn: isOwnTarget === 'true' },
    ];
    const own = types.filter(({ isOwn }) => isOwn);
    return { types: (own.length > 0 ? own : types).map(({ name }) => name), extension: extension ?? undefined };
  });
  const builtins = new Map(
    rows('builtin-functions', 2).map(([name, volatility]) => [
      text(name, 'builtin-functions'),
      volatility === 'i' ? ('immutable' as const) : volatility === 's' ? ('stable' as const) : ('volatile' as const),
    ]),
  );
  const builtinTypes = new Set(rows('builtin-types', 1).map(([name]) => text(name, 'builtin-types')));
  return { functions, operators, casts, builtins, builtinTypes };
}

function append<Key, Value>(map: Map<Key, Value[]>, key: Key, value: Value): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

function text(value: string | null | undefined, query: CatalogQueryName): string {
  if (value === null || value === undefined) throw malformed(query, 'NULL where a text must be');
  return value;
}

function number(value: string | null | undefined, query: CatalogQueryName): number {
  const parsed = Number(value);
  if (value === null || value === undefined || value === '' || !Number.isInteger(parsed))
    throw malformed(query, `${JSON.stringify(value)} where a whole number must be`);
  return parsed;
}

function parseSchemas(json: string): readonly string[] {
  try {
    const list: unknown = JSON.parse(json);
    if (Array.isArray(list) && list.every((item) => typeof item === 'string')) return list;
  } catch (cause) {
    throw new SqlError('ERR_SQL_CATALOG', 'catalog query settings: the search path is no JSON', { cause });
  }
  throw malformed('settings', 'the search path is no list of names');
}

function malformed(query: CatalogQueryName, what: string): SqlError {
  return new SqlError('ERR_SQL_CATALOG', `catalog query ${query}: ${what}`);
}

const systemSchemas = ['pg_catalog', 'information_schema'];
