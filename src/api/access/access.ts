import type { TrustDomain } from '@countersign/sdk/identity';
import { type EndpointResource, type EndpointWords, type Principal, principalName } from '../../endpoint/index.ts';
import type { Decision, EntityRef } from '../../model/index.ts';
import {
  type CompiledPolicies,
  checkParsed,
  formatProblem,
  identityEntity,
  type ParsedForms,
  readForms,
} from '../../policy/index.ts';
import { assert, type Clock } from '../../std/index.ts';
import { accessSchema } from './access-schema.ts';
import { defaultPolicy } from './default-policy.ts';

/** Decides what whoever calls may do with the server: by policies, as gateways decide what passes them. */
export interface Access {
  /** `principal` undefined: nobody that is known. `action`: `countersign:target.list`. */
  decide(principal: Principal | undefined, action: string, resource?: EndpointResource): Decision;
}

/** Creates it from the default policy. `forms`: that policy as it was parsed before; without it Cedar is loaded to do so. */
export function createAccess(deps: {
  readonly clock: Clock;
  readonly trustDomain: TrustDomain;
  readonly endpoints: readonly Pick<EndpointWords, 'action' | 'audit'>[];
  readonly forms?: ParsedForms;
}): Access {
  const { clock, trustDomain } = deps;
  const schema = accessSchema(deps.endpoints);
  const { compiled, problems } = checkParsed([defaultPolicy], schema, readForms(deps.forms, schema));
  assert(compiled !== undefined, `the default policy is valid: ${problems.map(formatProblem).join('; ')}`);
  const policies: CompiledPolicies = compiled;
  const system: EntityRef = { type: 'Countersign::System', id: trustDomain, attributes: {}, parents: [] };
  return {
    decide: (principal, action, resource) =>
      policies.decide({
        principal: principalEntity(principal),
        action,
        resource: resourceEntity(resource, system),
        context: {},
        timeMs: clock.now(),
      }),
  };
}

/** Why somebody may not, for whoever asked: who they are taken for, what they asked for, and what stands against it. */
export function refusalText(
  principal: Principal,
  asked: { readonly action: string; readonly resource: EndpointResource },
  decision: Extract<Decision, { allow: false }>,
): string {
  const { action, resource } = asked;
  const what = `${action} of ${resource.type}${resource.id === '' ? '' : ` ${resource.id}`}`;
  const named = decision.policies.map((id) => JSON.stringify(id)).join(', ');
  const why: Readonly<Record<typeof decision.reason, string>> = {
    'no-permit': 'no policy of the API permits it',
    forbidden: `forbidden by ${named}`,
    'policy-error': `policy could not be evaluated${named === '' ? '' : `: ${named}`}`,
    'approval-needed': `an approval is needed by ${named}, and there are none as yet`,
    revoked: 'its credentials are revoked',
    quarantined: 'it is in quarantine',
    'revocations-stale': 'nobody knows who is revoked',
  };
  return `${principalName(principal)} may not do ${what}: ${why[decision.reason]}`;
}

function principalEntity(principal: Principal | undefined): EntityRef {
  switch (principal?.kind) {
    case undefined:
      return { type: 'Countersign::Stranger', id: '', attributes: {}, parents: [] };
    case 'node':
      return { type: 'Countersign::Node', id: principal.id.uri, attributes: { uri: principal.id.uri }, parents: [] };
    case 'identity': {
      const entity = identityEntity(principal.id, principal.attributes);
      const attributes = { ...entity.attributes, admin: principal.admin };
      return { ...entity, attributes };
    }
    case 'person': {
      const { issuer, subject, email, groups, byLink } = principal;
      const attributes = { issuer, subject, groups, byLink, ...(email === undefined ? {} : { email }) };
      return { type: 'Countersign::Person', id: principalName(principal), attributes, parents: [] };
    }
    case 'operator': {
      const attributes = principal.uid === undefined ? {} : { uid: principal.uid };
      return { type: 'Countersign::Operator', id: principalName(principal), attributes, parents: [] };
    }
    default:
      return principal satisfies never;
  }
}

function resourceEntity(resource: EndpointResource | undefined, system: EntityRef): EntityRef {
  if (resource === undefined || resource.type === 'System') return system;
  const { type, id } = resource;
  return { type: `Countersign::${type}`, id, attributes: { id }, parents: [system] };
}
