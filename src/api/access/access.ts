import type { TrustDomain } from '@countersign/sdk/identity';
import { type EndpointResource, type Principal, principalName } from '../../endpoint/index.ts';
import { type Decision, type EntityRef, noObligations, withoutApproval } from '../../model/index.ts';
import type { CompiledPolicies, PolicySchema } from '../../policy/index.ts';
import type { Clock } from '../../std/index.ts';
import { createResourceEntity, principalEntity } from './entities.ts';

/** Decides what whoever calls may do with the server: by policies, as gateways decide what passes them. */
export interface Access {
  /**
   * `principal` undefined: nobody that is known. `action`: `countersign:target.list`. `resource` undefined: it is not known which, so it is allowed where
   * each would be.
   */
  decide(principal: Principal | undefined, action: string, resource?: EndpointResource): Decision;
}

/**
 * Creates it of the policies that are built in and those that operators may change; `changeable` undefined: they can't be read, and permit nothing.
 * What is built in permits is permitted whatever the others say, and acts of agents and gateways are decided by it alone.
 */
export function createAccess(deps: {
  readonly clock: Clock;
  readonly trustDomain: TrustDomain;
  readonly schema: PolicySchema;
  readonly builtIn: CompiledPolicies;
  readonly changeable: () => CompiledPolicies | undefined;
}): Access {
  const { clock, schema, builtIn } = deps;
  const resourceEntity = createResourceEntity(deps.trustDomain);
  const ask = (policies: CompiledPolicies, asked: Asked): Decision => {
    const timeMs = clock.now();
    if (asked.resource !== undefined) {
      const { principal, action, resource } = asked;
      return withoutApproval(policies.decide({ principal, action, resource, context: {}, timeMs }));
    }
    try {
      return decideForAny(policies, asked, timeMs);
    } catch {
      // As of a question that does not fit the schema: the answer is no.
      return { allow: false, reason: 'policy-error', policies: [] };
    }
  };
  return {
    decide(principal, action, resource) {
      const about = resource ?? wholeOf(action, schema);
      const asked = {
        ...{ principal: principalEntity(principal), action },
        resource: about === undefined ? undefined : resourceEntity(about),
      };
      const own = ask(builtIn, asked);
      if (own.allow || !isOperated(action, schema)) return own;
      const changeable = deps.changeable();
      return changeable === undefined ? UNREADABLE : ask(changeable, asked);
    },
  };
}

/** Why somebody may not, for whoever asked: who they are taken for, what they asked for, and what stands against it. */
export function refusalText(
  principal: Principal,
  asked: { readonly action: string; readonly resource: EndpointResource },
  decision: Extract<Decision, { allow: false }>,
): string {
  const { action, resource } = asked;
  const { type, id, narrowed } = resource;
  const what = `${action} of ${type}${id === '' ? '' : ` ${id}`}`;
  const named = decision.policies.map((one) => JSON.stringify(one)).join(', ');
  const why: Readonly<Record<typeof decision.reason, string>> = {
    'no-permit': 'no policy of the API permits it',
    forbidden: `forbidden by ${named}`,
    'policy-error':
      named === ''
        ? 'the policies of the API can not be evaluated'
        : narrowed === undefined
          ? `policy could not be evaluated: ${named}`
          : `${named} can only be answered of a question that names a target, an identity or both: narrow it by those`,
    'approval-needed': `an approval is needed by ${named}, and calls of the API are not held for one`,
    revoked: 'its credentials are revoked',
    quarantined: 'it is in quarantine',
    'revocations-stale': 'nobody knows who is revoked',
  };
  return `${principalName(principal)} may not do ${what}: ${why[decision.reason]}`;
}

/** Whether it is an act that operators may give to others: those of agents and of gateways are theirs alone. */
export function isOperated(action: string, schema: PolicySchema): boolean {
  return schema.actions.get(action)?.groups.includes('countersign:operate') === true;
}

interface Asked {
  readonly principal: EntityRef;
  readonly action: string;
  readonly resource: EntityRef | undefined;
}

/** What stands for all that an action can be about; undefined where it is about one of many things. */
function wholeOf(action: string, schema: PolicySchema): EndpointResource | undefined {
  const [only, ...others] = schema.actions.get(action)?.resources ?? [];
  if (others.length > 0) return undefined;
  const type = only?.slice('Countersign::'.length);
  switch (type) {
    case undefined:
    case 'System':
      return { type: 'System', id: '' };
    case 'Records':
    case 'Sessions':
    case 'Entries':
    case 'Approvals':
      return { type, id: '', narrowed: {} };
    default:
      return undefined;
  }
}

/** Allowed where it is, whichever of them it is about. */
function decideForAny(policies: CompiledPolicies, { principal, action }: Asked, timeMs: number): Decision {
  const { verdict, permits, forbids } = policies.access({ principal, action, resource: { op: 'any' }, timeMs });
  if (verdict === 'always') {
    const certain = permits.filter(({ within, when }) => within.length === 0 && when.length === 0);
    return { allow: true, policies: certain.map(({ policy }) => policy).toSorted(), obligations: noObligations };
  }
  const refusing = forbids.map(({ policy }) => policy).toSorted();
  if (refusing.length > 0) return { allow: false, reason: 'forbidden', policies: refusing };
  return { allow: false, reason: 'no-permit', policies: [] };
}

const UNREADABLE: Decision = Object.freeze({ allow: false, reason: 'policy-error', policies: Object.freeze([]) });
