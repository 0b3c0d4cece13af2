import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkConfig } from '../gateway/protocols/http/config.ts';
import { importRoutes, type ReadKind, type RouteImport, readDocument, type WrittenRoute } from './index.ts';

// Goal: whatever a document has, the routes made of it are such as a target takes, under the same names each time.

const problemsOf = (routes: readonly WrittenRoute[]) => checkConfig({ url: 'http://127.0.0.1', routes });
const testdata = (name: string) => readFileSync(join(import.meta.dirname, 'testdata', name));
const documentOf = (value: object | string) =>
  readDocument(Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)));

function imported(document: ReturnType<typeof readDocument>, more: Partial<RouteImport> = {}) {
  return importRoutes(document, {
    base: document.servers[0]?.base ?? '',
    reads: new Set(),
    existing: [],
    problemsOf,
    ...more,
  });
}
const briefly = ({ routes }: ReturnType<typeof imported>) =>
  routes.map(({ name, methods, path }) => `${name}: ${methods[0]} ${path}`);
const withPaths = (paths: object) => documentOf({ openapi: '3.1.0', paths });
const all = new Set<ReadKind>(['query', 'header', 'body']);

describe('a plain document', () => {
  const pets = readDocument(testdata('petstore.yaml'));

  it('gives a route for each operation, below the path of its server', () => {
    expect(briefly(imported(pets))).toEqual([
      'list-pets: GET /v1/pets',
      'create-pet: POST /v1/pets',
      'delete-v1-pets-pet-id: DELETE /v1/pets/{petId}',
      'show-pet: GET /v1/pets/{petId}',
      'pet-photo: GET /v1/pets/{petId}/{format}',
    ]);
    expect(imported(pets).notes).toEqual([
      'GET /v1/pets/{petId}/photo.{format} becomes /v1/pets/{petId}/{format}, which takes whatever is there: a parameter is a whole segment',
    ]);
  });

  it('gives none of its values unless asked, and none of its secrets then', () => {
    expect(imported(pets).routes.every(({ reads }) => reads === undefined)).toBe(true);
    const { routes, notes } = imported(pets, { reads: all });
    expect(routes[0]?.reads).toEqual(['header.x-tenant', 'query.limit', 'query.species']);
    expect(routes[1]?.reads).toEqual(['body.name', 'body.owner.email', 'header.x-tenant']);
    expect(notes.join('\n')).toContain('list-pets does not read query.api_key: what is read stands in the ledger');
    expect(notes.join('\n')).toContain('create-pet does not read body.owner.password');
  });

  it('gives the operations below a path alone where that is wanted', () => {
    expect(imported(pets, { under: '/v1/pets/{petId}/' }).routes).toHaveLength(1);
  });

  it('adds nothing to what it has given before, in whatever way that is written now', () => {
    const { routes } = imported(pets, { reads: all });
    expect(imported(pets, { existing: routes }).routes).toEqual([]);
    const existing = [{ name: 'mine', path: '/v1/pets/{id}', methods: ['GET', 'DELETE'], reads: ['query.x'] }];
    expect(briefly(imported(pets, { existing }))).toEqual([
      'list-pets: GET /v1/pets',
      'create-pet: POST /v1/pets',
      'pet-photo: GET /v1/pets/{petId}/{format}',
    ]);
  });

  it('gives nobody a name that is there, and tells whose requests a new route takes', () => {
    const existing = [{ name: 'list-pets', path: '/v1/{rest*}' }];
    const { routes, notes } = imported(pets, { existing });
    expect(routes[0]?.name).toBe('get-v1-pets');
    expect(notes.join('\n')).toContain('get-v1-pets takes requests that list-pets took: policies that name list-pets');
  });
});

describe('a nasty document', () => {
  const { routes, notes } = imported(readDocument(testdata('nasty.yaml')), { reads: all });

  it('gives what routes can be', () => {
    expect(problemsOf(routes.map(({ remark: _, ...route }) => route))).toEqual([]);
    expect(briefly({ routes, notes })).toEqual([
      'constructor: GET /b/c',
      'post-b-c-a: POST /b/c/A',
      'put-b-c-a: PUT /b/c/A',
      'get-b-c-a: GET /b/c/a',
      'get-b-c-files-name: GET /b/c/files/{name}',
      'cancel-job: POST /b/c/jobs/{id}',
      'loop: GET /b/c/loop',
      'reads: GET /b/c/reads',
      'a: GET /b/c/rest/{path*}',
      'list-all-the-things-that-there-are-with-a-name-that-is-much-lon: GET /b/c/sp ace/{_}',
      'head-b-c-t: HEAD /b/c/t',
      'options-b-c-t: OPTIONS /b/c/t',
      'get-b-c-a-a-2: GET /b/c/{a}/{a_2}',
      'own: GET /own',
    ]);
  });

  it('tells what it leaves out, and what takes more than the document says', () => {
    const whole = 'which takes whatever is there: a parameter is a whole segment';
    expect(notes).toEqual([
      `GET /b/c/files/{name}.json becomes /b/c/files/{name}, ${whole}`,
      `GET /b/c/files/{name}.xml becomes /b/c/files/{name}, ${whole}`,
      `GET /b/c/{a}-{b}/{a} becomes /b/c/{a}/{a_2}, ${whole}`,
      `POST /b/c/jobs/{id}:cancel becomes /b/c/jobs/{id}, ${whole}`,
      'GET "/b/c/q?x=1" is left out: its path has a query or a fragment',
      'GET "/b/c//double" is left out: its path has an empty segment',
      'TRACE /b/c/t is left out: requests of TRACE are refused',
      'GET /a, GET /a/ are one route: no path tells them apart',
      'GET /files/{name}.json, GET /files/{name}.xml are one route: no path tells them apart',
      'GET /b/c/../up is left out: route get-b-c-up: its path can match nothing: the path has a dot segment',
      'reads does not read header.authorization, query.refresh_token: what is read stands in the ledger, and that looks like a secret',
      "reads does not read header.user-agent, header.x-forwarded-for, query.filter[a], query.ok, which a route can't, or not besides the others",
    ]);
  });
});

describe('names', () => {
  it('are those of the operations where only one wants it, whatever the order', () => {
    const paths = {
      '/x': { get: { operationId: 'getIt' } },
      '/y': { get: { operationId: 'get_it' }, put: { operationId: 'HTTPServerList2' } },
      '/é': { get: { operationId: '!!!' } },
      '/z/{id}': { get: {} },
      '/z/id': { get: {} },
    };
    const wanted = [
      'get-x: GET /x',
      'get-y: GET /y',
      'http-server-list2: PUT /y',
      expect.stringMatching(/^get-z-id-[0-9a-f]{12}: GET \/z\/id$/),
      expect.stringMatching(/^get-z-id-[0-9a-f]{12}: GET \/z\/\{id\}$/),
      'get-e: GET /é',
    ];
    expect(briefly(imported(withPaths(paths)))).toEqual(wanted);
    const backwards = Object.fromEntries(Object.entries(paths).toReversed());
    expect(briefly(imported(withPaths(backwards)))).toEqual(wanted);
  });

  it('are of no single operation where a route takes several', () => {
    const paths = {
      '/jobs/{id}:cancel': { post: { operationId: 'cancel' } },
      '/jobs/{id}:undo': { post: { operationId: 'undo' } },
    };
    const { routes, notes } = imported(withPaths(paths));
    expect(routes).toMatchObject([{ name: 'post-jobs-id', path: '/jobs/{id}' }]);
    expect(notes.at(-1)).toBe('POST /jobs/{id}:cancel, POST /jobs/{id}:undo are one route: no path tells them apart');
  });
});

describe('a route that is there', () => {
  const one = (method: string, path: string, existing: WrittenRoute) =>
    imported(withPaths({ [path]: { [method]: { operationId: 'new' } } }), { existing: [existing] });
  const told = /^new takes requests that old took: policies that name old, masks and forbids among them/;

  it.each<[string, string, string, WrittenRoute]>([
    ['that it is wider than', 'get', '/a/b', { name: 'old', path: '/a/{x}' }],
    ['that it shares some paths with, and comes before', 'get', '/a/b/{y}', { name: 'old', path: '/a/{x}/c' }],
    ['of all that follows', 'get', '/a/{x}', { name: 'old', path: '/a/{x*}' }],
    ['of all that follows, at its end', 'get', '/a', { name: 'old', path: '/a/{x*}' }],
    ['which takes HEAD with GET', 'head', '/a/b', { name: 'old', path: '/a/{x}', methods: ['GET'] }],
  ])('and loses requests to a new one %s is named', (_, method, path, existing) => {
    const { routes, notes } = one(method, path, existing);
    expect(routes).toHaveLength(1);
    expect(notes).toEqual([expect.stringMatching(told)]);
  });

  it.each<[string, string, string, WrittenRoute]>([
    ['that comes behind it', 'get', '/a/{y}/c', { name: 'old', path: '/a/b/{x}' }],
    ['of another method', 'get', '/a/b', { name: 'old', path: '/a/{x}', methods: ['POST'] }],
    ['of other paths', 'get', '/a/b', { name: 'old', path: '/b/{x}' }],
  ])('and loses none to a new one %s is not', (_, method, path, existing) => {
    const { routes, notes } = one(method, path, existing);
    expect([routes.length, notes]).toEqual([1, []]);
  });

  it('keeps HEAD, which comes with its GET', () => {
    expect(one('head', '/a/{y}', { name: 'old', path: '/a/{x}', methods: ['GET'] }).routes).toEqual([]);
    expect(one('head', '/a/{y}', { name: 'old', path: '/a/{x}', methods: ['POST'] }).routes).toHaveLength(1);
  });

  it('gets none of a method that no route can have beside it', () => {
    const paths = { '/a': { additionalOperations: { 'a b': {}, COPY: {} } } };
    const { routes, notes } = imported(documentOf({ openapi: '3.2.0', paths }));
    expect(routes.map(({ methods }) => methods)).toEqual([['COPY']]);
    expect(notes).toEqual(['"a b" "/a" is left out: no route has such a method']);
  });
});

it('of more operations than a target can have routes nothing is taken, unless a part is named', () => {
  const many = (count: number) =>
    withPaths(Object.fromEntries(Array.from({ length: count }, (_, n) => [`/${n % 2 ? 'a' : 'b'}/${n}`, { get: {} }])));
  expect(imported(many(1000)).routes).toHaveLength(1000);
  expect(() => imported(many(1001))).toThrow(expect.objectContaining({ code: 'ERR_DOCUMENT_SIZE' }));
  expect(imported(many(1001), { under: '/a/' }).routes).toHaveLength(500);
});

it('of gRPC each method is a route, and one that streams says so', () => {
  const set = create(FileDescriptorSetSchema, {
    file: [
      {
        name: 'shop.proto',
        package: 'shop.v1',
        service: [
          {
            name: 'Orders',
            method: [
              { name: 'ListOrders', serverStreaming: true },
              { name: 'GetOrder' },
              { name: 'Sync', clientStreaming: true, serverStreaming: true },
            ],
          },
        ],
      },
    ],
  });
  const { routes, notes } = imported(readDocument(toBinary(FileDescriptorSetSchema, set)), { reads: all });
  expect(notes).toEqual([]);
  expect(routes).toEqual([
    { name: 'orders-get-order', methods: ['POST'], path: '/shop.v1.Orders/GetOrder', remark: undefined },
    { name: 'orders-list-orders', methods: ['POST'], path: '/shop.v1.Orders/ListOrders', remark: 'server streaming' },
    { name: 'orders-sync', methods: ['POST'], path: '/shop.v1.Orders/Sync', remark: 'client and server streaming' },
  ]);
});

describe('any document', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      'a',
      'A',
      'b',
      '{id}',
      '{x}.json',
      '{a}-{b}',
      '{rest+}',
      '{rest*}',
      '..',
      '',
      'a;b',
      '%2f',
      'a b',
      'ﬁ',
      '{',
      '*',
    ),
    fc.string({ unit: 'grapheme', maxLength: 4 }),
  );
  const parameter = fc.record({
    in: fc.constantFrom('query', 'header', 'path', 'cookie'),
    name: fc.oneof(
      fc.string({ maxLength: 6 }),
      fc.constantFrom('x', 'X', 'a.b', 'a_b', 'x-tenant', 'user-agent', 'cookie'),
    ),
  });
  const operation = fc.record(
    { operationId: fc.string({ maxLength: 80 }), parameters: fc.array(parameter, { maxLength: 20 }) },
    { requiredKeys: [] },
  );
  const method = fc.constantFrom('get', 'put', 'post', 'delete', 'head', 'options', 'trace');
  const item = fc.dictionary(method, operation, { maxKeys: 3 });
  const paths = fc.dictionary(
    fc.array(piece, { maxLength: 4 }).map((pieces) => `/${pieces.join('/')}`),
    item,
    { maxKeys: 12 },
  );

  it('gives routes that a target takes, and the same again; a second time none', () => {
    fc.assert(
      fc.property(paths, fc.subarray(['query', 'header', 'body'] as ReadKind[]), (given, kinds) => {
        const reads = new Set(kinds);
        const { routes } = imported(withPaths(given), { reads });
        const written = routes.map(({ remark: _, ...route }) => route);
        expect(problemsOf(written)).toEqual([]);
        const backwards = Object.fromEntries(Object.entries(given).toReversed());
        expect(imported(withPaths(backwards), { reads }).routes).toEqual(routes);
        expect(imported(withPaths(given), { reads, existing: written }).routes).toEqual([]);
      }),
    );
  });
});
