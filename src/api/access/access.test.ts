import { parseSpiffeId, parseTrustDomain } from '@countersign/sdk/identity';
import { describe, expect, it } from 'vitest';
import { endpoints } from '../../app/endpoint-registry.generated.ts';
import type { EndpointResource, Principal } from '../../endpoint/index.ts';
import { NO_ATTRIBUTES } from '../../model/index.ts';
import { type CompiledPolicies, loadPolicies } from '../../policy/index.ts';
import { createManualClock } from '../../std/index.ts';
import { createAccess, refusalText } from './access.ts';
import { accessSchema } from './access-schema.ts';
import { builtInPolicy } from './built-in-policy.ts';
import { defaultPolicy } from './default-policy.ts';
import { rpcActions } from './rpc-actions.ts';
import { type CallerRole, rolesByMethod } from './testing/roles.ts';

// Goal: whoever calls is judged by policies of one engine, and those that stand in for nothing else say just what the table of roles says.

const schema = accessSchema(endpoints);
const accessBy = (changeable: CompiledPolicies | undefined) =>
  createAccess({
    ...{ clock: createManualClock(1_800_000_000_000), trustDomain: parseTrustDomain('example.org'), schema },
    ...{ builtIn: loadPolicies([builtInPolicy], schema), changeable: () => changeable },
  });
const access = accessBy(loadPolicies([defaultPolicy], schema));
const by = (text: string) => accessBy(loadPolicies([{ name: 'p', text }], schema));

function identity(path: string, admin = false): Principal {
  const id = parseSpiffeId(`spiffe://example.org${path}`);
  return { kind: 'identity', id, admin, attributes: NO_ATTRIBUTES };
}

function person(byLink: boolean): Extract<Principal, { kind: 'person' }> {
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

/** Each with the roles that such a caller had before policy decided. */
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

/** Of things that are named one. */
function resourceOf({ about }: (typeof endpoints)[number]): EndpointResource {
  if (about === 'Records' || about === 'Sessions' || about === 'Entries') return { type: about, id: '', narrowed: {} };
  return { type: about, id: about === 'System' ? '' : 'one' };
}

describe('the default policy', () => {
  it('has an action for each method that is served, and for no other', () => {
    expect([...rpcActions.keys()].toSorted()).toEqual([...rolesByMethod.keys()].toSorted());
  });

  it.each(callers)('lets %s call the methods that the table of roles lets, and no others', (_, principal, roles) => {
    for (const [method, allowed] of rolesByMethod) {
      const actions = rpcActions.get(method) ?? [''];
      const isAllowed = actions.every((action) => access.decide(principal, action).allow);
      expect([method, isAllowed], `${actions}`).toEqual([method, allowed.some((role) => roles.includes(role))]);
    }
  });

  it.each(callers)('lets %s use all endpoints when that operates the server, else none', (_, principal, roles) => {
    for (const endpoint of endpoints) {
      const isOwn = endpoint.name === 'caller.get' && principal?.kind === 'person';
      const allowed = isOwn || roles.includes('admin');
      const decisions = [undefined, resourceOf(endpoint)].map((of) => access.decide(principal, endpoint.action, of));
      expect([endpoint.name, decisions.map(({ allow }) => allow)]).toEqual([endpoint.name, [allowed, allowed]]);
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

describe('policies of operators', () => {
  const operator: Principal = { kind: 'operator', uid: 0, text: undefined };
  const node: Principal = { kind: 'node', id: parseSpiffeId('spiffe://example.org/spire/agent/x509pop/a') };
  const ada = person(false);
  const GREEDY = 'permit(principal, action, resource);';
  const NOTHING = 'forbid(principal, action, resource);';

  it('refuse nothing that is built in: the operator’s socket, agents, gateways, and who asks who they are', () => {
    const none = by(NOTHING);
    expect(none.decide(operator, 'countersign:access.apply').allow).toBe(true);
    expect(none.decide(node, 'countersign:svid.issue-x509').allow).toBe(true);
    expect(none.decide(identity('/countersign/gateway'), 'countersign:gateway.watch').allow).toBe(true);
    expect(none.decide(ada, 'countersign:caller.get').allow).toBe(true);
    expect(none.decide(identity('/ops/ada', true), 'countersign:entry.list').allow).toBe(false);
  });

  it('give nobody the acts of agents and gateways', () => {
    for (const principal of [ada, identity('/web'), identity('/ops/ada', true), undefined]) {
      expect(by(GREEDY).decide(principal, 'countersign:svid.issue-x509').allow).toBe(false);
      expect(by(GREEDY).decide(principal, 'countersign:gateway.watch').allow).toBe(false);
      expect(by(GREEDY).decide(principal, 'countersign:record.ship').allow).toBe(false);
    }
  });

  it('that can not be evaluated permit nothing, and what is built in goes on', () => {
    const broken = accessBy(undefined);
    expect(broken.decide(identity('/ops/ada', true), 'countersign:entry.list')).toMatchObject({
      reason: 'policy-error',
    });
    expect(broken.decide(operator, 'countersign:entry.list').allow).toBe(true);
  });

  it('refuse by a forbid that fails, and permit nothing by a permit that fails', () => {
    const fails = '9007199254740991 * 9007199254740991 == 0';
    const forbid = by(`${GREEDY} @id("late") forbid(principal, action, resource) when { ${fails} };`);
    expect(forbid.decide(ada, 'countersign:entry.list')).toMatchObject({ allow: false, policies: ['late'] });
    const permit = by(`permit(principal, action, resource) unless { ${fails} };`);
    expect(permit.decide(ada, 'countersign:entry.list').allow).toBe(false);
  });

  it('know groups by their very names, of the issuer that they say', () => {
    const own = by(
      'permit(principal is Countersign::Person, action in Action::"countersign:look", resource) when { principal.issuer == "https://login.example.org" && principal.groups.contains("auditors") };',
    );
    const may = (more: Partial<typeof ada>) => own.decide({ ...ada, ...more }, 'countersign:record.search').allow;
    expect(may({ groups: ['auditors'] })).toBe(true);
    for (const group of ['Auditors', 'auditors ', '\u0430uditors', 'auditors,platform', '["auditors"]'])
      expect(may({ groups: [group] })).toBe(false);
    expect(may({ groups: ['auditors'], issuer: 'https://login.example.org/' })).toBe(false);
    expect(may({ groups: ['auditors', ...Array.from({ length: 100_001 }, (_, n) => `g${n}`)] })).toBe(false);
  });
});

describe('questions about many things', () => {
  const ada = person(false);
  const of = (type: 'Records' | 'Sessions', narrowed: { target?: string; identity?: string }): EndpointResource => {
    return { type, id: '', narrowed };
  };
  const search = 'countersign:record.search';
  const OWN =
    '@id("own") permit(principal, action in Action::"countersign:own-target", resource) when { resource has target && resource.target == "shop" };';

  it('are answered to who may see one target where they name it, and refused where they leave it open', () => {
    const own = by(OWN);
    expect(own.decide(ada, search, of('Records', { target: 'shop' })).allow).toBe(true);
    expect(own.decide(ada, search, of('Records', { target: 'shop', identity: '/web' })).allow).toBe(true);
    expect(own.decide(ada, 'countersign:session.list', of('Sessions', { target: 'shop' })).allow).toBe(true);
    for (const narrowed of [{}, { target: '' }, { target: 'payroll' }, { identity: '/web' }])
      expect(own.decide(ada, search, of('Records', narrowed)).allow).toBe(false);
    // By gRPC nobody knows what is asked before it is.
    expect(own.decide(ada, search).allow).toBe(false);
  });

  it('of a target that is called as what operators act on are not answered to its owners: acts are found so too', () => {
    const actedOn = endpoints.flatMap(({ audit }) => (audit === undefined ? [] : [audit.target]));
    // By gRPC alone.
    for (const target of new Set([...actedOn, 'bundles', 'entries'])) {
      const owns = `resource has target && resource.target == "${target}"`;
      const own = by(`permit(principal, action in Action::"countersign:own-target", resource) when { ${owns} };`);
      expect([target, own.decide(ada, search, of('Records', { target })).allow]).toEqual([target, false]);
      expect(own.decide(ada, 'countersign:session.list', of('Sessions', { target })).allow).toBe(true);
      const all = by('permit(principal, action, resource);');
      expect(all.decide(ada, search, of('Records', { target })).allow).toBe(true);
      const kept = by(`permit(principal, action, resource); forbid(principal, action, resource) when { ${owns} };`);
      expect(kept.decide(ada, search, of('Records', { target })).allow).toBe(false);
    }
  });

  it('are refused where they may find what a forbid keeps, or what a permit leaves out', () => {
    const isPayroll = 'resource has target && resource.target == "payroll"';
    const policies = [
      by(`permit(principal, action, resource); forbid(principal, action, resource) when { ${isPayroll} };`),
      by(`permit(principal, action, resource) unless { ${isPayroll} };`),
    ];
    for (const one of policies) {
      expect(one.decide(ada, search, of('Records', { target: 'shop' })).allow).toBe(true);
      expect(one.decide(ada, search, of('Records', {})).allow).toBe(false);
      expect(one.decide(ada, search, of('Records', { identity: '/web' })).allow).toBe(false);
      expect(one.decide(ada, search).allow).toBe(false);
    }
  });

  it('go by a path, by the identity as the filter means it', () => {
    const path = by(
      'permit(principal, action, resource) when { resource has identity && resource.identity like "spiffe://example.org/shop/*" };',
    );
    expect(path.decide(ada, search, of('Records', { identity: '/shop/web' })).allow).toBe(true);
    expect(path.decide(ada, search, of('Records', { identity: 'spiffe://example.org/shop/web' })).allow).toBe(true);
    expect(path.decide(ada, search, of('Records', { identity: '/hr/shop/web' })).allow).toBe(false);
    expect(path.decide(ada, search, of('Records', { target: 'shop' })).allow).toBe(false);
  });

  it('say in the refusal by what they are to be narrowed', () => {
    const asked = { action: search, resource: of('Records', {}) };
    const decision = by(OWN).decide(ada, search, asked.resource);
    if (decision.allow) throw new Error('it is open');
    expect(refusalText(ada, asked, decision)).toContain('"own" can only be answered of a question that names a target');
  });
});

describe('one of many things, by a door that does not tell which', () => {
  const action = 'countersign:entry.get';
  const ada = person(false);

  it('is allowed what is allowed of each, and nothing else', () => {
    expect(by('permit(principal, action, resource);').decide(ada, action).allow).toBe(true);
    const one = 'permit(principal, action, resource == Countersign::Entry::"web");';
    expect(by(one).decide(ada, action).allow).toBe(false);
    expect(by(one).decide(ada, action, { type: 'Entry', id: 'web' }).allow).toBe(true);
    const but =
      'permit(principal, action, resource); forbid(principal, action, resource == Countersign::Entry::"root");';
    expect(by(but).decide(ada, action).allow).toBe(false);
  });
});
