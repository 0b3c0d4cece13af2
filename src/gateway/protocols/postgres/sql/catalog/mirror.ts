import { assert } from '../../../../../std/index.ts';
import { type AnswerRow, BucketTable, type ItemReader, type ItemSink } from './bucket-table.ts';
import type { Catalog } from './catalog.ts';
import {
  type CatalogSettings,
  createRelationReader,
  malformed,
  readBuiltinFunction,
  readBuiltinType,
  readCast,
  readDefinition,
  readDependencies,
  readFunction,
  readLinks,
  readOperator,
  readSettings,
} from './items.ts';
import { LiveCatalog } from './live-catalog.ts';
import { askChanged, type CatalogQuery, type CatalogQueryName, catalogQueries } from './queries.ts';

/** One question for the server. */
export interface CatalogQuestion extends Pick<CatalogQuery, 'name' | 'lasting' | 'optional'> {
  readonly sql: string;
}

/** Keeps one database's catalog like the server's, reading what has changed alone. */
export interface CatalogMirror {
  /** Always the same one; undefined before the first answers. */
  readonly catalog: Catalog | undefined;
  /** What it takes in memory, about. */
  readonly bytes: number;
  /** What to ask next: of each part of the catalog for what is not as it was answered last. */
  questions(): readonly CatalogQuestion[];
  /**
   * Takes over the answers: all, or nothing when one is malformed. A lasting one that was answered before may be left out. True when
   * anything is another than before. @throws SqlError ERR_SQL_CATALOG when one that isn't optional is missing or malformed
   */
  take(answers: ReadonlyMap<CatalogQueryName, readonly AnswerRow[]>): boolean;
}

/** Creates an empty one; its first version is the one after `version`. */
export function createCatalogMirror(version = 0): CatalogMirror {
  const live = new LiveCatalog(version);
  const parts = partsOf(live);
  let settings: CatalogSettings | undefined;
  const answered = new Set<CatalogQueryName>();
  return {
    get catalog() {
      return settings === undefined ? undefined : live;
    },
    get bytes() {
      return parts.reduce((sum, { table }) => sum + table.characters, 0) * BYTES_A_CHARACTER;
    },
    questions: () =>
      catalogQueries.map((query) => {
        const digests = parts.find(({ name }) => name === query.name)?.table.digests;
        const { name, lasting, optional } = query;
        return { name, lasting, optional, sql: digests === undefined ? query.sql : askChanged(query, digests) };
      }),
    take(answers) {
      const now = readSettings(answers.get('settings'));
      // Everything is read before anything is taken: half a change would be no state that ever was.
      const changes = parts.map((one) => one.read(answers, answered.has(one.name)));
      const isOther = changes.some(({ count }) => count > 0) || !sameSettings(settings, now);
      for (const { take } of changes) take();
      for (const name of answers.keys()) answered.add(name);
      settings = now;
      if (isOther) live.settle(now);
      return isOther;
    },
  };
}

type Answers = ReadonlyMap<CatalogQueryName, readonly AnswerRow[]>;

/** One query's share. */
interface Part {
  readonly name: CatalogQueryName;
  readonly table: Pick<BucketTable<unknown>, 'digests' | 'characters'>;
  /** How many buckets change, and how to take them over. */
  read(answers: Answers, isKnown: boolean): { readonly count: number; readonly take: () => void };
}

function partsOf({ sinks }: LiveCatalog): readonly Part[] {
  return [
    part('relations', createRelationReader, sinks.relations),
    part('definitions', () => readDefinition, sinks.definitions),
    part('dependencies', () => readDependencies, sinks.dependencies),
    part('inheritance', () => readLinks('inheritance'), sinks.inheritance),
    part('foreign-keys', () => readLinks('foreign-keys'), sinks['foreign-keys']),
    part('functions', () => readFunction, sinks.functions),
    part('operators', () => readOperator, sinks.operators),
    part('casts', () => readCast, sinks.casts),
    part('builtin-functions', () => readBuiltinFunction, sinks['builtin-functions']),
    part('builtin-types', () => readBuiltinType, sinks['builtin-types']),
  ];
}

function part<Value>(name: CatalogQueryName, createReader: () => ItemReader<Value>, sink: ItemSink<Value>): Part {
  const query = catalogQueries.find((one) => one.name === name);
  assert(query !== undefined, 'each part has its query');
  const table = new BucketTable(query, createReader, sink);
  return {
    name,
    table,
    read(answers, isKnown) {
      const rows = answers.get(name);
      if (rows === undefined && !query.optional && !(query.lasting && isKnown)) throw malformed(name, 'no answer');
      const changes = rows !== undefined ? table.read(rows) : query.optional ? table.nothing() : [];
      return { count: changes.length, take: () => table.take(changes) };
    },
  };
}

function sameSettings(a: CatalogSettings | undefined, b: CatalogSettings): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Measured with tables of ten and of forty columns: names that many share weigh less than their text, each relation a little more. */
const BYTES_A_CHARACTER = 1;
