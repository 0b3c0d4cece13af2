import { create } from '@bufbuild/protobuf';
import { GatewayUpdateSchema } from '@countersign/sdk/contract/gen/countersign/control/v1/control_pb.ts';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Gateway } from '../../gateway/index.ts';
import { createPolicyLoader, errorTable, PolicyError, type PolicyLoader } from '../../policy/index.ts';
import { createLog } from '../../std/index.ts';
import { policySchema } from '../policy-schema.ts';
import { createGatewayUpdates, type GatewayUpdates } from './gateway-updates.ts';

// Goal: a set of policies that this gateway can't use is seen by operators, gives nobody access, and keeps no access from being taken away.

let updates: GatewayUpdates;
let logged: string[];
/** What is in force: targets by name with their host, and the ids of policies. */
let targets: Record<string, string>;
let policies: readonly string[] | undefined;
/** Owners by identity. */
let principals: Map<string, string>;
/** What was brought into force, in its order. */
let steps: string[];
let fails: Error | undefined;
let breaks: PolicyError | undefined;

beforeEach(async () => {
  logged = [];
  steps = [];
  principals = new Map();
  targets = {};
  policies = undefined;
  fails = undefined;
  breaks = undefined;
  const gateway: Pick<Gateway, 'applyPolicies' | 'applyPrincipals' | 'applyTargets'> = {
    applyPrincipals: ({ whole, changes }) => {
      if (whole) principals.clear();
      for (const [id, { owner }] of changes) principals.set(id, owner);
    },
    applyPolicies: (set) => {
      policies = set.policies.map(({ id }) => id);
      steps.push(`policies ${policies.join()}`);
    },
    async applyTargets(next) {
      if (fails !== undefined) throw fails;
      targets = Object.fromEntries(next.map(({ name, config }) => [name, Object(config).host]));
      steps.push(`targets ${Object.keys(targets).join()}`);
    },
  };
  const log = createLog({ level: 'info', write: (line) => logged.push(line) });
  const loader = createPolicyLoader(policySchema);
  const load: PolicyLoader['load'] = (sources) => {
    if (breaks !== undefined) throw breaks;
    return loader.load(sources);
  };
  updates = createGatewayUpdates({ gateway, log, policies: { load } });
  await updates.take(owners({ whole: true }, {}));
});

function owners(how: { whole?: boolean; more?: boolean; revision?: bigint }, of: Record<string, string>) {
  const told = Object.entries(of).map(([spiffeId, owner]) => ({
    spiffeId,
    ...(owner ? { attributes: { owner } } : {}),
  }));
  return create(GatewayUpdateSchema, { principals: { revision: 1n, ...how, principals: told } });
}
const policy = (name: string, id = name) => ({ name, text: `@id("${id}")\npermit(principal, action, resource);` });
const update = (hosts: Record<string, string>, ...sources: { name: string; text: string }[]) =>
  create(GatewayUpdateSchema, {
    revision: 1n,
    targets: Object.entries(hosts).map(([name, host]) => ({
      name,
      protocol: 'postgres',
      specJson: `{"host":"${host}"}`,
    })),
    policies: sources,
  });
const TWICE = [policy('a', 'x'), policy('b', 'x')];

describe('an update', () => {
  it('is in force as a whole, and then nothing is wrong', async () => {
    expect(updates.informed()).toBe(false);
    await updates.take(update({ shop: 'db1' }, policy('a')));
    expect({ targets, policies }).toEqual({ targets: { shop: 'db1' }, policies: ['a'] });
    expect(updates.informed()).toBe(true);
    expect(updates.problems()).toEqual([]);
  });
});

describe('a target', () => {
  it('closes before policies that may have forbidden something there go, and opens after those that it was declared with came', async () => {
    await updates.take(update({ kept: 'db1', gone: 'db2' }, policy('before')));
    steps = [];
    await updates.take(update({ kept: 'db1', fresh: 'db3' }, policy('after')));
    expect(steps).toEqual(['targets kept', 'policies after', 'targets kept,fresh']);
  });
});

describe('policies that can not be used', () => {
  beforeEach(() => updates.take(update({ gone: 'db0', kept: 'db1', moved: 'db2' }, policy('a'))));

  it('change nothing of what is in force, but what is no longer declared closes', async () => {
    await updates.take(update({ kept: 'db1', moved: 'other', fresh: 'db3' }, ...TWICE));
    expect({ targets, policies }).toEqual({ targets: { kept: 'db1', moved: 'db2' }, policies: ['a'] });
    expect(updates.informed()).toBe(true);
  });

  it('are told with what is wrong, what waits for them and what to do, and logged', async () => {
    await updates.take(update({ kept: 'db1', moved: 'other', fresh: 'db3' }, ...TWICE));
    expect(updates.problems()).toEqual([
      {
        what: 'policies',
        found: expect.stringMatching(
          /^those at the server .* stay in force: b:1:1: error: the id "x" is taken by the policy at a:1; new and changed targets wait for them: moved, fresh$/,
        ),
        remedy: expect.stringMatching(/^Correct the policies/),
      },
    ]);
    expect(logged.join()).toContain('app.gateway.policies_refused');
  });

  it('bring nothing back that was closed meanwhile, until they are mended: then all of it is in force', async () => {
    await updates.take(update({ kept: 'db1' }, ...TWICE));
    await updates.take(update({ kept: 'db1', gone: 'db0' }, ...TWICE));
    expect(targets).toEqual({ kept: 'db1' });
    await updates.take(update({ kept: 'db1', gone: 'db0', fresh: 'db3' }, policy('b')));
    expect({ targets, policies }).toEqual({ targets: { gone: 'db0', kept: 'db1', fresh: 'db3' }, policies: ['b'] });
    expect(updates.problems()).toEqual([]);
  });

  it('are told in a sentence that people can read, however many targets wait and whatever is wrong', async () => {
    const many = Object.fromEntries(Array.from({ length: 5_000 }, (_, n) => [`t${n}`, 'db']));
    await updates.take(update(many, ...TWICE));
    expect(updates.problems()[0]?.found).toMatch(/: t0, t1, .* t9 and 4990 more$/);
    await updates.take(update({}, policy('a', 'x'.repeat(5_000)), policy('b', 'x'.repeat(5_000))));
    expect(updates.problems()[0]?.found.length).toBeLessThan(600);
  });
});

describe('a parser that broke', () => {
  it('is no fault of the policies, and is told with what helps', async () => {
    breaks = new PolicyError('ERR_POLICY_PARSER', 'it broke');
    await updates.take(update({ shop: 'db1' }, policy('a')));
    expect(updates.problems()).toMatchObject([{ what: 'policies', remedy: errorTable.ERR_POLICY_PARSER.remedy }]);
  });
});

describe('a gateway that has just started', () => {
  it('serves nothing by policies that it can not use, and is not informed: it has none to decide by', async () => {
    await updates.take(update({ shop: 'db1' }, ...TWICE));
    expect({ targets, policies }).toEqual({ targets: {}, policies: undefined });
    expect(updates.informed()).toBe(false);
    expect(updates.problems()).toMatchObject([{ what: 'policies' }]);
  });
});

describe('an update that fails for no reason of its own', () => {
  it('is told until one is taken, in no words that nobody has chosen', async () => {
    fails = new TypeError('password is undefined');
    await expect(updates.take(update({ shop: 'db1' }, policy('a')))).rejects.toBe(fails);
    expect(updates.problems()).toMatchObject([{ what: 'targets and policies', remedy: 'See the log of the gateway.' }]);
    expect(JSON.stringify(updates.problems())).not.toContain('password');
    fails = undefined;
    await updates.take(update({ shop: 'db1' }, policy('a')));
    expect(updates.problems()).toEqual([]);
  });

  it('leaves policies and targets as they belong together when a target can not be read', async () => {
    const broken = update({ shop: 'db1' }, policy('b'));
    const [first] = broken.targets;
    if (first) first.specJson = '{';
    await updates.take(update({}, policy('a')));
    await expect(updates.take(broken)).rejects.toThrow(SyntaxError);
    expect(policies).toEqual(['a']);
  });
});

describe('what identities are to policies', () => {
  it('is in force once all of its messages are here, and then by difference', async () => {
    await updates.take(owners({ whole: true, more: true }, { a: 'ops' }));
    expect(principals.size).toBe(0);
    await updates.take(owners({ whole: true }, { b: 'web' }));
    expect([...principals]).toEqual([
      ['a', 'ops'],
      ['b', 'web'],
    ]);
    await updates.take(owners({}, { a: '' }));
    expect(principals.get('a')).toBe('');
    expect(steps).toEqual([]);
  });

  it('leaves nothing of a stream that ended before all of it was here', async () => {
    await updates.take(owners({ whole: true, more: true }, { gone: 'ops' }));
    await updates.take(owners({ whole: true, revision: 2n }, { a: 'ops' }));
    expect([...principals.keys()]).toEqual(['a']);
  });

  it('is what policies wait for: until it has come, none of them is in force, and it is told', async () => {
    const log = createLog({ level: 'info', write: () => {} });
    const applied: string[] = [];
    const fresh = createGatewayUpdates({
      log,
      policies: createPolicyLoader(policySchema),
      gateway: {
        applyPolicies: () => void applied.push('policies'),
        applyPrincipals: () => void applied.push('principals'),
        applyTargets: async () => void applied.push('targets'),
      },
    });
    await fresh.take(update({ shop: 'db1' }, policy('a')));
    expect({ applied, informed: fresh.informed() }).toEqual({ applied: [], informed: false });
    expect(fresh.problems()).toMatchObject([
      { what: 'policies', found: expect.stringMatching(/not yet what identities/) },
    ]);
    await fresh.take(owners({ whole: true }, {}));
    expect(applied).toEqual(['principals', 'targets', 'policies', 'targets']);
    expect({ informed: fresh.informed(), problems: fresh.problems() }).toEqual({ informed: true, problems: [] });
  });
});
