import { describe, expect, it } from 'vitest';
import { parsePolicyCases, runPolicyTests } from './cases.ts';
import { PolicyError } from './errors.ts';
import { loadPolicies } from './loading/load.ts';
import { resourceFromId } from './schema/resource-from-id.ts';
import { noon, select, selectContext, shopSchema, table } from './testing/shop.ts';

const policies = loadPolicies(
  [
    {
      name: 'p',
      text: `@id("read") @mask("ssn:redact") @limit("rows=10") permit(principal in TrustDomain::"example.org", action == Action::"shop:select", resource in Shop::Schema::"shop/app/public") when { resource.rows == 5 };
             @id("never") forbid(principal, action, resource is Shop::Table) when { resource.name == "secrets" };`,
    },
  ],
  shopSchema,
);

const base = {
  name: 'web reads users',
  principal: 'spiffe://example.org/ns/shop/sa/web',
  action: 'shop:select',
  resource: { table: 'shop/app/public/users', attributes: { rows: 5 } },
  context: selectContext,
  expect: 'allow',
} as const;

describe('a test case', () => {
  it('passes when answer, policies and obligations are as expected', () => {
    const [result] = run({
      ...base,
      policies: ['read'],
      masks: { ssn: 'redact' },
      limits: { rows: 10 },
      record: 'digest',
    });
    expect(result).toEqual({ name: 'web reads users', passed: true, differences: [] });
  });

  it('writes of the path of a masked field as much as it likes', () => {
    for (const masks of [{ 'users.ssn': 'redact' }, { 'public.users.ssn': 'redact' }, { '"ssn"': 'redact' }])
      expect(run({ ...base, masks })[0]?.differences).toEqual([]);
    expect(run({ ...base, masks: { 'public.users.name': 'redact' } })[0]?.differences).toEqual([
      'masks: expected {"name":"redact"}, got {"ssn":"redact"}',
    ]);
    for (const field of ['orders.ssn', 'a.public.users.ssn', 'SSN', '*'])
      expect(() => run({ ...base, masks: { [field]: 'redact' } })).toThrow(/masks: ".+" is no field of Shop::Table::/);
  });

  it('fails with a line for each difference, and why', () => {
    const [result] = run({
      ...base,
      expect: 'deny',
      reason: 'forbidden',
      policies: ['x', 'read'],
      masks: {},
      limits: {},
      record: 'full',
    });
    expect(result?.differences).toEqual([
      'answer: expected "deny", got "allow"',
      'reason: expected "forbidden", got none',
      'policies: expected ["read","x"], got ["read"]',
      'masks: expected {}, got {"ssn":"redact"}',
      'limits: expected "", got "rows=10"',
      'record: expected "full", got "digest"',
    ]);
    expect(result?.explanation?.policies.map(({ id, outcome }) => `${id} ${outcome}`)).toEqual([
      'never not-matched',
      'read matched',
    ]);
  });

  it('that expects a denial does not pass by asking nonsense', () => {
    const [result] = run({ ...base, resource: { table: 'shop/app/public/users' }, expect: 'deny' });
    expect(result?.passed).toBe(false);
    expect(result?.differences).toEqual(['request: it does not fit the schema: Shop::Table lacks rows']);
  });

  it('may spell an entity out', () => {
    const { type, id, attributes, parents } = table('secrets');
    const [result] = run({
      ...base,
      resource: { type, id, attributes, parents },
      expect: 'deny',
      reason: 'forbidden',
      policies: ['never'],
    });
    expect(result?.differences).toEqual([]);
  });

  it.each<[string, unknown, RegExp]>([
    ['a file that is no list', { cases: [] }, /test cases/],
    ['an unknown key', [{ ...base, expects: 'allow' }], /test cases: \/0/],
    ['a missing answer', [{ ...base, expect: undefined }], /test cases: \/0/],
    ['a principal that is no SPIFFE ID', [{ ...base, principal: 'web' }], /principal: a SPIFFE ID starts with/],
    ['an unknown action', [{ ...base, action: 'shop:drop' }], /no action "shop:drop"/],
    ['an action group', [{ ...base, action: 'shop:read' }], /no action "shop:read"/],
    [
      'an unknown kind of resource',
      [{ ...base, resource: { view: 'a/b' } }],
      /no resource kind "view"; there are database, schema, table/,
    ],
    [
      'an id with too few parts',
      [{ ...base, resource: { table: 'shop/app/users' } }],
      /the id of a table is target\/database\/schema\/name/,
    ],
    ['an id with an empty part', [{ ...base, resource: { table: 'shop/app//users' } }], /the id of a table/],
    ['a target by its id', [{ ...base, resource: { target: 'shop' } }], /written as an entity/],
    ['two resources', [{ ...base, resource: { table: 'a/b/c/d', schema: 'a/b/c' } }], /one kind with its id/],
    [
      'an entity with an unknown key',
      [{ ...base, resource: { type: 'Target', id: 'shop', attrs: {} } }],
      /type, id, attributes, tags and parents/,
    ],
    ['too many cases', Array(10_001).fill(base), /at most 10000/],
  ])('is refused: %s', (_, value, message) => {
    const load = () => runPolicyTests(parsePolicyCases(JSON.parse(JSON.stringify(value))), policies, at);
    expect(load).toThrow(PolicyError);
    expect(load).toThrow(message);
    expect(load).toThrow(expect.objectContaining({ code: 'ERR_POLICY_TEST' }));
  });
});

describe('a resource named by its id', () => {
  it('is the one that the protocol would build', () => {
    const resource = resourceFromId(shopSchema, {
      kind: 'table',
      id: 'shop/app/public/users',
      attributes: { rows: 5 },
    });
    expect(resource).toEqual(table('users'));
    expect(policies.decide(select({ resource }))).toMatchObject({ allow: true });
  });

  it('may have slashes and percent signs in its parts', () => {
    const resource = resourceFromId(shopSchema, { kind: 'table', id: 'shop/app/a%2Fb/50%25' });
    expect(resource.attributes).toEqual({ schema: 'a/b', name: '50%' });
    expect(resource.id).toBe('shop/app/a%2Fb/50%25');
    expect(resource.parents[0]?.id).toBe('shop/app/a%2Fb');
  });
});

const at = { schema: shopSchema, nowMs: noon };

function run(...cases: readonly unknown[]) {
  return runPolicyTests(parsePolicyCases(cases), policies, at);
}

describe('the time', () => {
  const hour = loadPolicies(
    [
      {
        name: 'p',
        text: '@expires("2026-11-22T13:00:00Z") permit(principal, action == Action::"shop:connect", resource);',
      },
    ],
    shopSchema,
  );
  const one = {
    name: 'one',
    principal: 'spiffe://example.org/web',
    action: 'shop:connect',
    resource: { database: 'shop/app' },
  };
  const answers = (nowMs: number, ...cases: readonly unknown[]) =>
    runPolicyTests(parsePolicyCases(cases), hour, { schema: shopSchema, nowMs }).map(({ passed }) => passed);

  it('is that of the case, else that of the test', () => {
    const [before, after] = ['2026-11-22T12:59:59Z', '2026-11-22T13:00:00Z'];
    const told = [
      { ...one, time: before, expect: 'allow' },
      { ...one, time: after, expect: 'deny' },
    ];
    expect(answers(0, ...told)).toEqual([true, true]);
    expect(answers(Date.parse(before), { ...one, expect: 'allow' })).toEqual([true]);
    expect(answers(Date.parse(after), { ...one, expect: 'allow' })).toEqual([false]);
  });

  it('is written as policies write it', () => {
    expect(() => answers(0, { ...one, time: 'noon', expect: 'deny' })).toThrow(
      /^case "one": time: "noon" is no time: a datetime is/,
    );
  });
});
