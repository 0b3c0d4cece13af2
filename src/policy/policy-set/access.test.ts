import { describe, expect, it } from 'vitest';
import type { EntityRef } from '../../model/index.ts';
import { loadPolicies } from '../loading/load.ts';
import { composeSchema } from '../schema/compose-schema.ts';
import { batch, shopSchema, stranger, table, web } from '../testing/shop.ts';
import type { CompiledPolicies, PartOfAccess } from '../types.ts';

// Goal: what is said of whom, in words. That it is what the engine decides is held by differential.test.ts.

describe('who can', () => {
  const asked = { action: 'shop:select', resource: table('users'), identities: [web, batch, stranger] };

  it('settles what the identity, the action and the resource settle, and repeats what only the request does', () => {
    const set = load(
      '@id("own") permit(principal, action == Action::"shop:select", resource) when { resource.name == "users" && (context.hasWhere || action == Action::"shop:update") } unless { principal.trustDomain == "other.test" };',
    );
    const { identities, others } = set.whoCan(asked);
    expect(identities.map(({ access }) => [access.verdict, access.permits.map(({ when }) => when)])).toEqual([
      ['sometimes', [['when context.hasWhere']]],
      ['sometimes', [['when context.hasWhere']]],
      ['never', []],
    ]);
    expect(others).toMatchObject([
      {
        scope: { op: 'any' },
        access: { permits: [{ when: ['when context.hasWhere', 'unless principal.trustDomain == "other.test"'] }] },
      },
    ]);
  });

  it('says of a permit about more than the known what holds for any identity in it', () => {
    const set = load(
      '@id("shop") permit(principal in IdentityPath::"spiffe://example.org/ns/shop", action, resource in Target::"shop");',
      '@id("web") permit(principal == Identity::"spiffe://example.org/ns/shop/sa/web", action, resource);',
      '@id("late") forbid(principal in IdentityPath::"spiffe://example.org/ns/shop/sa", action, resource);',
      '@id("other") forbid(principal in TrustDomain::"other.test", action, resource);',
    );
    const { others } = set.whoCan({ ...asked, identities: [] });
    expect(others).toMatchObject([
      {
        scope: { op: 'in', id: 'spiffe://example.org/ns/shop' },
        access: {
          verdict: 'sometimes',
          permits: [{ policy: 'shop', within: [], when: [] }],
          forbids: [
            { policy: 'late', within: ['principal in IdentityPath::"spiffe://example.org/ns/shop/sa"'], when: [] },
          ],
        },
      },
    ]);
  });

  it('leaves out whom a forbid takes in altogether', () => {
    const set = load(
      '@id("all") permit(principal in TrustDomain::"example.org", action, resource);',
      '@id("stop") forbid(principal, action == Action::"shop:select", resource in Shop::Schema::"shop/app/public");',
    );
    const { identities, others } = set.whoCan(asked);
    expect(others).toEqual([]);
    expect(identities[0]?.access).toMatchObject({ verdict: 'never', forbids: [{ policy: 'stop', when: [] }] });
    expect(set.whoCan({ ...asked, resource: table('users', 'audit') }).identities[0]?.access.verdict).toBe('always');
  });

  it('asked about a column, knows that it is among those that are read', () => {
    const set = load(
      '@id("list") @mask("ssn:redact, name:email") permit(principal == Identity::"spiffe://example.org/ns/shop/sa/web", action == Action::"shop:select", resource) when { ["id", "ssn"].containsAll(context.columns) };',
      '@id("not-ssn") permit(principal == Identity::"spiffe://example.org/ns/batch/sa/job", action == Action::"shop:select", resource) unless { context.columns.contains("ssn") };',
    );
    const of = (name: string) => set.whoCan({ ...asked, column: { attribute: 'columns', name } }).identities;
    expect(of('ssn').map(({ access }) => access.verdict)).toEqual(['sometimes', 'never', 'never']);
    expect(of('ssn')[0]?.access.permits[0]?.masks).toEqual([{ path: ['ssn'], hasWildcard: false, kind: 'redact' }]);
    expect(of('name').map(({ access }) => access.verdict)).toEqual(['never', 'sometimes', 'never']);
  });
});

describe('what can', () => {
  it('names each action with each place, with what the permits of it demand and the forbids that reach into it', () => {
    const set = load(
      '@id("reads") @mask("ssn:redact") @limit("rows=10") permit(principal in TrustDomain::"example.org", action == Action::"shop:select", resource in Shop::Schema::"shop/app/public");',
      '@id("users") @record("full") permit(principal, action == Action::"shop:select", resource == Shop::Table::"shop/app/public/users");',
      '@id("not-orders") forbid(principal, action, resource == Shop::Table::"shop/app/public/orders");',
      '@id("elsewhere") forbid(principal, action, resource in Target::"other");',
    );
    expect(set.whatCan(web)).toMatchObject([
      {
        action: 'shop:select',
        resource: { op: 'in', id: 'shop/app/public' },
        access: {
          verdict: 'sometimes',
          permits: [
            {
              policy: 'reads',
              masks: [{ kind: 'redact' }],
              limits: [{ unit: 'items', word: 'rows', most: 10 }],
              record: 'digest',
            },
          ],
          forbids: [{ policy: 'not-orders', within: ['resource == Shop::Table::"shop/app/public/orders"'] }],
        },
      },
      {
        resource: { op: 'equals', id: 'shop/app/public/users' },
        access: { verdict: 'always', permits: [{ policy: 'reads' }, { policy: 'users', record: 'full' }], forbids: [] },
      },
    ]);
    expect(set.whatCan(stranger).map(({ resource }) => resource)).toMatchObject([{ op: 'equals' }]);
  });

  it('names no place that an action can not be about', () => {
    const set = load('permit(principal, action, resource in Shop::Schema::"shop/app/public");');
    const actions = set.whatCan(web).filter(({ access }) => access.verdict !== 'never');
    expect(actions.map(({ action }) => action)).toEqual(['shop:select', 'shop:update']);
  });
});

describe('of principals that are no identities', () => {
  const desk = composeSchema([
    {
      namespace: 'Desk',
      principals: ['Identity', 'Person', 'Robot'],
      entityTypes: {
        Person: { memberOf: [], attributes: { groups: { type: 'Set', element: { type: 'String' } } } },
        Robot: { memberOf: [], attributes: {} },
        Drawer: { memberOf: [], attributes: {} },
      },
      actions: { 'desk:open': { resources: ['Drawer'], context: {} } },
    },
  ]);
  const asked = { action: 'desk:open', resource: { op: 'any' }, timeMs: undefined } as const;
  const of = (principal: PartOfAccess, text: string) =>
    loadPolicies([{ name: 'p', text }], desk).access({ ...asked, principal });
  const person: EntityRef = { type: 'Desk::Person', id: 'ada', attributes: { groups: ['desk'] }, parents: [] };
  const all = { op: 'is', type: 'Desk::Person' } as const;

  it('a permit for all of their type holds for each of them, and for none of another', () => {
    const text = 'permit(principal is Desk::Person, action, resource);';
    expect([of(person, text).verdict, of(all, text).verdict]).toEqual(['always', 'always']);
    expect(of({ op: 'is', type: 'Desk::Robot' }, text).verdict).toBe('never');
    expect(of({ op: 'is', type: 'Identity' }, text).verdict).toBe('never');
    expect(of({ op: 'any' }, text)).toMatchObject({
      verdict: 'sometimes',
      permits: [{ within: ['principal is Desk::Person'] }],
    });
  });

  it('a forbid for all of their type is told of each of them', () => {
    const text = 'permit(principal, action, resource); forbid(principal is Desk::Person, action, resource);';
    expect([of(person, text).verdict, of(all, text).verdict]).toEqual(['never', 'never']);
    expect(of({ op: 'is', type: 'Desk::Robot' }, text).verdict).toBe('always');
  });

  it('who can tells of them as of all others that permits take in', () => {
    const text = 'permit(principal is Desk::Person, action, resource) when { principal.groups.contains("desk") };';
    const { others } = loadPolicies([{ name: 'p', text }], desk).whoCan({ ...asked, identities: [] });
    expect(others).toMatchObject([
      { scope: all, access: { permits: [{ when: ['when principal.groups.contains("desk")'] }] } },
    ]);
  });
});

function load(...texts: readonly string[]): CompiledPolicies {
  return loadPolicies([{ name: 'p', text: texts.join('\n') }], shopSchema);
}
