/** What a relation leads the server to, and what is masked of it. */
import type { Taint } from './analysis.ts';
import type { Catalog, Relation } from './catalog.ts';

/** What may be done to rows, the worst of it: `rows`, to those that are there; `tables`, they may be emptied as well. */
export type Changes = 'nothing' | 'inserts' | 'rows' | 'tables';

/**
 * All that these relations may lead the server to: what views read, partitions and parents, and, where rows are changed, the tables whose keys refer to
 * them: those whose own rows change with them, or all, which may be emptied as well.
 */
export function reached(catalog: Catalog, named: Iterable<Relation>, changes: Changes): ReadonlySet<Relation> {
  const all = new Set(named);
  // A set's iterator comes to what is added on the way.
  for (const { oid } of all) {
    for (const { relation } of catalog.dependencies(oid)) all.add(relation);
    for (const relative of [...catalog.parents(oid), ...catalog.children(oid)]) all.add(relative);
    if (changes === 'rows') for (const relation of catalog.acting(oid)) all.add(relation);
    if (changes === 'tables') for (const relation of catalog.referencing(oid)) all.add(relation);
  }
  return all;
}

/** It shows masked values, as they are or in another form. */
export function isMasked(taint: Pick<Taint, 'masksOf' | 'missingColumn'>, relation: Relation): boolean {
  if (taint.missingColumn(relation) !== undefined) return true;
  const masks = taint.masksOf(relation);
  return masks === 'opaque' || masks.some((mask) => mask !== undefined);
}
