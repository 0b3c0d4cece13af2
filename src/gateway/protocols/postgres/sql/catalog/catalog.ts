import type { NameEncoding } from '../text/foreign-names.ts';
import type { FunctionFacts } from './functions.ts';

/** One table, view, materialized view, foreign table or sequence outside of the system schemas. */
export interface Relation {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** PostgreSQL's `relkind`: r p v m f S. */
  readonly kind: string;
  /** In order of attribute number, dropped ones left out. */
  readonly columns: readonly Column[];
  /** Source text of a view's or materialized view's query; undefined when there is none or it couldn't be read. */
  readonly definition: string | undefined;
  /** True when a rule other than a view's own rewrites its statements. */
  readonly hasRules: boolean;
  /** Code of the database's own may run when its rows are read or written: triggers, row security, functions in defaults, checks, indexes, types. */
  readonly runsCode: boolean;
  /** A column is of a type that is neither PostgreSQL's own nor an enumeration nor of an extension that only computes. */
  readonly hasOwnTypes: boolean;
}

export interface Column {
  readonly name: string;
  readonly attributeNumber: number;
  /** Expression of a generated column. */
  readonly generated: string | undefined;
}

/** A relation that another one reads, and which of its columns; none listed = not known, so all. */
export interface Dependency {
  readonly relation: Relation;
  readonly columns: readonly string[];
}

/**
 * Names and dependencies of one database, as far as they are known now. There is one of a database, which changes in place and never
 * while somebody works on it without waiting; its relations are immutable.
 */
export interface Catalog {
  /** Grows with every change. */
  readonly version: number;
  /** OIDs of the relations that came, went or changed since that version; undefined: look at all of them. */
  changesSince(version: number): ReadonlySet<number> | undefined;
  readonly database: string;
  readonly encoding: NameEncoding;
  /** Effective default path of the gateway's own login: existing schemas, without the implicit ones. */
  readonly searchPath: readonly string[];
  /** The setting as written, for `SET search_path` to what it is already. */
  readonly searchPathSetting: string;
  /** The gateway's own login: what `$user` in a path stands for. */
  readonly user: string;
  /** Schemas that are there and that the login may use: the others are passed over in a path. */
  readonly schemas: ReadonlySet<string>;
  readonly relations: ReadonlyMap<number, Relation>;
  relation(schema: string, name: string): Relation | undefined;
  /** True when some relation is in it. */
  hasSchema(schema: string): boolean;
  /** Names of a system schema's relations; undefined when the schema is no system schema. */
  systemRelations(schema: string): ReadonlySet<string> | undefined;
  /** What a view or a rule reads or writes directly. */
  dependencies(oid: number): readonly Dependency[];
  /** Partitions and inheritance: parents and children, direct ones. */
  parents(oid: number): readonly Relation[];
  children(oid: number): readonly Relation[];
  /** Tables whose foreign keys reference this one. */
  referencing(oid: number): readonly Relation[];
  readonly functions: FunctionFacts;
  /** Names of PostgreSQL's types that temporary ones have as well, those of whatever session. */
  readonly hiddenTypes: ReadonlySet<string>;
  /** Definitions may set off code that no statement names. */
  readonly hasEventTriggers: boolean;
  /** A COMMIT may set off code of the database's own. */
  readonly hasDeferrableTriggers: boolean;
}
