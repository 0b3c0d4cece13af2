import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { importRoutes, readDocument } from './index.ts';

// Goal: any file ends in operations or in one sentence with what to do, and soon.

const read = (text: string | Uint8Array) => readDocument(typeof text === 'string' ? Buffer.from(text) : text);
const refused = (text: string | Uint8Array) => {
  try {
    const document = read(text);
    importRoutes(document, { base: '', reads: new Set(['query', 'body']), existing: [], problemsOf: () => [] });
  } catch (error) {
    return String(error);
  }
  return 'was read';
};
const open = 'openapi: 3.0.0\n';

describe('a document', () => {
  it('is the same in JSON and in YAML', () => {
    const pets = read(readFileSync(join(import.meta.dirname, 'testdata/petstore.yaml')));
    expect(pets.operations.map(({ method, path }) => `${method} ${path}`)).toEqual([
      ...['GET /pets', 'POST /pets', 'GET /pets/{petId}', 'DELETE /pets/{petId}', 'GET /pets/{petId}/photo.{format}'],
    ]);
    expect(pets.credentials).toEqual(new Set(['query.api_key']));
    const json = read('{"openapi":"3.1.0","servers":[{"url":"v2/"}],"paths":{"/a":{"get":{"operationId":"a"}}}}');
    const yaml = read('openapi: 3.1.0\nservers: [url: v2/]\npaths: { /a: { get: { operationId: a } } }\n');
    expect(json.operations).toEqual(yaml.operations);
    expect([json.servers, yaml.servers]).toEqual([[{ url: 'v2/', base: '/v2' }], [{ url: 'v2/', base: '/v2' }]]);
  });

  it('may repeat a part by an alias, and by references that lead to references', () => {
    const text = `${open}paths: { /a: &a { get: {} }, /b: *a, /c: { $ref: "#/x/~1c" } }\nx: { /c: { $ref: "#/paths/~1a" } }\n`;
    expect(read(text).operations.map(({ path }) => path)).toEqual(['/a', '/b', '/c']);
  });

  it('of 3.2 may have methods of its own, and of a stream the schema of one of it', () => {
    const content = { 'application/json': { itemSchema: { properties: { a: {} } } } };
    const more = { COPY: { operationId: 'c' }, 'a b': {} };
    const item = { query: { responses: { default: { content } } }, additionalOperations: more };
    const { operations } = read(JSON.stringify({ openapi: '3.2.0', paths: { '/a': item } }));
    expect(operations.map(({ method, id }) => [method, id])).toEqual([
      ['QUERY', undefined],
      ['COPY', 'c'],
      ['a b', undefined],
    ]);
    expect(operations[0]?.answers).toEqual([{ properties: { a: {} } }]);
  });

  it('has at a path what that refers to and what stands beside, which wins', () => {
    const text = `${open}paths: { /a: { $ref: "#/x", get: { operationId: own } } }\nx: { get: { operationId: far }, put: {} }\n`;
    expect(read(text).operations.map(({ method, id }) => [method, id])).toEqual([
      ['GET', 'own'],
      ['PUT', undefined],
    ]);
  });

  it('has names of whatever kind as its own', () => {
    const text = '{"openapi":"3.0.0","paths":{"__proto__":{"get":{}},"constructor":{"get":{}}}}';
    expect(read(text).operations.map(({ path }) => path)).toEqual(['__proto__', 'constructor']);
    expect(read(`${open}paths: { __proto__: { get: {} } }`).operations).toHaveLength(1);
    expect(refused(`${open}paths: { /a: { $ref: "#/constructor/name" } }`)).toMatch(/which it does not have/);
  });
});

describe('is refused, with what to do:', () => {
  it.each([
    ['nothing', '', /no OpenAPI document/],
    ['Swagger 2.0', 'swagger: "2.0"\n', /convert it to OpenAPI 3/],
    ['a version that is not known', 'openapi: 3.3.0\n', /3\.0\.x, 3\.1\.x and 3\.2\.x are read/],
    [
      'a merge, of which others read more',
      `${open}a: &a { get: {} }\npaths: { /a: { <<: *a } }\n`,
      /line 3: it merges by <<, which is not read; write it out/,
    ],
    ['a list', '[1]', /no OpenAPI document/],
    ['what is no YAML', `${open}a: b: c\n`, /line 2: it is no YAML/],
    ['half a JSON', '{"openapi": "3.0.0"', /line 1: it is no YAML/],
    [
      'a name twice in JSON',
      '{"openapi":"3.0.0",\n"paths":{},"\\u0070aths":{}}',
      /line 2: the name "paths" is there twice/,
    ],
    ['a name twice in YAML', `${open}paths: {}\npaths: {}\n`, /line 3: the name "paths" is there twice/],
    ['a name that is a list', `${open}? [a]\n: b\n`, /line 2: a name is no text/],
    ['a path that is a text', `${open}paths: { /a: hello }\n`, /"\/a" is no object/],
    [
      'another file',
      `${open}paths: { /a: { $ref: "other.yaml#/a" } }\n`,
      /refers to "other.yaml#\/a".*bundle it into one file/,
    ],
    ['another place', `${open}paths: { /a: { $ref: "https://x.test/a" } }\n`, /bundle it into one file/],
    ['what is not there', `${open}paths: { /a: { $ref: "#/b" } }\n`, /"#\/b", which it does not have/],
    ['a circle', `${open}paths: { /a: { $ref: "#/paths/~1a" } }\n`, /circle/],
    ['an alias of itself', `${open}paths: &a { /a: *a }\n`, /line 2: the alias "\*a" stands for nothing/],
    ['an alias before its anchor', `${open}a: *x\nb: &x 1\n`, /stands for nothing|no YAML/],
    ['bytes that are nothing', Buffer.from([0, 1, 2, 3]), /neither text nor a set/],
    ['a set that is empty', Buffer.from([0x12, 0x00]), /neither text nor a set/],
    ['bytes that end too soon', Buffer.from([0x0a, 0x7f, 0x01]), /neither text nor a set/],
  ])('%s', (_, text, message) => {
    expect(refused(text)).toMatch(message);
  });

  it.each([
    ['depth in JSON', `{"openapi":"3.0.0","a":${'['.repeat(1_000_000)}`, /deeper than/],
    ['depth in YAML', `${open}a: ${'['.repeat(100_000)}`, /deeper than|no YAML/],
    [
      'depth of blocks',
      `${open}${Array.from({ length: 150 }, (_, n) => `${' '.repeat(n)}a:\n`).join('')}`,
      /deeper than/,
    ],
    [
      'laughs',
      `${open}${Array.from({ length: 12 }, (_, n) => `l${n}: &l${n} [${`*l${n - 1},`.repeat(n === 0 ? 0 : 9)}]\n`).join('')}`,
      /aliases stand for more/,
    ],
    ['many aliases', `${open}a: &a 1\nb: [${'*a,'.repeat(2000)}]\n`, /more than 1000 aliases/],
    ['size', Buffer.alloc((20 << 20) + 1, 32), /of which 20971520 are read/],
    ['size in YAML', `${open}# ${'x'.repeat(8 << 20)}`, /convert it to JSON/],
    ['an address of slashes', `{"openapi":"3.0.0","servers":[{"url":"${'/'.repeat(500_000)}a"}],"x":1,"x":2}`, /twice/],
    ['depth of messages', nestedMessage(200_000), /neither text nor a set/],
  ])('%s, in bounded time', (_, text, message) => {
    expect(refused(text)).toMatch(message);
  });
});

it('addresses and paths that are long are read in bounded time', () => {
  const startMs = performance.now();
  const url = `https://x.test${'/'.repeat(500_000)}a`;
  const paths = { [`/${'{a}/'.repeat(200_000)}`]: { get: {} }, '/b': { get: {} } };
  const document = read(JSON.stringify({ openapi: '3.0.0', servers: [{ url }], paths }));
  expect(document.servers[0]?.base).toHaveLength(500_001);
  const { routes, notes } = importRoutes(document, { base: '', reads: new Set(), existing: [], problemsOf: () => [] });
  expect(routes.map(({ path }) => path)).toEqual(['/b']);
  expect(notes).toEqual([expect.stringMatching(/is left out: its path is longer than the 1024 characters/)]);
  expect(notes[0]?.length).toBeLessThan(300);
  expect(performance.now() - startMs).toBeLessThan(5_000);
});

it('schemas that refer to each other without end are gone through once', () => {
  const names = Array.from({ length: 3000 }, (_, n) => n);
  const schemas = Object.fromEntries(
    names.map((n) => [
      `s${n}`,
      { allOf: [1, 2, 3].map((by) => ({ $ref: `#/components/schemas/s${(n + by) % 3000}` })) },
    ]),
  );
  const content = { 'application/json': { schema: { $ref: '#/components/schemas/s0' } } };
  const document = read(
    JSON.stringify({
      openapi: '3.1.0',
      paths: { '/a': { post: { requestBody: { content } } } },
      components: { schemas },
    }),
  );
  const [schema] = document.operations[0]?.requests ?? [];
  expect(document.schemas.presence(schema, ['a', 'b'])).toBe('open');
  expect(document.schemas.paths(schema)).toEqual([]);
});

/** A descriptor of a message with one within it, and so on. */
function nestedMessage(depth: number): Buffer {
  let inner: readonly number[][] = [];
  let length = 0;
  for (let level = 0; level < depth; level++) {
    const head = [0x1a, ...varint(length)];
    inner = [head, ...inner.slice(0, 0)];
    length += head.length;
  }
  // Only the heads of the outer ones matter: what is missing within ends too soon at the latest.
  return Buffer.from([0x0a, ...varint(length), ...inner.flat()]);
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)];
}
