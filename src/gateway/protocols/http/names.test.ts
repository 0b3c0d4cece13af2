import { describe, expect, it } from 'vitest';
import { composeSchema, loadPolicies } from '../../../policy/index.ts';
import { parseConfig } from './config.ts';
import { policySchema } from './meaning/policy-schema.ts';
import { createNameWatch } from './names.ts';

// Goal: a slip in a policy about an API is told before somebody relies on what it was to do.

const schema = composeSchema([policySchema]);
const config = parseConfig({
  url: 'http://127.0.0.1:1',
  routes: [
    { name: 'customer', path: '/v1/customers/{id}', reads: ['query.expand', 'header.x-tenant'] },
    { name: 'orders', path: '/v1/orders', methods: ['POST'], reads: ['body.order.amount'] },
  ],
});

function watch(...texts: readonly string[]) {
  const named = (all: readonly string[]) =>
    loadPolicies(
      all.map((text, index) => ({ name: `p${index}`, text })),
      schema,
    ).names();
  let names = texts.length === 0 ? undefined : named(texts);
  const listeners = new Set<() => void>();
  const policies = {
    names: () => names,
    onChange: (listener: () => void) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
  const made = createNameWatch({ name: 'api', config, policies });
  const change = (...others: readonly string[]) => {
    names = named(others);
    for (const listener of listeners) listener();
  };
  return { ...made, change, listeners, what: () => made.warnings().map(({ what }) => what) };
}

const on = (resource: string, when = '') =>
  `@id("x") permit(principal, action in Action::"http:any", resource ${resource})${when === '' ? '' : ` when { ${when} }`};`;
const reading = (tag: string) => `resource.hasTag("${tag}") && resource.getTag("${tag}") == "1"`;

describe('a route that the target does not have', () => {
  it('is told with the one that was probably meant, and what comes of it', () => {
    expect(watch(on('== Http::Route::"api/custmer"')).warnings()).toEqual([
      {
        about: 'names',
        what: 'policy "x" names route "custmer", which is not there (did you mean "customer"?)',
        remedy: expect.stringContaining('it permits nothing there'),
      },
    ]);
    expect(watch(on('== Http::Route::"api/x"')).what()).toEqual([
      'policy "x" names route "x", which is not there (it has customer, orders)',
    ]);
  });

  it('is told of a mask and of a forbid as what leaves something open', () => {
    const masking = `@mask("body.ssn:redact") ${on('== Http::Route::"api/custmer"')}`;
    expect(watch(masking).warnings()).toMatchObject([
      { remedy: expect.stringContaining('neither forbidden nor masked') },
    ]);
    const forbid = '@id("f") forbid(principal, action, resource) when { resource == Http::Route::"api/custmer" };';
    expect(watch(forbid).warnings()).toMatchObject([
      { remedy: expect.stringContaining('neither forbidden nor masked') },
    ]);
  });

  it.each([
    '== Http::Route::"api/customer"',
    '== Http::Route::"other/custmer"',
    '== Http::Route::"api2/custmer"',
    '== Http::Route::"api/a/b"',
    'in Target::"api"',
    '',
  ])('is none where the policy is on %j', (resource) => {
    expect(watch(on(resource)).what()).toEqual([]);
  });
});

describe('a value that a route does not read', () => {
  it.each([
    ['== Http::Route::"api/orders"', 'body.amount', 'route "orders" does not read (read are body.order.amount)'],
    [
      '== Http::Route::"api/customer"',
      'path.ident',
      'route "customer" does not read (read are header.x-tenant, path.id, query.expand)',
    ],
    ['in Target::"api"', 'query.expnd', 'none of its routes reads (did you mean "query.expand"?)'],
    [
      'in Http::Origin::"api"',
      'query.page',
      'none of its routes reads (read are body.order.amount, header.x-tenant, path.id, query.expand)',
    ],
  ])('is told of a policy on %s that decides by %s', (resource, tag, told) => {
    const place = resource.startsWith('in') ? `is Http::Route ${resource}` : resource;
    expect(watch(on(place, reading(tag))).what()).toEqual([`policy "x" decides by ${tag}, which ${told}`]);
  });

  it.each([
    ['== Http::Route::"api/customer"', 'path.id'],
    ['== Http::Route::"api/customer"', 'header.x-tenant'],
    ['is Http::Route in Target::"api"', 'body.order.amount'],
    ['is Http::Route', 'body.amount'],
    ['is Http::Route in Target::"other"', 'body.amount'],
    ['== Http::Route::"other/orders"', 'body.amount'],
  ])('is none where the policy is on %s and reads %s', (resource, tag) => {
    expect(watch(on(resource, reading(tag))).what()).toEqual([]);
  });
});

describe('the watch', () => {
  it('says nothing before the first policies, and of the policies in force alone', () => {
    const watching = watch();
    expect(watching.what()).toEqual([]);
    watching.change(on('== Http::Route::"api/custmer"'));
    expect(watching.what()).toHaveLength(1);
    watching.change(on('== Http::Route::"api/customer"'));
    expect(watching.what()).toEqual([]);
    watching.close();
    expect(watching.listeners.size).toBe(0);
  });

  it('tells no more than a screenful', () => {
    const many = Array.from({ length: 30 }, (_, n) => on(`== Http::Route::"api/none-${n}"`).replace('"x"', `"x${n}"`));
    expect(watch(...many).what()).toHaveLength(20);
  });
});
