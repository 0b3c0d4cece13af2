import type { Analysis } from './analysis.ts';
import { computingOperators, isComputing } from './function-lists.ts';
import type { Withholding } from './plan.ts';
import { reached, showsMasked } from './reach.ts';

/** What errors and notices of a walked statement may tell while masks are in force; see {@link Withholding} and decision 0018. */
export function withholdingOf(analysis: Analysis): Withholding {
  const { taint, catalog, found, createdNames } = analysis;
  if (!taint.isInForce) return 'nothing';
  if (found.runsUnseen || found.touchesMasked || hasUnseenCasts(analysis)) return 'values';
  for (const relation of reached(catalog, found.relations, found.writes ? 'tables' : 'nothing'))
    if (!taint.proofs.provesCodeOf(relation, createdNames) || showsMasked(taint, relation)) return 'values';
  return 'nothing';
}

/** A cast of PostgreSQL's own types by a function of the database's own runs where nothing names it. */
function hasUnseenCasts({ catalog, taint, createdNames }: Analysis): boolean {
  const { casts, builtinTypes } = catalog.functions;
  return casts.some(
    (cast) =>
      !isComputing(cast.extension, computingOperators) &&
      cast.types.every((name) => builtinTypes.has(name)) &&
      !taint.proofs.provesFunction(cast.function, createdNames),
  );
}
