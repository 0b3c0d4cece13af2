import { DocumentError } from './errors.ts';
import { createReferences, type References } from './references.ts';
import { createSchemas } from './schemas.ts';
import type { ApiDocument, ApiParameter, ApiServer, Operation } from './types.ts';
import { type Fields, fieldsOf, own, ownFields, ownList, ownText, quoted } from './values.ts';

/** @throws DocumentError ERR_DOCUMENT_FORM | ERR_DOCUMENT_REFERENCE | ERR_DOCUMENT_SIZE */
export function readOpenApi(root: unknown): ApiDocument {
  const fields = fieldsOf(root);
  const version = own(fields, 'openapi');
  if (own(fields, 'swagger') !== undefined)
    throw new DocumentError('ERR_DOCUMENT_FORM', 'it is Swagger 2.0; convert it to OpenAPI 3 first');
  if (typeof version !== 'string' || !/^3\.[012](\.\d+)?$/.test(version))
    throw new DocumentError(
      'ERR_DOCUMENT_FORM',
      version === undefined
        ? 'it is no OpenAPI document: it has no openapi: 3.0.x, 3.1.x or 3.2.x'
        : `its version is ${quoted(String(version))}; 3.0.x, 3.1.x and 3.2.x are read`,
    );
  const references = createReferences(root);
  const operations: Operation[] = [];
  for (const [path, item] of Object.entries(ownFields(fields, 'paths') ?? {})) {
    if (path.startsWith('x-')) continue;
    for (const operation of operationsOf(path, itemOf(item, references), references)) operations.push(operation);
    if (operations.length > OPERATIONS_MAX)
      throw new DocumentError('ERR_DOCUMENT_SIZE', `it has more than ${OPERATIONS_MAX} operations`);
  }
  const servers = serversOf(fields);
  return {
    ...{ kind: 'openapi', operations, schemas: createSchemas(references) },
    servers: servers.length === 0 ? [{ url: '/', base: '' }] : servers,
    credentials: credentialsOf(fields, references),
  };
}

/** A path with what it refers to: since 3.1 both may have operations, and its own win. */
function itemOf(item: unknown, references: References): unknown {
  const [fields, meant] = [fieldsOf(item), fieldsOf(references.resolved(item))];
  return fields === undefined || meant === undefined || fields === meant ? meant : { ...meant, ...fields };
}

function operationsOf(path: string, item: unknown, references: References): readonly Operation[] {
  const fields = fieldsOf(item);
  if (fields === undefined)
    throw new DocumentError('ERR_DOCUMENT_FORM', `what it has at the path ${quoted(path)} is no object`);
  // Of 3.2 as well: those before it have no such names.
  const others = ownFields(fields, 'additionalOperations');
  const named = [
    ...METHODS.map((name) => [name.toUpperCase(), ownFields(fields, name)] as const),
    ...Object.keys(others ?? {}).map((name) => [name, ownFields(others, name)] as const),
  ];
  return named.flatMap(([method, operation]): Operation[] => {
    if (operation === undefined) return [];
    const [server] = [...serversOf(operation), ...serversOf(fields)];
    return [
      {
        ...{ method, path, base: server?.base, id: ownText(operation, 'operationId') },
        parameters: parametersOf([fields, operation], references),
        requests: jsonSchemas(references.resolved(own(operation, 'requestBody')), references),
        answers: Object.values(ownFields(operation, 'responses') ?? {}).flatMap((answer) =>
          jsonSchemas(references.resolved(answer), references),
        ),
        remark: undefined,
      },
    ];
  });
}

/** Those of an operation win over those of its path. */
function parametersOf(owners: readonly Fields[], references: References): readonly ApiParameter[] {
  const found = new Map<string, ApiParameter>();
  for (const owner of owners)
    for (const one of ownList(owner, 'parameters')) {
      const fields = fieldsOf(references.resolved(one));
      const [place, name] = [own(fields, 'in'), ownText(fields, 'name')];
      if ((place !== 'query' && place !== 'header') || name === undefined) continue;
      const schema = own(fields, 'schema');
      const isLocal = ownText(fieldsOf(schema), '$ref')?.startsWith('#') ?? true;
      const isPassword = isLocal && own(fieldsOf(references.resolved(schema)), 'format') === 'password';
      const parameter = { in: place, name: place === 'header' ? name.toLowerCase() : name, isPassword } as const;
      found.set(`${place}.${parameter.name}`, parameter);
    }
  return Array.from(found.values());
}

/** Of a body's or an answer's content. One whose schema is left away may be anything. */
function jsonSchemas(described: unknown, references: References): readonly unknown[] {
  const content = ownFields(fieldsOf(described), 'content');
  return Object.entries(content ?? {}).flatMap(([type, media]) => {
    const kind = type.split(';')[0]?.trim().toLowerCase() ?? '';
    if (EVENTS.test(kind)) return [true];
    if (!JSON_TYPE.test(kind)) return [];
    const fields = fieldsOf(references.resolved(media));
    // Of 3.2 a stream of values has the schema of one.
    const name = ['schema', 'itemSchema'].find((one) => fields !== undefined && Object.hasOwn(fields, one));
    return [name === undefined ? true : own(fields, name)];
  });
}

function credentialsOf(root: Fields | undefined, references: References): ReadonlySet<string> {
  const schemes = ownFields(ownFields(root, 'components'), 'securitySchemes');
  return new Set(
    Object.values(schemes ?? {}).flatMap((scheme) => {
      const fields = fieldsOf(references.resolved(scheme));
      const [place, name] = [own(fields, 'in'), ownText(fields, 'name')];
      return own(fields, 'type') === 'apiKey' && name !== undefined ? [`${String(place)}.${name.toLowerCase()}`] : [];
    }),
  );
}

function serversOf(owner: Fields | undefined): readonly ApiServer[] {
  return ownList(owner, 'servers').flatMap((server) => {
    const fields = fieldsOf(server);
    const written = ownText(fields, 'url');
    if (written === undefined) return [];
    const variables = ownFields(fields, 'variables');
    const url = written.replace(/\{([^{}]*)\}/g, (whole, name: string) =>
      String(own(ownFields(variables, name), 'default') ?? whole),
    );
    return [{ url, base: baseOf(url) }];
  });
}

/** Without a slash at its end. */
function baseOf(url: string): string {
  const [, path = ''] = /^(?:[a-z][a-z0-9+.-]*:)?\/\/[^/?#]*([^?#]*)/i.exec(url) ?? [undefined, url.split(/[?#]/)[0]];
  const whole = path === '' || path.startsWith('/') ? path : `/${path}`;
  let end = whole.length;
  while (whole[end - 1] === '/') end--; // An expression would take the square of slashes that are not at the end.
  return whole.slice(0, end);
}

const METHODS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace', 'query'] as const;
const JSON_TYPE = /^(?:application\/json|application\/[^/\s]+\+json|application\/\*|\*\/\*)$/;
/** Their schemas say what an event is, or what all are: documents differ. */
const EVENTS =
  /^(?:text\/event-stream|application\/(?:x-)?ndjson|application\/(?:x-)?jsonl(?:ines)?|application\/json-seq)$/;
/** Ten times what a target has routes for. */
const OPERATIONS_MAX = 10_000;
