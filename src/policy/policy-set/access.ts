import type { EntityRef } from '../../model/index.ts';
import type { ExprJson } from '../expressions/cedar-json.ts';
import { isInfallible } from '../expressions/conjuncts.ts';
import { type PartialRequest, reduceCondition } from '../expressions/partial.ts';
import { printExpression, printScope } from '../expressions/print.ts';
import type { KnownEntity } from '../expressions/values.ts';
import type { PermitMask } from '../obligations/obligations.ts';
import type { PolicySchema } from '../schema/compose-schema.ts';
import { RequestError, type RequestReader } from '../schema/conform.ts';
import { isFieldOf } from '../schema/fields.ts';
import type {
  Access,
  AccessPolicy,
  AccessQuestion,
  Hindrance,
  PartOfAccess,
  ResourceScope,
  SessionAccess,
  WhatCan,
  WhoCan,
  WhoCanQuestion,
} from '../types.ts';
import { type CompiledPolicy, isBefore } from './compile-policy.ts';
import { scopeFits } from './policy-index.ts';
import { entityOfScope, linesOf, type Part, reachOf } from './scopes.ts';

/** What a set of policies says of questions that are not whole yet. */
export interface AccessFacts {
  readonly policies: readonly CompiledPolicy[];
  readonly schema: PolicySchema;
  readonly reader: RequestReader;
}

/** Who may do an action to a resource: each identity that is known, and any other that permits take in. */
export function whoCan(facts: AccessFacts, question: WhoCanQuestion): WhoCan {
  const { action, column } = question;
  const resource = partOf(facts, question.resource);
  const about = facts.policies.filter(
    (policy) =>
      policy.actions.includes(action) && reachOf(policy.resource, resource, resourceFacts(facts, action)) !== 'none',
  );
  const { timeMs } = question;
  const ask = (principal: Part, whole?: 'principal') =>
    accessOf({ ...facts, policies: about }, { principal, action, resource, column, whole, timeMs });
  const sessionFor = (principal: PartOfAccess) =>
    sessionOf(facts, { principal, action, resource: question.resource, timeMs });
  const identities = question.identities.map((identity) => {
    const access = ask({ entity: facts.reader.readEntity(identity) });
    // Most of those that are known hold nothing here.
    return { identity, access, session: access.permits.length > 0 ? sessionFor(identity) : undefined };
  });
  const others = distinctScopes(about.filter(isPermit).map((policy) => policy.principal))
    .filter((scope) => entityOfScope(scope, facts.schema) === undefined)
    .map((scope) => ({ scope, access: ask({ scope }, 'principal') }))
    .filter(({ access }) => access.verdict !== 'never')
    .map((other) => ({ ...other, session: sessionFor(other.scope) }));
  return { identities, others };
}

/** What an identity may do: each action with each part of the world that a permit names for it. */
export function whatCan(facts: AccessFacts, identity: EntityRef, timeMs: number | undefined): WhatCan {
  const principal = { entity: facts.reader.readEntity(identity) };
  const about = facts.policies.filter((policy) => scopeFits(policy.principal, principal.entity));
  const own = { ...facts, policies: about };
  const actions = Array.from(facts.schema.actions).filter(([, { isGroup }]) => !isGroup);
  return actions.flatMap(([action]) => {
    const scopes = distinctScopes(
      about.filter((policy) => isPermit(policy) && policy.actions.includes(action)).map((policy) => policy.resource),
    );
    return scopes
      .map((scope) => {
        const resource = partOf(facts, scope);
        const access = accessOf(own, { principal, action, resource, whole: 'resource', timeMs });
        const session = sessionOf(own, { principal: identity, action, resource: scope, timeMs });
        return { action, resource: scope, access, session };
      })
      .filter(({ access }) => access.permits.length > 0);
  });
}

/** What policies say of all requests of one kind. */
export function accessTo(facts: AccessFacts, { principal, action, resource, timeMs }: AccessQuestion): Access {
  const [who, what] = [partOf(facts, principal), partOf(facts, resource)];
  return accessOf(facts, { principal: who, action, resource: what, timeMs });
}

/** What they say of the session that an action needs; undefined for one that needs none. */
function sessionOf(facts: AccessFacts, question: AccessQuestion): SessionAccess | undefined {
  const action = facts.schema.actions.get(question.action)?.session;
  if (action === undefined) return undefined;
  const places = facts.schema.actions.get(action)?.resources ?? new Set();
  const resource = placeWithin(facts, question.resource, places);
  return { action, resource, access: accessTo(facts, { ...question, action, resource }) };
}

/** The thing of one of those types that a resource is, or is in; what is above all of them stands for those in it. */
function placeWithin({ schema }: AccessFacts, resource: PartOfAccess, types: ReadonlySet<string>): ResourceScope {
  if ('op' in resource && (resource.op === 'any' || resource.op === 'is')) return { op: 'any' };
  const { type, id } = resource;
  const place = linesOf({ type, id }, schema).find((one) => types.has(one.type));
  return place === undefined ? { op: 'in', type, id } : { op: 'equals', type: place.type, id: place.id };
}

/** Which forbids reach into what permits allow: by their ids. */
export function hindrancesBetween(
  facts: AccessFacts,
  { permits, forbids }: { readonly permits: ReadonlySet<string>; readonly forbids: ReadonlySet<string> },
): readonly Hindrance[] {
  const [allowing, refusing] = [permits, forbids].map((ids) =>
    facts.policies.filter(({ summary }) => ids.has(summary.id)),
  );
  const found = new Map<string, { permit: string; forbid: string; actions: string[]; isCertain: boolean }>();
  for (const { summary, principal, resource, actions } of (allowing ?? []).filter(isPermit))
    for (const action of actions) {
      const parts = { principal: partOf(facts, principal), resource: partOf(facts, resource) };
      const question = { ...parts, action, timeMs: undefined };
      if (reachOf(resource, question.resource, resourceFacts(facts, action)) === 'none') continue;
      for (const forbid of accessOf({ ...facts, policies: refusing ?? [] }, question).forbids) {
        const key = JSON.stringify([summary.id, forbid.policy, isCertain(forbid)]);
        const known = found.get(key) ?? {
          permit: summary.id,
          forbid: forbid.policy,
          actions: [],
          isCertain: isCertain(forbid),
        };
        known.actions.push(action);
        found.set(key, known);
      }
    }
  return Array.from(found.values());
}

interface PartialQuestion {
  readonly principal: Part;
  readonly action: string;
  readonly resource: Part;
  readonly column?: WhoCanQuestion['column'];
  readonly timeMs: number | undefined;
  /** Permits that take in only some of that part are left out: they are said with a part of their own. */
  readonly whole?: 'principal' | 'resource' | undefined;
}

function accessOf(facts: AccessFacts, question: PartialQuestion): Access {
  const { principal, action, resource, column } = question;
  const known: PartialRequest = {
    action: facts.reader.readAction(action),
    principal: principal.entity,
    resource: resource.entity,
    holds: column === undefined ? undefined : { attribute: column.attribute, element: column.name },
  };
  const permits: AccessPolicy[] = [];
  const forbids: AccessPolicy[] = [];
  /** Those that take in the whole part; the others are there for what they want of it, and alone are said with a part of their own. */
  const granting: AccessPolicy[] = [];
  for (const policy of facts.policies) {
    const { expiresMs } = policy.summary;
    if (!policy.actions.includes(action) || (expiresMs !== undefined && !isBefore(question.timeMs, expiresMs)))
      continue;
    const who = reachOf(policy.principal, principal, principalFacts(facts, action));
    const what = reachOf(policy.resource, resource, resourceFacts(facts, action));
    if (who === 'none' || what === 'none') continue;
    const isPartly = question.whole !== undefined && (question.whole === 'principal' ? who : what) === 'some';
    // But for one that wants an approval: where it applies, nothing runs without.
    if (isPermit(policy) && isPartly && policy.obligations.approval === undefined) continue;
    const rest = restOf(policy, known);
    if (rest === undefined) continue;
    const within = [
      ...(who === 'some' ? [printScope('principal', policy.json.principal)] : []),
      ...(what === 'some' ? [printScope('resource', policy.json.resource)] : []),
    ];
    const told = {
      ...{ policy: policy.summary.id, within, when: rest.map(({ kind, body }) => `${kind} ${printExpression(body)}`) },
      ...obligationsOf(policy, resource, column?.name),
    };
    (isPermit(policy) ? permits : forbids).push(told);
    if (isPermit(policy) && !isPartly) granting.push(told);
  }
  const held = permits.filter(({ approval }) => approval !== undefined);
  // A session can't be held: what would have to be is refused.
  const isSession = Array.from(facts.schema.actions.values()).some(({ session }) => session === action);
  const verdict = isSession
    ? verdictOf(without(granting, held), [...forbids, ...held], [])
    : verdictOf(granting, forbids, held);
  return { verdict, permits: granting.length === 0 ? [] : permits, forbids };
}

/** `held`: what runs only once it is approved. */
function verdictOf(
  granting: readonly AccessPolicy[],
  refusing: readonly AccessPolicy[],
  held: readonly AccessPolicy[],
): Access['verdict'] {
  if (granting.length === 0 || refusing.some(isCertain)) return 'never';
  return refusing.length === 0 && held.length === 0 && granting.some(isCertain) ? 'always' : 'sometimes';
}

function without<T>(all: readonly T[], some: readonly T[]): readonly T[] {
  return all.filter((one) => !some.includes(one));
}

function isCertain({ within, when }: AccessPolicy): boolean {
  return within.length === 0 && when.length === 0;
}

type Conditions = readonly { readonly kind: 'when' | 'unless'; readonly body: ExprJson }[];

/**
 * The conditions that only a whole request settles, none of them when the policy applies to all; undefined when it applies to none. A forbid
 * that fails refuses, so for one that fails the answer is as if it applied.
 */
function restOf(policy: CompiledPolicy, known: PartialRequest): Conditions | undefined {
  const rest: { kind: 'when' | 'unless'; body: ExprJson }[] = [];
  for (const { kind, body } of policy.json.conditions) {
    const reduced = reduceCondition(body, known);
    if (reduced === (kind === 'when')) continue;
    if (typeof reduced === 'object') rest.push({ kind, body: reduced });
    else if (isPermit(policy)) return undefined;
    // What stands before may fail where this one would not let it apply.
    else if (reduced === 'error') return rest;
    else return rest.every((one) => isInfallible(one.body)) ? undefined : [...rest, { kind, body }];
  }
  return rest;
}

function obligationsOf(
  { obligations, summary }: CompiledPolicy,
  resource: Part,
  column: string | undefined,
): Pick<AccessPolicy, 'masks' | 'limits' | 'record' | 'approval' | 'expiresMs'> {
  const { expiresMs } = summary;
  if (summary.effect === 'forbid') return { masks: [], limits: [], record: undefined, approval: undefined, expiresMs };
  const { masks, limits, record, approval } = obligations;
  return {
    masks: masks
      .filter((mask) => isMaskOn(mask, resource.entity, column))
      .map(({ path, hasWildcard, kind }) => ({ path, hasWildcard, kind })),
    limits,
    record,
    approval,
    expiresMs,
  };
}

/** Whether it can be on a field of the resource, the one of that name where there is one. */
function isMaskOn({ on }: PermitMask, entity: KnownEntity | undefined, name: string | undefined): boolean {
  const readings = entity === undefined ? Array.from(on.values()) : [on.get(entity.type)];
  return readings.some((reading) => {
    if (reading === undefined || (name !== undefined && !(reading.own.length === 1 && reading.own[0] === name)))
      return false;
    return entity === undefined || isFieldOf(reading, { attributes: textsOf(entity) });
  });
}

function textsOf({ attributes }: KnownEntity): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(attributes).flatMap(([name, value]) => (typeof value === 'string' ? [[name, value]] : [])),
  );
}

function partOf({ reader, schema }: AccessFacts, part: PartOfAccess): Part {
  if (!('op' in part)) return { entity: reader.readEntity(part) };
  const entity = entityOfScope(part, schema);
  if (entity === undefined) return { scope: part };
  try {
    return { entity: reader.readEntity(entity) };
  } catch (error) {
    // It has attributes of which its id tells nothing.
    if (error instanceof RequestError) return { scope: part };
    throw error;
  }
}

function distinctScopes(scopes: readonly ResourceScope[]): readonly ResourceScope[] {
  return Array.from(new Map(scopes.map((scope) => [JSON.stringify(scope), scope])).values());
}

function isPermit({ summary }: CompiledPolicy): boolean {
  return summary.effect === 'permit';
}

function principalFacts({ schema }: AccessFacts, action: string) {
  return { schema, types: schema.actions.get(action)?.principals ?? new Set<string>() };
}

function resourceFacts({ schema }: AccessFacts, action: string) {
  return { schema, types: schema.actions.get(action)?.resources ?? new Set<string>() };
}
