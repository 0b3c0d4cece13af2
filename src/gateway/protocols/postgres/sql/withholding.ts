import type { Analysis } from './analysis.ts';
import type { Catalog } from './catalog.ts';
import { computingOperators, isComputing } from './function-lists.ts';
import type { Withholding } from './plan.ts';

/** What errors and notices of a walked statement may tell while masks are in force; see {@link Withholding} and decision 0018. */
export function withholdingOf(analysis: Analysis): Withholding {
  const { taint, catalog, found } = analysis;
  if (!taint.isInForce) return 'nothing';
  if (found.runsUnseen || found.touchesMasked) return 'values';
  if (castsBetweenBuiltins(catalog) && !taint.proofs.areThere) return 'values';
  const changes = found.writes ? 'tables' : 'nothing';
  for (const relation of found.relations)
    if (!taint.proofs.provesRelation(relation, changes, analysis)) return 'values';
  return 'nothing';
}

/** A cast of PostgreSQL's own types by a function of the database's own runs where nothing names it. */
function castsBetweenBuiltins({ functions: { casts, builtinTypes } }: Catalog): boolean {
  return casts.some(
    ({ types, extension }) =>
      !isComputing(extension, computingOperators) && types.every((name) => builtinTypes.has(name)),
  );
}
