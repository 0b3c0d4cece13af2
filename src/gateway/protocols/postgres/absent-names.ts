import {
  didYouMean,
  type MaskedColumn,
  type PolicyName,
  type PolicyNames,
  type PotentialMask,
  partsOfId,
} from '../../../policy/index.ts';
import type { Catalog } from './sql/index.ts';

/** A name in a forbid, or in a permit with masks, that nothing at the target has: the policy, or the mask, keeps nothing back there. */
export interface AbsentName {
  readonly policy: string;
  /** `table "public.custmers" of database "shop"`. */
  readonly name: string;
  /** `did you mean "public.customers"?` */
  readonly help: string | undefined;
}

/** One target, as far as it is known. */
export interface KnownTarget {
  readonly name: string;
  /** The databases that it serves. */
  readonly databases: readonly string[];
  /** The newest snapshot of each database that one was taken of. Of the others nothing is said. */
  readonly catalogs: ReadonlyMap<string, Catalog>;
}

/**
 * The names of databases, schemas, tables, functions and masked columns of that target which are not there: the first `namesMax`, each once
 * for a policy.
 */
export function absentNames(
  { entities, masks }: PolicyNames,
  target: KnownTarget,
  namesMax: number,
): readonly AbsentName[] {
  const indexes = new Map(
    Array.from(target.catalogs, ([database, catalog]) => [database, lazily(() => indexOf(catalog))]),
  );
  const found = new Map<string, AbsentName>();
  const add = (policy: string, absent: Omit<AbsentName, 'policy'> | undefined) => {
    if (absent !== undefined) found.set(JSON.stringify([policy, absent.name]), { policy, ...absent });
  };
  for (const entity of entities) {
    if (found.size >= namesMax) break;
    if (entity.hides) add(entity.policy, absentEntity(entity, { target, indexes }));
  }
  for (const mask of masks) {
    if (found.size >= namesMax) break;
    add(mask.policy, absentColumn(mask, { target, indexes }));
  }
  return Array.from(found.values());
}

interface Facts {
  readonly target: KnownTarget;
  /** Made when first asked for: most policies name nothing here. */
  readonly indexes: ReadonlyMap<string, () => CatalogIndex>;
}

type Absent = Omit<AbsentName, 'policy'> | undefined;

function absentEntity({ type, id }: PolicyName, { target, indexes }: Facts): Absent {
  // Most of ten thousand policies are about other targets: those ids are not taken apart for each target.
  if (!TYPES.has(type) || !id.startsWith(target.name)) return undefined;
  const [name, database = '', schema, object] = partsOfId(id);
  if (name !== target.name) return undefined;
  if (!target.databases.includes(database))
    return { name: `database ${JSON.stringify(database)}`, help: didYouMean(database, target.databases) };
  if (schema === undefined || isSystem(schema)) return undefined;
  const index = indexes.get(database)?.();
  if (index === undefined) return undefined;
  const of = `of database ${JSON.stringify(database)}`;
  if (object === undefined) {
    if (index.schemas.has(schema)) return undefined;
    return { name: `schema ${JSON.stringify(schema)} ${of}`, help: didYouMean(schema, index.schemas) };
  }
  const [kind, qualified] = [type === FUNCTION ? 'function' : 'table', qualify(schema, object)];
  const known = type === FUNCTION ? index.functions : index.tables;
  if (known.has(qualified)) return undefined;
  return { name: `${kind} ${JSON.stringify(qualified)} ${of}`, help: didYouMean(qualified, known) };
}

/**
 * A mask of a policy on several tables: a qualified column whose table none of them is, a bare one that none of them has. What a policy on one
 * table masks is refused together with the table when it is not there.
 */
function absentColumn({ column, scope }: PotentialMask, { target, indexes }: Facts): Absent {
  if ((scope.op !== 'equals' && scope.op !== 'in') || !PLACES.has(scope.type)) return undefined;
  const [name, database, schema] = partsOfId(scope.id);
  if (name !== target.name) return undefined;
  const databases = database === undefined ? target.databases : [database];
  // A mask on a whole target finds its table in any of the databases; those not looked into may have it.
  const looked = databases.flatMap((one) => indexes.get(one)?.() ?? []);
  if (looked.length < databases.length || looked.some((index) => index.has(column, schema))) return undefined;
  const within = database === undefined ? `target ${JSON.stringify(name)}` : `database ${JSON.stringify(database)}`;
  const wanted = column.table === undefined ? column.name : qualify(column.schema ?? schema, column.table);
  const known = looked.flatMap((index) => index.like(column, schema));
  const kind = column.table === undefined ? 'column' : 'table';
  return { name: `masked ${kind} ${JSON.stringify(wanted)} of ${within}`, help: didYouMean(wanted, known) };
}

function lazily<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

interface CatalogIndex {
  /** That some table or function is in. */
  readonly schemas: ReadonlySet<string>;
  /** `schema.name`. */
  readonly tables: ReadonlySet<string>;
  readonly functions: ReadonlySet<string>;
  /** Whether the mask's table is there or, if it names none, a table that has such a column. */
  has(column: MaskedColumn, schema: string | undefined): boolean;
  /** Names of the same kind that are there. */
  like(column: MaskedColumn, schema: string | undefined): readonly string[];
}

function indexOf(catalog: Catalog): CatalogIndex {
  const relations = Array.from(catalog.relations.values());
  const functions = Array.from(catalog.functions.functions.values()).flat();
  const reached = (column: MaskedColumn, schema: string | undefined) =>
    relations.filter(
      (relation) =>
        (schema === undefined || relation.schema === schema) &&
        (column.schema === undefined || relation.schema === column.schema),
    );
  const like = (column: MaskedColumn, schema: string | undefined): readonly string[] => {
    const among = reached(column, schema);
    if (column.table === undefined) return among.flatMap(({ columns }) => columns.map(({ name }) => name));
    const isQualified = (column.schema ?? schema) !== undefined;
    return among.map((relation) => (isQualified ? qualify(relation.schema, relation.name) : relation.name));
  };
  // Thousands of policies may mask columns of a large database; a walk over its tables for each would hold up all sessions.
  const ofTables = lazily(() => schemasBy(relations.map(({ schema, name }) => [name, schema])));
  const ofColumns = lazily(() =>
    schemasBy(relations.flatMap(({ schema, columns }) => columns.map(({ name }) => [name, schema] as const))),
  );
  return {
    schemas: new Set([...relations, ...functions].map(({ schema }) => schema)),
    tables: new Set(relations.map(({ schema, name }) => qualify(schema, name))),
    functions: new Set(functions.map(({ schema, name }) => qualify(schema, name))),
    like,
    has(column, schema) {
      const found = column.table === undefined ? ofColumns().get(column.name) : ofTables().get(column.table);
      const wanted = column.schema ?? schema;
      if (found === undefined || (schema !== undefined && schema !== wanted)) return false;
      return wanted === undefined || found.has(wanted);
    },
  };
}

/** The schemas that have something of a name. */
function schemasBy(named: Iterable<readonly [name: string, schema: string]>): ReadonlyMap<string, ReadonlySet<string>> {
  const found = new Map<string, Set<string>>();
  for (const [name, schema] of named) found.set(name, (found.get(name) ?? new Set()).add(schema));
  return found;
}

/** For people, and as a key: a name with a dot in it may stand for another, which then is thought to be there. */
function qualify(schema: string | undefined, name: string): string {
  return schema === undefined ? name : `${schema}.${name}`;
}

/** Its tables are not all in a snapshot, and none of them is anybody's own. */
function isSystem(schema: string): boolean {
  return schema.startsWith('pg_') || schema === 'information_schema';
}

const FUNCTION = 'Postgres::Function';
const TYPES: ReadonlySet<string> = new Set(['Postgres::Database', 'Postgres::Schema', 'Postgres::Table', FUNCTION]);
/** What several tables are in. */
const PLACES: ReadonlySet<string> = new Set(['Target', 'Postgres::Database', 'Postgres::Schema']);
