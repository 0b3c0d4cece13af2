import type { TSchema } from 'typebox';
import { Value } from 'typebox/value';
import { type EndpointWords, pathNames } from './endpoint.ts';
import { EndpointError, type InputProblem } from './errors.ts';

/** What a request brings, in the places that an input is gathered from. Values of a query that come twice are lists. */
export interface RequestParts {
  readonly path: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string | readonly string[]>>;
  /** Parsed; undefined: there was none. */
  readonly body: unknown;
}

/** The places of an endpoint's fields. */
export function placesOf({ method, path, input }: Pick<EndpointWords, 'method' | 'path' | 'input'>): {
  readonly path: readonly string[];
  readonly query: readonly string[];
  readonly body: readonly string[];
} {
  const named = pathNames(path);
  const others = Object.keys(input.properties).filter((name) => !named.includes(name));
  const isInQuery = method === 'GET' || method === 'DELETE';
  return { path: named, query: isInQuery ? others : [], body: isInQuery ? [] : others };
}

/**
 * The input of an endpoint, as its schema says, from the parts of a request. A text in path or query becomes what the schema has there, when it is
 * spelled as that is written in JSON; nothing is guessed. @throws EndpointError ERR_ENDPOINT_INPUT with every problem
 */
export function readInput(endpoint: Pick<EndpointWords, 'method' | 'path' | 'input'>, parts: RequestParts): object {
  const places = placesOf(endpoint);
  const problems: InputProblem[] = [];
  const gathered: Record<string, unknown> = Object.create(null);
  for (const name of places.path)
    gathered[name] = spelledValue(endpoint.input.properties[name], parts.path[name] ?? '');
  for (const [name, given] of Object.entries(parts.query)) {
    if (!places.query.includes(name)) problems.push({ path: `/${shown(name)}`, message: 'is no field of the query' });
    else if (typeof given === 'string') gathered[name] = spelledValue(endpoint.input.properties[name], given);
    else problems.push({ path: `/${name}`, message: 'is given more than once' });
  }
  if (places.body.length > 0) addBody(gathered, parts.body, places.body, problems);
  else if (parts.body !== undefined) problems.push({ path: '', message: 'this endpoint takes no body' });
  const input = { ...gathered };
  if (problems.length === 0) problems.push(...problemsOf(endpoint.input, input));
  if (problems.length > 0) {
    const said = problems.slice(0, PROBLEMS_TOLD_MAX);
    const text = said.map(({ path, message }) => `${path || 'the body'} ${message}`).join('; ');
    throw new EndpointError('ERR_ENDPOINT_INPUT', text, { problems: said });
  }
  return input;
}

/** What keeps a value from being what the schema says; never the value itself. */
export function problemsOf(schema: TSchema, value: unknown): readonly InputProblem[] {
  if (Value.Check(schema, value)) return [];
  return [...Value.Errors(schema, value)].slice(0, PROBLEMS_TOLD_MAX).map(({ instancePath, message }) => ({
    path: shown(instancePath),
    message,
  }));
}

function addBody(
  gathered: Record<string, unknown>,
  body: unknown,
  names: readonly string[],
  problems: InputProblem[],
): void {
  if (body === undefined) return; // What is required is missed by the schema.
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    problems.push({ path: '', message: 'must be a JSON object' });
    return;
  }
  for (const [name, value] of Object.entries(body)) {
    if (names.includes(name)) gathered[name] = value;
    else problems.push({ path: `/${shown(name)}`, message: 'is no field of the body' });
  }
}

/** A text of a path or query as the schema has it; one that is not spelled so stays a text, which the schema then refuses. */
function spelledValue(schema: TSchema | undefined, text: string): unknown {
  const type: unknown = schema !== undefined && 'type' in schema ? schema.type : undefined;
  if (type === 'integer' && /^(?:0|-?[1-9]\d{0,15})$/.test(text)) return Number(text);
  if (type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true';
  return text;
}

/** Names come from whoever calls. */
function shown(name: string): string {
  return name.length > NAME_CHARS_MAX ? `${name.slice(0, NAME_CHARS_MAX)}…` : name;
}

/** Mostly they have one cause. */
const PROBLEMS_TOLD_MAX = 20;
const NAME_CHARS_MAX = 100;
