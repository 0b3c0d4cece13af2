import { type Fields, flagOf, listOf, nodeOf, textOf } from '../text/tree.ts';
import { askPastSight } from '../verdict/administration.ts';
import type { Analysis } from '../walk/analysis.ts';
import { belongsToServer, meaningsOf, refuseMissingColumn, resolveRelation, usedRelation } from '../walk/relations.ts';
import type { Outcome } from './statements.ts';

/** TRUNCATE of each relation named, and with CASCADE of all that refer to them. */
export function walkTruncate({ analysis }: { readonly analysis: Analysis }, fields: Fields): Partial<Outcome> {
  analysis.found.writes = true;
  const isCascade = textOf(fields, 'behavior') === 'DROP_CASCADE';
  for (const item of listOf(fields, 'relations')) {
    const range = nodeOf(item)?.fields ?? {};
    const resolved = resolveRelation(analysis, range);
    if (resolved.kind === 'system') askPastSight(analysis, belongsToServer(resolved));
    analysis.uses.add(usedRelation(resolved), 'truncate', { hasWhere: false, isOnly: !flagOf(range, 'inh') });
    for (const { relation } of isCascade ? meaningsOf(resolved) : [])
      if (relation !== undefined) truncateReferencing(analysis, relation.oid);
  }
  return {};
}

/** CASCADE empties every table that references this one, and so on. */
function truncateReferencing(analysis: Analysis, oid: number): void {
  const seen = new Set([oid]);
  const queue = [oid];
  for (let next = queue.pop(); next !== undefined; next = queue.pop())
    for (const relation of analysis.catalog.referencing(next)) {
      if (seen.has(relation.oid)) continue;
      seen.add(relation.oid);
      queue.push(relation.oid);
      refuseMissingColumn(analysis, relation);
      const used = usedRelation({ kind: 'table', relation });
      analysis.uses.add(used, 'truncate', { hasWhere: false });
    }
}
