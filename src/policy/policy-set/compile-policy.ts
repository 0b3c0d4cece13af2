import type { ActionScopeJson, PolicyJson, ScopeJson } from '../expressions/cedar-json.ts';
import { compileCondition } from '../expressions/compile-expression.ts';
import type { Environment } from '../expressions/values.ts';
import { limitsOn } from '../obligations/limits.ts';
import type { PolicyObligations, WrittenObligations } from '../obligations/obligations.ts';
import type { PolicySchema } from '../schema/compose-schema.ts';
import type { PolicySummary, ResourceScope } from '../types.ts';
import { reachableActions, requireReadings } from './applicable.ts';
import { type PolicyTimes, timesOf } from './policy-times.ts';

/** A policy ready to be indexed and asked. */
export interface CompiledPolicy {
  readonly summary: PolicySummary;
  readonly json: PolicyJson;
  readonly obligations: PolicyObligations;
  readonly principal: ResourceScope;
  /** Ids of the actions it speaks of; groups are resolved. */
  readonly actions: readonly string[];
  readonly resource: ResourceScope;
  /** When its answers may change by themselves. */
  readonly times: PolicyTimes;
  /** Everything but the scope. @throws EvaluationError */
  readonly holds: (environment: Environment) => boolean;
}

/** Compiles one parsed policy. @throws UnsupportedError, AnnotationError */
export function compilePolicy(
  parsed: { readonly json: PolicyJson; readonly summary: PolicySummary; readonly obligations: WrittenObligations },
  schema: PolicySchema,
): CompiledPolicy {
  const { json } = parsed;
  const actions = actionsOf(json.action, schema);
  const resource = scopeOf(json.resource);
  const masks = parsed.obligations.masks.map((mask) => {
    return { ...mask, on: requireReadings(mask, { actions, resource }, schema) };
  });
  const limits = limitsOn(parsed.obligations.limits, reachableActions({ actions, resource }, schema), schema);
  const conditions = json.conditions.map(({ kind, body }) => {
    const condition = compileCondition(body);
    return kind === 'when' ? condition : (env: Environment) => !condition(env);
  });
  return {
    ...parsed,
    obligations: { ...parsed.obligations, masks, limits },
    principal: scopeOf(json.principal),
    actions,
    resource,
    times: timesOf(json, parsed.obligations.expiresMs),
    holds: until(parsed.obligations.expiresMs, allOf(conditions)),
  };
}

function until(expiresMs: number | undefined, holds: (env: Environment) => boolean): (env: Environment) => boolean {
  if (expiresMs === undefined) return holds;
  return (env) => isBefore(env.timeMs, expiresMs) && holds(env);
}

/** Not at that moment either, nor at an unknown one. */
export function isBefore(timeMs: number | undefined, expiresMs: number): boolean {
  return timeMs !== undefined && timeMs < expiresMs;
}

function allOf(conditions: readonly ((env: Environment) => boolean)[]): (env: Environment) => boolean {
  const [only, ...others] = conditions;
  if (only === undefined) return () => true;
  if (others.length === 0) return only;
  return (env) => {
    for (const condition of conditions) if (!condition(env)) return false;
    return true;
  };
}

function scopeOf(scope: ScopeJson): ResourceScope {
  switch (scope.op) {
    case 'All':
      return { op: 'any' };
    case '==':
      return { op: 'equals', type: scope.entity.type, id: scope.entity.id };
    case 'in':
      return { op: 'in', type: scope.entity.type, id: scope.entity.id };
    case 'is': {
      const { entity_type: type, in: place } = scope;
      if (place === undefined) return { op: 'is', type };
      return { op: 'in', type: place.entity.type, id: place.entity.id, is: type };
    }
    default:
      return scope satisfies never;
  }
}

/** Cedar's `action in [..]` is membership: an action named is in itself, a group holds its actions at any depth. */
function actionsOf(scope: ActionScopeJson, schema: PolicySchema): readonly string[] {
  const actions = Array.from(schema.actions).filter(([, facts]) => !facts.isGroup);
  if (scope.op === 'All') return actions.map(([id]) => id);
  const named = new Set(('entities' in scope ? scope.entities : [scope.entity]).map((entity) => entity.id));
  if (scope.op === '==') return actions.map(([id]) => id).filter((id) => named.has(id));
  return actions
    .filter(([id, { groups }]) => named.has(id) || groups.some((group) => named.has(group)))
    .map(([id]) => id);
}
