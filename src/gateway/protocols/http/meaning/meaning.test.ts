import { describe, expect, it } from 'vitest';
import { parseConfig } from '../config.ts';
import { bodyProblem, createMeaning, isRefusal, type Meaning } from './index.ts';

const config = {
  url: 'https://api.internal',
  routes: [
    {
      ...{ name: 'customer', methods: ['GET', 'PUT'], path: '/v1/customers/{id}' },
      reads: ['query.expand', 'header.x-tenant', 'body.amount', 'body.user.id'],
    },
    { name: 'files', path: '/files/{rest*}', allow: { encodedSlash: true, matrixParameters: true } },
    { name: 'admin', path: '/v1/admin' },
  ],
};
const ask = (target: string, more: Partial<Parameters<ReturnType<typeof createMeaning>['of']>[0]> = {}, changed = {}) =>
  createMeaning('billing', parseConfig({ ...config, ...changed })).of({
    ...{ method: 'GET', host: 'api.test:8443', fields: [], upgrade: undefined },
    ...{ target, ...more },
  });
const understood = (...asked: Parameters<typeof ask>): Meaning => {
  const found = ask(...asked);
  if (isRefusal(found)) throw new Error(found.message);
  return found;
};

describe('a request', () => {
  it('that a route takes asks about the route, with what it reads for tags', () => {
    expect(
      understood('/v1/%63ustomers/7?b=1&expand=x%20y', { fields: [{ name: 'x-tenant', value: 'a' }] }),
    ).toMatchObject({
      action: 'http:get',
      resource: {
        ...{ type: 'Http::Route', id: 'billing/customer', attributes: { target: 'billing', name: 'customer' } },
        tags: { 'path.id': '7', 'query.expand': 'x y', 'header.x-tenant': 'a' },
        parents: [{ type: 'Http::Origin', id: 'billing', parents: [{ type: 'Target', id: 'billing' }] }],
      },
      context: { method: 'GET', path: '/v1/customers/7', host: 'api.test' },
      ...{
        shape: 'GET /v1/customers/{id}',
        target: '/v1/customers/7?b=1&expand=x%20y',
        changes: false,
        readsBody: true,
      },
    });
  });

  it('that none takes asks about the origin', () => {
    expect(understood('/v2/users/4711/anna@example.org/me', { method: 'POST' })).toMatchObject({
      ...{ action: 'http:post', resource: { type: 'Http::Origin', id: 'billing' }, route: undefined, changes: true },
      shape: 'POST /v2/users/{}/{}/me',
    });
    expect(understood('/v1/customers/7', { method: 'PATCH' }).route).toBeUndefined();
  });

  it.each([
    ['HEAD', undefined, 'http:head', false],
    ['OPTIONS', undefined, 'http:options', false],
    ['DELETE', undefined, 'http:delete', true],
    ['PROPFIND', undefined, 'http:other', true],
    ['GET', 'websocket', 'http:upgrade', true],
  ])('of %s, upgrade %s, is %s', (method, upgrade, action, changes) => {
    expect(understood('/x', { method, upgrade })).toMatchObject({ action, changes });
  });

  it('of OPTIONS may be about no path', () => {
    expect(understood('*', { method: 'OPTIONS' })).toMatchObject({
      target: '*',
      shape: 'OPTIONS *',
      resource: { type: 'Http::Origin' },
    });
    expect(ask('*')).toMatchObject({ code: 'http-path' });
  });

  it('has all that a rest takes, a slash inside of a segment encoded', () => {
    expect(understood('/files/a%2fb/c;v=1/').resource.tags).toEqual({ 'path.rest': 'a%2Fb/c' });
    expect(understood('/files/a%2fb/c;v=1/').target).toBe('/files/a%2Fb/c;v=1/');
    expect(understood('/files/').resource.tags).toBeUndefined();
  });
});

describe('a request by an address of this machine, where its host is none that the target lists', () => {
  it.each(['127.0.0.1:8080', 'localhost', '[::1]:8080'])('%s is for the first of them', (host) => {
    expect(understood('/x', { host }, { hosts: ['a.test', 'b.test'] }).context.host).toBe('a.test');
  });

  it('is for that address where the target lists it, or no hosts', () => {
    const host = '127.0.0.1:8080';
    expect(understood('/x', { host }, { hosts: ['a.test', '127.0.0.1'] }).context.host).toBe('127.0.0.1');
    expect(understood('/x', { host }).context.host).toBe('127.0.0.1');
  });
});

describe('a request is refused', () => {
  it.each<[string, string, Parameters<typeof ask>[1], object, number, RegExp]>([
    ['by CONNECT', '/x', { method: 'CONNECT' }, {}, 501, /no forward proxy/],
    ['by connect', '/x', { method: 'connect' }, {}, 501, /CONNECT/],
    ['by TRACE', '/x', { method: 'TRACE' }, {}, 405, /TRACE/],
    ['by a method in lower case', '/x', { method: 'get' }, {}, 501, /upper case/],
    ['by a method of signs', '/x', { method: 'G!T' }, {}, 501, /no method/],
    ['for another protocol', '/x', { upgrade: 'tcp' }, {}, 501, /WebSocket/],
    ['for a WebSocket by POST', '/x', { method: 'POST', upgrade: 'websocket' }, {}, 400, /opened by GET/],
    ['for a host that is not served', '/x', {}, { hosts: ['a.test'] }, 421, /host/],
    ['for another address', '/x', { host: '127.0.0.2' }, { hosts: ['a.test'] }, 421, /host/],
    ['when no route takes it and config says so', '/x', {}, { unlisted: 'refuse' }, 404, /no route/],
    ['with %2f where no route allows it', '/v1/customers/a%2fb', {}, {}, 400, /encoded slash/],
    ['with //', '//v1/admin', {}, {}, 400, /empty segment/],
    ['with ;x=1', '/v1/admin;x=1', {}, {}, 400, /semicolon/],
    [
      'with // that could be a route, allowed',
      '//v1/admin',
      {},
      { allow: { emptySegments: true } },
      400,
      /route admin/,
    ],
    [
      'with %2f that could be a route, allowed',
      '/v1%2fadmin',
      {},
      { allow: { encodedSlash: true } },
      400,
      /route admin/,
    ],
    ['with a route in another case', '/v1/ADMIN', {}, {}, 400, /route admin in letter case/],
    ['with a route of full width', '/v1/%EF%BD%81dmin', {}, {}, 400, /route admin in letter case/],
    ['with a parameter twice', '/v1/customers/7?expand=1&expand=2', {}, {}, 400, /twice/],
    [
      'with a field twice',
      '/v1/customers/7',
      {
        fields: [
          { name: 'x-tenant', value: 'a' },
          { name: 'x-tenant', value: 'a' },
        ],
      },
      {},
      400,
      /twice/,
    ],
    ['with a long path value', `/v1/customers/${'x'.repeat(257)}`, {}, {}, 414, /path.id.*256/],
    [
      'with a long field',
      '/v1/customers/7',
      { fields: [{ name: 'x-tenant', value: 'a'.repeat(257) }] },
      {},
      431,
      /256/,
    ],
    ['with a long path', `/${'x/'.repeat(120)}${'y'.repeat(2000)}`, {}, {}, 414, /2048/],
  ])('%s', (_, target, more, changed, status, message) => {
    expect(ask(target, more, changed)).toMatchObject({
      status,
      message: expect.stringMatching(message),
      hint: expect.stringMatching(/./),
    });
  });

  it.each<[string, Parameters<typeof ask>[1], object]>([
    [`/v1/customers/${'x'.repeat(256)}`, {}, {}],
    ['/x', { host: 'a.test:80' }, { hosts: ['a.test'] }],
    ['/v1/ADMIN', {}, { allow: { otherCase: true } }],
    ['/x;a=1', {}, { allow: { matrixParameters: true } }],
    ['/v1/admin/', {}, { unlisted: 'refuse' }],
  ])('but not at the edge: %.40s %j %j', (target, more, changed) => {
    expect(isRefusal(ask(target, more, changed))).toBe(false);
  });
});

describe('the body of a request', () => {
  const put = understood('/v1/customers/7', { method: 'PUT' });
  const meanings = createMeaning('billing', parseConfig(config));

  it('is read where its route reads it, whatever the method: some servers read that of a GET', () => {
    expect([
      put.readsBody,
      understood('/v1/customers/7').readsBody,
      understood('/x', { method: 'PUT' }).readsBody,
    ]).toEqual([...[true, true, false]]);
  });

  it.each<[string, readonly (readonly [string, string])[]]>([
    ['a form that is JSON too', [['content-type', 'application/x-www-form-urlencoded']]],
    ['no type, which Rack takes for a form', []],
    ['text', [['content-type', 'text/plain']]],
    ['another character set', [['content-type', 'application/json; charset=utf-7']]],
    ['two character sets', [['content-type', 'application/json; charset=utf-8; charset=utf-7']]],
    ['two types', ['application/json', 'text/plain'].map((type) => ['content-type', type] as const)],
    ['lines', [['content-type', 'application/x-ndjson']]],
    ...['gzip', 'identity, gzip'].map((encoding): [string, [string, string][]] => [
      encoding,
      [
        ['content-type', 'application/json'],
        ['content-encoding', encoding],
      ],
    ]),
  ])('that is said to be %s is not read', (_, fields) => {
    expect(bodyProblem(fields.map(([name, value]) => ({ name, value })))).toMatchObject({ status: 415 });
  });

  it.each([
    'application/json',
    'Application/JSON ; Charset="UTF-8"',
    'application/vnd.api+json',
  ])('that is said to be %s is', (value) => {
    expect(bodyProblem([{ name: 'content-type', value }])).toBeUndefined();
  });

  it.each<[unknown, object]>([
    [
      { amount: 12.5, user: { id: 'a' } },
      { 'body.amount': '12.5', 'body.user.id': 'a' },
    ],
    [{ amount: false, user: null }, { 'body.amount': 'false' }],
    [{ amount: [1], user: [{ id: 1 }] }, {}],
    [{ amount: {}, user: 'id' }, {}],
    [[{ amount: 1 }], {}],
    [undefined, {}],
    [JSON.parse('{"__proto__":{"amount":1}}'), {}],
  ])('%j has %j', (body, tags) => {
    expect(meanings.withBody(put, body as never)).toMatchObject({ resource: { id: 'billing/customer' } });
    const found = meanings.withBody(put, body as never);
    expect(isRefusal(found) ? found : found.resource.tags).toEqual({ 'path.id': '7', ...tags });
  });

  it.each<[unknown, number, RegExp]>([
    [{ Amount: 1 }, 400, /another spelling of amount/],
    [{ amount: 1, 'amount\0': 2 }, 400, /another spelling/],
    [{ 'amount\0x': 2 }, 400, /another spelling/],
    [{ amoun\u0165: 1, ａmount: 2 }, 400, /another spelling/],
    [{ user: { \u0131d: 1, ID: 2 } }, 400, /another spelling of user.id/],
    [{ amount: 'x'.repeat(257) }, 413, /256/],
    [{ amount: '\ud800' }, 400, /surrogate/],
  ])('%j is refused', (body, status, message) => {
    expect(meanings.withBody(put, body as never)).toMatchObject({ status, message: expect.stringMatching(message) });
  });
});
