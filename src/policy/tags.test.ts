import { parseSpiffeId } from '@countersign/sdk/identity';
import { describe, expect, it } from 'vitest';
import { type EntityRef, parseIdentityAttributes } from '../model/index.ts';
import { parsePolicyCases, runPolicyTests } from './cases.ts';
import { checkPolicies, loadPolicies } from './loading/load.ts';
import { identityEntity } from './schema/identity-entity.ts';
import { noon, select, selectContext, shopSchema, table, web } from './testing/shop.ts';

// Goal: tags are read as Cedar reads them (differential.test.ts holds that), are held against the schema, and are never taken for none where nobody has told them.

const RED =
  'permit(principal, action == Action::"shop:select", resource) when { resource.hasTag("team") && resource.getTag("team") == "red" };';
const set = loadPolicies([{ name: 'p', text: RED }], shopSchema);
const tagged = (tags: EntityRef['tags']): EntityRef => ({ ...table('users'), ...(tags === undefined ? {} : { tags }) });
const ask = (tags: EntityRef['tags']) => set.decide(select({ resource: tagged(tags) }));

describe('tags of an entity', () => {
  it('decide, and without them there are none', () => {
    expect([{ team: 'red' }, { team: 'blue' }, {}, undefined].map((tags) => ask(tags).allow)).toEqual([
      ...[true, false, false, false],
    ]);
  });

  it('are told by an explanation', () => {
    expect(set.explain(select({ resource: tagged({ team: 'blue' }) })).policies[0]?.why).toEqual({
      part: 'when',
      expression: 'resource.getTag("team") == "red"',
      values: [{ path: 'resource.getTag("team")', value: '"blue"' }],
    });
  });

  it.each<[string, EntityRef, RegExp]>([
    ['of another type', { ...table('users'), tags: { team: 1 } }, /a tag of Shop::Table is a string in the schema/],
    ['that are no record', { ...table('users'), tags: [] as never }, /the tags of Shop::Table is a record/],
    [
      'too many of them',
      { ...table('users'), tags: Object.fromEntries(Array.from({ length: 2000 }, (_, n) => [`t${n}`, 'x'])) },
      /more than 1024 tags/,
    ],
    [
      'of a type that has none',
      { ...table('users'), parents: table('users').parents.map((schema) => ({ ...schema, tags: {} })) },
      /Shop::Schema has no tags in the schema/,
    ],
    [
      'that differ where an entity is there twice',
      {
        ...table('users'),
        parents: [...table('users').parents, ...[{ a: ['x'] }, { a: ['y'] }].map((tags) => databaseOf({ tags }))],
      },
      /is there twice/,
    ],
  ])('%s are refused', (_, resource, message) => {
    expect(set.decide(select({ resource }))).toMatchObject({ allow: false, reason: 'policy-error' });
    expect(set.explain(select({ resource })).invalid).toMatch(message);
  });

  it('stand in test cases', () => {
    const one = {
      name: 'red',
      principal: web.id,
      action: 'shop:select',
      resource: { table: 'shop/app/public/users', attributes: { rows: 5 }, tags: { team: 'red' } },
      context: selectContext,
      expect: 'allow' as const,
    };
    const [result] = runPolicyTests([one], set, { schema: shopSchema, nowMs: noon });
    expect(result?.differences).toEqual([]);
  });
});

describe('who can', () => {
  const verdict = (resource: EntityRef) =>
    set.whoCan({ action: 'shop:select', resource, identities: [web] }).identities[0]?.access;

  it('knows tags that are told', () => {
    expect(verdict(tagged({ team: 'red' }))?.verdict).toBe('always');
    expect(verdict(tagged({}))?.verdict).toBe('never');
  });

  it('leaves what an id does not tell as a condition', () => {
    expect(verdict(tagged(undefined))?.permits.map(({ when }) => when)).toEqual([
      ['when resource.hasTag("team") && (resource.getTag("team") == "red")'],
    ]);
  });
});

function databaseOf({ tags }: { readonly tags: NonNullable<EntityRef['tags']> }): EntityRef {
  const [schema] = table('users').parents;
  const [database] = schema?.parents ?? [];
  if (schema === undefined || database === undefined) throw new Error('a table is in a schema of a database');
  return { ...schema, id: `${schema.id}${JSON.stringify(tags)}`, parents: [{ ...database, tags }] };
}

describe('what entries say of an identity', () => {
  const MINE =
    'permit(principal, action == Action::"shop:select", resource) when { principal has owner && principal.owner == "ops" };' +
    'permit(principal, action == Action::"shop:select", resource) when { principal.hasTag("team") && principal.getTag("team") == "red" };' +
    'forbid(principal, action, resource) when { principal has environment && principal.environment == "test" };' +
    'forbid(principal, action, resource) when { principal.quarantined };';
  const mine = loadPolicies([{ name: 'p', text: MINE }], shopSchema);
  const known = (attributes: Parameters<typeof parseIdentityAttributes>[0]) =>
    identityEntity(parseSpiffeId(web.id), parseIdentityAttributes(attributes));
  const CASES = [
    [{ owner: 'ops' }, true],
    [{ owner: 'ops ltd' }, false],
    [{ labels: { team: 'red' } }, true],
    [{ labels: { team: 'red' }, environment: 'test' }, false],
    [{ labels: { constructor: 'red' } }, false],
    [{}, false],
  ] as const;

  it.each(CASES)('decides: %j', (attributes, allow) => {
    expect(mine.decide(select({ principal: known(attributes) })).allow).toBe(allow);
    const one = { name: 'x', principal: web.id, attributes, action: 'shop:select' };
    const resource = { table: 'shop/app/public/users', attributes: { rows: 5 } };
    const expected = { ...one, resource, context: selectContext, expect: allow ? 'allow' : 'deny' } as const;
    const [result] = runPolicyTests(parsePolicyCases([expected]), mine, { schema: shopSchema, nowMs: noon });
    expect(result?.differences).toEqual([]);
  });

  it('answers who can for sure, and leaves a condition of one of whom nobody has said anything', () => {
    const verdict = (identity: EntityRef) =>
      mine.whoCan({ action: 'shop:select', resource: table('users'), identities: [identity] }).identities[0]?.access;
    expect(CASES.map(([attributes]) => verdict(known(attributes))?.verdict)).toEqual(
      CASES.map(([, allow]) => (allow ? 'always' : 'never')),
    );
    const open = verdict(web);
    expect(open?.verdict).toBe('sometimes');
    expect(open?.permits.map(({ when }) => when)).toEqual([
      ['when (principal has owner) && (principal.owner == "ops")'],
      ['when principal.hasTag("team") && (principal.getTag("team") == "red")'],
    ]);
    expect(open?.forbids).toHaveLength(1);
    expect(mine.whatCan(known({})).map(({ access }) => access.verdict)).not.toContain('always');
  });

  it('has to be asked for before it is read, as Cedar demands', () => {
    const { problems } = checkPolicies(
      [{ name: 'p', text: 'permit(principal, action, resource) when { principal.owner == "ops" };' }],
      shopSchema,
    );
    expect(problems.map(({ severity }) => severity)).toContain('error');
  });

  it('is refused in a test case that could be no entry', () => {
    const one = { ...{ name: 'x', principal: web.id, attributes: { owner: 'a\nb' } }, action: 'shop:update' };
    const cases = parsePolicyCases([{ ...one, resource: { table: 'shop/app/public/users' }, expect: 'deny' }]);
    expect(() => runPolicyTests(cases, mine, { schema: shopSchema, nowMs: noon })).toThrow(/owner is one line/);
  });
});
