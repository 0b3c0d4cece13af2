import type { Decision, DecisionRequest, EntityRef } from '../../model/index.ts';
import type { Environment } from '../expressions/values.ts';
import { joinObligations } from '../obligations/obligations.ts';
import type { PolicySchema } from '../schema/compose-schema.ts';
import { createRequestReader } from '../schema/conform.ts';
import type { CompiledPolicies, PolicyNames, PotentialMask } from '../types.ts';
import { accessTo, hindrancesBetween, whatCan, whoCan } from './access.ts';
import { columnsNamed } from './columns-named.ts';
import { type CompiledPolicy, isBefore } from './compile-policy.ts';
import { demandsOn } from './demands.ts';
import { explainRequest } from './explain.ts';
import { indexPolicies } from './policy-index.ts';
import { namesOf, tagReadsOf } from './policy-names.ts';
import { createTimetable } from './policy-times.ts';

/** Makes compiled policies into a set that answers. `isValidated`: Cedar's validator accepted every one against this schema. */
export function createPolicySet(deps: {
  readonly policies: readonly CompiledPolicy[];
  readonly schema: PolicySchema;
  readonly digest: string;
  readonly isValidated: boolean;
}): CompiledPolicies {
  const policies = deps.policies.toSorted(byId);
  const index = indexPolicies(policies, { isValidated: deps.isValidated });
  const reader = createRequestReader(deps.schema);
  const facts = { policies, schema: deps.schema, reader };
  let names: PolicyNames | undefined;

  function decide(request: DecisionRequest): Decision {
    try {
      const environment = reader.read(request);
      return judge(index.candidates(environment), environment, request.resource);
    } catch {
      // Whatever went wrong (a request that does not fit the schema above all), the answer is no; `explain` tells what it was.
      return REQUEST_REFUSED;
    }
  }

  return {
    digest: deps.digest,
    policies: policies.map((policy) => policy.summary),
    decide,
    explain: (request) => explainRequest({ request, policies, reader, decide }),
    maskBearing(principal: EntityRef, timeMs?: number) {
      const known = reader.readEntity(principal);
      const bearers = index.forPrincipal(known).filter(({ summary: { expiresMs } }) => {
        return expiresMs === undefined || timeMs === undefined || isBefore(timeMs, expiresMs);
      });
      return bearers.toSorted(byId).flatMap(potentialMasks);
    },
    nextChange: createTimetable(policies.map(({ times }) => times)),
    whoCan: (question) => whoCan(facts, question),
    whatCan: (identity, timeMs) => whatCan(facts, identity, timeMs),
    access: (question) => accessTo(facts, question),
    demandsOn: (asked) => demandsOn(facts, asked),
    columnsNamed: (resource) => columnsNamed(policies, resource),
    scopesOf(id) {
      const found = policies.find(({ summary }) => summary.id === id);
      return found && { principal: found.principal, actions: found.actions, resource: found.resource };
    },
    hindrances: (between) => hindrancesBetween(facts, between),
    names() {
      names ??= {
        entities: policies.flatMap(namesOf),
        masks: policies.flatMap(potentialMasks),
        tags: policies.flatMap(tagReadsOf),
      };
      return names;
    },
  };
}

/**
 * Cedar's rule with one difference: where Cedar leaves out a forbid that can not be evaluated, the answer here is a refusal. Errors of
 * permits only matter when nothing else permits, and then only for the reason given.
 */
function judge(candidates: readonly CompiledPolicy[], environment: Environment, resource: EntityRef): Decision {
  const permits: CompiledPolicy[] = [];
  const forbids: CompiledPolicy[] = [];
  const failedPermits: CompiledPolicy[] = [];
  const failedForbids: CompiledPolicy[] = [];
  for (const policy of candidates) {
    const isPermit = policy.summary.effect === 'permit';
    try {
      if (policy.holds(environment)) (isPermit ? permits : forbids).push(policy);
    } catch {
      // Any throw is an error of this policy, and counted below: never as a match of a permit, always against a forbid.
      (isPermit ? failedPermits : failedForbids).push(policy);
    }
  }
  if (forbids.length > 0) return { allow: false, reason: 'forbidden', policies: idsOf(forbids) };
  if (failedForbids.length > 0) return { allow: false, reason: 'policy-error', policies: idsOf(failedForbids) };
  if (permits.length > 0)
    return { allow: true, policies: idsOf(permits), obligations: joinObligations(permits, resource) };
  if (failedPermits.length > 0) return { allow: false, reason: 'policy-error', policies: idsOf(failedPermits) };
  return NO_PERMIT;
}

function byId(a: CompiledPolicy, b: CompiledPolicy): number {
  return a.summary.id < b.summary.id ? -1 : 1;
}

/** Sorted by code units, so that one answer is always written one way. */
function idsOf(policies: readonly CompiledPolicy[]): readonly string[] {
  return policies.map((policy) => policy.summary.id).sort();
}

function potentialMasks(policy: CompiledPolicy): PotentialMask[] {
  const { summary, obligations, resource } = policy;
  const { masks, derived } = obligations;
  const more = derived === undefined ? {} : { derived };
  return masks.map((mask) => ({ policy: summary.id, ...mask, ...more, scope: resource }));
}

const NO_PERMIT: Decision = Object.freeze({ allow: false, reason: 'no-permit', policies: Object.freeze([]) });
const REQUEST_REFUSED: Decision = Object.freeze({ allow: false, reason: 'policy-error', policies: Object.freeze([]) });
