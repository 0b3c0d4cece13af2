import {
  type Access,
  type CompiledPolicies,
  fieldText,
  mayBeOneField,
  type PolicySummary,
  type WrittenMask,
} from '../../policy/index.ts';
import { formatWords } from '../terminal/table.ts';
import { accessLines, accessValue, identitiesOf, resourcesOf } from './access-text.ts';

/** A policy that goes, and what comes of it. */
export interface DeletedPolicy {
  readonly id: string;
  readonly effect: PolicySummary['effect'];
  /** `spiffe://… to do that on table …`. */
  readonly about: string;
  readonly isExpired: boolean;
  /** Of a permit: what the policies that stay say of the same, by what is the same for several actions. */
  readonly rest: readonly {
    readonly actions: readonly string[];
    readonly access: Access;
    readonly unmasked: readonly string[];
  }[];
  /** Of a forbid: the permits that it held back. */
  readonly freed: readonly string[];
  readonly value: object;
}

/** Finds it. */
export function deletedPolicy(
  { id, effect, expiresMs }: PolicySummary,
  {
    before,
    after,
    timeMs,
  }: { readonly before: CompiledPolicies; readonly after: CompiledPolicies; readonly timeMs: number },
): DeletedPolicy {
  const scopes = before.scopesOf(id) ?? { principal: { op: 'any' }, actions: [], resource: { op: 'any' } };
  const { principal, actions, resource } = scopes;
  const about = `${resourcesOf(resource)}, to ${identitiesOf(principal)}`;
  const isExpired = expiresMs !== undefined && expiresMs <= timeMs;
  if (effect === 'forbid') {
    const permits = new Set(after.policies.flatMap((one) => (one.effect === 'permit' ? [one.id] : [])));
    const held = before.hindrances({ permits, forbids: new Set([id]) }).map(({ permit }) => permit);
    const freed = Array.from(new Set(held));
    return { id, effect, about, isExpired, rest: [], freed, value: { effect, actions, about, freed } };
  }
  const masked = before.demandsOn({ actions, resource, timeMs }).masks;
  const groups = new Map<string, { actions: string[]; access: Access; unmasked: readonly string[] }>();
  for (const action of actions) {
    const access = after.access({ principal, action, resource, timeMs });
    const key = JSON.stringify(accessValue(access));
    const group = groups.get(key) ?? { actions: [], access, unmasked: unmaskedBy(access, masked) };
    group.actions.push(action);
    groups.set(key, group);
  }
  const rest = Array.from(groups.values());
  const value = { effect, about, rest: rest.map(({ access, ...one }) => ({ ...one, ...accessValue(access) })) };
  return { id, effect, about, isExpired, rest, freed: [], value };
}

/** Lines for people. */
export function formatDeleted(
  { id, effect, about, isExpired, rest, freed }: DeletedPolicy,
  dryRun: boolean,
): readonly string[] {
  const head = `${dryRun ? 'would delete' : 'deleted'} ${effect} ${id}`;
  if (isExpired) return [`${head}, which had expired`];
  if (effect === 'forbid')
    return [
      head,
      freed.length === 0
        ? '  no permit reaches what it forbade'
        : formatWords(`it no longer holds back what these permit: ${freed.join(', ')}`, '  '),
    ];
  return [
    head,
    ...rest.flatMap(({ actions, access, unmasked }) =>
      access.verdict === 'never'
        ? [formatWords(`no longer permitted: ${actions.join(', ')} on ${about}`, '  ')]
        : [
            formatWords(
              `${access.verdict === 'always' ? 'still' : 'still in part'} permitted: ${actions.join(', ')} on ${about}`,
              '  ',
            ),
            ...accessLines(access),
            ...(unmasked.length === 0 ? [] : [formatWords(`WITHOUT a mask then: ${unmasked.join(', ')}`, '    ')]),
          ],
    ),
  ];
}

/** Fields that were masked there, and that a permit which stays shows. */
function unmaskedBy({ permits, verdict }: Access, masked: readonly WrittenMask[]): readonly string[] {
  if (verdict === 'never') return [];
  const isShown = (field: WrittenMask) => permits.some(({ masks }) => !masks.some((one) => mayBeOneField(one, field)));
  return masked.filter(isShown).map(fieldText);
}
