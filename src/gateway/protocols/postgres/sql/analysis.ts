import type { EntityRef } from '../../../../model/index.ts';
import type { Catalog, Relation } from './catalog.ts';
import type { MasksNaming, MissingColumn } from './masks-without-column.ts';
import type { Place } from './names.ts';
import type { CreatedRelation } from './plan.ts';
import type { Masked, Outer, Output, Scope } from './scope.ts';
import type { Fields } from './tree.ts';
import type { Uses } from './uses.ts';

/** A policy question that isn't about a table's rows. */
export interface Question {
  readonly action: string;
  readonly resource: EntityRef;
}

/** Which columns are masked for the principal of this analysis. */
export interface Taint {
  /** True when any column of the database is, or should be and isn't there: then nothing unproven may run. */
  readonly isInForce: boolean;
  /** The masks by position of `relation.columns`; `'opaque'`: masked values are in it in an unknown form. */
  masksOf(relation: Relation): readonly (Masked | undefined)[] | 'opaque';
  readonly masksNaming: MasksNaming;
  /** A mask of this relation, or of one whose rows it shows, is for a column that isn't there: it must not be touched. */
  missingColumn(relation: Relation): MissingColumn | undefined;
}

/** What one statement's walk knows and gathers. */
export interface Analysis {
  readonly place: Place;
  readonly catalog: Catalog;
  /** Schemas that unqualified names are looked up in, after pg_catalog and the session's temporary ones. */
  readonly searchPath: readonly string[];
  readonly created: ReadonlyMap<string, CreatedRelation>;
  /** See `SessionFacts.moved`. */
  readonly moved: boolean;
  /** Policy lets this principal drop, rename or alter that relation. */
  mayDefine(schema: string, name: string): boolean;
  readonly customSettings: ReadonlySet<string>;
  readonly taint: Taint;
  readonly uses: Uses;
  readonly questions: Question[];
  /** What the walk found out about the whole statement. */
  readonly found: Found;
  /** Walks an expression in which no masked column may stand. */
  expression(value: unknown, scope: Scope): void;
  /** Walks a SELECT, VALUES, TABLE or set operation; answers its output columns. */
  query(select: Fields, outer: Outer): Output;
  /** Walks an INSERT, UPDATE, DELETE or MERGE; answers what it returns. */
  modify(kind: string, fields: Fields, outer: Outer): Output;
}

export interface Found {
  /** A function that may change something was called, or rows are written. */
  writes: boolean;
  /** Reads or writes a relation that holds masked values in whatever form. */
  touchesMasked: boolean;
  /** A relation of unknown OID takes part. */
  touchesCreated: boolean;
  /** A `set_config` changed the path. */
  searchPath: 'default' | 'empty' | undefined;
}

export function nothingFound(): Found {
  return { writes: false, touchesMasked: false, touchesCreated: false, searchPath: undefined };
}
