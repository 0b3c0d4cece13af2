import { describe, expect, it } from 'vitest';
import type { EntityRef } from '../model/index.ts';
import { runPolicyTests } from './cases.ts';
import { loadPolicies } from './loading/load.ts';
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
