import type { TSchema } from 'typebox';
import type { EndpointWords } from './endpoint.ts';
import { placesOf } from './read-input.ts';

/** A document of the OpenAPI specification, as plain data. */
export interface OpenApiDocument {
  readonly openapi: '3.1.1';
  readonly [name: string]: unknown;
}

/** Describes endpoints. Equal endpoints make equal documents, whoever makes them. @see OpenAPI Specification 3.1.1 */
export function openApiDocument(endpoints: readonly EndpointWords[]): OpenApiDocument {
  const paths = new Map<string, Record<string, unknown>>();
  for (const endpoint of endpoints.toSorted((a, b) => (a.path < b.path ? -1 : 1))) {
    const item = paths.get(endpoint.path) ?? {};
    paths.set(endpoint.path, { ...item, [endpoint.method.toLowerCase()]: operationOf(endpoint) });
  }
  paths.set('/v1/openapi.json', { get: DOCUMENT });
  return {
    openapi: '3.1.1',
    info: {
      title: 'Countersign',
      version: '1',
      description:
        'What people and machines may ask of a Countersign server. Callers prove who they are by an X.509-SVID in TLS or by a JWT-SVID for the audience `spiffe://<trust domain>/spire/server`; on the local socket the kernel says who they are.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    security: [{ svid: [] }, { token: [] }],
    tags: [...new Set(endpoints.map(nounOf))].toSorted().map((name) => ({ name })),
    paths: Object.fromEntries(paths),
    components: {
      securitySchemes: {
        svid: { type: 'mutualTLS', description: 'An X.509-SVID of the trust domain.' },
        token: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT-SVID' },
      },
      schemas: { Problem: PROBLEM },
      responses: Object.fromEntries(
        Object.entries(PROBLEMS).map(([status, description]) => [
          `Problem${status}`,
          {
            description,
            content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
          },
        ]),
      ),
    },
  };
}

function operationOf(endpoint: EndpointWords): object {
  const { name, summary, description, input, action } = endpoint;
  const places = placesOf(endpoint);
  const required = requiredOf(input);
  const parameter = (field: string, place: 'path' | 'query') => ({
    ...{ name: field, in: place, required: place === 'path' || required.includes(field) },
    ...aside(input.properties[field]),
  });
  const parameters = [
    ...places.path.map((field) => parameter(field, 'path')),
    ...places.query.map((field) => parameter(field, 'query')),
    ...headersOf(endpoint),
  ];
  const body = places.body.length === 0 ? {} : { requestBody: bodyOf(endpoint, places.body) };
  return {
    operationId: name,
    summary,
    ...(description === undefined ? {} : { description }),
    tags: [nounOf(endpoint)],
    ...(parameters.length === 0 ? {} : { parameters }),
    ...body,
    responses: responsesOf(endpoint),
    'x-countersign-action': action,
    'x-countersign-recorded': endpoint.audit !== undefined,
  };
}

/** The description of a field stands beside its schema in a parameter. */
function aside(schema: TSchema | undefined): object {
  const { description, ...rest } = { description: undefined, ...plain(schema) };
  return { ...(description === undefined ? {} : { description }), schema: rest };
}

function headersOf({ conditional, idempotent, method, live }: EndpointWords): object[] {
  const header = (name: string, description: string, maxLength?: number) => ({
    ...{ name, in: 'header', required: false, description },
    schema: { type: 'string', ...(maxLength === undefined ? {} : { maxLength }) },
  });
  return [
    ...(conditional ? [header('If-Match', 'Only if what is in force has this tag, as ETag gave it.', 130)] : []),
    ...(idempotent === 'by-key'
      ? [header('Idempotency-Key', 'Sent again with the same key within a day, it is not done again.', 257)]
      : []),
    ...(method === 'GET' && !live ? [header('If-None-Match', 'Not if the answer still has this tag.')] : []),
    ...(live ? [header('Last-Event-ID', 'The id of the last event that was seen.', 128)] : []),
  ];
}

function bodyOf({ input }: EndpointWords, names: readonly string[]): object {
  const required = requiredOf(input).filter((name) => names.includes(name));
  const properties = Object.fromEntries(names.map((name) => [name, plain(input.properties[name])]));
  const schema = {
    ...{ type: 'object', properties, additionalProperties: false },
    ...(required.length === 0 ? {} : { required }),
  };
  return { required: required.length > 0, content: { 'application/json': { schema } } };
}

function responsesOf(endpoint: EndpointWords): object {
  const { method, live, conditional, idempotent, output } = endpoint;
  const schema = plain(output);
  const tag = { ETag: { description: 'Tells one state of it from another.', schema: { type: 'string' } } };
  const replayed = {
    'Idempotency-Replayed': { description: 'It was done before, by the same key.', schema: { const: 'true' } },
  };
  const headers = { ...tag, ...(idempotent === 'by-key' ? replayed : {}) };
  const done = live
    ? {
        description: `Events named ${endpoint.name}, whose data is JSON.`,
        content: { 'text/event-stream': { schema: { type: 'string' }, 'x-countersign-event': schema } },
      }
    : { description: 'Done.', headers, content: { 'application/json': { schema } } };
  const hasBody = placesOf(endpoint).body.length > 0;
  const isOne = placesOf(endpoint).path.length > 0;
  const statuses = [
    ...[400, 401, 403, ...(isOne ? [404] : []), ...(hasBody ? [408] : [])],
    ...(idempotent === 'by-key' || conditional ? [409] : []),
    ...(conditional ? [412] : []),
    ...(hasBody ? [413] : []),
    ...[415, ...(hasBody ? [422] : []), 429, 431, 500, 503],
  ];
  return {
    200: done,
    ...(method === 'GET' && !live ? { 304: { description: 'It is as the caller has it.', headers: tag } } : {}),
    ...Object.fromEntries(statuses.map((status) => [status, { $ref: `#/components/responses/Problem${status}` }])),
  };
}

function nounOf({ name }: Pick<EndpointWords, 'name'>): string {
  return name.slice(0, name.indexOf('.'));
}

function requiredOf(schema: TSchema): readonly string[] {
  return (schema as { required?: readonly string[] }).required ?? []; // JSON Schema of an object.
}

/** A schema as JSON has it: TypeBox keeps words of its own beside. */
function plain(schema: TSchema | undefined): Record<string, unknown> {
  return JSON.parse(JSON.stringify(schema ?? {}));
}

const PROBLEMS: Readonly<Record<number, string>> = {
  400: 'The request is not what the endpoint takes.',
  401: 'Nobody proves who is calling.',
  403: 'The caller may not do that; the detail says why.',
  404: 'There is nothing of that name.',
  408: 'The body did not arrive in time.',
  409: 'It is under way already, or was changed meanwhile.',
  412: 'What is in force is not what If-Match says.',
  413: 'The body is too large.',
  415: 'The body is no uncompressed JSON, or there should be none.',
  422: 'It is not taken; the problems say why. Nothing was done.',
  429: 'The caller asks too often.',
  431: 'The headers, or the path with its query, are too large.',
  500: 'The server failed.',
  503: 'The server can not do it right now.',
};

const PROBLEM = {
  type: 'object',
  description: 'RFC 9457.',
  required: ['type', 'title', 'status', 'detail', 'code', 'remedy', 'request'],
  properties: {
    type: { type: 'string', description: '`urn:countersign:error:` and the code.' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string' },
    code: { type: 'string', description: 'As docs/reference/errors.md has it.' },
    remedy: { type: 'string', description: 'What to do.' },
    request: { type: 'string', description: "By which the server's log knows the request." },
    problems: {
      type: 'array',
      items: {
        type: 'object',
        required: ['path', 'message'],
        properties: { path: { type: 'string' }, message: { type: 'string' } },
        additionalProperties: false,
      },
    },
  },
  additionalProperties: false,
} as const;

const DOCUMENT = {
  operationId: 'document.get',
  summary: 'Shows this document.',
  responses: {
    200: { description: 'Done.', content: { 'application/json': { schema: { type: 'object' } } } },
    ...Object.fromEntries(
      [401, 429, 431, 500, 503].map((status) => [status, { $ref: `#/components/responses/Problem${status}` }]),
    ),
  },
} as const;
