import { isDeepStrictEqual } from 'node:util';
import {
  type Document,
  isMap,
  isScalar,
  isSeq,
  type Node,
  type ParsedNode,
  parseAllDocuments,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml';
import type { ImportedRoute } from '../../api-documents/index.ts';

/** `routes:` as a target's file has it, one route a line, with what is to be known of one above it. */
export function writeRoutes(routes: readonly ImportedRoute[]): string {
  return `routes:${routes.length === 0 ? ' []\n' : `\n${itemLines(routes, '  ')}`}`;
}

/**
 * Puts routes behind those of a target in a file of resources; `index` is that of its document. All else stays byte for byte: what is new is put between, and
 * `[]` alone makes room for it. Undefined when something else would change: then a person has to.
 */
export function addRoutes(text: string, index: number, routes: readonly ImportedRoute[]): string | undefined {
  if (routes.length === 0) return text;
  const insertion = insertionFor(text, documentsOf(text)[index], routes);
  if (insertion === undefined) return undefined;
  const { at, until = at, lines } = insertion;
  const fresh = text.includes('\r\n') ? lines.replaceAll('\n', '\r\n') : lines;
  const changed = `${text.slice(0, at)}${fresh}${text.slice(until)}`;
  return isSame(text, changed, { index, routes }) ? changed : undefined;
}

interface Insertion {
  readonly at: number;
  /** What stands before it is taken away. */
  readonly until?: number;
  readonly lines: string;
}

function insertionFor(
  text: string,
  document: Document | undefined,
  routes: readonly ImportedRoute[],
): Insertion | undefined {
  const spec = document?.get('spec', true);
  if (!isMap<Node, Node | null>(spec)) return undefined;
  const list = spec.get('routes', true);
  if (!spec.has('routes')) return listInto(text, spec, routes);
  if (!isSeq<Node>(list) || !list.range) return undefined;
  const last = list.items.at(-1);
  if (last === undefined) return intoEmpty(text, list, { spec, routes });
  if (!last.range) return undefined;
  if (list.flow === true) return { at: last.range[1], lines: `, ${inOneLine(routes)}` };
  const indent = indentOf(text, list.items[0]?.range?.[0] ?? 0, '-');
  return indent === undefined ? undefined : behindLine(text, last, itemLines(routes, indent));
}

/** A list where there is none. */
function listInto(
  text: string,
  spec: YAMLMap<Node, Node | null>,
  routes: readonly ImportedRoute[],
): Insertion | undefined {
  const [first, last] = [spec.items[0], spec.items.at(-1)];
  const end = last?.value ?? last?.key;
  if (!first?.key.range || !end?.range) return undefined;
  if (spec.flow === true) return { at: end.range[1], lines: `, routes: [${inOneLine(routes)}]` };
  const indent = indentOf(text, first.key.range[0], '');
  if (indent === undefined) return undefined;
  return behindLine(text, end, `${indent}routes:\n${itemLines(routes, `${indent}  `)}`);
}

/** `[]` goes where lines can follow. */
function intoEmpty(
  text: string,
  list: YAMLSeq<Node>,
  { spec, routes }: { readonly spec: YAMLMap<Node, Node | null>; readonly routes: readonly ImportedRoute[] },
): Insertion | undefined {
  const [start = 0, end = 0] = list.range ?? [];
  const key = spec.items.find((pair) => isScalar(pair.key) && pair.key.value === 'routes')?.key;
  const indent = indentOf(text, key?.range?.[0] ?? 0, '');
  const lineEnd = endOfLine(text, end);
  const isAlone =
    /^\[[ \t]*\]$/.test(text.slice(start, end)) && /^[ \t]*(?:#[^\n]*)?\r?\n?$/.test(text.slice(end, lineEnd));
  if (spec.flow === true || indent === undefined || !isAlone) return { at: end - 1, lines: inOneLine(routes) };
  const comment = text.slice(end, lineEnd).replace(/[ \t]*\r?\n?$/, '');
  return {
    at: text[start - 1] === ' ' ? start - 1 : start,
    until: lineEnd,
    lines: `${comment}\n${itemLines(routes, `${indent}  `)}`,
  };
}

/** Behind the line in which a value ends, whatever it is made of. */
function behindLine(text: string, value: Node, lines: string): Insertion {
  const end = endOfValue(value);
  const at = end > 0 && text[end - 1] === '\n' ? end : endOfLine(text, end);
  return { at, lines: text[at - 1] === '\n' ? lines : `\n${lines}` };
}

/** Of lists and maps in lines of their own that of the last value in them: comments may follow, which belong to what comes then. */
function endOfValue(value: Node): number {
  let last: Node | undefined = value;
  while ((isMap<Node, Node | null>(last) || isSeq<Node>(last)) && last.flow !== true && last.items.length > 0) {
    const within: Node | undefined = isMap<Node, Node | null>(last)
      ? (last.items.at(-1)?.value ?? last.items.at(-1)?.key)
      : last.items.at(-1);
    if (!within?.range) break;
    last = within;
  }
  return last.range?.[1] ?? 0;
}

function endOfLine(text: string, at: number): number {
  const next = text.indexOf('\n', at);
  return next < 0 ? text.length : next + 1;
}

/** The blanks before what stands there, if nothing but those and `sign` does. */
function indentOf(text: string, at: number, sign: string): string | undefined {
  const line = text.slice(text.lastIndexOf('\n', at - 1) + 1, at);
  const [, indent, found] = /^( *)(-?)[ ]*$/.exec(line) ?? [];
  return found === sign ? indent : undefined;
}

function inOneLine(routes: readonly ImportedRoute[]): string {
  return routes.map(itemText).join(', ');
}

function documentsOf(text: string): readonly Document.Parsed<ParsedNode>[] {
  const documents = parseAllDocuments(text, { logLevel: 'silent', prettyErrors: false });
  return Array.isArray(documents) ? documents : [];
}

function itemLines(routes: readonly ImportedRoute[], indent: string): string {
  const line = (text: string) => `${indent}${text}\n`;
  return routes
    .map((route) => `${route.remark === undefined ? '' : line(`# ${route.remark}`)}${line(`- ${itemText(route)}`)}`)
    .join('');
}

function itemText({ name, methods, path, reads }: ImportedRoute): string {
  const list = (texts: readonly string[]) => `[${texts.map(scalar).join(', ')}]`;
  const more = reads === undefined ? '' : `, reads: ${list(reads)}`;
  return `{ name: ${scalar(name)}, methods: ${list(methods)}, path: ${scalar(path)}${more} }`;
}

/** In quotes what YAML would take for something else than a text, or for its own sign. */
function scalar(text: string): string {
  return PLAIN.test(text) && !WORD.test(text) ? text : JSON.stringify(text);
}

function plainRoute({ name, methods, path, reads }: ImportedRoute): Record<string, unknown> {
  return { name, methods, path, ...(reads === undefined ? {} : { reads }) };
}

/** Whether no value has changed, but that there are these routes besides. */
function isSame(
  text: string,
  changed: string,
  { index, routes }: { readonly index: number; readonly routes: readonly ImportedRoute[] },
): boolean {
  const [before, after] = [documentsOf(text), documentsOf(changed)];
  if (before.length !== after.length || after.some(({ errors }) => errors.length > 0)) return false;
  const wanted = before.map((document) => plain(document));
  const spec = wanted[index]?.['spec'];
  if (typeof spec !== 'object' || spec === null) return false;
  const present: unknown = 'routes' in spec ? spec.routes : [];
  if (!Array.isArray(present)) return false;
  wanted[index] = { ...wanted[index], spec: { ...spec, routes: [...present, ...routes.map(plainRoute)] } };
  return isDeepStrictEqual(after.map(plain), wanted);
}

function plain(document: Document): Record<string, unknown> {
  const value: unknown = document.toJS();
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

const PLAIN = /^[A-Za-z/][A-Za-z0-9_./-]*$/;
/** What YAML, of this version or the one before, takes for no text. */
const WORD = /^(?:null|true|false|yes|no|on|off|y|n)$/i;
