import { type PlacedRoute, type Placement, placeRoutes } from './placement.ts';
import type { Presence, Schemas } from './schemas.ts';
import type { ApiDocument, Operation, WrittenRoute } from './types.ts';

/** A target with the document that describes it. */
export interface DescribedTarget {
  readonly document: ApiDocument;
  readonly routes: readonly WrittenRoute[];
  /** Requests that no route takes are refused. */
  readonly refusesUnlisted: boolean;
}

/** What of a target and its document does not go together. */
export interface Finding {
  /** The place in the target's config; empty: its document as a whole. */
  readonly place: readonly (string | number)[];
  readonly message: string;
  readonly help: string | undefined;
}

/** A field that a policy masks, and where. */
export interface MaskedField {
  /** Names below the body. */
  readonly path: readonly string[];
  /** `*` among them is any name. */
  readonly hasWildcard: boolean;
  reachesRoute(name: string): boolean;
  /** What no route takes. */
  readonly reachesRest: boolean;
  /** Whether requests of that method are among them, in upper case. */
  takesMethod(method: string): boolean;
}

/** Finds the one of `known` that was meant by `name`, as a sentence with a question mark. */
export type Hint = (name: string, known: Iterable<string>) => string | undefined;

/** A target held against its document. */
export interface Description {
  /**
   * What the routes have that the document does not, by path, method and value, and in one finding what of the document no route takes. Nothing is said of
   * a value where a schema is open. @throws DocumentError ERR_DOCUMENT_REFERENCE
   */
  routeFindings(): readonly Finding[];
  /**
   * What is wrong with a mask: no JSON answer that the policy reaches has the field. Undefined where one has it, where a schema leaves it open, and
   * where the policy reaches a route that the document does not know. @throws DocumentError ERR_DOCUMENT_REFERENCE
   */
  maskFinding(mask: MaskedField): Pick<Finding, 'message' | 'help'> | undefined;
}

/** Finds which operations each route takes, once for all that is asked then. */
export function createDescription(target: DescribedTarget, hint: Hint): Description {
  const placement = placeRoutes(target.document, target.routes);
  const context: Context = { target, placement, hint };
  return {
    routeFindings: () => [
      ...placement.routes.flatMap((route, index) => [
        ...pathFindings(route, index, context),
        ...readFindings(route, index, context),
      ]),
      ...untakenFinding(context),
    ],
    maskFinding: (mask) => maskFinding(mask, context),
  };
}

interface Context {
  readonly target: DescribedTarget;
  readonly placement: Placement;
  readonly hint: Hint;
}

function untakenFinding({ target, placement }: Context): readonly Finding[] {
  const { untaken } = placement;
  if (untaken.length === 0) return [];
  const names = untaken.slice(0, OPERATIONS_LISTED_MAX).map(({ operation, path }) => `${operation.method} ${path}`);
  const more = untaken.length > names.length ? ', …' : '';
  const count =
    untaken.length === 1 ? '1 operation of the document is' : `${untaken.length} operations of the document are`;
  const message = `${count} taken by no route: ${names.join(', ')}${more}`;
  const help = target.refusesUnlisted ? 'they are refused' : 'policy is asked about them as about the whole target';
  return [{ place: [], message, help }];
}

function maskFinding(mask: MaskedField, { target, placement, hint }: Context): ReturnType<Description['maskFinding']> {
  const { path, hasWildcard } = mask;
  if (path.length === 0) return undefined; // All of an answer.
  const reached = placement.routes.filter(({ route }) => mask.reachesRoute(route.name));
  if (reached.some(({ isKnown }) => !isKnown)) return undefined;
  const rest = mask.reachesRest && !target.refusesUnlisted ? placement.untaken : [];
  const all = new Set([...reached.flatMap(({ operations }) => operations), ...rest.map(({ operation }) => operation)]);
  const answering = Array.from(all).filter(({ method }) => mask.takesMethod(method));
  if (answering.length === 0) return undefined;
  const { schemas } = target.document;
  const answers = Array.from(new Set(answering.flatMap((operation) => operation.answers)));
  if (answers.some((schema) => schemas.presence(schema, path, { hasWildcard }) !== 'absent')) return undefined;
  const [only, ...others] = answering;
  const at = placement.operations.find(({ operation }) => operation === only)?.path ?? '';
  const of = others.length === 0 ? `${only?.method} ${at}` : `${answering.length} operations`;
  const wanted = ['body', ...path].join('.');
  const known = namesIn(schemas, answers);
  return {
    message: `masks ${wanted}, which no JSON answer of ${of} has: it masks nothing`,
    help: hint(wanted, known) ?? sameName(wanted, known),
  };
}

function pathFindings(
  { route, methods }: PlacedRoute,
  index: number,
  { placement, hint }: Context,
): readonly Finding[] {
  const about = `route ${JSON.stringify(route.name)}`;
  if (methods.size === 0) {
    const message = `${about} has the path ${route.path}, which the document does not have`;
    const help = hint(route.path, new Set(placement.operations.map(({ path }) => path)));
    return [{ place: ['routes', index, 'path'], message, help }];
  }
  return (route.methods ?? []).flatMap((method, at): Finding[] => {
    // Servers answer these of themselves.
    if (methods.has(method) || method === 'OPTIONS' || (method === 'HEAD' && methods.has('GET'))) return [];
    const message = `${about} takes ${method}, which the document does not have for ${route.path}`;
    const help = `it has ${Array.from(methods).toSorted().join(', ')}`;
    return [{ place: ['routes', index, 'methods', at], message, help }];
  });
}

function readFindings(
  { route, operations }: PlacedRoute,
  index: number,
  { target, hint }: Context,
): readonly Finding[] {
  const { document } = target;
  if (operations.length === 0) return []; // Said of its path or methods.
  return (route.reads ?? []).flatMap((read, at): Finding[] => {
    const [kind = '', ...names] = read.split('.');
    if (operations.some((operation) => mayHave(document, operation, { kind, names }) !== 'absent')) return [];
    const known = new Set(operations.flatMap((operation) => valuesOf(document, operation, kind)));
    const message = `route ${JSON.stringify(route.name)} reads ${read}, which the document does not have there`;
    return [{ place: ['routes', index, 'reads', at], message, help: hint(read, known) }];
  });
}

function mayHave(
  document: ApiDocument,
  { parameters, requests }: Operation,
  { kind, names }: { readonly kind: string; readonly names: readonly string[] },
): Presence {
  if (kind === 'body') {
    const found = requests.map((schema) => document.schemas.presence(schema, names));
    return found.find((one) => one !== 'absent') ?? 'absent';
  }
  const name = names.join('.');
  // An object in a query is there by its parts: `filter[name]`.
  return parameters.some((one) => one.in === kind && (one.name === name || one.name.startsWith(`${name}[`)))
    ? 'there'
    : 'absent';
}

function valuesOf(document: ApiDocument, { parameters, requests }: Operation, kind: string): readonly string[] {
  if (kind !== 'body') return parameters.flatMap((one) => (one.in === kind ? [`${kind}.${one.name}`] : []));
  return requests.flatMap((schema) => document.schemas.paths(schema).map(({ path }) => `body.${path.join('.')}`));
}

/** Fields of answers, as masks name them; of very many the first. */
function namesIn(schemas: Schemas, answers: readonly unknown[]): ReadonlySet<string> {
  const known = new Set<string>();
  let looked = 0;
  for (const schema of answers)
    for (const { path } of schemas.paths(schema)) {
      if (++looked > NAMES_LOOKED_AT_MAX) return known;
      known.add(['body', ...path].join('.'));
    }
  return known;
}

/** One of which the last name is the same is mostly what was meant. */
function sameName(wanted: string, known: Iterable<string>): string | undefined {
  const name = wanted.slice(wanted.lastIndexOf('.')).toLowerCase();
  const alike = Array.from(known).filter((one) => one.toLowerCase().endsWith(name));
  const [nearest] = alike.toSorted((a, b) => a.split('.').length - b.split('.').length);
  return nearest === undefined ? undefined : `did you mean ${JSON.stringify(nearest)}?`;
}

const OPERATIONS_LISTED_MAX = 5;
/** A hint is not worth more time. */
const NAMES_LOOKED_AT_MAX = 5_000;
