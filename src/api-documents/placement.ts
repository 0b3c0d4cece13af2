import { covers, expressedPath, formOf, overlap, type Segment, segmentsOf } from './templates.ts';
import type { ApiDocument, Operation, WrittenRoute } from './types.ts';

/** Which route takes requests of which operations. */
export interface Placement {
  readonly operations: readonly Placed[];
  /** For each route, in their order. */
  readonly routes: readonly PlacedRoute[];
  /** Operations of whose requests no route takes any. */
  readonly untaken: readonly Placed[];
}

/** An operation with its path as the gateway sees it. */
export interface Placed {
  readonly operation: Operation;
  readonly path: string;
  readonly segments: readonly Segment[];
}

/** A route with what the document has of it. */
export interface PlacedRoute {
  readonly route: WrittenRoute;
  /** Whose requests it may take. */
  readonly operations: readonly Operation[];
  /** The document has some of what it takes, even where a narrower route takes all of that. */
  readonly isKnown: boolean;
  /** Methods that the document has for its paths, whether it takes them or not. */
  readonly methods: ReadonlySet<string>;
}

/** Places operations below the base of the server that has most of the routes; the first of those that have as many. */
export function placeRoutes(document: ApiDocument, routes: readonly WrittenRoute[]): Placement {
  const shaped = routes.map((route) => ({ route, segments: segmentsOf(route.path) }));
  const bases = Array.from(new Set(document.servers.map(({ base }) => base))).slice(0, BASES_MAX);
  const placements = bases.map((base) => placementAt(placedAt(document, base), shaped));
  const known = ({ routes: placed }: Placement) => placed.filter(({ isKnown }) => isKnown).length;
  const [first, ...others] = placements;
  if (first === undefined) return { operations: [], routes: [], untaken: [] };
  return others.reduce((best, one) => (known(one) > known(best) ? one : best), first);
}

interface Shaped {
  readonly route: WrittenRoute;
  readonly segments: readonly Segment[];
}

function placedAt({ operations }: ApiDocument, base: string): readonly Placed[] {
  return operations.flatMap((operation): Placed[] => {
    const expressed = expressedPath(`${operation.base ?? base}${operation.path}`);
    if (typeof expressed === 'string' || operation.method === 'TRACE') return [];
    return [{ operation, path: expressed.path, segments: segmentsOf(expressed.path) }];
  });
}

function placementAt(operations: readonly Placed[], shaped: readonly Shaped[]): Placement {
  const near = shaped.map(() => new Set<string>());
  const known = new Set<Shaped>();
  const takers = new Map<Placed, readonly Shaped[]>();
  for (const one of operations) {
    const meeting = shaped.filter(({ segments }, index) => {
      const isNear = overlap(segments, one.segments);
      if (isNear) near[index]?.add(one.operation.method);
      return isNear;
    });
    const taking = meeting.filter(({ route }) => hasMethod(route, one.operation.method));
    for (const route of taking) known.add(route);
    takers.set(one, first(taking, one.segments));
  }
  const byRoute = new Map<Shaped, Placed[]>(shaped.map((route) => [route, []]));
  for (const [one, taking] of takers) for (const route of taking) byRoute.get(route)?.push(one);
  return {
    operations,
    untaken: operations.filter((one) => takers.get(one)?.length === 0),
    routes: shaped.map((route, index) => ({
      route: route.route,
      operations: served(byRoute.get(route) ?? [], route.segments),
      isKnown: known.has(route),
      methods: near[index] ?? new Set(),
    })),
  };
}

/** Without routes that a narrower one is before, for all of the operation's paths. */
function first(taking: readonly Shaped[], segments: readonly Segment[]): readonly Shaped[] {
  if (taking.length > COMPARED_MAX) return taking;
  return taking.filter(
    (wide) => !taking.some((one) => isNarrower(one.segments, wide.segments) && covers(one.segments, segments)),
  );
}

/** Without operations that a narrower one is before, for all of the route's paths: servers look for literal segments first. */
function served(placed: readonly Placed[], segments: readonly Segment[]): readonly Operation[] {
  if (placed.length > COMPARED_MAX) return placed.map(({ operation }) => operation);
  const isBehind = (wide: Placed) =>
    placed.some(
      (one) =>
        one.operation.method === wide.operation.method &&
        isNarrower(one.segments, wide.segments) &&
        covers(one.segments, segments),
    );
  return placed.filter((one) => !isBehind(one)).map(({ operation }) => operation);
}

function isNarrower(one: readonly Segment[], wide: readonly Segment[]): boolean {
  return covers(wide, one) && formOf(wide) !== formOf(one);
}

/** HEAD comes with GET. */
function hasMethod({ methods }: WrittenRoute, method: string): boolean {
  return methods === undefined || methods.includes(method) || (method === 'HEAD' && methods.includes('GET'));
}

const BASES_MAX = 5;
/** Of one path so many are made to take time; without it a finding less is made. */
const COMPARED_MAX = 50;
