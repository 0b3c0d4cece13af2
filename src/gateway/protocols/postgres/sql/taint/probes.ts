import { type MaskKind, maskCovers, stricterMask } from '../../../../../policy/index.ts';
import type { Catalog, Relation } from '../catalog/catalog.ts';
import { kindsByColumn, type TableMask, tableMasks } from '../masks/table-masks.ts';
import { indexMasks, type MasksNaming, type MissingColumn, probeMissing } from '../masks/without-column.ts';
import type { Decider } from '../plan.ts';
import { type Place, tableResource } from '../resources.ts';

/** What policy makes of a column. */
export interface ColumnMask {
  readonly kind: MaskKind;
  /** What it is inside of an expression, where every mask on it says so. */
  readonly derived: 'null' | undefined;
}

/** Column name → mask, of one relation. */
export type ColumnMasks = ReadonlyMap<string, ColumnMask>;

/** Both at once: the stricter kind, and inside of expressions what both say. */
export function joinMasks(a: ColumnMask, b: ColumnMask): ColumnMask {
  return { kind: stricterMask(a.kind, b.kind), derived: a.derived === b.derived ? a.derived : undefined };
}

/**
 * What policy answers for one principal about single relations, held for as long as relation and policy stand: a change to the catalog
 * costs questions about what has changed alone.
 */
export class Probes {
  readonly masksNaming: MasksNaming;
  /** By OID, of relations that have a masked column. */
  readonly masked = new Map<number, ColumnMasks>();
  /** By OID, of relations that lack a column which a mask names. */
  readonly missing = new Map<number, MissingColumn>();
  readonly #place: Place;
  readonly #decider: Decider;
  readonly #shared = new Map<string, ColumnMasks>();
  readonly #byColumn = new Map<string, TableMask[]>();
  #seen: { readonly catalog: Catalog; readonly version: number } | undefined;

  constructor(place: Place, decider: Decider) {
    this.#place = place;
    this.#decider = decider;
    const potential = tableMasks(decider.potentialMasks());
    this.masksNaming = indexMasks(potential, place);
    for (const mask of potential) {
      const list = this.#byColumn.get(mask.column.name);
      if (list === undefined) this.#byColumn.set(mask.column.name, [mask]);
      else list.push(mask);
    }
  }

  /** Asks about every relation that has changed; false when nothing has since the last time. */
  catchUp(catalog: Catalog): boolean {
    const isSame = catalog === this.#seen?.catalog;
    if (isSame && catalog.version === this.#seen?.version) return false;
    const changed = isSame && this.#seen !== undefined ? catalog.changesSince(this.#seen.version) : undefined;
    this.#seen = { catalog, version: catalog.version };
    if (this.#byColumn.size === 0) return true;
    if (changed === undefined) {
      this.masked.clear();
      this.missing.clear();
    }
    for (const oid of changed ?? catalog.relations.keys()) this.#probe(oid, catalog.relations.get(oid));
    return true;
  }

  /** What this takes in memory, and what is worked out from it. */
  get bytes(): number {
    return PRINCIPAL_BYTES + (this.masked.size + this.missing.size) * RELATION_BYTES;
  }

  /** A mask that is good for many tables is the same in each of them. */
  #share(masks: ColumnMasks): ColumnMasks {
    const key = JSON.stringify(Array.from(masks));
    const known = this.#shared.get(key) ?? masks;
    if (this.#shared.size >= SHARED_MAX) this.#shared.clear();
    this.#shared.set(key, known);
    return known;
  }

  #probe(oid: number, relation: Relation | undefined): void {
    this.masked.delete(oid);
    this.missing.delete(oid);
    if (relation === undefined) return;
    const facts = { place: this.#place, decider: this.#decider, relation, byColumn: this.#byColumn };
    const isCandidate = relation.columns.some(({ name }) => this.#byColumn.has(name));
    const masks = isCandidate ? probeRelation(facts) : undefined;
    if (masks !== undefined && masks.size > 0) this.masked.set(oid, this.#share(masks));
    const missing = probeMissing(relation, { ...facts, masksNaming: this.masksNaming });
    if (missing !== undefined) this.missing.set(oid, missing);
  }
}

/** Asks policy about a relation that has a column some mask names: over its whole width, restricted and not. */
function probeRelation(facts: {
  place: Place;
  relation: Relation;
  decider: Decider;
  byColumn: ReadonlyMap<string, readonly TableMask[]>;
}): ColumnMasks {
  const { relation, decider, byColumn } = facts;
  const resource = tableResource(facts.place, relation.schema, relation.name);
  const names = relation.columns.map(({ name }) => name);
  const possible = names.flatMap((name) => byColumn.get(name) ?? []).filter((mask) => maskCovers(mask, resource));
  const masks = new Map<string, ColumnMask>();
  if (possible.length === 0) return masks;
  const add = (column: string, kind: MaskKind) => {
    const mask = { kind, derived: derivedOf(column, possible) };
    const before = masks.get(column);
    masks.set(column, before === undefined ? mask : joinMasks(before, mask));
  };
  for (const hasWhere of [false, true]) {
    const decision = decider.decide('postgres:select', resource, { columns: names.toSorted(), hasWhere });
    // A table that can't be read in this shape may still be read in another, or through a view.
    if (!decision.allow) for (const mask of possible) add(mask.column.name, mask.kind);
    else
      for (const [column, kind] of kindsByColumn(decision.obligations.masks))
        if (names.includes(column)) add(column, kind);
  }
  return masks;
}

function derivedOf(column: string, possible: readonly TableMask[]): 'null' | undefined {
  const masks = possible.filter((mask) => mask.column.name === column);
  return masks.length > 0 && masks.every(({ derived }) => derived === 'null') ? 'null' : undefined;
}

/** The masks that could fall on a principal's answers, by column. */
const PRINCIPAL_BYTES = 4_096;
/** Its place among them; the masks themselves are mostly those of others too. */
const RELATION_BYTES = 100;
/** Sets of masks that are found again; those that were let go of are made again. */
const SHARED_MAX = 1_000;
