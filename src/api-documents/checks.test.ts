import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { didYouMean } from '../policy/index.ts';
import { createDescription, type DescribedTarget, type MaskedField, readDocument, type WrittenRoute } from './index.ts';

// Goal: a name that is nowhere in the document is told, with the one that was meant; what the document leaves open is not.

const pets = readDocument(readFileSync(join(import.meta.dirname, 'testdata/petstore.yaml')));
const routeFindings = (of: DescribedTarget) => createDescription(of, didYouMean).routeFindings();
const maskFinding = (of: DescribedTarget, field: MaskedField) => createDescription(of, didYouMean).maskFinding(field);
const all: WrittenRoute[] = [
  { name: 'pets', path: '/v1/pets', methods: ['GET', 'POST'] },
  { name: 'pet', path: '/v1/pets/{id}' },
  { name: 'photo', path: '/v1/pets/{id}/{file}', methods: ['GET', 'HEAD', 'OPTIONS'] },
];
const target = (routes: readonly WrittenRoute[], more: Partial<DescribedTarget> = {}): DescribedTarget => ({
  ...{ document: pets, routes, refusesUnlisted: false },
  ...more,
});
const findings = (...routes: WrittenRoute[]) =>
  routeFindings(target([...all, ...routes])).map(({ place, message, help }) => [place.join('.'), message, help]);

describe('routes', () => {
  it('that the document has, wider or narrower, are fine', () => {
    expect(findings()).toEqual([]);
    expect(
      findings({ name: 'rest', path: '/v1/{rest*}' }, { name: 'mine', path: '/v1/pets/mine', methods: ['GET'] }),
    ).toEqual([]);
  });

  it('are told by their path, with the nearest one', () => {
    expect(findings({ name: 'x', path: '/v1/pest' })).toEqual([
      [
        'routes.3.path',
        'route "x" has the path /v1/pest, which the document does not have',
        'did you mean "/v1/pets"?',
      ],
    ]);
  });

  it('are told by their method', () => {
    expect(findings({ name: 'x', path: '/v1/pets/me', methods: ['GET', 'PATCH'] })).toEqual([
      [
        'routes.3.methods.1',
        'route "x" takes PATCH, which the document does not have for /v1/pets/me',
        'it has DELETE, GET',
      ],
    ]);
  });

  it('are told by what they read', () => {
    const reads = [
      'query.limit',
      'query.limmit',
      'header.x-tenant',
      'query.x-tenant',
      'body.owner.email',
      'body.owner.mail',
      'body.tags.x',
    ];
    const routes = [{ ...all[0], name: 'pets', path: '/v1/pets', reads }];
    const found = routeFindings(target(routes)).filter(({ place }) => place.includes('reads'));
    expect(found.map(({ place, help }) => [place.join('.'), help])).toEqual([
      ['routes.0.reads.1', 'did you mean "query.limit"?'],
      ['routes.0.reads.3', undefined],
      ['routes.0.reads.5', 'did you mean "body.owner.email"?'],
      ['routes.0.reads.6', 'did you mean "body.tags"?'],
    ]);
  });

  it('that take GET take HEAD as well', () => {
    const document = readDocument(Buffer.from('openapi: 3.0.0\npaths: { /x: { get: {}, head: {} } }'));
    const routes = [{ name: 'x', path: '/x', methods: ['GET'] }];
    expect(routeFindings({ document, routes, refusesUnlisted: false })).toEqual([]);
  });

  it('that are missing are told in one line', () => {
    const [first] = all;
    if (first === undefined) throw new Error('there is one');
    expect(routeFindings(target([first]))).toEqual([
      {
        place: [],
        message:
          '3 operations of the document are taken by no route: GET /v1/pets/{petId}, DELETE /v1/pets/{petId}, GET /v1/pets/{petId}/{format}',
        help: 'policy is asked about them as about the whole target',
      },
    ]);
    expect(routeFindings(target([first], { refusesUnlisted: true }))[0]?.help).toBe('they are refused');
  });

  it('are below the path of that server which has most of them', () => {
    const document = readDocument(
      Buffer.from('openapi: 3.0.0\nservers: [{ url: /a }, { url: /b }]\npaths: { /x: { get: {} } }'),
    );
    expect(routeFindings({ document, routes: [{ name: 'x', path: '/b/x' }], refusesUnlisted: false })).toEqual([]);
  });
});

describe('a masked field', () => {
  const mask = (path: string, more: Partial<MaskedField> = {}): MaskedField => ({
    ...{ path: path === '' ? [] : path.split('.'), hasWildcard: path.includes('*') },
    ...{ reachesRoute: () => true, reachesRest: true, takesMethod: () => true },
    ...more,
  });
  const masked = (path: string, more: Partial<MaskedField> = {}) => maskFinding(target(all), mask(path, more));

  it.each([
    ...[
      '',
      'items',
      'items.name',
      'items.owner.email',
      'name',
      'NAME',
      'title',
      'next',
      'id',
      'parent.parent.owner.email',
    ],
    ...['tags', 'labels.any.text', 'extra.any.thing', '*.owner', 'items.*.name', 'owner.*'],
  ])('that an answer has is fine: %s', (path) => {
    expect(masked(path)).toBeUndefined();
  });

  it.each([
    ['items.nmae', 'did you mean "body.items.name"?'],
    ['email', 'did you mean "body.owner.email"?'],
    ['items.owner.emial', 'did you mean "body.items.owner.email"?'],
    ['title.text', undefined],
    ['labels.any.txt', undefined],
    ['tags.name', 'did you mean "body.name"?'],
  ])('that none has masks nothing: %s', (path, help) => {
    const message = `masks body.${path}, which no JSON answer of 5 operations has: it masks nothing`;
    expect(masked(path)).toEqual({ message, help });
  });

  it('is looked for where the policy reaches, by route and by method', () => {
    const get = { takesMethod: (method: string) => method === 'GET' };
    expect(masked('items', { reachesRoute: (name) => name === 'pets', ...get })).toBeUndefined();
    expect(masked('items', { reachesRoute: (name) => name === 'pet', reachesRest: false, ...get })?.message).toBe(
      'masks body.items, which no JSON answer of GET /v1/pets/{petId} has: it masks nothing',
    );
    expect(
      masked('items', { reachesRoute: (name) => name === 'pets', takesMethod: (one) => one === 'POST' }),
    ).toBeDefined();
    expect(masked('items', { takesMethod: () => false })).toBeUndefined();
  });

  it('is looked for in what no route takes, unless that is refused', () => {
    const [, pet] = all;
    const routes = pet === undefined ? [] : [pet];
    const rest = mask('items', { reachesRoute: () => false });
    expect(maskFinding(target(routes), rest)).toBeUndefined();
    const some = mask('items');
    expect(maskFinding(target(routes), some)).toBeUndefined();
    expect(maskFinding(target(routes, { refusesUnlisted: true }), some)).toBeDefined();
  });

  it('is looked for in the answers of the narrowest operation, and on the narrowest route', () => {
    const json = (name: string) => ({
      responses: { 200: { content: { 'application/json': { schema: { properties: { [name]: {} } } } } } },
    });
    const paths = { '/a/{id}': { get: json('wide') }, '/a/me': { get: json('own') } };
    const document = readDocument(Buffer.from(JSON.stringify({ openapi: '3.1.0', paths })));
    const routes = [
      { name: 'any', path: '/a/{x}' },
      { name: 'me', path: '/a/me' },
      { name: 'rest', path: '/{rest*}' },
    ];
    const isThere = (name: string, path: string, of = routes) => {
      const field = mask(path, { reachesRoute: (one) => one === name });
      return maskFinding({ document, routes: of, refusesUnlisted: true }, field) === undefined;
    };
    expect([isThere('any', 'wide'), isThere('any', 'own')]).toEqual([true, false]);
    expect([isThere('me', 'wide'), isThere('me', 'own')]).toEqual([false, true]);
    expect(isThere('any', 'own', routes.slice(0, 1))).toBe(true);
    const whole = mask('nothing');
    expect(maskFinding({ document, routes, refusesUnlisted: true }, whole)?.message).toContain('of 2 operations');
  });

  it('is not missed where a route is none of the document’s', () => {
    expect(maskFinding(target([...all, { name: 'x', path: '/x' }]), mask('nowhere'))).toBeUndefined();
    const patch = { name: 'x', path: '/v1/pets', methods: ['PATCH'] };
    expect(maskFinding(target([...all, patch]), mask('nowhere'))).toBeUndefined();
  });
});

describe('a schema', () => {
  const of = (schema: unknown, path: string) => {
    const document = readDocument(
      Buffer.from(
        JSON.stringify({
          openapi: '3.1.0',
          paths: {},
          components: {
            schemas: {
              A: { type: 'object', properties: { a: { type: 'string' }, self: { $ref: '#/components/schemas/A' } } },
            },
          },
        }),
      ),
    );
    return document.schemas.presence(schema, path.split('.'), { hasWildcard: true });
  };
  const ref = { $ref: '#/components/schemas/A' };
  const object = (properties: object, more: object = {}) => ({ type: 'object', properties, ...more });

  it.each<[string, unknown, string, string]>([
    ['that is empty', {}, 'a', 'open'],
    ['that is true', true, 'a.b', 'open'],
    ['that is false', false, 'a', 'absent'],
    ['of a text', { type: 'string' }, 'a', 'absent'],
    ['of an object without properties', { type: 'object' }, 'a', 'open'],
    ['of an object with none', object({}), 'a', 'open'],
    ['of an object with none and no others', object({}, { additionalProperties: false }), 'a', 'absent'],
    ['of an object with one', object({ a: {} }), 'a', 'there'],
    ['of an object with another', object({ b: {} }), 'a', 'absent'],
    ['below a property of anything', object({ a: {} }), 'a.b', 'open'],
    ['with others of a kind', object({ b: {} }, { additionalProperties: object({ c: {} }) }), 'a.c', 'there'],
    ['with others of another kind', object({ b: {} }, { additionalProperties: object({ c: {} }) }), 'a.d', 'absent'],
    ['with others of any kind', object({ b: {} }, { additionalProperties: true }), 'a', 'open'],
    ['with patterns', { type: 'object', patternProperties: { '(a+)+$': object({ c: {} }) } }, 'x.c', 'there'],
    ['of a list', { type: 'array', items: object({ a: {} }) }, 'a', 'there'],
    ['of lists of lists', { items: { items: object({ a: {} }) } }, 'b', 'absent'],
    ['of a list of anything', { type: 'array' }, 'a', 'open'],
    ['of a tuple', { prefixItems: [{ type: 'string' }, object({ a: {} })] }, 'a', 'there'],
    ['of elements by *', { items: object({ a: {} }) }, '*.a', 'there'],
    ['by reference', ref, 'self.self.a', 'there'],
    ['by reference, without it', ref, 'self.self.b', 'absent'],
    ['by reference beside properties', { ...ref, properties: { b: {} } }, 'b', 'there'],
    ['of all of several', { allOf: [ref, object({ b: {} }), { description: 'x' }] }, 'b', 'there'],
    ['of all of several, without it', { allOf: [ref, object({ b: {} }), { description: 'x' }] }, 'c', 'absent'],
    ['of one of several', { oneOf: [ref, object({ b: {} })] }, 'b', 'there'],
    ['of any, or null', { anyOf: [ref, { type: 'null' }] }, 'b', 'absent'],
    ['of any, or anything', { anyOf: [ref, {}] }, 'b', 'open'],
    [
      'of one that needs one or the other',
      object({ a: {} }, { oneOf: [{ required: ['a'] }, { required: ['b'] }] }),
      'c',
      'absent',
    ],
    ['that may be null', { type: ['object', 'null'], properties: { a: {} } }, 'b', 'absent'],
    ['of a condition', object({ a: {} }, { if: {}, else: object({ b: {} }) }), 'b', 'there'],
    ['that others build on', object({ kind: {} }, { discriminator: { propertyName: 'kind' } }), 'a', 'open'],
    ['of alternatives told apart', { oneOf: [ref], discriminator: { propertyName: 'a' } }, 'b', 'absent'],
    ['by another way of referring', { $dynamicRef: '#x' }, 'a', 'open'],
    ['of a constant', { const: { a: 1 } }, 'b', 'absent'],
  ])('%s', (_, schema, path, presence) => {
    expect(of(schema, path)).toBe(presence);
  });
});
