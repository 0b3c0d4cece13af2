import { isDeepStrictEqual } from 'node:util';
import { type Document, isMap, isSeq, type Node, type ParsedNode, parseAllDocuments, type YAMLSeq } from 'yaml';
import type { ImportedRoute } from '../../api-documents/index.ts';

/** `routes:` as a target's file has it, one route a line, with what is to be known of one above it. */
export function writeRoutes(routes: readonly ImportedRoute[]): string {
  return `routes:${routes.length === 0 ? ' []\n' : `\n${itemLines(routes, '  ')}`}`;
}

/**
 * Puts routes behind those of a target in a file of resources; `index` is that of its document. All else stays byte for byte where its list has a line
 * for each route, and stays with its comments otherwise. Undefined when something else would change: then a person has to.
 */
export function addRoutes(text: string, index: number, routes: readonly ImportedRoute[]): string | undefined {
  if (routes.length === 0) return text;
  for (const way of [behindTheLast, written]) {
    const changed = way(text, index, routes);
    if (changed !== undefined && isSame(text, changed, { index, routes })) return changed;
  }
  return undefined;
}

function behindTheLast(text: string, index: number, routes: readonly ImportedRoute[]): string | undefined {
  const list = listIn(documentsOf(text)[index]);
  const [first, last] = [list?.items[0], list?.items.at(-1)];
  if (list === undefined || list.flow === true || !first?.range || !last?.range) return undefined;
  const lineStart = text.lastIndexOf('\n', first.range[0] - 1) + 1;
  const [, indent] = /^( *)-/.exec(text.slice(lineStart)) ?? [];
  if (indent === undefined) return undefined;
  let end = last.range[1];
  if (text[end - 1] !== '\n') {
    const next = text.indexOf('\n', end);
    end = next < 0 ? text.length : next + 1;
  }
  const before = text.slice(0, end);
  return `${before}${before.endsWith('\n') ? '' : '\n'}${itemLines(routes, indent)}${text.slice(end)}`;
}

/** By the parser, which keeps comments, and may break lines and blanks otherwise. */
function written(text: string, index: number, routes: readonly ImportedRoute[]): string | undefined {
  const document = documentsOf(text)[index];
  if (document === undefined || !isMap(document.get('spec', true))) return undefined;
  const list = listIn(document);
  if (list === undefined) document.setIn(['spec', 'routes'], document.createNode([]));
  const target = list ?? listIn(document);
  if (target === undefined) return undefined;
  target.flow = false;
  for (const route of routes) target.add(nodeOf(document, route));
  const [start, , end] = document.range;
  const before = index === 0 ? '' : text.slice(0, start);
  return `${before}${document.toString({ lineWidth: 0 })}${text.slice(end)}`;
}

function documentsOf(text: string): readonly Document.Parsed<ParsedNode>[] {
  const documents = parseAllDocuments(text, { logLevel: 'silent', prettyErrors: false });
  return Array.isArray(documents) ? documents : [];
}

function listIn(document: Document | undefined): YAMLSeq<Node> | undefined {
  const spec = document?.get('spec', true);
  const list = isMap(spec) ? spec.get('routes', true) : undefined;
  return isSeq<Node>(list) ? list : undefined;
}

function itemLines(routes: readonly ImportedRoute[], indent: string): string {
  const line = (text: string) => `${indent}${text}\n`;
  return routes
    .map((route) => {
      const { name, methods, path, reads, remark } = route;
      const list = (texts: readonly string[]) => `[${texts.map(scalar).join(', ')}]`;
      const more = reads === undefined ? '' : `, reads: ${list(reads)}`;
      const item = line(`- { name: ${scalar(name)}, methods: ${list(methods)}, path: ${scalar(path)}${more} }`);
      return remark === undefined ? item : `${line(`# ${remark}`)}${item}`;
    })
    .join('');
}

/** In quotes what YAML would take for something else than a text, or for its own sign. */
function scalar(text: string): string {
  return PLAIN.test(text) && !WORD.test(text) ? text : JSON.stringify(text);
}

function nodeOf(document: Document, { remark, ...route }: ImportedRoute): Node {
  const node = document.createNode(plainRoute(route), { flow: true });
  if (remark !== undefined) node.commentBefore = ` ${remark}`;
  return node;
}

function plainRoute({ name, methods, path, reads }: ImportedRoute): Record<string, unknown> {
  return { name, methods, path, ...(reads === undefined ? {} : { reads }) };
}

/** Whether nothing has changed but that there are these routes besides: no value, and no comment. */
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
  const comments = text.match(/#[^\n]*/g) ?? [];
  return (
    isDeepStrictEqual(after.map(plain), wanted) && comments.every((comment) => changed.includes(comment.trimEnd()))
  );
}

function plain(document: Document): Record<string, unknown> {
  const value: unknown = document.toJS();
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

const PLAIN = /^[A-Za-z/][A-Za-z0-9_./-]*$/;
/** What YAML, of this version or the one before, takes for no text. */
const WORD = /^(?:null|true|false|yes|no|on|off|y|n)$/i;
