import { type AccessFacts, accessTo } from './access.ts';
import type { CompiledPolicy } from './compile-policy.ts';
import { stricterMask } from './masks.ts';
import { columnCovers } from './obligations.ts';
import { entityOfScope } from './scopes.ts';
import type { Demands, MaskedColumn, PartOfAccess } from './types.ts';

/** What permits on a resource demand, joined as the gateway joins them: a new permit that demands as much opens no more than they do. */
export function demandsOn(
  facts: AccessFacts,
  asked: { readonly actions: readonly string[]; readonly resource: PartOfAccess; readonly timeMs: number },
): Demands {
  const permits = permitsOn(facts, asked);
  const masks = new Map<string, Demands['masks'][number]>();
  const bearing = new Set<CompiledPolicy>();
  for (const permit of permits)
    for (const { column: written, kind } of permit.obligations.masks) {
      const column = columnOn(facts, { column: written, permit, resource: asked.resource });
      if (column === undefined) continue;
      bearing.add(permit);
      const key = JSON.stringify([column.schema, column.table, column.name]);
      masks.set(key, { column, kind: stricterMask(kind, masks.get(key)?.kind ?? kind) });
    }
  const limits = permits.flatMap(({ obligations }) => obligations.rowsMax ?? []);
  const isDerived = bearing.size > 0 && Array.from(bearing).every(({ obligations }) => obligations.derived === 'null');
  const isFull = permits.length > 0 && permits.every(({ obligations }) => obligations.record === 'full');
  return {
    masks: Array.from(masks.values()),
    derived: isDerived ? 'null' : undefined,
    rowsMax: limits.length === 0 ? undefined : Math.min(...limits),
    record: isFull ? 'full' : 'digest',
    policies: permits
      .filter((permit) => bearing.has(permit) || permit.obligations.rowsMax !== undefined || isFull)
      .map(({ summary }) => summary.id),
  };
}

/** All that can apply to anybody's request there. */
function permitsOn(facts: AccessFacts, { actions, resource, timeMs }: Parameters<typeof demandsOn>[1]) {
  const ids = new Set(
    actions
      .flatMap((action) => accessTo(facts, { principal: { op: 'any' }, action, resource, timeMs }).permits)
      .map(({ policy }) => policy),
  );
  return facts.policies.filter(({ summary }) => ids.has(summary.id));
}

/** How a permit on `resource` names the column of a mask that another permit bears; undefined where it has no such column. */
function columnOn(
  { schema }: AccessFacts,
  from: { readonly column: MaskedColumn; readonly permit: CompiledPolicy; readonly resource: PartOfAccess },
): MaskedColumn | undefined {
  const { column, permit, resource } = from;
  const one = 'op' in resource ? entityOfScope(resource, schema) : resource;
  // A permit on one thing is about its columns.
  if (one !== undefined && 'name' in one.attributes && 'schema' in one.attributes)
    return columnCovers(column, one) ? { name: column.name } : undefined;
  // In one on many things, the mask of a permit on one of them stays with that one.
  const of = entityOfScope(permit.resource, schema)?.attributes ?? {};
  const { name: table, schema: place } = of;
  if (typeof table !== 'string' || typeof place !== 'string') return column;
  return { schema: place, table, name: column.name };
}
