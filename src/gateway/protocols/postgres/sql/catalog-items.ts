/** Reads the items of the catalog queries: JSON that the server made, so what does not fit is a server that is no PostgreSQL. */
import type { Column } from './catalog.ts';
import type { UserCast, UserFunction, UserOperator } from './catalog-functions.ts';
import type { CatalogQueryName } from './catalog-queries.ts';
import { createCodeReader } from './code-text.ts';
import { SqlError } from './errors.ts';

type Item = readonly unknown[];

/** A relation without what other queries tell of it. */
export interface RelationItem {
  readonly schema: string;
  readonly name: string;
  readonly kind: string;
  readonly hasRules: boolean;
  readonly hasUnseenCode: boolean;
  readonly code: readonly number[];
  readonly hasOwnTypes: boolean;
  readonly hasTriggers: boolean;
  readonly columns: readonly Column[];
}

/** Foreign keys of a table: all that they refer to, and what of that changes the table's rows with its own. */
export interface ReferenceItem {
  readonly to: readonly number[];
  readonly acting: readonly number[];
}

/** What a view or a rule reads: another relation's OID and the names of its columns. */
export interface Read {
  readonly oid: number;
  readonly columns: readonly string[];
}

/** Reads relations; most columns of a database are like many others, and are held once for all that are read by one reader. */
export function createRelationReader(): (item: Item) => readonly [number, RelationItem] {
  const shared = new Map<string, Column>();
  const share = (column: Column) => {
    if (column.generated !== undefined) return column;
    const key = `${column.attributeNumber} ${column.name}`;
    const known = shared.get(key);
    if (known === undefined) shared.set(key, column);
    return known ?? column;
  };
  return (item) => {
    const [oid, schema, name, kind, hasRules, isUnseen, code, hasOwnTypes, isSetOff, columns] = sized(
      item,
      10,
      'relations',
    );
    const relation = {
      schema: text(schema, 'relations'),
      name: text(name, 'relations'),
      kind: text(kind, 'relations'),
      hasRules: hasRules === true,
      hasUnseenCode: isUnseen !== false,
      code: oids(code, 'relations'),
      hasOwnTypes: hasOwnTypes !== false,
      hasTriggers: isSetOff !== false,
      columns: columns === null ? [] : list(columns, 'relations').map((column) => share(readColumn(column))),
    };
    return [number(oid, 'relations'), relation];
  };
}

function readColumn(value: unknown): Column {
  const [attributeNumber, name, generated] = sized(list(value, 'relations'), 3, 'relations');
  return {
    name: text(name, 'relations'),
    attributeNumber: number(attributeNumber, 'relations'),
    generated: optionalText(generated, 'relations'),
  };
}

export function readDefinition(item: Item): readonly [number, string | undefined] {
  const [oid, sql] = sized(item, 2, 'definitions');
  return [number(oid, 'definitions'), optionalText(sql, 'definitions')];
}

export function readDependencies(item: Item): readonly [number, readonly Read[]] {
  const [oid, reads] = sized(item, 2, 'dependencies');
  const of = list(reads, 'dependencies').map((read) => {
    const [other, columns] = sized(list(read, 'dependencies'), 2, 'dependencies');
    return {
      oid: number(other, 'dependencies'),
      columns: list(columns, 'dependencies').map((column) => text(column, 'dependencies')),
    };
  });
  return [number(oid, 'dependencies'), of];
}

export function readInheritance(item: Item): readonly [number, readonly number[]] {
  const [from, to] = sized(item, 2, 'inheritance');
  return [number(from, 'inheritance'), oids(to, 'inheritance')];
}

export function readReferences(item: Item): readonly [number, ReferenceItem] {
  const [from, to, acting] = sized(item, 3, 'foreign-keys');
  return [number(from, 'foreign-keys'), { to: oids(to, 'foreign-keys'), acting: oids(acting, 'foreign-keys') }];
}

/** Reads functions; their texts are read once, and only the names in them are held. */
export function createFunctionReader(): (item: Item) => readonly [number, UserFunction] {
  const readCode = createCodeReader();
  return (item) => {
    const [oid, schema, name, kind, language, count, defaults, isVariadic, extension, ...code] = sized(
      item,
      14,
      'functions',
    );
    const [isLate, source, settings, parts, isBuiltUpon] = code;
    const argumentCount = number(count, 'functions');
    const languageName = text(language, 'functions');
    const sourceText = optionalText(source, 'functions');
    return [
      number(oid, 'functions'),
      {
        oid: number(oid, 'functions'),
        schema: text(schema, 'functions'),
        name: text(name, 'functions'),
        isLate: isLate !== false,
        isProcedure: kind === 'p',
        language: languageName,
        argumentsMin: argumentCount - number(defaults, 'functions') - (isVariadic === true ? 1 : 0),
        argumentsMax: isVariadic === true ? Number.POSITIVE_INFINITY : argumentCount,
        extension: optionalText(extension, 'functions'),
        text: sourceText === undefined ? undefined : readCode(sourceText, languageName),
        settings: names(settings, 'functions'),
        parts: oids(parts, 'functions'),
        isBuiltUpon: isBuiltUpon !== false,
      },
    ];
  };
}

export function readOperator(item: Item): readonly [number, UserOperator] {
  const [oid, schema, name, extension, takesOwnOnly] = sized(item, 5, 'operators');
  return [
    number(oid, 'operators'),
    {
      schema: text(schema, 'operators'),
      name: text(name, 'operators'),
      extension: optionalText(extension, 'operators'),
      takesOwnOnly: takesOwnOnly === true,
    },
  ];
}

export function readCast(item: Item): readonly [number, UserCast] {
  const [oid, source, target, isOwnSource, isOwnTarget, extension] = sized(item, 6, 'casts');
  const types = [
    { name: text(source, 'casts'), isOwn: isOwnSource === true },
    { name: text(target, 'casts'), isOwn: isOwnTarget === true },
  ];
  const own = types.filter(({ isOwn }) => isOwn);
  return [
    number(oid, 'casts'),
    { types: (own.length > 0 ? own : types).map(({ name }) => name), extension: optionalText(extension, 'casts') },
  ];
}

export type Volatility = 'immutable' | 'stable' | 'volatile';

export function readBuiltinFunction(item: Item): readonly [string, Volatility] {
  const [name, volatility] = sized(item, 2, 'builtin-functions');
  const known = volatility === 'i' ? 'immutable' : volatility === 's' ? 'stable' : 'volatile';
  return [text(name, 'builtin-functions'), known];
}

export function readBuiltinType(item: Item): readonly [string, undefined] {
  return [text(sized(item, 1, 'builtin-types')[0], 'builtin-types'), undefined];
}

export interface CatalogSettings {
  readonly database: string;
  readonly searchPath: readonly string[];
  readonly searchPathSetting: string;
  readonly user: string;
  readonly schemas: readonly string[];
  readonly hasEventTriggers: boolean;
}

/** @throws SqlError ERR_SQL_CATALOG also when the server reads strings in another way than the parser */
export function readSettings(rows: readonly (readonly (string | null)[])[] | undefined): CatalogSettings {
  const [database, searchPathSetting, path, conforming, , pathOfNextLogin, user, schemas, hooks] = sized(
    rows?.[0] ?? [],
    9,
    'settings',
  );
  // With it off, backslashes end strings elsewhere than the parser thinks: nothing would be understood.
  if (conforming !== 'on') throw malformed('settings', 'standard_conforming_strings must be on');
  if (pathOfNextLogin !== 'true' && pathOfNextLogin !== 'false')
    throw malformed('settings', 'nothing said of the search path of the next login');
  return {
    database: text(database, 'settings'),
    searchPath: readSchemas(text(path, 'settings')),
    searchPathSetting: text(searchPathSetting, 'settings'),
    user: text(user, 'settings'),
    schemas: readSchemas(text(schemas, 'settings')),
    hasEventTriggers: hooks !== 'false',
  };
}

function readSchemas(json: string): readonly string[] {
  try {
    const schemas: unknown = JSON.parse(json);
    if (Array.isArray(schemas) && schemas.every((item) => typeof item === 'string')) return schemas;
  } catch (cause) {
    throw new SqlError('ERR_SQL_CATALOG', 'catalog query settings: a list of schemas is no JSON', { cause });
  }
  throw malformed('settings', 'a list of schemas is no list of names');
}

export function malformed(query: CatalogQueryName, what: string): SqlError {
  return new SqlError('ERR_SQL_CATALOG', `catalog query ${query}: ${what}`);
}

function sized(item: Item, length: number, query: CatalogQueryName): Item {
  if (item.length !== length) throw malformed(query, `an item of ${item.length} parts, not ${length}`);
  return item;
}

function list(value: unknown, query: CatalogQueryName): readonly unknown[] {
  if (!Array.isArray(value)) throw malformed(query, 'no list where one must be');
  return value;
}

/** NULL: none. */
function oids(value: unknown, query: CatalogQueryName): readonly number[] {
  return value === null ? [] : list(value, query).map((oid) => number(oid, query));
}

function names(value: unknown, query: CatalogQueryName): readonly string[] {
  return value === null ? [] : list(value, query).map((name) => text(name, query));
}

function text(value: unknown, query: CatalogQueryName): string {
  if (typeof value !== 'string') throw malformed(query, 'no text where one must be');
  return value;
}

function optionalText(value: unknown, query: CatalogQueryName): string | undefined {
  return value === null ? undefined : text(value, query);
}

function number(value: unknown, query: CatalogQueryName): number {
  if (!Number.isInteger(value)) throw malformed(query, `${JSON.stringify(value)} where a whole number must be`);
  return Number(value);
}
