import type { EntityRef } from '../../model/index.ts';
import type { CompiledPolicies, PartOfAccess, PolicySchema } from '../../policy/index.ts';
import { isOperated } from './access.ts';

/** What policies say of one act, whatever it is about. */
export interface ActionAccess {
  readonly action: string;
  /** `sometimes`: it depends on what is asked about, on when, or on what is not known of who asks. */
  readonly verdict: 'always' | 'sometimes';
  readonly policies: readonly AccessReason[];
}

/** One policy that takes part. */
export interface AccessReason {
  readonly policy: string;
  readonly effect: 'permit' | 'forbid';
  /** What has to hold besides, in Cedar's words; empty: it holds for all. */
  readonly when: readonly string[];
}

/** Who may do something, by the scope of the permits. */
export interface Holder extends Omit<ActionAccess, 'action'> {
  /** In Cedar's words: `principal is Countersign::Person`. */
  readonly principal: string;
}

interface Sets {
  readonly schema: PolicySchema;
  readonly builtIn: CompiledPolicies;
  readonly changeable: CompiledPolicies | undefined;
  readonly timeMs: number;
}

/** All that somebody may do, by action; what they may never is left out. */
export function actionsOf(sets: Sets, principal: EntityRef): readonly ActionAccess[] {
  const actions = Array.from(sets.schema.actions).filter(([, { isGroup }]) => !isGroup);
  return actions.flatMap(([action]): ActionAccess[] => {
    const found = accessOf(sets, principal, action);
    return found === undefined ? [] : [{ action, ...found }];
  });
}

/** Who may do it. */
export function holdersOf(sets: Sets, action: string): readonly Holder[] {
  return distinct(setsFor(sets, action).flatMap((set) => scopesIn(set, action))).flatMap((scope): Holder[] => {
    const found = accessOf(sets, scope, action);
    return found === undefined ? [] : [{ principal: scopeText(scope), ...found }];
  });
}

/** Undefined for never. What is built in permits whatever the others say. */
function accessOf(sets: Sets, principal: PartOfAccess, action: string): Omit<ActionAccess, 'action'> | undefined {
  const question = { principal, action, resource: { op: 'any' }, timeMs: sets.timeMs } as const;
  const all = setsFor(sets, action).map((set) => set.access(question));
  const verdicts = all.map(({ verdict }) => verdict);
  if (verdicts.every((verdict) => verdict === 'never')) return undefined;
  const policies = all.flatMap(({ permits, forbids }) => [
    ...permits.map((one) => reasonOf(one, 'permit')),
    ...forbids.map((one) => reasonOf(one, 'forbid')),
  ]);
  return { verdict: verdicts.includes('always') ? 'always' : 'sometimes', policies };
}

function setsFor({ builtIn, changeable, schema }: Sets, action: string): readonly CompiledPolicies[] {
  return changeable === undefined || !isOperated(action, schema) ? [builtIn] : [builtIn, changeable];
}

function reasonOf(
  { policy, within, when }: { policy: string; within: readonly string[]; when: readonly string[] },
  effect: AccessReason['effect'],
): AccessReason {
  return { policy, effect, when: [...within, ...when] };
}

type Scope = Extract<PartOfAccess, { op: string }>;

function scopesIn(set: CompiledPolicies, action: string): readonly Scope[] {
  return set.policies.flatMap(({ id, effect }) => {
    const scopes = set.scopesOf(id);
    return effect === 'permit' && scopes?.actions.includes(action) === true ? [scopes.principal] : [];
  });
}

function distinct(scopes: readonly Scope[]): readonly Scope[] {
  return Array.from(new Map(scopes.map((scope) => [JSON.stringify(scope), scope])).values());
}

function scopeText(scope: Scope): string {
  switch (scope.op) {
    case 'any':
      return 'principal';
    case 'is':
      return `principal is ${scope.type}`;
    case 'equals':
      return `principal == ${scope.type}::${JSON.stringify(scope.id)}`;
    case 'in': {
      const narrowed = scope.is === undefined ? '' : `is ${scope.is} `;
      return `principal ${narrowed}in ${scope.type}::${JSON.stringify(scope.id)}`;
    }
    default:
      return scope satisfies never;
  }
}
