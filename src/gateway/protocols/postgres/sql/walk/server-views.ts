/**
 * Views through which a write reaches PostgreSQL's own relations. An update of pg_settings is SET, and a superuser's of others is a change of the
 * catalog: neither may go by the name of a view.
 */

import type { Catalog, Relation } from '../catalog/catalog.ts';
import { RefusedText } from '../refusal.ts';
import { parseDefinition } from '../text/parse.ts';
import { type Fields, listOf, nodeOf, textOf } from '../text/tree.ts';
import { askPastSight } from '../verdict/administration.ts';
import type { Analysis } from './analysis.ts';
import { refuseKeepingView } from './computing.ts';
import { belongsToServer, type ResolvedRelation } from './relations.ts';

interface ServersOwn {
  readonly schema: string;
  readonly name: string;
}

/** Of a write to a view: asks what a write to the relation of PostgreSQL's below it asks. */
export function askBelowView(analysis: Analysis, target: ResolvedRelation): void {
  if (target.kind !== 'table' || target.relation.kind !== 'v') return;
  const below = ownBelow(analysis.catalog, target.relation);
  if (below !== undefined) askPastSight(analysis, belongsToServer(below));
}

/**
 * Of CREATE VIEW: no snapshot shows a temporary one, nor yet any other. So what could be written through is asked when it is made. Views of statistics
 * are not: they count, and can't be written to.
 */
export function askNewView(analysis: Analysis, query: Fields): void {
  refuseKeepingView(analysis, query);
  const own = ownIn(analysis.catalog, query);
  if (own === undefined || own.schema !== 'pg_catalog' || own.name.startsWith('pg_stat')) return;
  const message = `a view of "${own.schema}.${own.name}" alone can be written to, so it takes postgres:admin`;
  askPastSight(analysis, new RefusedText('statement-refused', message));
}

/** The first relation of PostgreSQL's own that a view, or one that it reads, can be written through to. */
function ownBelow(catalog: Catalog, view: Relation): ServersOwn | undefined {
  const views = new Set([view]);
  // A set's iterator comes to what is added on the way.
  for (const { oid, definition, ...of } of views) {
    const query = definition === undefined ? undefined : parseDefinition(definition);
    // What can't be read may be a view of anything.
    const own = query?.kind === 'SelectStmt' ? ownIn(catalog, query.fields) : of;
    if (own !== undefined) return own;
    for (const { relation } of catalog.dependencies(oid)) if (relation.kind === 'v') views.add(relation);
  }
  return undefined;
}

/** A view of several is written to by triggers and rules alone. */
function ownIn(catalog: Catalog, query: Fields): ServersOwn | undefined {
  const [only, ...more] = listOf(query, 'fromClause');
  const node = nodeOf(only);
  if (node?.kind !== 'RangeVar' || more.length > 0) return undefined;
  const schema = textOf(node.fields, 'schemaname') ?? 'pg_catalog';
  const name = textOf(node.fields, 'relname') ?? '';
  return catalog.systemRelations(schema)?.has(name) === true ? { schema, name } : undefined;
}
