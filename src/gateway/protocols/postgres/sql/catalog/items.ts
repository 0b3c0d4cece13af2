/** Reads the items of the catalog queries: JSON that the server made, so what does not fit is a server that is no PostgreSQL. */

import { SqlError } from '../errors.ts';
import type { NameEncoding } from '../text/foreign-names.ts';
import type { Column } from './catalog.ts';
import type { UserCast, UserFunction, UserOperator } from './functions.ts';
import type { CatalogQueryName } from './queries.ts';

type Item = readonly unknown[];

/** A relation without what other queries tell of it. */
export interface RelationItem {
  readonly schema: string;
  readonly name: string;
  readonly kind: string;
  readonly hasRules: boolean;
  readonly runsCode: boolean;
  readonly hasOwnTypes: boolean;
  readonly columns: readonly Column[];
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
    const [oid, schema, name, kind, hasRules, runsCode, hasOwnTypes, columns] = sized(item, 8, 'relations');
    const relation = {
      schema: text(schema, 'relations'),
      name: text(name, 'relations'),
      kind: text(kind, 'relations'),
      hasRules: hasRules === true,
      runsCode: runsCode !== false,
      hasOwnTypes: hasOwnTypes !== false,
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

export function readLinks(query: 'inheritance' | 'foreign-keys'): (item: Item) => readonly [number, readonly number[]] {
  return (item) => {
    const [from, to] = sized(item, 2, query);
    return [number(from, query), list(to, query).map((oid) => number(oid, query))];
  };
}

export function readFunction(item: Item): readonly [number, UserFunction] {
  const [oid, schema, name, kind, language, count, defaults, isVariadic, extension] = sized(item, 9, 'functions');
  const argumentCount = number(count, 'functions');
  return [
    number(oid, 'functions'),
    {
      schema: text(schema, 'functions'),
      name: text(name, 'functions'),
      isProcedure: kind === 'p',
      language: text(language, 'functions'),
      argumentsMin: argumentCount - number(defaults, 'functions') - (isVariadic === true ? 1 : 0),
      argumentsMax: isVariadic === true ? Number.POSITIVE_INFINITY : argumentCount,
      extension: optionalText(extension, 'functions'),
    },
  ];
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
  readonly hasDeferrableTriggers: boolean;
  readonly hiddenTypes: readonly string[];
  readonly encoding: NameEncoding;
}

/** @throws SqlError ERR_SQL_CATALOG also when the server reads strings in another way than the parser */
export function readSettings(rows: readonly (readonly (string | null)[])[] | undefined): CatalogSettings {
  const [
    database,
    searchPathSetting,
    path,
    conforming,
    ,
    pathOfNextLogin,
    user,
    schemas,
    hooks,
    late,
    hidden,
    ...encoding
  ] = sized(rows?.[0] ?? [], 14, 'settings');
  // With it off, backslashes end strings elsewhere than the parser thinks: nothing would be understood.
  if (conforming !== 'on') throw malformed('settings', 'standard_conforming_strings must be on');
  if (pathOfNextLogin !== 'true' && pathOfNextLogin !== 'false')
    throw malformed('settings', 'nothing said of the search path of the next login');
  return {
    database: text(database, 'settings'),
    searchPath: readNames(text(path, 'settings')),
    searchPathSetting: text(searchPathSetting, 'settings'),
    user: text(user, 'settings'),
    schemas: readNames(text(schemas, 'settings')),
    hasEventTriggers: hooks !== 'false',
    hasDeferrableTriggers: late !== 'false',
    hiddenTypes: readNames(text(hidden, 'settings')),
    encoding: readEncoding(encoding),
  };
}

function readEncoding([name, bytesMax, letters]: readonly unknown[]): NameEncoding {
  const bytes = Number(text(bytesMax, 'settings'));
  if (!(bytes >= 1)) throw malformed('settings', 'no length of characters');
  // Characters of several bytes are never folded, and the locale C has no capitals but those of ASCII.
  const foldsLetters = bytes === 1 && !['C', 'POSIX'].includes(text(letters, 'settings'));
  return { name: text(name, 'settings'), bytesMax: bytes, foldsLetters };
}

function readNames(json: string): readonly string[] {
  try {
    const names: unknown = JSON.parse(json);
    if (Array.isArray(names) && names.every((item) => typeof item === 'string')) return names;
  } catch (cause) {
    throw new SqlError('ERR_SQL_CATALOG', 'catalog query settings: a list of names is no JSON', { cause });
  }
  throw malformed('settings', 'no list of names where one must be');
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
