import { foldedText, type PathLiberty, parsePath } from './path.ts';
import { foldedName } from './query.ts';
import { isRefusal } from './refusal.ts';

/** A route as config has it. */
export interface WrittenRoute {
  readonly name: string;
  /** Absent: every method. */
  readonly methods?: readonly string[] | undefined;
  readonly path: string;
  readonly reads?: readonly string[] | undefined;
  readonly allow?: { readonly [liberty in PathLiberty]?: boolean } | undefined;
}

/** A route, ready to be matched. */
export interface Route {
  readonly name: string;
  /** As config has it: `/v1/customers/{id}`. */
  readonly template: string;
  /** Undefined: every method. */
  readonly methods: ReadonlySet<string> | undefined;
  /** By segments. */
  readonly parts: readonly RoutePart[];
  readonly reads: RouteReads;
  readonly allow: { readonly [liberty in PathLiberty]?: boolean };
}

/** What one segment of a template takes; `rest` takes all that follow, also none. */
export type RoutePart =
  | { readonly kind: 'literal'; readonly text: string }
  | { readonly kind: 'parameter'; readonly name: string }
  | { readonly kind: 'rest'; readonly name: string };

/** What of a request's values policy reads. */
export interface RouteReads {
  readonly query: readonly string[];
  readonly header: readonly string[];
  /** Each a path of names in the JSON body. */
  readonly body: readonly (readonly string[])[];
}

/** Finds the route of a request. A literal beats a parameter, and that a rest. */
export interface RouteTable {
  match(method: string, segments: readonly string[]): Route | undefined;
  /** As a server would that tells neither upper and lower case nor compatibility forms apart. */
  matchFolded(method: string, segments: readonly string[]): Route | undefined;
}

/** Routes must have no {@link routeProblems}. */
export function createRouteTable(routes: readonly Route[]): RouteTable {
  const [exact, folded] = [emptyNode(), emptyNode()];
  for (const route of routes) {
    addRoute(exact, route, (text) => text);
    addRoute(folded, route, foldedText);
  }
  return {
    match: (method, segments) => found(exact, method, segments, 0),
    matchFolded: (method, segments) => found(folded, method, segments.map(foldedText), 0),
  };
}

/** @throws TypeError for one that has problems */
export function parseRoute(written: WrittenRoute): Route {
  const parts = partsOf(written.path);
  if (typeof parts === 'string') throw new TypeError(parts);
  const { name, path, methods, reads = [], allow = {} } = written;
  const of = (kind: string) =>
    reads.filter((read) => read.startsWith(`${kind}.`)).map((read) => read.slice(kind.length + 1));
  return {
    ...{ name, template: path, parts, allow },
    methods: methods === undefined ? undefined : new Set(methods),
    reads: { query: of('query'), header: of('header'), body: of('body').map((one) => one.split('.')) },
  };
}

/** What is wrong with routes, each one sentence. */
export function routeProblems(routes: readonly WrittenRoute[]): readonly string[] {
  const problems: string[] = [];
  const names = new Set<string>();
  /** By what paths they take: two of one form take the same. */
  const byForm = new Map<string, WrittenRoute[]>();
  for (const route of routes) {
    if (names.has(route.name)) problems.push(`two routes have the name ${route.name}`);
    names.add(route.name);
    const parts = partsOf(route.path);
    if (typeof parts === 'string') {
      problems.push(`route ${route.name}: ${parts}`);
      continue;
    }
    const form = parts.map((part) => (part.kind === 'literal' ? `=${foldedText(part.text)}` : part.kind)).join('/');
    const alike = byForm.get(form) ?? [];
    for (const other of alike)
      if (takesOneOf(other, route))
        problems.push(
          `routes ${other.name} and ${route.name} take the same requests; give them different methods, or paths that differ in more than letter case`,
        );
    byForm.set(form, [...alike, route]);
    problems.push(...readsProblems(route, parts));
  }
  return problems;
}

interface Node {
  readonly literals: Map<string, Node>;
  parameter: Node | undefined;
  readonly ends: Route[];
  readonly rests: Route[];
}

function emptyNode(): Node {
  return { literals: new Map(), parameter: undefined, ends: [], rests: [] };
}

function addRoute(root: Node, route: Route, key: (text: string) => string): void {
  let node = root;
  for (const part of route.parts) {
    if (part.kind === 'rest') {
      node.rests.push(route);
      return;
    }
    let next: Node | undefined;
    if (part.kind === 'literal') {
      next = node.literals.get(key(part.text)) ?? emptyNode();
      node.literals.set(key(part.text), next);
    } else {
      next = node.parameter ?? emptyNode();
      node.parameter = next;
    }
    node = next;
  }
  node.ends.push(route);
}

function found(node: Node, method: string, segments: readonly string[], at: number): Route | undefined {
  const segment = segments[at];
  if (segment === undefined) return taking(node.ends, method) ?? taking(node.rests, method);
  const literal = node.literals.get(segment);
  const below = literal && found(literal, method, segments, at + 1);
  if (below !== undefined) return below;
  const byParameter = segment === '' ? undefined : node.parameter && found(node.parameter, method, segments, at + 1);
  return byParameter ?? taking(node.rests, method);
}

/** HEAD is taken by whoever takes GET, unless another lists it. */
function taking(routes: readonly Route[], method: string): Route | undefined {
  const by = (name: string) => routes.find(({ methods }) => methods?.has(name) ?? true);
  return by(method) ?? (method === 'HEAD' ? by('GET') : undefined);
}

function takesOneOf(a: WrittenRoute, b: WrittenRoute): boolean {
  if (a.methods === undefined || b.methods === undefined) return true;
  return a.methods.some((method) => b.methods?.includes(method));
}

/** A sentence when it is no template. */
function partsOf(template: string): readonly RoutePart[] | string {
  if (!template.startsWith('/')) return 'its path does not begin with /';
  const pieces = template === '/' ? [] : template.slice(1).split('/');
  if (pieces.at(-1) === '')
    return 'its path ends with /, which is not told apart from the path without it: leave it away';
  const parts: RoutePart[] = [];
  const names = new Set<string>();
  for (const [index, piece] of pieces.entries()) {
    const [, name, star] = PARAMETER.exec(piece) ?? [];
    if (name !== undefined) {
      if (names.has(name)) return `its path has {${name}} twice`;
      if (star === '*' && index < pieces.length - 1)
        return `its path goes on after {${name}*}, which takes all that follows`;
      names.add(name);
      parts.push({ kind: star === '*' ? 'rest' : 'parameter', name });
      continue;
    }
    if (/[{}*]/.test(piece))
      return `its path has the segment ${piece}; a parameter is a whole segment, {name} or at the end {name*}`;
    if (piece === '') return 'its path has an empty segment; a segment of a route is one name';
    const path = parsePath(`/${piece.replace(/[^!-~]+/gu, encodeURIComponent)}`);
    if (isRefusal(path)) return `its path can match nothing: ${path.message}`;
    const [text = ''] = path.segments;
    if (path.needs.size > 0) return `its path has ${JSON.stringify(piece)}; a segment of a route is one name`;
    parts.push({ kind: 'literal', text });
  }
  return parts;
}

function readsProblems({ name, reads = [] }: WrittenRoute, parts: readonly RoutePart[]): readonly string[] {
  const problems: string[] = [];
  const values = reads.length + parts.filter(({ kind }) => kind !== 'literal').length;
  if (values > VALUES_MAX)
    problems.push(`route ${name} has more than ${VALUES_MAX} parameters and values that it reads`);
  for (const read of reads) {
    const dot = read.indexOf('.');
    const [kind, rest] = [read.slice(0, dot), read.slice(dot + 1)];
    if (!FORMS[kind]?.test(rest))
      problems.push(
        `route ${name} reads ${read}; it can read query.NAME, header.name in lower case, or body.NAME.NAME`,
      );
  }
  // Names of a query that some servers take for one are one here too.
  const read = reads.map((one) => (one.startsWith('query.') ? `query.${foldedName(one.slice(6))}` : one));
  if (new Set(read).size < read.length) problems.push(`route ${name} reads a value twice`);
  return problems;
}

const PARAMETER = /^\{([A-Za-z_][A-Za-z0-9_-]{0,62})(\*?)\}$/;
const FORMS: { readonly [kind: string]: RegExp | undefined } = {
  query: /^[A-Za-z0-9_.~$-]{1,64}$/,
  header: /^[a-z0-9-]{1,64}$/,
  body: /^[A-Za-z0-9_$-]{1,64}(?:\.[A-Za-z0-9_$-]{1,64}){0,15}$/,
};
/** So that all of them fit into an entry of the ledger. */
const VALUES_MAX = 16;
