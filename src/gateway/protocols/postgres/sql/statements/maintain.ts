import { isMasked } from '../masks/withholding.ts';
import { notUnderstood, RefusedText } from '../refusal.ts';
import { databaseResource, tableResource } from '../resources.ts';
import { type Fields, fieldOf, fieldsOf, hasField, listOf, nodeOf, textOf } from '../text/tree.ts';
import type { Analysis } from '../walk/analysis.ts';
import { hasOwnCode } from '../walk/own-tables.ts';
import { findRelation, meaningsOf, resolveRelation, usedRelation } from '../walk/relations.ts';
import type { Outcome } from './statements.ts';

/** LOCK, VACUUM, ANALYZE, REINDEX, CLUSTER, REFRESH: upkeep of relations, or of the whole database. */
export function walkMaintain(
  { analysis }: { readonly analysis: Analysis },
  fields: Fields,
  kind: string,
): Partial<Outcome> {
  if (kind !== 'LockStmt') {
    analysis.found.writes = true;
    // Expressions of indexes and statistics run, and what materialized views are filled by. An index is in no snapshot, nor whose it is.
    const isKnown = kind !== 'ReindexStmt' || textOf(fields, 'kind') === 'REINDEX_OBJECT_TABLE';
    if (!isKnown || hasOwnCode(analysis.catalog)) analysis.found.runsUnseen = true;
  }
  const ranges = [...listOf(fields, 'relations'), ...listOf(fields, 'rels')].map((item) => {
    const node = nodeOf(item);
    if (node === undefined) throw notUnderstood(kind);
    return node.kind === 'VacuumRelation' ? fieldsOf(node.fields, 'relation') : node.fields;
  });
  if (hasField(fields, 'relation')) ranges.push(fieldsOf(fields, 'relation'));
  const isReadersLock = kind === 'LockStmt' && fieldOf(fields, 'mode') === ACCESS_SHARE;
  for (const range of ranges) {
    if (isReadersLock) askReader(analysis, range);
    else askMaintain(analysis, range, kind);
  }
  if (kind === 'ClusterStmt') refuseSorting(analysis, ranges);
  if (ranges.length === 0) {
    analysis.found.runsUnseen = true;
    analysis.questions.push({ action: 'postgres:maintain', resource: databaseResource(analysis.place) });
  }
  return { changesCatalog: kind === 'RefreshMatViewStmt' };
}

/** CLUSTER puts rows into the order of an index, and answers show the order of rows: also that of masked values. */
function refuseSorting(analysis: Analysis, ranges: readonly Fields[]): void {
  if (!analysis.taint.isInForce) return;
  const showsMasked = ranges.some((range) => {
    const resolved = resolveRelation(analysis, range);
    return resolved.kind === 'table' && isMasked(analysis.taint, resolved.relation);
  });
  if (showsMasked || ranges.length === 0)
    throw new RefusedText(
      'masked-column-use',
      'CLUSTER of relations with masked columns is refused: the order of rows tells about their values',
    );
}

/** ACCESS SHARE is the lock that every SELECT takes; who may read a table may take it, as in PostgreSQL. pg_dump does. */
function askReader(analysis: Analysis, range: Fields): void {
  const resolved = resolveRelation(analysis, range);
  if (resolved.kind === 'system') askMaintain(analysis, range, 'LockStmt');
  else analysis.uses.add(usedRelation(resolved), 'select', { hasWhere: false });
}

function askMaintain(analysis: Analysis, range: Fields, kind: string): void {
  // REINDEX names indexes as well, which the snapshot doesn't hold: the database answers for those.
  const resolved = kind === 'LockStmt' ? resolveRelation(analysis, range) : findRelation(analysis, range);
  if (resolved === undefined) analysis.found.runsUnseen = true;
  const isOwn = resolved !== undefined && resolved.kind !== 'system';
  const meanings = isOwn ? meaningsOf(resolved) : [];
  if (meanings.length === 0)
    analysis.questions.push({ action: 'postgres:maintain', resource: databaseResource(analysis.place) });
  for (const { schema, name } of meanings)
    analysis.questions.push({ action: 'postgres:maintain', resource: tableResource(analysis.place, schema, name) });
}

/** `AccessShareLock`, as the grammar numbers the modes. */
const ACCESS_SHARE = 1;
