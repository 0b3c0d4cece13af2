import { didYouMean, type PolicyName, type PolicyNames, partsOfId } from '../../../../policy/index.ts';
import { type Catalog, type MaskedColumn, type TableMask, tableMasks } from '../sql/index.ts';

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
 * for a policy. `helpFor` may remember what was found to be meant: a large database has many names to compare with.
 */
export function absentNames(
  { entities, masks }: PolicyNames,
  target: KnownTarget,
  { namesMax, helpFor }: { readonly namesMax: number; readonly helpFor: HelpFor },
): readonly AbsentName[] {
  const indexes = new Map(
    Array.from(target.catalogs, ([database, catalog]) => [database, lazily(() => indexOf(catalog))]),
  );
  const found = new Map<string, AbsentName>();
  const add = (policy: string, absent: Absent) => {
    if (absent === undefined) return;
    const { name } = absent;
    found.set(JSON.stringify([policy, name]), { policy, name, help: helpFor(name, absent.help) });
  };
  for (const entity of entities) {
    if (found.size >= namesMax) break;
    if (entity.hides) add(entity.policy, absentEntity(entity, { target, indexes }));
  }
  for (const mask of tableMasks(masks)) {
    if (found.size >= namesMax) break;
    add(mask.policy, absentColumn(mask, { target, indexes }));
  }
  return Array.from(found.values());
}

/** What is meant by a name that is not there; `find` looks for it. */
export type HelpFor = (name: string, find: () => string | undefined) => string | undefined;

interface Facts {
  readonly target: KnownTarget;
  /** Made when first asked for: most policies name nothing here. */
  readonly indexes: ReadonlyMap<string, () => CatalogIndex>;
}

type Absent = { readonly name: string; readonly help: () => string | undefined } | undefined;

function absentEntity({ type, id }: PolicyName, { target, indexes }: Facts): Absent {
  // Most of ten thousand policies are about other targets: those ids are not taken apart for each target.
  if (!TYPES.has(type) || !id.startsWith(target.name)) return undefined;
  const [name, database = '', schema, object] = partsOfId(id);
  if (name !== target.name) return undefined;
  if (!target.databases.includes(database))
    return { name: `database ${JSON.stringify(database)}`, help: () => didYouMean(database, target.databases) };
  if (schema === undefined || isSystem(schema)) return undefined;
  const index = indexes.get(database)?.();
  if (index === undefined) return undefined;
  const of = `of database ${JSON.stringify(database)}`;
  if (object === undefined) {
    if (index.hasSchema(schema)) return undefined;
    return { name: `schema ${JSON.stringify(schema)} ${of}`, help: () => didYouMean(schema, index.schemas()) };
  }
  const [kind, known, has] =
    type === FUNCTION
      ? (['function', index.functions, index.hasFunction] as const)
      : (['table', index.tables, index.hasTable] as const);
  if (has(schema, object)) return undefined;
  const qualified = qualify(schema, object);
  return { name: `${kind} ${JSON.stringify(qualified)} ${of}`, help: () => didYouMean(qualified, known()) };
}

/**
 * A mask of a policy on several tables: a qualified column whose table none of them is, a bare one that none of them has. What a policy on one
 * table masks is refused together with the table when it is not there.
 */
function absentColumn({ column, scope }: TableMask, { target, indexes }: Facts): Absent {
  if ((scope.op !== 'equals' && scope.op !== 'in') || !PLACES.has(scope.type)) return undefined;
  const [name, database, schema] = partsOfId(scope.id);
  if (name !== target.name) return undefined;
  const databases = database === undefined ? target.databases : [database];
  // A mask on a whole target finds its table in any of the databases; those not looked into may have it.
  const looked = databases.flatMap((one) => indexes.get(one)?.() ?? []);
  if (looked.length < databases.length || looked.some((index) => index.hasMasked(column, schema))) return undefined;
  const within = database === undefined ? `target ${JSON.stringify(name)}` : `database ${JSON.stringify(database)}`;
  const wanted = column.table === undefined ? column.name : qualify(column.schema ?? schema, column.table);
  const known = () => looked.flatMap((index) => index.like(column, schema));
  const kind = column.table === undefined ? 'column' : 'table';
  return { name: `masked ${kind} ${JSON.stringify(wanted)} of ${within}`, help: () => didYouMean(wanted, known()) };
}

function lazily<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

/** A catalog as it is asked here. Of a large one little is looked at as long as what is named is there. */
interface CatalogIndex {
  /** A table or a function is in it. */
  hasSchema(schema: string): boolean;
  hasTable(schema: string, name: string): boolean;
  hasFunction(schema: string, name: string): boolean;
  /** Whether the mask's table is there or, if it names none, a table that has such a column. */
  hasMasked(column: MaskedColumn, schema: string | undefined): boolean;
  /** Names of the same kind that are there. */
  readonly schemas: () => ReadonlySet<string>;
  readonly tables: () => readonly string[];
  readonly functions: () => readonly string[];
  like(column: MaskedColumn, schema: string | undefined): readonly string[];
}

function indexOf(catalog: Catalog): CatalogIndex {
  const { functions } = catalog.functions;
  const allFunctions = lazily(() => Array.from(functions.values()).flat());
  const relations = () => catalog.relations.values();
  const schemas = lazily(() => new Set([...relations(), ...allFunctions()].map(({ schema }) => schema)));
  const reached = (column: MaskedColumn, schema: string | undefined) =>
    Array.from(relations()).filter(
      (relation) =>
        (schema === undefined || relation.schema === schema) &&
        (column.schema === undefined || relation.schema === column.schema),
    );
  return {
    schemas,
    tables: lazily(() => Array.from(relations(), ({ schema, name }) => qualify(schema, name))),
    functions: lazily(() => allFunctions().map(({ schema, name }) => qualify(schema, name))),
    hasSchema: (schema) => catalog.hasSchema(schema) || schemas().has(schema),
    hasTable: (schema, name) => catalog.relation(schema, name) !== undefined,
    hasFunction: (schema, name) => functions.get(name)?.some((one) => one.schema === schema) ?? false,
    hasMasked: createMaskedLookup(catalog, () => Array.from(schemas())),
    like(column, schema) {
      const among = reached(column, schema);
      if (column.table === undefined) return among.flatMap(({ columns }) => columns.map(({ name }) => name));
      const isQualified = (column.schema ?? schema) !== undefined;
      return among.map((relation) => (isQualified ? qualify(relation.schema, relation.name) : relation.name));
    },
  };
}

function createMaskedLookup(catalog: Catalog, schemas: () => readonly string[]): CatalogIndex['hasMasked'] {
  // Thousands of policies may mask columns of a large database; a walk over its tables for each would hold up all sessions.
  const ofColumns = lazily(() => {
    const found = new Map<string, Set<string>>();
    for (const { schema, columns } of catalog.relations.values())
      for (const { name } of columns) {
        const schemas = found.get(name);
        if (schemas === undefined) found.set(name, new Set([schema]));
        else schemas.add(schema);
      }
    return found;
  });
  return ({ table, name, schema: own }, schema) => {
    const wanted = own ?? schema;
    if (schema !== undefined && schema !== wanted) return false;
    if (table === undefined) {
      const found = ofColumns().get(name);
      return found !== undefined && (wanted === undefined || found.has(wanted));
    }
    const among = wanted === undefined ? schemas() : [wanted];
    return among.some((one) => catalog.relation(one, table) !== undefined);
  };
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
