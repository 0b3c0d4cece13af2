import { create, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { createDescription, DocumentError, importRoutes, readDocument } from './index.ts';

const kinds = new Set(['query', 'header', 'body'] as const);
const mask = {
  path: ['a', '*', 'b'],
  hasWildcard: true,
  reachesRoute: () => true,
  reachesRest: true,
  takesMethod: () => true,
};

/** Whatever bytes: they are a document, or refused in words; what is made of one is there a second time. */
export function fuzz(input: Uint8Array): void {
  try {
    const document = readDocument(input);
    const wanted = { base: document.servers[0]?.base ?? '', reads: kinds, existing: [], problemsOf: () => [] };
    const { routes } = importRoutes(document, wanted);
    if (new Set(routes.map(({ name }) => name)).size < routes.length) throw new Error('two routes of one name');
    if (importRoutes(document, { ...wanted, existing: routes }).routes.length > 0) throw new Error('routes come twice');
    const target = { document, routes, refusesUnlisted: false };
    const description = createDescription(target, () => undefined);
    description.routeFindings();
    description.maskFinding(mask);
  } catch (error) {
    if (!(error instanceof DocumentError)) throw error;
    if (error.message.length > MESSAGE_CHARS_MAX) throw new Error('a message that nobody reads');
  }
}

const set = create(FileDescriptorSetSchema, {
  file: [{ name: 'a.proto', package: 'a', service: [{ name: 'S', method: [{ name: 'M', clientStreaming: true }] }] }],
});

export const seeds: readonly Uint8Array[] = [
  '{"openapi":"3.0.0","servers":[{"url":"https://x.test/v1"}],"paths":{"/a/{id}":{"get":{"operationId":"getA","parameters":[{"name":"q","in":"query"}]}}}}',
  'openapi: 3.1.0\npaths:\n  /a: &a { get: { responses: { default: { content: { application/json: { schema: { $ref: "#/x" } } } } } } }\n  /b: *a\nx: { allOf: [{ properties: { a: { items: { $ref: "#/x" } } } }], additionalProperties: false }\n',
  'openapi: 3.0.0\npaths: { /p: { post: { requestBody: { content: { "*/*": { schema: { type: object, properties: { b: { type: string } } } } } } } } }\n',
  toBinary(FileDescriptorSetSchema, set),
].map((seed) => Buffer.from(seed));

/** YAML is parsed. */
export const slow = true;
export const tokens = [
  ...[
    '"$ref":"#/',
    '$ref: "#/x"',
    '*a',
    '&a ',
    '/{id}',
    '{x}.json',
    'allOf: [',
    'anyOf: [',
    'items: {',
    'properties: {',
  ],
  ...[
    '__proto__',
    'constructor',
    '~1',
    '%7B',
    '{',
    '}',
    '[',
    ']',
    ': ',
    '\n  ',
    'openapi: 3.1.0\n',
    'servers: [{ url: "',
  ],
];
const MESSAGE_CHARS_MAX = 1000;
