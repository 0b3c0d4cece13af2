import { describe, expect, it } from 'vitest';
import { createRouteTable, parseRoute, routeProblems, type WrittenRoute } from './routes.ts';

const table = (...routes: (readonly [string, string, string?])[]) =>
  createRouteTable(
    routes.map(([name, path, methods]) =>
      parseRoute({ name, path, ...(methods === undefined ? {} : { methods: methods.split(' ') }) }),
    ),
  );
const segmentsOf = (path: string) =>
  path
    .split('/')
    .slice(1)
    .filter((one) => one !== '');
const problems = (...routes: Partial<WrittenRoute>[]) =>
  routeProblems(routes.map((route, index) => ({ name: `r${index}`, path: `/p${index}`, ...route })));

describe('a route', () => {
  const found = table(
    ['list', '/v1/customers', 'GET'],
    ['create', '/v1/customers', 'POST'],
    ['one', '/v1/customers/{id}', 'GET DELETE'],
    ['export', '/v1/customers/export', 'GET'],
    ['head', '/v1/orders', 'HEAD'],
    ['orders', '/v1/orders', 'GET'],
    ['any', '/v2/{what}'],
    ['files', '/files/{rest*}'],
    ['deep', '/files/{name}/meta', 'GET'],
    ['root', '/', 'GET'],
  );
  it.each([
    ['GET', '/v1/customers', 'list'],
    ['POST', '/v1/customers', 'create'],
    ['PUT', '/v1/customers', undefined],
    ['GET', '/v1/customers/7', 'one'],
    ['GET', '/v1/customers/export', 'export'],
    ['DELETE', '/v1/customers/export', 'one'],
    ['GET', '/v1/customers/7/x', undefined],
    ['GET', '/V1/customers', undefined],
    ['HEAD', '/v1/customers/7', 'one'],
    ['HEAD', '/v1/orders', 'head'],
    ['GET', '/v1/orders', 'orders'],
    ['PURGE', '/v2/x', 'any'],
    ['HEAD', '/v2/x', 'any'],
    ['GET', '/files', 'files'],
    ['GET', '/files/a/b/c', 'files'],
    ['GET', '/files/a/meta', 'deep'],
    ['POST', '/files/a/meta', 'files'],
    ['GET', '/', 'root'],
    ['GET', '/v1', undefined],
  ])('takes %s %s: %s', (method, path, name) => {
    expect(found.match(method, segmentsOf(path))?.name).toBe(name);
  });

  it('takes no empty segment for a parameter', () => {
    expect(found.match('GET', ['v1', 'customers', ''])).toBeUndefined();
  });

  it.each(['/V1/Customers/EXPORT', '/v1/cu\u017ftomers/e\uff58port'])('is found by who folds: %s', (path) => {
    expect(found.matchFolded('GET', segmentsOf(path))?.name).toBe('export');
  });
});

describe('routes', () => {
  it.each<[string, Partial<WrittenRoute>[]]>([
    [
      'of other methods',
      [
        { path: '/a', methods: ['GET'] },
        { path: '/a', methods: ['POST', 'HEAD'] },
      ],
    ],
    ['where a literal stands for a parameter', [{ path: '/a/{id}' }, { path: '/a/b' }, { path: '/a/{rest*}' }]],
    ['of names that are encoded, or not', [{ path: '/caf\u00e9' }, { path: '/a%20b' }]],
    ['that read', [{ reads: ['query.a.b', 'query.a', 'header.x-tenant', 'body.user.id'] }]],
  ])('%s are fine', (_, routes) => {
    expect(problems(...routes)).toEqual([]);
  });

  it.each<[string, Partial<WrittenRoute>[], RegExp]>([
    [
      'of one form',
      [
        { path: '/a/{id}', methods: ['GET'] },
        { path: '/a/{name}', methods: ['PUT', 'GET'] },
      ],
      /r0 and r1 take the same/,
    ],
    ['of one form, one of all methods', [{ path: '/a' }, { path: '/a', methods: ['GET'] }], /take the same/],
    ['that differ in case alone', [{ path: '/a' }, { path: '/A' }], /letter case/],
    ['of one name', [{ name: 'x' }, { name: 'x' }], /two routes have the name x/],
    ['with a slash at the end', [{ path: '/a/' }], /ends with \//],
    ['with no slash before', [{ path: 'a' }], /does not begin/],
    ['with half a parameter', [{ path: '/a{id}' }], /a parameter is a whole segment/],
    ['with a star alone', [{ path: '/a/*' }], /a parameter is a whole segment/],
    ['that go on after the rest', [{ path: '/{rest*}/a' }], /goes on after/],
    ['with one parameter twice', [{ path: '/{a}/{a}' }], /twice/],
    ['with a dot segment', [{ path: '/a/../b' }], /can match nothing/],
    ['with an encoded slash', [{ path: '/a%2fb' }], /one name/],
    ['with an empty segment', [{ path: '/a//b' }], /one name/],
    ['that read nothing known', [{ reads: ['cookie.a'] }], /can read/],
    ['that read a field in upper case', [{ reads: ['header.X-Tenant'] }], /can read/],
    ['that read through brackets', [{ reads: ['query.a[b]'] }], /can read/],
    ['that read a value twice', [{ reads: ['query.a', 'query.A'] }], /twice/],
    ['that read too much', [{ reads: Array.from({ length: 17 }, (_, n) => `query.a${n}`) }], /more than 16/],
  ])('%s are refused', (_, routes, message) => {
    expect(problems(...routes)).toEqual([expect.stringMatching(message)]);
  });
});
