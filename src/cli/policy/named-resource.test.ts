import { describe, expect, it } from 'vitest';
import { UsageError } from '../command.ts';
import { namedAction, namedActions } from './named-actions.ts';
import { namedResource, protocolOfNamed } from './named-resource.ts';

// Goal: whoever asks about a resource names it as they would say it.

const targets = new Map([
  ['shop', ['shop']],
  ['many', ['main', 'other']],
  ['unknown', undefined],
]);
const named = (text: string, action = 'postgres:select') => namedResource(text, { action, targets });

describe('a resource', () => {
  it.each([
    ['shop/public.customers', 'postgres:select', 'table shop/shop/public/customers'],
    ['many/public.customers', 'postgres:select', 'table many/main/public/customers'],
    ['many/other/public.customers', 'postgres:ddl', 'table many/other/public/customers'],
    ['table:many/other/public/customers', 'postgres:select', 'table many/other/public/customers'],
    ['shop/"Odd.Name"."a/b"', 'postgres:select', 'table shop/shop/Odd.Name/a%2Fb'],
    ['shop/public.close_month', 'postgres:call', 'function shop/shop/public/close_month'],
    ['shop', 'postgres:connect', 'database shop/shop'],
    ['many/other', 'postgres:connect', 'database many/other'],
  ])('%s is, for %s, the %s', (text, action, label) => {
    const { part, label: found } = named(text, action);
    expect(found).toBe(label);
    expect(part).toMatchObject({ id: label.slice(label.indexOf(' ') + 1), attributes: {} });
  });

  it.each([
    ['shop', 'postgres:select', 'everything in target shop'],
    ['many', 'postgres:connect', 'everything in target many'],
    ['many/other', 'postgres:select', 'everything in database many/other'],
    ['shop/shop', 'postgres:ddl', 'everything in database shop/shop'],
    ['shop/shop/public', 'postgres:select', 'everything in schema shop/shop/public'],
    ['schema:shop/shop/public', 'postgres:select', 'everything in schema shop/shop/public'],
  ])('%s is, for %s, %s', (text, action, label) => {
    const { part, label: found } = named(text, action);
    expect(found).toBe(label);
    expect(part).toMatchObject({ op: 'in', id: label.slice(label.lastIndexOf(' ') + 1) });
  });

  it('may be a column, of actions that tell which they work with', () => {
    const column = named('shop/public.customers.ssn');
    expect(column).toMatchObject({
      label: 'column ssn of table shop/shop/public/customers',
      column: { attribute: 'columns', name: 'ssn' },
    });
    expect(() => named('shop/public.customers.ssn', 'postgres:ddl')).toThrow(/not about columns; name the table/);
  });

  it.each([
    ['shpo', /^no target "shpo" is declared \(did you mean "shop"\?\)$/],
    ['unknown/public.a', /^which database of unknown\? Write unknown\/DATABASE\/SCHEMA.TABLE$/],
    ['shop/public.', /^"shop\/public." is no name of a resource; write TARGET, /],
    ['', /is no name of a resource/],
    ['shop.x/public.a', /^no target|is no name of a resource/],
    ['shop/a.b/c', /is no name of a resource/],
    ['shop/a.b.c.d', /^postgres:select is about no such thing as shop\/shop\/a\/b\/c\/d$/],
    ['tabel:a/b/c/d', /^there is no resource kind "tabel"/],
    ['table:a/b', /^the id of a table is/],
  ])('%s is none', (text, message) => {
    expect(() => named(text)).toThrow(UsageError);
    expect(() => named(text)).toThrow(message);
  });
});

const apis = new Map([...targets, ['api', ['customer', 'customers']], ['bare', []]]);
const specs = new Map(
  Array.from(apis.keys(), (name) => [name, { protocol: /api|bare/.test(name) ? 'http' : 'postgres' }]),
);
const inApis = (text: string, action = 'http:get') => namedResource(text, { action, targets: apis, specs });

describe('a resource of an API', () => {
  it.each([
    ['api/customer', 'http:get', 'route api/customer'],
    ['route:api/customer', 'http:delete', 'route api/customer'],
    ['origin:api', 'http:get', 'origin api'],
    ['api', 'http:connect', 'origin api'],
    ['api', 'http:get', 'everything in target api'],
    ['target:api', 'http:upgrade', 'everything in target api'],
  ])('%s is, for %s, the %s', (text, action, label) => {
    expect(inApis(text, action).label).toBe(label);
  });

  it.each([
    ['api/custmer', 'http:get', /^target api has no route "custmer" \(did you mean "customer"\?\)$/],
    ['route:api/custmer', 'http:get', /^target api has no route "custmer" \(did you mean "customer"\?\)$/],
    ['api/x', 'http:get', /^target api has no route "x" \(it has customer, customers\)$/],
    ['bare/x', 'http:get', /^target bare has no route "x" \(it has none\)$/],
    ['api/customer.ssn', 'http:get', /is no name of a resource; write TARGET or TARGET\/ROUTE$/],
    ['api/v1/customer', 'http:get', /is no name of a resource; write TARGET or TARGET\/ROUTE$/],
    ['api/customer', 'http:connect', /^http:connect is about an origin, and api\/customer is none$/],
    ['api/customer', 'postgres:select', /^postgres:select is about nothing in target api, which speaks http$/],
    ['target:api', 'postgres:select', /^postgres:select is about nothing in target api, which speaks http$/],
    ['shop/public.customers', 'http:get', /^http:get is about nothing in target shop, which speaks postgres$/],
    ['route:api/customer', 'postgres:select', /^postgres:select is about a table, and api\/customer is none$/],
  ])('%s is none for %s', (text, action, message) => {
    expect(() => inApis(text, action)).toThrow(UsageError);
    expect(() => inApis(text, action)).toThrow(message);
  });

  it.each([
    ['api/customer', 'http'],
    ['"shop"/public.a', 'postgres'],
    ['route:nowhere/a', 'http'],
    ['table:nowhere/a/b/c', 'postgres'],
    ['target:api', 'http'],
    ['nowhere', undefined],
    ['', undefined],
  ])('%s tells the protocol %s', (text, protocol) => {
    expect(protocolOfNamed(text, { specs })).toBe(protocol);
  });
});

describe('an action', () => {
  it('may leave out its protocol, and may be a group where all of it is asked about', () => {
    expect(namedAction('select')).toBe('postgres:select');
    expect(namedActions('write', 'postgres')).toEqual([
      'postgres:insert',
      'postgres:update',
      'postgres:delete',
      'postgres:truncate',
    ]);
    expect(() => namedAction('postgres:write')).toThrow('postgres:write is a group of actions; ask about one of them');
    expect(() => namedActions('selct')).toThrow('there is no action "selct" (did you mean "select"?)');
  });

  it('is that of the protocol in question, where several have it', () => {
    expect(namedActions('read', 'postgres')).toEqual(['postgres:select']);
    expect(namedActions('read', 'http')).toEqual(['http:get', 'http:head', 'http:options']);
    expect(namedAction('connect', 'http')).toBe('http:connect');
    expect(namedAction('http:connect', 'postgres')).toBe('http:connect');
    expect(() => namedAction('read', 'http')).toThrow('read is a group of actions; ask about one of them');
  });

  it('that several have is told with each of them, where nothing says which is meant', () => {
    expect(() => namedActions('connect')).toThrow(
      'connect is an action of several protocols; write http:connect or postgres:connect',
    );
    expect(() => namedAction('any')).toThrow('write http:any or postgres:any');
  });

  it('of another protocol is none', () => {
    expect(() => namedActions('select', 'http')).toThrow('there is no action "select" of http (postgres:select is)');
    expect(() => namedActions('pst', 'http')).toThrow('there is no action "pst" (did you mean "post"?)');
    expect(() => namedActions('read', 'ftp')).toThrow('there is no action "read" (http:read or postgres:read is)');
  });
});
