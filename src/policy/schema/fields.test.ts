import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkPolicies, formatProblem, loadPolicies } from '../loading/load.ts';
import { parseField } from '../obligations/obligations.ts';
import { customers, routesSchema } from '../testing/routes.ts';
import { select, shopFragment, shopSchema, table, web } from '../testing/shop.ts';
import { composeSchema } from './compose-schema.ts';
import { fieldText, fieldWithin, mayBeOneField } from './fields.ts';
import type { ResourceFields } from './schema.ts';

// Goal: a mask is on the field that its author meant, whatever the protocol, or the policy does not load; none is without effect in silence.

const READING = 'permit(principal, action == Action::"shop:select", resource);';

describe('a mask that can not apply is refused, with policy, place and what to do', () => {
  it.each([
    [
      'on what has no fields',
      'permit(principal, action == Action::"shop:connect", resource);',
      'ssn',
      'p.cedar:3:1: error: @mask of "x" can\'t apply: the permit is about Shop::Database, Target alone, which has no fields to mask (take the mask away, or put it on the permit of what shows fields: Shop::Table)',
    ],
    [
      'on one thing without fields, whatever the action',
      'permit(principal, action, resource == Shop::Database::"shop/app");',
      'ssn',
      /Shop::Database alone, which has no fields/,
    ],
    [
      'on a route of a type without fields',
      'permit(principal, action, resource is Routes::Health);',
      'body.ssn',
      /Routes::Health alone, which has no fields/,
    ],
    [
      'with more names than the type has',
      READING,
      'a.public.users.ssn',
      'p.cedar:3:1: error: @mask of "x" can\'t apply: a.public.users.ssn can be no field of Shop::Table (a field is written public.users.ssn, users.ssn, ssn in Shop::Table)',
    ],
    [
      'with fewer names than the type has',
      'permit(principal, action == Action::"routes:get", resource);',
      'body',
      /body can be no field of Routes::Route \(a field is written body\.user\.ssn in/,
    ],
    [
      'with more names where fields do not nest',
      'permit(principal, action == Action::"routes:get", resource);',
      'query.a.b',
      /query\.a\.b can be no field/,
    ],
    [
      'with a first name that the type has not',
      'permit(principal, action == Action::"routes:get", resource);',
      'user.ssn',
      /user\.ssn can be no field of Routes::Route/,
    ],
    ['with * where fields do not nest', READING, 'users.*', /users\.\* can be no field of Shop::Table/],
    [
      'on a table beside its own',
      'permit(principal, action, resource == Shop::Table::"shop/app/public/customers");',
      'custmers.ssn',
      'p.cedar:3:1: error: @mask of "x" can\'t apply: custmers.ssn is of another resource than Shop::Table::"shop/app/public/customers", which the permit is about (write the field alone, ssn, or name the permit\'s own resource)',
    ],
    [
      'on a schema beside its own',
      'permit(principal, action, resource in Shop::Schema::"shop/app/public");',
      'crm.customers.ssn',
      /of another resource than Shop::Schema::"shop\/app\/public"/,
    ],
  ])('%s', (_, rest, field, message) => {
    const text = `@id("x")\n@description("…")\n@mask("${field}:redact")\n${rest}`;
    const { compiled, problems } = checkPolicies([{ name: 'p.cedar', text }], routesSchema);
    expect(compiled).toBeUndefined();
    expect(problems.map(({ policy, code }) => [policy, code])).toEqual([['x', 'ERR_POLICY_ANNOTATION']]);
    expect(problems.map(formatProblem)).toEqual([
      typeof message === 'string' ? message : expect.stringMatching(message),
    ]);
    // The gateway's own loader is no milder.
    expect(() => loadPolicies([{ name: 'p.cedar', text }], routesSchema)).toThrow(/^p\.cedar:3:1: error: @mask of "x"/);
  });

  it('even beside one that can', () => {
    const text = `@mask("ssn:redact, a.b.c.d:redact") ${READING}`;
    expect(checkPolicies([{ name: 'p', text }], shopSchema).problems).toHaveLength(1);
  });

  it.each([
    ['permit(principal, action, resource);', 'ssn'],
    ['permit(principal, action, resource);', 'body.user.ssn'],
    ['permit(principal, action in Action::"shop:read", resource);', 'users.ssn'],
    ['permit(principal, action == Action::"shop:update", resource);', 'ssn'],
    ['permit(principal, action, resource in Shop::Database::"shop/app");', 'public.users.ssn'],
    ['permit(principal, action, resource in Target::"shop");', 'public.users.ssn'],
    ['permit(principal, action, resource in Shop::Schema::"shop/app/public");', 'customers.ssn'],
    ['permit(principal, action, resource == Shop::Table::"shop/app/public/a%2Fb");', '\\"a/b\\".ssn'],
    ['permit(principal, action == Action::"routes:get", resource);', 'body.items.*.card'],
    ['permit(principal, action == Action::"routes:get", resource);', 'query.token'],
  ])('but not where it can: %s with %s', (rest, field) => {
    const text = `@mask("${field}:redact") ${rest}`;
    expect(checkPolicies([{ name: 'p', text }], routesSchema).problems.map(formatProblem)).toEqual([]);
  });
});

describe('the masks of an answer', () => {
  const masksOf = (mask: string, request = select()) => {
    const text = `@mask("${mask}") permit(principal, action, resource);`;
    const decision = loadPolicies([{ name: 'p', text }], routesSchema).decide(request);
    return decision.allow ? decision.obligations.masks : 'refused';
  };
  const get = { principal: web, action: 'routes:get', resource: customers, context: {} };

  it('name fields by the whole path that their type declares, however they were written', () => {
    const path = ['public', 'users', 'ssn'];
    for (const written of ['ssn', 'users.ssn', 'public.users.ssn', '\\"public\\".\\"users\\".\\"ssn\\"'])
      expect(masksOf(`${written}:redact`)).toEqual([{ path, kind: 'redact' }]);
    expect(masksOf('ssn:last4, users.ssn:hash, public.users.ssn:email')).toEqual([{ path, kind: 'hash' }]);
    expect(masksOf('body.items.*.card:last4, query.token:null', get)).toEqual([
      { path: ['body', 'items', '*', 'card'], kind: 'last4' },
      { path: ['query', 'token'], kind: 'null' },
    ]);
  });

  it('are those of fields that the resource can have, and of no other protocol', () => {
    const both = 'ssn:redact, body.user.ssn:hash, body.users.ssn:null';
    expect(masksOf(both, get)).toEqual([
      { path: ['body', 'user', 'ssn'], kind: 'hash' },
      { path: ['body', 'users', 'ssn'], kind: 'null' },
    ]);
    // To a table of that schema, three names are three names.
    expect(masksOf(both, select({ resource: table('users', 'body') }))).toEqual([
      { path: ['body', 'users', 'ssn'], kind: 'null' },
    ]);
  });

  it('keep apart what only looks alike', () => {
    const names = ['a.b', 'a"b', 'A', '*', '**', ' a', 'constructor', '__proto__'];
    for (const name of names) {
      const quoted = `\\"${name.replaceAll('"', '\\"\\"')}\\"`;
      expect(masksOf(`${quoted}:redact, users.${quoted}:null`)).toEqual([
        { path: ['public', 'users', name], kind: 'null' },
      ]);
    }
    // One of a table of another name does not reach it, in whatever case or form.
    for (const other of ['\\"Users\\"', '\\"users \\"', '\\"public.users\\"', 'public'])
      expect(masksOf(`${other}.ssn:redact`)).toEqual([]);
    expect(masksOf('ssn:redact', select({ resource: { ...table('users'), type: 'Shop::Database' } }))).toBe('refused');
  });
});

describe('a field in writing', () => {
  it('is read as what was written, whatever its names', () => {
    const names = fc.array(fc.string({ minLength: 1, unit: 'binary' }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(names, (path) => {
        const field = { path, hasWildcard: false };
        expect(parseField(fieldText(field))).toEqual(field);
      }),
    );
    expect(fieldText({ path: ['items', '*', 'Card'], hasWildcard: true })).toBe('items.*."Card"');
    expect(fieldText({ path: ['items', '*'], hasWildcard: false })).toBe('items."*"');
  });

  it('leaves out what its resource says', () => {
    expect(fieldWithin(routesSchema, table('users'), ['public', 'users', 'ssn'])).toBe('ssn');
    expect(fieldWithin(routesSchema, customers, ['body', '*', 'ssn'])).toBe('body.*.ssn');
  });

  it('may be another one with more of its path', () => {
    const field = (...path: readonly string[]) => ({ path, hasWildcard: false });
    expect(mayBeOneField(field('ssn'), field('public', 'users', 'ssn'))).toBe(true);
    expect(mayBeOneField(field('users', 'ssn'), field('orders', 'ssn'))).toBe(false);
  });
});

describe('a type that declares fields', () => {
  it.each<[string, ResourceFields, RegExp]>([
    [
      'by an attribute that it has not',
      { within: ['owner'], paths: [['*']], example: ['a'] },
      /begins with the attribute owner, which is no text/,
    ],
    ['by one that is no text', { within: ['rows'], paths: [['*']], example: ['a'] }, /the attribute rows/],
    [
      'so that one path could be two',
      { within: ['name'], paths: [['*'], ['*', '*']], example: ['a'] },
      /go on with one number of names/,
    ],
    ['so that any path could be', { within: ['name'], paths: [['a', '**']], example: ['a', 'b'] }, /one number/],
    ['with ** amid a path', { within: [], paths: [['**', 'a']], example: ['b', 'a'] }, /only at its end/],
    ['with an example that is none', { within: [], paths: [['body', '*']], example: ['a'] }, /its example a is none/],
  ])('%s is refused', (_, fields, message) => {
    const { Table, ...types } = shopFragment.entityTypes;
    if (Table === undefined) throw new Error('the shop has no tables');
    const entityTypes = { ...types, Table: { ...Table, fields } };
    expect(() => composeSchema([{ ...shopFragment, entityTypes }])).toThrow(message);
  });

  it('is part of what a set is known by', () => {
    const { Table, ...types } = shopFragment.entityTypes;
    if (Table === undefined) throw new Error('the shop has no tables');
    const { fields: _, ...without } = Table;
    const other = composeSchema([{ ...shopFragment, entityTypes: { ...types, Table: without } }]);
    expect(other.digest).not.toBe(shopSchema.digest);
  });
});
