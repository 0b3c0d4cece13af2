import type { Catalog, Relation } from '../catalog/catalog.ts';
import { computingOperators } from '../catalog/function-lists.ts';
import type { Withholding } from '../plan.ts';
import type { Analysis, Taint } from '../walk/analysis.ts';

/** What errors and notices of a walked statement may tell while masks are in force; see {@link Withholding} and decision 0018. */
export function withholdingOf({ taint, catalog, found }: Analysis): Withholding {
  if (!taint.isInForce) return 'nothing';
  if (found.runsUnseen || found.touchesMasked || castsBetweenBuiltins(catalog)) return 'values';
  return leadsToValues({ taint, catalog }, found.relations, found.writes) ? 'values' : 'nothing';
}

/** What these relations lead the server to holds masked values, or runs code that nobody here has seen. */
export function leadsToValues(
  { taint, catalog }: Pick<Analysis, 'taint' | 'catalog'>,
  relations: ReadonlySet<Relation>,
  writes: boolean,
): boolean {
  for (const relation of reached(catalog, relations, writes))
    if (relation.runsCode || taint.missingColumn(relation) !== undefined || isMasked(taint, relation)) return true;
  return false;
}

/** It shows masked values, as they are or in another form. */
export function isMasked(taint: Taint, relation: Relation): boolean {
  const masks = taint.masksOf(relation);
  return masks === 'opaque' || masks.some((mask) => mask !== undefined);
}

/** All that these relations may lead the server to: what views read, partitions and parents, and where keys of written rows are referenced. */
export function reached(catalog: Catalog, named: ReadonlySet<Relation>, writes: boolean): ReadonlySet<Relation> {
  const all = new Set(named);
  // A set's iterator comes to what is added on the way.
  for (const { oid } of all) {
    for (const { relation } of catalog.dependencies(oid)) all.add(relation);
    for (const relative of [...catalog.parents(oid), ...catalog.children(oid)]) all.add(relative);
    for (const relation of writes ? catalog.referencing(oid) : []) all.add(relation);
  }
  return all;
}

/** A cast of PostgreSQL's own types by a function of the database's own runs where nothing names it. */
function castsBetweenBuiltins({ functions: { casts, builtinTypes } }: Catalog): boolean {
  return casts.some(
    ({ types, extension }) =>
      !(extension !== undefined && computingOperators.has(extension)) && types.every((name) => builtinTypes.has(name)),
  );
}
