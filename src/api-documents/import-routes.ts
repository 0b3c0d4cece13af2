import { DocumentError } from './errors.ts';
import { chooseNames, type Named } from './route-names.ts';
import { expressedPath, formOf, isBefore, overlap, type Segment, segmentsOf } from './templates.ts';
import type { ApiDocument, Operation, WrittenRoute } from './types.ts';
import { quoted } from './values.ts';

/** What of a request's values routes may read. */
export const readKinds = ['query', 'header', 'body'] as const;
export type ReadKind = (typeof readKinds)[number];

/** What is wanted of a document. */
export interface RouteImport {
  /** What all paths are below, without a slash at its end; operations with servers of their own are below theirs. */
  readonly base: string;
  /** Only operations whose whole path begins so. */
  readonly under?: string | undefined;
  readonly reads: ReadonlySet<ReadKind>;
  /** Routes that are there: what they take stays theirs, and nobody gets their names. */
  readonly existing: readonly WrittenRoute[];
  /** The target that they are for, if one is. */
  readonly into?: { readonly name: string; readonly refusesUnlisted: boolean } | undefined;
  /** What is wrong with routes, as the target's protocol says. */
  readonly problemsOf: (routes: readonly WrittenRoute[]) => readonly string[];
}

/** A route that a document has given. */
export interface ImportedRoute extends WrittenRoute {
  readonly methods: readonly [string];
  /** What a reader should know of it. */
  readonly remark?: string | undefined;
}

/**
 * Makes a route of each operation, in order of path and method. What no route can be, or takes more than the document says, is told in `notes`.
 * @throws DocumentError ERR_DOCUMENT_SIZE for more than a target can have; ERR_DOCUMENT_REFERENCE
 */
export function importRoutes(
  document: ApiDocument,
  wanted: RouteImport,
): { readonly routes: readonly ImportedRoute[]; readonly notes: readonly string[] } {
  const notes: string[] = [];
  const groups = grouped(candidates(document, wanted, notes), wanted, notes);
  if (groups.length + wanted.existing.length > ROUTES_MAX)
    throw new DocumentError(
      'ERR_DOCUMENT_SIZE',
      `it has ${groups.length} operations that are to be routes, and a target has at most ${ROUTES_MAX}; take those below a path with --under /PATH`,
    );
  const names = chooseNames(groups, new Set(wanted.existing.map(({ name }) => name)));
  const made = groups.flatMap((group): ImportedRoute[] => {
    const name = names.get(group);
    if (name === undefined) return [];
    const route: ImportedRoute = { name, methods: [group.method], path: group.path, remark: remarkOf(group) };
    const [problem] = wanted.problemsOf([written(route)]);
    if (problem !== undefined) {
      notes.push(`${group.method} ${group.path} is left out: ${problem}`);
      return [];
    }
    const reads = readsOf(group, { document, wanted, route }, notes);
    return [reads.length === 0 ? route : { ...route, reads }];
  });
  const routes = together(made, wanted, notes);
  return { routes, notes: [...notes, ...takenFrom(routes, wanted), ...listedNote(routes, wanted)] };
}

/** A route without what only its reader wants. */
function written({ name, methods, path, reads }: ImportedRoute): WrittenRoute {
  return { name, methods, path, ...(reads === undefined ? {} : { reads }) };
}

interface Candidate {
  readonly operation: Operation;
  readonly path: string;
  readonly segments: readonly Segment[];
  readonly isExact: boolean;
}

/** Operations that one route takes. */
interface Group extends Named {
  readonly segments: readonly Segment[];
  readonly operations: readonly Operation[];
}

function candidates(document: ApiDocument, { base, under = '' }: RouteImport, notes: string[]): readonly Candidate[] {
  return document.operations.flatMap((operation): Candidate[] => {
    const whole = `${operation.base ?? base}${operation.path}`;
    if (!whole.startsWith(under)) return [];
    const text = `${operation.method} ${whole}`;
    if (operation.method === 'TRACE') {
      notes.push(`${text} is left out: requests of TRACE are refused`);
      return [];
    }
    if (!METHOD.test(operation.method)) {
      notes.push(`${quoted(operation.method)} ${quoted(whole)} is left out: no route has such a method`);
      return [];
    }
    const expressed = expressedPath(whole);
    if (typeof expressed === 'string') {
      notes.push(`${operation.method} ${quoted(whole)} is left out: ${expressed}`);
      return [];
    }
    const { path, isExact } = expressed;
    if (!isExact) notes.push(`${text} becomes ${path}, which takes whatever is there: a parameter is a whole segment`);
    return [{ operation, path, segments: segmentsOf(path), isExact }];
  });
}

/** One for each form of path and method, without those that existing routes take; in order of path and method. */
function grouped(all: readonly Candidate[], { existing }: RouteImport, notes: string[]): readonly Group[] {
  const taken = takenForms(existing);
  const byForm = new Map<string, Candidate[]>();
  for (const one of all) {
    const form = formOf(one.segments);
    if (takersOf(one.operation.method).some((method) => taken.get(form)?.has(method) === true)) continue;
    const key = `${one.operation.method} ${form}`;
    byForm.set(key, [...(byForm.get(key) ?? []), one]);
  }
  const groups = Array.from(byForm.values(), (alike): Group => {
    const sorted = alike.toSorted(
      (a, b) =>
        Number(b.isExact) - Number(a.isExact) || compare(a.path, b.path) || compare(a.operation.path, b.operation.path),
    );
    const [first] = sorted;
    if (first === undefined) throw new TypeError('a group has one at least');
    const { path, segments, operation } = first;
    if (sorted.length > 1)
      notes.push(
        `${listed(sorted.map((one) => `${one.operation.method} ${one.operation.path}`))} are one route: no path tells them apart`,
      );
    const id = sorted.length === 1 ? operation.id : undefined; // Else a permit for one would read as if it were no other's.
    return { method: operation.method, path, segments, id, operations: sorted.map((one) => one.operation) };
  });
  return groups.toSorted((a, b) => compare(a.path, b.path) || compare(a.method, b.method));
}

function takenForms(routes: readonly WrittenRoute[]): ReadonlyMap<string, ReadonlySet<string>> {
  const taken = new Map<string, Set<string>>();
  for (const { path, methods = [ANY_METHOD] } of routes) {
    const form = formOf(segmentsOf(path));
    const set = taken.get(form) ?? new Set<string>();
    for (const method of methods) set.add(method);
    taken.set(form, set);
  }
  return taken;
}

function remarkOf({ operations }: Group): string | undefined {
  return operations.length === 1 ? operations[0]?.remark : undefined;
}

/** As many as a route may read, beside its parameters, without what holds secrets. */
function readsOf(
  { operations }: Group,
  {
    document,
    wanted,
    route,
  }: { readonly document: ApiDocument; readonly wanted: RouteImport; readonly route: ImportedRoute },
  notes: string[],
): readonly string[] {
  const secret: string[] = [];
  const found = new Set<string>();
  const add = (read: string, isPassword: boolean) => {
    const isSecret = isPassword || document.credentials.has(read.toLowerCase()) || SECRET.test(read);
    if (isSecret) secret.push(read);
    else found.add(read);
  };
  for (const { parameters, requests } of wanted.reads.size === 0 ? [] : operations) {
    for (const { in: place, name, isPassword } of parameters)
      if (wanted.reads.has(place)) add(`${place}.${name}`, isPassword);
    for (const schema of wanted.reads.has('body') ? requests : [])
      for (const { path, isPlain, isPassword } of document.schemas.paths(schema))
        if (isPlain) add(`body.${path.join('.')}`, isPassword);
  }
  const reads: string[] = [];
  const left: string[] = [];
  for (const [index, read] of Array.from(found).toSorted().entries()) {
    const isFine =
      index < READS_TRIED_MAX && wanted.problemsOf([written({ ...route, reads: [...reads, read] })]).length === 0;
    (isFine ? reads : left).push(read);
  }
  if (secret.length > 0)
    notes.push(
      `${route.name} does not read ${listed(secret)}: what is read stands in the ledger, and that looks like a secret`,
    );
  if (left.length > 0)
    notes.push(`${route.name} does not read ${listed(left)}, which a route can't, or not besides the others`);
  return reads;
}

/** Those that can stand beside each other and the existing ones: mostly all. */
function together(
  made: readonly ImportedRoute[],
  { existing, problemsOf }: RouteImport,
  notes: string[],
): readonly ImportedRoute[] {
  if (problemsOf([...existing, ...made.map(written)]).length === 0) return made;
  const kept: ImportedRoute[] = [];
  for (const route of made) {
    const [problem] = problemsOf([...existing, ...kept.map(written), written(route)]);
    if (problem === undefined) kept.push(route);
    else notes.push(`${route.methods[0]} ${route.path} is left out: ${problem}`);
  }
  return kept;
}

/** What other routes took until now, policies that name these reach no more. */
function takenFrom(made: readonly ImportedRoute[], { existing }: RouteImport): readonly string[] {
  const shaped = existing.map((route) => ({ route, segments: segmentsOf(route.path) }));
  return made.flatMap(({ name, methods, path }) => {
    const segments = segmentsOf(path);
    const takers = takersOf(methods[0]);
    const from = shaped.filter(
      ({ route, segments: others }) =>
        takers.some((method) => (route.methods ?? [ANY_METHOD]).includes(method)) &&
        overlap(segments, others) &&
        isBefore(segments, others),
    );
    if (from.length === 0) return [];
    const names = listed(from.map(({ route }) => route.name));
    return [
      `${name} takes requests that ${names} took: policies that name ${names}, masks and forbids among them, don't reach these any more`,
    ];
  });
}

/** What no route took until now, policy is asked about in another way. */
function listedNote(made: readonly ImportedRoute[], { into }: RouteImport): readonly string[] {
  if (into === undefined || made.length === 0) return [];
  const whole = `resource in Http::Origin::${JSON.stringify(into.name)}`;
  return [
    into.refusesUnlisted
      ? `requests that a new route is the first to take were refused until now (unlisted: refuse): what permits all of the target, as by ${whole}, permits them too`
      : `requests that a new route is the first to take are no longer asked about as ${whole.replace(' in ', ' == ')}: policies that say so, masks and forbids among them, don't reach them any more; ${whole} does`,
  ];
}

/** Methods of routes that take requests of one: HEAD comes with GET. */
function takersOf(method: string): readonly string[] {
  return [method, ANY_METHOD, ...(method === 'HEAD' ? ['GET'] : [])];
}

function listed(names: readonly string[]): string {
  return `${names.slice(0, NAMES_LISTED_MAX).join(', ')}${names.length > NAMES_LISTED_MAX ? ', …' : ''}`;
}

/** By code units: the same everywhere. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

const ANY_METHOD = '*';
/** As config has it. */
const METHOD = /^[A-Z][A-Z0-9-]{0,31}$/;
/** As config has it. */
const ROUTES_MAX = 1000;
const NAMES_LISTED_MAX = 5;
/** Four times what a route may read; each is held against the rules of config. */
const READS_TRIED_MAX = 64;
/** Names of values that nobody wants in a ledger. */
const SECRET =
  /passw|passphrase|secret|token|credential|api[-_]?key|access[-_]?key|private[-_]?key|authori[sz]ation|signature|session|cookie|csrf|xsrf|otp\b|\bpin$|\.(?:key|sig|jwt|auth|cvv|cvc)$/i;
