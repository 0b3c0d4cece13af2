import type { AttributeValue, EntityRef } from '../../../../../model/index.ts';
import type { Catalog, Relation } from '../catalog/catalog.ts';
import type { DerivedReads } from '../masks/derived.ts';
import type { MasksNaming, MissingColumn } from '../masks/without-column.ts';
import type { CreatedRelation, SessionEffect } from '../plan.ts';
import type { RefusedText } from '../refusal.ts';
import type { Place } from '../resources.ts';
import type { PreparedTrees } from '../session/prepared.ts';
import type { Fields } from '../text/tree.ts';
import type { Uses } from '../verdict/uses.ts';
import type { BoundParameters } from './bound-parameters.ts';
import type { Masked, Outer, Output, Scope } from './scope.ts';

/** A policy question that isn't about a table's rows. */
export interface Question {
  readonly action: string;
  readonly resource: EntityRef;
  readonly context?: { readonly [name: string]: AttributeValue };
  /** See `RelationUse.otherwise`. */
  readonly otherwise?: RefusedText;
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
  /** Schemas that unqualified names are looked up in, in PostgreSQL's order; see `Lookup`. */
  readonly searchPath: readonly string[];
  /** Where new objects without a schema go. */
  readonly creationSchema: string | undefined;
  readonly created: ReadonlyMap<string, CreatedRelation>;
  /** See `SessionFacts.createdNames`. */
  readonly createdNames: ReadonlySet<string>;
  /** See `SessionFacts.moved`. */
  readonly moved: boolean;
  /** The session is another role than the login: schemas that it may not use are passed over, and nobody here knows which. */
  readonly isOtherRole: boolean;
  /** Calls that surely run, and once. */
  readonly certainCalls: Set<Fields>;
  /** The same analysis for names that mean what they meant under another path. */
  under(lookup: {
    readonly path: readonly string[];
    readonly creation: string | undefined;
    readonly created?: Analysis['created'];
  }): Analysis;
  /** Policy lets this principal drop, rename or alter that relation. */
  mayDefine(schema: string, name: string): boolean;
  readonly customSettings: ReadonlySet<string>;
  /** What is bound to the statement's parameters; undefined where nobody will know. */
  readonly bound: BoundParameters | undefined;
  readonly taint: Taint;
  /** Takes the masked columns that read as NULL; undefined where none may. */
  readonly reads: DerivedReads | undefined;
  /** See `PlanRequest.trees`. */
  readonly trees: PreparedTrees | undefined;
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
  /** The client's encoding is set, undefined: to that of the beginning. */
  encoding: { readonly name: string | undefined } | undefined;
  /** See `StatementPlan.needsValues`. */
  needsValues: boolean;
  /** What calls of `set_config` make of the path and the role, in their order. */
  readonly settings: SessionEffect[];
  /** See `StatementPlan.unknown`. */
  readonly unknown: Set<string>;
  /** Those that the snapshot shows, of all that are named. */
  readonly relations: Set<Relation>;
  /** Operators that the database has for types of its own as well: PostgreSQL's are meant as long as no such value is about. */
  readonly ownOperators: Set<string>;
  /** Something runs of which nobody here knows what it reads. */
  runsUnseen: boolean;
  /** Temporary tables of the session's own take part. */
  hasOwnTables: boolean;
}

export function nothingFound(): Found {
  return {
    ...{ writes: false, touchesMasked: false, touchesCreated: false, needsValues: false, runsUnseen: false },
    ...{ hasOwnTables: false },
    ...{ settings: [], encoding: undefined, unknown: new Set<string>() },
    ...{ relations: new Set<Relation>(), ownOperators: new Set<string>() },
  };
}
