import { leastLimits, limitsWith, limitWords } from '../obligations/limits.ts';
import { stricterMask } from '../obligations/masks.ts';
import type { PermitMask } from '../obligations/obligations.ts';
import { isFieldOf, pathIn, type WrittenField } from '../schema/fields.ts';
import type { Demands, PartOfAccess } from '../types.ts';
import { type AccessFacts, accessTo } from './access.ts';
import { readingsOf } from './applicable.ts';
import type { CompiledPolicy } from './compile-policy.ts';
import { entityOfScope } from './scopes.ts';

/** What permits on a resource demand, joined as the gateway joins them: a new permit that demands as much opens no more than they do. */
export function demandsOn(
  facts: AccessFacts,
  asked: { readonly actions: readonly string[]; readonly resource: PartOfAccess; readonly timeMs: number },
): Demands {
  const permits = permitsOn(facts, asked);
  const masks = new Map<string, Demands['masks'][number]>();
  const bearing = new Set<CompiledPolicy>();
  for (const permit of permits)
    for (const mask of permit.obligations.masks) {
      const field = fieldOn(facts, { mask, permit, ...asked });
      if (field === undefined) continue;
      bearing.add(permit);
      const key = JSON.stringify(field.path);
      masks.set(key, { ...field, kind: stricterMask(mask.kind, masks.get(key)?.kind ?? mask.kind) });
    }
  // One that the new permit's actions don't honour is none of theirs.
  const words = limitWords(facts.schema, asked.actions);
  const kept = (permit: CompiledPolicy) => {
    const honoured = new Set(words.values());
    return permit.obligations.limits.filter(({ unit }) => honoured.has(unit));
  };
  const isDerived = bearing.size > 0 && Array.from(bearing).every(({ obligations }) => obligations.derived === 'null');
  const isFull = permits.length > 0 && permits.every(({ obligations }) => obligations.record === 'full');
  return {
    masks: Array.from(masks.values()),
    derived: isDerived ? 'null' : undefined,
    limits: limitsWith(leastLimits(permits.map(kept)), words),
    record: isFull ? 'full' : 'digest',
    approval: permits.find(isHeld)?.obligations.approval,
    policies: permits
      .filter((permit) => bearing.has(permit) || kept(permit).length > 0 || isHeld(permit) || isFull)
      .map(({ summary }) => summary.id),
  };
}

function isHeld({ obligations }: CompiledPolicy): boolean {
  return obligations.approval !== undefined;
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

/** How a permit of those actions on `resource` names the field of a mask that another permit bears; undefined where it has no such field. */
function fieldOn(
  { schema }: AccessFacts,
  from: {
    readonly mask: PermitMask;
    readonly permit: CompiledPolicy;
    readonly actions: readonly string[];
    readonly resource: PartOfAccess;
  },
): WrittenField | undefined {
  const { mask, permit, actions, resource } = from;
  const { path, hasWildcard } = mask;
  const one = 'op' in resource ? entityOfScope(resource, schema) : resource;
  // A permit on one thing is about its fields.
  if (one !== undefined) {
    const reading = mask.on.get(one.type);
    return reading !== undefined && isFieldOf(reading, one) ? { path: reading.own, hasWildcard } : undefined;
  }
  if (!('op' in resource)) return undefined;
  // In one on many things, the mask of a permit on one of them stays with that one.
  const of = entityOfScope(permit.resource, schema);
  const reading = of && mask.on.get(of.type);
  const field = { path: of && reading ? pathIn(reading, of) : path, hasWildcard };
  return readingsOf(field, { actions, resource }, schema).size > 0 ? field : undefined;
}
