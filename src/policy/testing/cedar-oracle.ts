import * as cedar from '@cedar-policy/cedar-wasm/nodejs';
import type { AttributeValue, Decision, DecisionRequest, EntityRef } from '../../model/index.ts';
import type { CompiledPolicies } from '../types.ts';

/** What Cedar itself answers, put in our words: the stricter rule (a forbid that fails denies) is applied here to Cedar's parts. */
export function cedarDecides(
  request: DecisionRequest,
  policies: CompiledPolicies,
): Pick<Decision, 'allow' | 'policies'> & { reason?: string } {
  const answer = cedar.isAuthorized({
    principal: { type: request.principal.type, id: request.principal.id },
    action: { type: 'Action', id: request.action },
    resource: { type: request.resource.type, id: request.resource.id },
    context: cedarRecord(withTime(request)),
    policies: { staticPolicies: Object.fromEntries(policies.policies.map(({ id, text }) => [id, text])) },
    entities: [...entitiesOf([request.principal, request.resource]).values(), ...ACTIONS],
  });
  if (answer.type === 'failure') throw new Error(JSON.stringify(answer.errors));
  const effects = new Map(policies.policies.map(({ id, effect }) => [id, effect]));
  const { reason, errors } = answer.response.diagnostics;
  const failed = errors.map((error) => error.policyId);
  const failedForbids = failed.filter((id) => effects.get(id) === 'forbid').sort();
  const failedPermits = failed.filter((id) => effects.get(id) === 'permit').sort();
  if (answer.response.decision === 'deny' && reason.length > 0)
    return { allow: false, reason: 'forbidden', policies: reason.sort() };
  if (failedForbids.length > 0) return { allow: false, reason: 'policy-error', policies: failedForbids };
  if (answer.response.decision === 'allow') return { allow: true, policies: reason.sort() };
  if (failedPermits.length > 0) return { allow: false, reason: 'policy-error', policies: failedPermits };
  return { allow: false, reason: 'no-permit', policies: [] };
}

/** As policies see it: to the second. */
function withTime({ context, timeMs }: DecisionRequest): DecisionRequest['context'] {
  if (timeMs === undefined) return context;
  const arg = new Date(Math.floor(timeMs / 1000) * 1000).toISOString();
  return { ...context, time: { __extn: { fn: 'datetime', arg } } };
}

function entitiesOf(roots: readonly EntityRef[]): Map<string, cedar.EntityJson> {
  const found = new Map<string, cedar.EntityJson>();
  const visit = (ref: EntityRef): void => {
    const uid = { type: ref.type, id: ref.id };
    const parents = ref.parents.map((parent) => ({ type: parent.type, id: parent.id }));
    const tags = cedarRecord(ref.tags ?? {});
    found.set(`${ref.type}::${ref.id}`, { uid, attrs: cedarRecord(ref.attributes), tags, parents });
    ref.parents.forEach(visit);
  };
  roots.forEach(visit);
  return found;
}

/** Our plain data is Cedar's JSON, but for the word `readonly`. */
function cedarRecord(record: { readonly [name: string]: AttributeValue }): Record<string, cedar.CedarValueJson> {
  return record as Record<string, cedar.CedarValueJson>;
}

/** The action hierarchy of the fixture's schema: without a schema, Cedar has to be told. */
const ACTIONS: cedar.EntityJson[] = [
  { uid: { type: 'Action', id: 'shop:any' }, attrs: {}, parents: [] },
  { uid: { type: 'Action', id: 'shop:read' }, attrs: {}, parents: [{ type: 'Action', id: 'shop:any' }] },
  { uid: { type: 'Action', id: 'shop:connect' }, attrs: {}, parents: [{ type: 'Action', id: 'shop:read' }] },
  { uid: { type: 'Action', id: 'shop:select' }, attrs: {}, parents: [{ type: 'Action', id: 'shop:read' }] },
  { uid: { type: 'Action', id: 'shop:update' }, attrs: {}, parents: [{ type: 'Action', id: 'shop:any' }] },
];
