import { parseSpiffeId, parseTrustDomain } from '@countersign/sdk/identity';
import { describe, expect, it } from 'vitest';
import { endpoints } from '../../app/endpoint-registry.generated.ts';
import type { Principal } from '../../endpoint/index.ts';
import { NO_ATTRIBUTES } from '../../model/index.ts';
import { createManualClock } from '../../std/index.ts';
import { type CallerRole, rolesByMethod } from '../authorize.ts';
import { createAccess, refusalText } from './access.ts';
import { rpcActions } from './rpc-actions.ts';

// Goal: whoever calls is judged by policies of one engine, and those that stand in for nothing else say just what the table of roles says.

const access = createAccess({
  clock: createManualClock(1_800_000_000_000),
  trustDomain: parseTrustDomain('example.org'),
  endpoints,
});

function identity(path: string, admin = false): Principal {
  const id = parseSpiffeId(`spiffe://example.org${path}`);
  return { kind: 'identity', id, admin, attributes: NO_ATTRIBUTES };
}

function person(byLink: boolean): Principal {
  const signIn = '0123456789abcdef';
  return {
    kind: 'person',
    issuer: 'https://login.example.org',
    subject: 'ada',
    email: undefined,
    groups: [],
    byLink,
    signIn,
  };
}

/** Each with the roles that `authorize.ts` finds in such a caller. */
const callers: readonly (readonly [string, Principal | undefined, readonly CallerRole[]])[] = [
  ['nobody that is known', undefined, ['anyone']],
  [
    'the agent of a node',
    { kind: 'node', id: parseSpiffeId('spiffe://example.org/spire/agent/x509pop/a') },
    ['anyone', 'agent'],
  ],
  ['an admin', identity('/ops/ada', true), ['anyone', 'admin']],
  ['a workload', identity('/web'), ['anyone']],
  ['a gateway', identity('/countersign/gateway'), ['anyone', 'gateway']],
  ['one of several gateways', identity('/countersign/gateway/eu'), ['anyone', 'gateway']],
  ['a gateway that is an admin', identity('/countersign/gateway/eu', true), ['anyone', 'gateway', 'admin']],
  ['a workload whose name begins as a gateway’s', identity('/countersign/gateways'), ['anyone']],
  ['somebody who has signed in', person(false), ['anyone']],
  ['somebody who came by a one-time link', person(true), ['anyone', 'admin']],
  ['whoever has the operator’s socket', { kind: 'operator', uid: 0, text: 'root (uid 0)' }, ['anyone', 'admin']],
  ['whom the kernel does not tell', { kind: 'operator', uid: undefined, text: undefined }, ['anyone', 'admin']],
];

describe('the default policy', () => {
  it('has an action for each method that is served, and for no other', () => {
    expect([...rpcActions.keys()].toSorted()).toEqual([...rolesByMethod.keys()].toSorted());
  });

  it.each(callers)('lets %s call the methods that the table of roles lets, and no others', (_, principal, roles) => {
    for (const [method, allowed] of rolesByMethod) {
      const action = rpcActions.get(method) ?? '';
      const decision = access.decide(principal, action);
      expect([method, decision.allow], action).toEqual([method, allowed.some((role) => roles.includes(role))]);
    }
  });

  it.each(callers)('lets %s use all endpoints when that operates the server, else none', (_, principal, roles) => {
    for (const endpoint of endpoints) {
      const isOwn = endpoint.name === 'caller.get' && principal?.kind === 'person';
      const allowed = isOwn || roles.includes('admin');
      expect([endpoint.name, access.decide(principal, endpoint.action).allow]).toEqual([endpoint.name, allowed]);
    }
  });

  it('says who was refused, what, and why', () => {
    const asked = { action: 'countersign:target.get', resource: { type: 'DeclaredTarget', id: 'shop' } } as const;
    const principal = identity('/web');
    const decision = access.decide(principal, asked.action, asked.resource);
    if (decision.allow) throw new Error('a workload may not');
    expect(refusalText(principal, asked, decision)).toBe(
      'spiffe://example.org/web may not do countersign:target.get of DeclaredTarget shop: no policy of the API permits it',
    );
  });

  it('refuses an action that nobody has declared', () => {
    const operator: Principal = { kind: 'operator', uid: 0, text: undefined };
    expect(access.decide(operator, 'countersign:unheard.of')).toMatchObject({ allow: false, reason: 'policy-error' });
  });
});
