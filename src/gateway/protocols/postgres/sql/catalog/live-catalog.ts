import type { NameEncoding } from '../text/foreign-names.ts';
import type { ItemKey, ItemSink } from './bucket-table.ts';
import type { Catalog, Dependency, Relation } from './catalog.ts';
import type { FunctionFacts, UserCast, UserFunction, UserOperator } from './functions.ts';
import type { CatalogSettings, Read, RelationItem, Volatility } from './items.ts';

/**
 * The one catalog of a database, changed in place: what stays as it was is neither read nor built again. A reader sees one version as long
 * as it does not wait for anything; what it keeps for longer it keeps under `version`, and catches up by `changesSince`.
 */
export class LiveCatalog implements Catalog {
  version: number;
  database = '';
  encoding: NameEncoding = UNKNOWN_ENCODING;
  searchPath: readonly string[] = [];
  searchPathSetting = '';
  user = '';
  schemas: ReadonlySet<string> = new Set();
  hasEventTriggers = true;
  hasDeferrableTriggers = true;
  hiddenTypes: ReadonlySet<string> = new Set();
  readonly relations = new Map<number, Relation>();
  readonly functions: FunctionFacts;
  readonly #bySchema = new Map<string, Map<string, Relation>>();
  readonly #system = new Map<number, { readonly schema: string; readonly name: string }>();
  readonly #systemNames = new Map(SYSTEM_SCHEMAS.map((schema) => [schema, new Set<string>()]));
  readonly #definitions = new Map<number, string>();
  readonly #reads = new Map<number, readonly Read[]>();
  readonly #inherits = new Links();
  readonly #references = new Links();
  readonly #functions = new Named<UserFunction>();
  readonly #operators = new Named<UserOperator>();
  readonly #casts = new Map<ItemKey, UserCast>();
  readonly #castList: UserCast[] = [];
  readonly #builtins = new Map<string, Volatility>();
  readonly #builtinTypes = new Set<string>();
  readonly #journal: { readonly version: number; readonly oids: ReadonlySet<number> }[] = [];
  #journalled = 0;
  #changing = new Set<number>();

  constructor(version: number) {
    this.version = version;
    this.functions = {
      functions: this.#functions.byName,
      operators: this.#operators.byName,
      casts: this.#castList,
      builtins: this.#builtins,
      builtinTypes: this.#builtinTypes,
    };
  }

  /** Where the items of each query go. */
  readonly sinks = {
    relations: sink<RelationItem>((oid, item) => this.#setRelation(Number(oid), item)),
    definitions: sink<string | undefined>((oid, sql) => this.#setDefinition(Number(oid), sql)),
    dependencies: sink<readonly Read[]>((oid, reads) => {
      if (reads === undefined) this.#reads.delete(Number(oid));
      else this.#reads.set(Number(oid), reads);
    }),
    inheritance: sink<readonly number[]>((oid, to) => this.#inherits.set(Number(oid), to ?? [])),
    'foreign-keys': sink<readonly number[]>((oid, to) => this.#references.set(Number(oid), to ?? [])),
    functions: sink<UserFunction>((oid, one) => this.#functions.set(oid, one)),
    operators: sink<UserOperator>((oid, one) => this.#operators.set(oid, one)),
    casts: sink<UserCast>((oid, one) => {
      if (one === undefined) this.#casts.delete(oid);
      else this.#casts.set(oid, one);
    }),
    'builtin-functions': sink<Volatility>((name, volatility) => {
      if (volatility === undefined) this.#builtins.delete(String(name));
      else this.#builtins.set(String(name), volatility);
    }),
    'builtin-types': {
      set: (name: ItemKey) => void this.#builtinTypes.add(String(name)),
      remove: (name: ItemKey) => void this.#builtinTypes.delete(String(name)),
    },
  };

  /** Ends a change: what was set since the last one is the next version. */
  settle(settings: CatalogSettings): void {
    this.version++;
    ({ database: this.database, searchPath: this.searchPath, searchPathSetting: this.searchPathSetting } = settings);
    this.user = settings.user;
    this.encoding = settings.encoding;
    this.hasEventTriggers = settings.hasEventTriggers;
    this.hasDeferrableTriggers = settings.hasDeferrableTriggers;
    this.schemas = new Set(settings.schemas);
    this.hiddenTypes = new Set(settings.hiddenTypes);
    this.#castList.splice(0, this.#castList.length, ...this.#casts.values());
    this.#journal.push({ version: this.version, oids: this.#changing });
    this.#journalled += this.#changing.size;
    this.#changing = new Set();
    while (this.#journalled > JOURNALLED_MAX || this.#journal.length > JOURNAL_VERSIONS_MAX)
      this.#journalled -= this.#journal.shift()?.oids.size ?? 0;
  }

  changesSince(version: number): ReadonlySet<number> | undefined {
    if (version === this.version) return none;
    const since = this.#journal.filter((entry) => entry.version > version);
    if (since.length !== this.version - version) return undefined;
    const [only, ...more] = since;
    return more.length === 0 ? only?.oids : new Set(since.flatMap(({ oids }) => Array.from(oids)));
  }

  relation(schema: string, name: string): Relation | undefined {
    return this.#bySchema.get(schema)?.get(name);
  }

  systemRelations(schema: string): ReadonlySet<string> | undefined {
    return this.#systemNames.get(schema);
  }

  hasSchema(schema: string): boolean {
    return this.#bySchema.has(schema);
  }

  dependencies(oid: number): readonly Dependency[] {
    const reads = this.#reads.get(oid) ?? [];
    return reads.flatMap(({ oid: read, columns }) => {
      const relation = this.relations.get(read);
      return relation === undefined ? [] : [{ relation, columns }];
    });
  }

  parents(oid: number): readonly Relation[] {
    return this.#known(this.#inherits.from(oid));
  }

  children(oid: number): readonly Relation[] {
    return this.#known(this.#inherits.to(oid));
  }

  referencing(oid: number): readonly Relation[] {
    return this.#known(this.#references.to(oid));
  }

  #known(oids: Iterable<number>): readonly Relation[] {
    const found: Relation[] = [];
    for (const oid of oids) {
      const relation = this.relations.get(oid);
      if (relation !== undefined) found.push(relation);
    }
    return found;
  }

  #setRelation(oid: number, item: RelationItem | undefined): void {
    const isSystem = item !== undefined && SYSTEM_SCHEMAS.includes(item.schema);
    if (isSystem || this.#system.has(oid)) this.#setSystem(oid, isSystem ? item : undefined);
    const own = isSystem ? undefined : item;
    const before = this.relations.get(oid);
    if (before === undefined && own === undefined) return;
    if (before !== undefined && own !== undefined && isSame(before, own)) return;
    this.#put(oid, own && { oid, ...own, definition: this.#definitions.get(oid) });
  }

  #setDefinition(oid: number, definition: string | undefined): void {
    if (definition === undefined) this.#definitions.delete(oid);
    else this.#definitions.set(oid, definition);
    const relation = this.relations.get(oid);
    if (relation !== undefined && relation.definition !== definition) this.#put(oid, { ...relation, definition });
  }

  #put(oid: number, relation: Relation | undefined): void {
    this.#changing.add(oid);
    const before = this.relations.get(oid);
    const schema = before && this.#bySchema.get(before.schema);
    // Two that swapped their names: the other one may have this one's by now.
    if (before !== undefined && schema?.get(before.name) === before) {
      schema.delete(before.name);
      if (schema.size === 0) this.#bySchema.delete(before.schema);
    }
    if (relation === undefined) return void this.relations.delete(oid);
    this.relations.set(oid, relation);
    const names = this.#bySchema.get(relation.schema) ?? new Map<string, Relation>();
    this.#bySchema.set(relation.schema, names.set(relation.name, relation));
  }

  #setSystem(oid: number, item: RelationItem | undefined): void {
    const before = this.#system.get(oid);
    if (before !== undefined) this.#systemNames.get(before.schema)?.delete(before.name);
    this.#system.delete(oid);
    if (item === undefined) return;
    this.#system.set(oid, { schema: item.schema, name: item.name });
    this.#systemNames.get(item.schema)?.add(item.name);
  }
}

/** A sink whose items are set to undefined when they are gone. */
function sink<Value>(set: (key: ItemKey, value: Value | undefined) => void): ItemSink<Value> {
  return { set, remove: (key) => set(key, undefined) };
}

function isSame(relation: Relation, item: RelationItem): boolean {
  const { columns } = item;
  return (
    relation.name === item.name &&
    relation.schema === item.schema &&
    relation.kind === item.kind &&
    relation.hasRules === item.hasRules &&
    relation.runsCode === item.runsCode &&
    relation.hasOwnTypes === item.hasOwnTypes &&
    relation.columns.length === columns.length &&
    relation.columns.every(
      ({ name, attributeNumber, generated }, index) =>
        name === columns[index]?.name &&
        attributeNumber === columns[index]?.attributeNumber &&
        generated === columns[index]?.generated,
    )
  );
}

/** Arrows between OIDs, found from both ends. */
class Links {
  readonly #from = new Map<number, readonly number[]>();
  readonly #to = new Map<number, Set<number>>();

  from(oid: number): Iterable<number> {
    return this.#from.get(oid) ?? none;
  }

  to(oid: number): Iterable<number> {
    return this.#to.get(oid) ?? none;
  }

  set(oid: number, targets: readonly number[]): void {
    for (const target of this.#from.get(oid) ?? none) {
      const of = this.#to.get(target);
      of?.delete(oid);
      if (of?.size === 0) this.#to.delete(target);
    }
    if (targets.length === 0) return void this.#from.delete(oid);
    this.#from.set(oid, targets);
    for (const target of targets) {
      const of = this.#to.get(target);
      if (of === undefined) this.#to.set(target, new Set([oid]));
      else of.add(oid);
    }
  }
}

/** Things by OID that are looked up by name; several may share one. */
class Named<Value extends { readonly name: string }> {
  readonly byName = new Map<string, readonly Value[]>();
  readonly #all = new Map<ItemKey, Value>();

  set(key: ItemKey, value: Value | undefined): void {
    const before = this.#all.get(key);
    if (before !== undefined) {
      const rest = this.byName.get(before.name)?.filter((one) => one !== before) ?? [];
      if (rest.length === 0) this.byName.delete(before.name);
      else this.byName.set(before.name, rest);
    }
    if (value === undefined) return void this.#all.delete(key);
    this.#all.set(key, value);
    this.byName.set(value.name, [...(this.byName.get(value.name) ?? []), value]);
  }
}

const none: ReadonlySet<number> = new Set();
/** Before the first answers. */
const UNKNOWN_ENCODING: NameEncoding = { name: 'SQL_ASCII', bytesMax: 1, foldsLetters: true };
const SYSTEM_SCHEMAS: readonly string[] = ['pg_catalog', 'information_schema'];
/** Relations named in the journal: whoever is further behind looks at everything again, which takes some ten milliseconds. */
const JOURNALLED_MAX = 4_096;
/** Changes that touched no relation are in it too. */
const JOURNAL_VERSIONS_MAX = 1_024;
