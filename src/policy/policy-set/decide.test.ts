import { parseSpiffeId } from '@countersign/sdk/identity';
import { describe, expect, it } from 'vitest';
import type { AttributeValue, DecisionRequest, EntityRef } from '../../model/index.ts';
import { loadPolicies } from '../loading/load.ts';
import { identityEntity } from '../schema/identity-entity.ts';
import { batch, database, select, selectContext, shopSchema, stranger, table, target, web } from '../testing/shop.ts';

// Goal: what a request is answered, and why. That conditions mean what they mean in Cedar is held by differential.test.ts.

describe('the answer', () => {
  it('is no, unless a permit says yes', () => {
    expect(decide('')).toEqual({ allow: false, reason: 'no-permit', policies: [] });
    expect(decide('permit(principal == Identity::"spiffe://example.org/other", action, resource);')).toEqual({
      allow: false,
      reason: 'no-permit',
      policies: [],
    });
    expect(decide('permit(principal, action, resource);')).toMatchObject({ allow: true, policies: ['p#1'] });
  });

  it('is no when one forbid says no, whatever permits say', () => {
    const text =
      'permit(principal, action, resource); @id("stop") forbid(principal, action == Action::"shop:select", resource) when { context.hasWhere };';
    expect(decide(text)).toEqual({ allow: false, reason: 'forbidden', policies: ['stop'] });
    expect(decide(text, select({ context: { ...selectContext, hasWhere: false } }))).toMatchObject({ allow: true });
  });

  it('is no when a forbid can not be evaluated (stricter than Cedar)', () => {
    const text =
      'permit(principal, action, resource); @id("sum") forbid(principal, action == Action::"shop:select", resource) when { context.count * 9007199254740991 * 9007199254740991 > 0 };';
    expect(decide(text)).toEqual({ allow: false, reason: 'policy-error', policies: ['sum'] });
    expect(decide(text, select({ action: 'shop:update', context: {} }))).toMatchObject({ allow: true });
  });

  it('leaves out a permit that can not be evaluated, and names it only where nothing else permits', () => {
    const failing =
      '@id("sum") permit(principal, action == Action::"shop:select", resource) when { context.count * 9007199254740991 * 9007199254740991 > 0 };';
    expect(decide(failing)).toEqual({ allow: false, reason: 'policy-error', policies: ['sum'] });
    expect(decide(`${failing} @id("plain") permit(principal, action, resource);`)).toMatchObject({
      allow: true,
      policies: ['plain'],
    });
  });

  it('names the policies in one order, however they are written', () => {
    const policies = ['z', 'a', 'B', 'é', '10', '9'].map((id) => `@id("${id}") permit(principal, action, resource);`);
    const expected = { policies: ['10', '9', 'B', 'a', 'z', 'é'] };
    expect(decide(policies.join('\n'))).toMatchObject(expected);
    expect(decide(policies.toReversed().join('\n'))).toMatchObject(expected);
  });

  it('follows hierarchies of actions, principals and resources', () => {
    const text =
      'permit(principal in IdentityPath::"spiffe://example.org/ns/shop", action in Action::"shop:read", resource in Target::"shop");';
    expect(decide(text)).toMatchObject({ allow: true });
    expect(decide(text, select({ principal: batch }))).toMatchObject({ allow: false });
    expect(decide(text, { principal: web, action: 'shop:connect', resource: database, context: {} })).toMatchObject({
      allow: true,
    });
    expect(decide(text, { principal: web, action: 'shop:connect', resource: target, context: {} })).toMatchObject({
      allow: true,
    });
    expect(
      decide(text, { principal: web, action: 'shop:update', resource: table('users'), context: {} }),
    ).toMatchObject({ allow: false });
  });
});

describe('a request that does not fit the schema is refused, though a permit allows everything', () => {
  const users = table('users');
  it.each<[string, Partial<DecisionRequest> | { readonly [name: string]: unknown }, RegExp]>([
    ['an unknown action', { action: 'shop:drop' }, /no action shop:drop/],
    ['a group as an action', { action: 'shop:read' }, /no action shop:read/],
    ['a principal that is no identity', { principal: target }, /a principal is an Identity/],
    [
      'a resource that the action does not apply to',
      { resource: database },
      /shop:select does not apply to Shop::Database/,
    ],
    ['an entity with an id that is no string', { resource: { ...users, id: 7 } }, /id that is no string/],
    [
      'a missing attribute',
      { resource: { ...users, attributes: { name: 'users', schema: 'public' } } },
      /Shop::Table lacks rows/,
    ],
    [
      'an attribute too many',
      { resource: { ...users, attributes: { ...users.attributes, owner: 'me' } } },
      /no attribute owner/,
    ],
    [
      'an attribute of the wrong type',
      { resource: { ...users, attributes: { ...users.attributes, rows: '5' } } },
      /rows is a safe integer in the schema; the request has a string/,
    ],
    [
      'an integer beyond what a number holds',
      { resource: { ...users, attributes: { ...users.attributes, rows: 2 ** 53 } } },
      /a safe integer/,
    ],
    ['a fraction', { context: { ...selectContext, count: 0.5 } }, /a safe integer/],
    ['a missing context', { context: {} }, /context lacks columns/],
    [
      'a list in which one element is wrong',
      { context: { ...selectContext, columns: ['a', 1] } },
      /context.columns\[\] is a string/,
    ],
    ['a list that is too long', { context: { ...selectContext, columns: Array(5000).fill('a') } }, /more than 4096/],
    [
      'a record that is a list',
      { context: { ...selectContext, shape: [] } },
      /context.shape is a record in the schema; the request has a list/,
    ],
    ['a null', { context: { ...selectContext, owner: null } }, /the request has null/],
    [
      'an address that is none',
      { context: { ...selectContext, address: '10.0.0.256' } },
      /context.address: this is no IP address/,
    ],
    [
      'a value of another extension type',
      { context: { ...selectContext, address: { __extn: { fn: 'decimal', arg: '1.0' } } } },
      /the text of a ipaddr/,
    ],
    [
      'an entity of another type',
      { context: { ...selectContext, owner: { __entity: { type: 'Target', id: 'shop' } } } },
      /__entity/,
    ],
    [
      'a parent that its type can not have',
      { resource: { ...users, parents: [web] } },
      /Shop::Table can not be in Identity/,
    ],
    [
      'an entity that is there twice, with differences',
      {
        resource: {
          ...users,
          parents: [...users.parents, ...table('x').parents.map((one) => ({ ...one, attributes: { name: 'other' } }))],
        },
      },
      /is there twice/,
    ],
    [
      'an attribute by inheritance only',
      { resource: { ...users, attributes: Object.create(users.attributes) } },
      /lacks/,
    ],
  ])('%s', (_, over, reason) => {
    const set = loadPolicies([{ name: 'p', text: 'permit(principal, action, resource);' }], shopSchema);
    // Requests from outside code may be anything, whatever the types say.
    const request = { ...select(), ...over } as DecisionRequest;
    expect(set.decide(request)).toEqual({ allow: false, reason: 'policy-error', policies: [] });
    expect(set.explain(request)).toMatchObject({ invalid: expect.stringMatching(reason), policies: [] });
  });

  it('as is one whose parents go round in a circle', () => {
    const loop: { type: string; id: string; attributes: EntityRef['attributes']; parents: EntityRef[] } = {
      type: 'IdentityPath',
      id: 'a',
      attributes: {},
      parents: [],
    };
    loop.parents.push(loop);
    expect(
      decide('permit(principal, action, resource);', select({ principal: { ...web, parents: [loop] } })),
    ).toMatchObject({ reason: 'policy-error' });
  });

  it('but texts of extension types are as good as their long form', () => {
    const context: { readonly [name: string]: AttributeValue } = {
      ...selectContext,
      address: '10.9.9.9',
      at: '2026-11-22',
      took: '1h',
      price: '1.5',
    };
    const text =
      'permit(principal, action == Action::"shop:select", resource) when { context.address.isInRange(ip("10.0.0.0/8")) && context.at.offset(context.took) == datetime("2026-11-22T01:00:00Z") && context.price.lessThan(decimal("1.51")) };';
    expect(decide(text, select({ context }))).toMatchObject({ allow: true });
  });
});

describe('an identity as a principal', () => {
  it('is in its trust domain and in each path above it, not in itself as a path', () => {
    const ids: string[] = [];
    for (let at: EntityRef | undefined = web.parents[0]; at !== undefined; at = at.parents[0])
      ids.push(`${at.type} ${at.id}`);
    expect(ids).toEqual([
      'IdentityPath spiffe://example.org/ns/shop/sa',
      'IdentityPath spiffe://example.org/ns/shop',
      'IdentityPath spiffe://example.org/ns',
      'TrustDomain example.org',
    ]);
    const text = 'permit(principal in IdentityPath::"spiffe://example.org/ns/shop/sa/web", action, resource);';
    expect(decide(text)).toMatchObject({ allow: false });
  });

  it('is decided on however long its path is', () => {
    const path = '/a'.repeat(500);
    const principal = identityEntity({ ...DEEP, path, uri: `spiffe://example.org${path}` });
    expect(
      decide('permit(principal in TrustDomain::"example.org", action, resource);', select({ principal })),
    ).toMatchObject({ allow: true });
  });

  it('of another trust domain is in nothing of this one', () => {
    const text = 'permit(principal in TrustDomain::"example.org", action, resource);';
    expect(decide(text, select({ principal: stranger }))).toMatchObject({ allow: false });
  });
});

const DEEP = parseSpiffeId('spiffe://example.org/a');

function decide(text: string, request: DecisionRequest = select()) {
  return loadPolicies([{ name: 'p', text }], shopSchema).decide(request);
}
