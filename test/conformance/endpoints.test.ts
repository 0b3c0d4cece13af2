import type { TSchema } from 'typebox';
import { describe, expect, it } from 'vitest';
import { accessSchema } from '../../src/api/access/access-schema.ts';
import { endpoints } from '../../src/app/endpoint-registry.generated.ts';
import { pathNames, placesOf } from '../../src/endpoint/index.ts';

// What every endpoint promises to whoever mounts it, over all that features export. That its answers are as its output says is checked where it is
// served: an answer that is not is a failure of the server.

const schema = accessSchema(endpoints);

it('no two endpoints have one name, or one method and path', () => {
  const names = endpoints.map(({ name }) => name);
  const places = endpoints.map(({ method, path }) => `${method} ${path.replaceAll(/\{[^}]*\}/g, '{}')}`);
  expect(new Set(names).size).toBe(names.length);
  expect(new Set(places).size).toBe(places.length);
});

describe.each(endpoints.map((endpoint) => [endpoint.name, endpoint] as const))('endpoint %s', (_, endpoint) => {
  it('is named noun.verb, says in a sentence what it does, and lies below /v1', () => {
    expect(endpoint.name).toMatch(/^[a-z]+(?:-[a-z]+)*\.[a-z]+(?:-[a-z]+)*$/);
    expect(endpoint.summary).toMatch(/^[A-Z].*[^.]\.$/);
    expect(endpoint.path).toMatch(/^\/v1(?:\/(?:[a-z]+(?:-[a-z]+)*|\{[a-zA-Z]+\}))+$/);
  });

  it('asks policy by an action of its own that the schema has', () => {
    expect(endpoint.action).toBe(`countersign:${endpoint.name}`);
    const groups = schema.actions.get(endpoint.action)?.groups;
    expect(groups).toContain(endpoint.audit === undefined ? 'countersign:look' : 'countersign:change');
  });

  it('takes a closed input in which every text and list is bounded, and finds in it what its path names', () => {
    expect(openParts(endpoint.input, 'input')).toEqual([]);
    expect(unboundedParts(endpoint.input, 'input')).toEqual([]);
    expect(Object.keys(endpoint.input.properties)).toEqual(expect.arrayContaining([...pathNames(endpoint.path)]));
    for (const name of pathNames(endpoint.path)) expect(requiredOf(endpoint.input)).toContain(name);
    expect(endpoint.bodyBytesMax).toBeLessThanOrEqual(4 * 1024 * 1024);
  });

  it('has in its query nothing but texts, numbers and truths', () => {
    for (const name of placesOf(endpoint).query) {
      const { type } = { type: 'string', ...endpoint.input.properties[name] } as { type: string };
      expect(['string', 'integer', 'boolean'], name).toContain(type);
    }
  });

  it('answers with a closed output', () => {
    expect(openParts(endpoint.output, 'output')).toEqual([]);
  });

  it('pages as every other does, when it does', () => {
    const fields = Object.keys(endpoint.input.properties);
    expect(fields.includes('limit') && fields.includes('cursor')).toBe(endpoint.paged);
    const { items } = endpoint.output.properties as Record<string, { type?: unknown }>;
    expect(items?.type === 'array').toBe(endpoint.paged);
  });

  it('only looks when it is a GET, and is recorded when it changes something', () => {
    if (endpoint.method === 'GET') expect(endpoint.audit).toBeUndefined();
    if (endpoint.live) expect(endpoint.method).toBe('GET');
    if (endpoint.idempotent === 'by-key') expect(endpoint.method).toBe('POST');
    if (endpoint.audit !== undefined && endpoint.method === 'POST')
      expect(['by-key', 'never']).toContain(endpoint.idempotent);
  });
});

type Parts = Record<string, unknown> & { properties?: Record<string, TSchema>; items?: TSchema };

/** Paths of objects that take whatever is sent, and are no records. */
function openParts(part: TSchema, path: string): string[] {
  const { type, additionalProperties, patternProperties, properties = {}, items } = part as Parts; // JSON Schema.
  const isOpen = type === 'object' && patternProperties === undefined && additionalProperties !== false;
  const inner = Object.entries(properties).flatMap(([name, one]) => openParts(one, `${path}.${name}`));
  return [...(isOpen ? [path] : []), ...inner, ...(items === undefined ? [] : openParts(items, `${path}[]`))];
}

/** Paths of texts without a longest, and of lists without a most. */
function unboundedParts(part: TSchema, path: string): string[] {
  const { type, maxLength, maxItems, pattern, properties = {}, items, ...rest } = part as Parts; // As above.
  const isBounded =
    (type !== 'string' ||
      maxLength !== undefined ||
      rest['enum'] !== undefined ||
      /\{\d*,?\d+\}\$$/.test(`${pattern}`)) &&
    (type !== 'array' || maxItems !== undefined);
  const inner = Object.entries(properties).flatMap(([name, one]) => unboundedParts(one, `${path}.${name}`));
  return [...(isBounded ? [] : [path]), ...inner, ...(items === undefined ? [] : unboundedParts(items, `${path}[]`))];
}

function requiredOf(part: TSchema): readonly string[] {
  return (part as { required?: readonly string[] }).required ?? []; // JSON Schema of an object.
}
