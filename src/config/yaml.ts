import type { Static, TSchema } from 'typebox';
import { Value } from 'typebox/value';
import { type Document, isNode, LineCounter, parseAllDocuments } from 'yaml';
import { messageOf } from '../std/index.ts';
import { ConfigError } from './errors.ts';

/** One YAML document that passed its schema, with a way to say where a value stands. */
export interface CheckedDocument<T> {
  readonly value: T;
  /** `file:line:column` of the value at that path (of the nearest one that exists). */
  where(path: readonly (string | number)[]): string;
}

/**
 * Parses every document of a YAML text and checks each against `schema(document)`. `override` may change the plain value first.
 * @throws ConfigError ERR_CONFIG_SYNTAX | ERR_CONFIG_INVALID with one line for each problem
 */
export function parseChecked<S extends TSchema>(options: {
  file: string;
  text: string;
  schema: S | ((value: unknown) => S);
  override?: (value: unknown) => unknown;
}): CheckedDocument<Static<S>>[] {
  const lines = new LineCounter();
  const documents = parseAllDocuments(options.text, {
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: true,
    // What the parser would say to the process's warnings is refused by the schema.
    logLevel: 'silent',
  });
  if (!Array.isArray(documents)) return [];
  const problems: string[] = [];
  const checked = documents.map((document) => {
    for (const error of [...document.errors, ...document.warnings]) {
      const { line, col } = lines.linePos(error.pos[0]);
      throw new ConfigError('ERR_CONFIG_SYNTAX', `${options.file}:${line}:${col}: ${error.message}`);
    }
    const where = (path: readonly (string | number)[]) => position(options.file, document, lines, path);
    const plain = plainValue(document, options.file);
    const value = options.override ? options.override(plain) : plain;
    const schema = typeof options.schema === 'function' ? options.schema(value) : options.schema;
    const withDefaults = Value.Default(schema, structuredClone(value));
    for (const problem of problemsOf(schema, withDefaults)) problems.push(`${where(problem.path)}: ${problem.text}`);
    return { value: withDefaults as Static<S>, where }; // Checked: problemsOf found nothing, or the throw below ends it.
  });
  if (problems.length > 0)
    throw new ConfigError('ERR_CONFIG_INVALID', problems.slice(0, PROBLEMS_SHOWN_MAX).join('\n'));
  return checked;
}

/** The document as plain data. @throws ConfigError ERR_CONFIG_SYNTAX for an alias without anchor, in a circle, or repeated beyond measure */
function plainValue(document: Document, file: string): unknown {
  try {
    return document.toJS({ maxAliasCount: ALIASES_MAX }) ?? {};
  } catch (cause) {
    throw new ConfigError('ERR_CONFIG_SYNTAX', `${file}:1:1: ${messageOf(cause)}`, { cause });
  }
}

interface ValueProblem {
  readonly path: (string | number)[];
  readonly text: string;
}

function problemsOf(schema: TSchema, value: unknown): ValueProblem[] {
  if (Value.Check(schema, value)) return []; // In a fraction of what it takes to ask what is wrong.
  const problems = new Map<string, ValueProblem>();
  for (const error of Value.Errors(schema, value)) {
    const path = pathOf(error.instancePath);
    if (error.keyword === 'boolean') continue; // The unknown key is reported by additionalProperties, with its name.
    const params: Record<string, unknown> = { ...error.params };
    const unknown = error.keyword === 'additionalProperties' ? listOf(params['additionalProperties']) : undefined;
    const missing = error.keyword === 'required' ? listOf(params['requiredProperties']) : undefined;
    for (const key of unknown ?? []) add([...path, key], `unknown key ${key}${didYouMean(key, keysAt(schema, path))}`);
    for (const key of missing ?? [])
      add([...path, key], `${key} is required${example(schemaAt(schema, [...path, key]), `${key}: `)}`);
    if (!unknown && !missing) {
      const form = formOf(schemaAt(schema, path));
      const text = form === '' ? sentence(error.keyword, params, error.message) : `must be ${form}`;
      add(path, `${path.length > 0 ? String(path.at(-1)) : 'document'} ${text}`);
    }
  }
  return [...problems.values()];

  function add(path: (string | number)[], text: string): void {
    const key = `${path.join('/')}`;
    if (!problems.has(key)) problems.set(key, { path, text });
  }
}

function sentence(keyword: string, params: Record<string, unknown>, message: string): string {
  if (keyword === 'enum') return `must be one of ${listOf(params['allowedValues']).join(', ')}`;
  if (keyword === 'const') return `must be ${JSON.stringify(params['allowedValue'])}`;
  if (keyword === 'minProperties') return 'must name one of its members';
  if (keyword === 'maxProperties') return 'must name only one of its members';
  if (keyword === 'pattern') return `does not have the right form, ${String(params['pattern'])}`;
  return message;
}

/** The form of a value in words, where its schema has a title; empty without one. */
function formOf(schema: Record<string, unknown>): string {
  return typeof schema['title'] === 'string' ? `${schema['title']}${example(schema)}` : '';
}

function example(schema: Record<string, unknown>, before = ''): string {
  const [first] = listOf(schema['examples']);
  return first === undefined ? '' : `, as in ${before}${first}`;
}

/** The keys that the schema knows at that path. */
function keysAt(schema: TSchema, path: readonly (string | number)[]): string[] {
  return Object.keys(recordOf(schemaAt(schema, path)['properties']));
}

function schemaAt(schema: TSchema, path: readonly (string | number)[]): Record<string, unknown> {
  let at = recordOf(schema);
  for (const key of path) at = recordOf(recordOf(at['properties'])[String(key)] ?? at['items']);
  return at;
}

function didYouMean(key: string, known: readonly string[]): string {
  const best = known
    .map((name) => [distance(key.toLowerCase(), name.toLowerCase()), name] as const)
    .sort((a, b) => a[0] - b[0])[0];
  if (best && best[0] <= 2) return `; did you mean ${best[1]}?`;
  return known.length > 0 ? `; known here: ${known.join(', ')}` : '';
}

/** Levenshtein distance of two short words. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(
        Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)),
      );
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

function position(file: string, document: Document, lines: LineCounter, path: readonly (string | number)[]): string {
  for (let depth = path.length; depth >= 0; depth--) {
    const node = keyNode(document, path.slice(0, depth));
    if (node !== undefined) {
      const { line, col } = lines.linePos(node);
      return `${file}:${line}:${col}`;
    }
  }
  return `${file}:1:1`;
}

/** Offset of the key (in a map) or item (in a list) at that path. */
function keyNode(document: Document, path: readonly (string | number)[]): number | undefined {
  if (path.length === 0)
    return document.contents && isNode(document.contents) ? document.contents.range?.[0] : undefined;
  const parent: unknown = path.length === 1 ? document.contents : document.getIn(path.slice(0, -1), true);
  const items = recordOf(parent)['items'];
  if (!Array.isArray(items)) return undefined;
  const last = path.at(-1);
  if (typeof last === 'number' || /^\d+$/.test(String(last))) {
    const item: unknown = items[Number(last)];
    if (isNode(item)) return item.range?.[0];
  }
  for (const pair of items) {
    const key: unknown = recordOf(pair)['key'];
    if (isNode(key) && recordOf(key)['value'] === last) return key.range?.[0];
  }
  return undefined;
}

function pathOf(instancePath: string): (string | number)[] {
  return instancePath
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function listOf(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

function recordOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

const PROBLEMS_SHOWN_MAX = 20;
/** A document that repeats an anchor more often is an attempt to exhaust memory. */
const ALIASES_MAX = 100;
