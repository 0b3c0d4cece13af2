import { didYouMean, type PolicyNames, partsOfId, type ResourceScope } from '../../../policy/index.ts';
import type { TargetPolicies, TargetWarning } from '../../protocol.ts';
import type { HttpConfig } from './config.ts';
import { parseRoute, type Route } from './meaning/routes.ts';

/** Holds what policies name of one target against the routes that it has, whenever policies change. */
export interface NameWatch {
  /** What is named in vain, by the policies in force. */
  warnings(): readonly TargetWarning[];
  /** Stops listening. */
  close(): void;
}

/** Creates one. Nothing is refused for a name. The upstream is asked nothing: the config has all routes, and what they read. */
export function createNameWatch(deps: {
  readonly name: string;
  readonly config: Pick<HttpConfig, 'routes'>;
  readonly policies: TargetPolicies;
}): NameWatch {
  const { name, config, policies } = deps;
  const place: Place = { name, routes: config.routes.map(parseRoute) };
  let found: readonly TargetWarning[] | undefined;
  const close = policies.onChange(() => {
    found = undefined;
  });
  return {
    warnings() {
      found ??= warningsOf(policies.names(), place);
      return found;
    },
    close,
  };
}

interface Place {
  readonly name: string;
  readonly routes: readonly Route[];
}

function warningsOf(names: PolicyNames | undefined, place: Place): readonly TargetWarning[] {
  if (names === undefined) return [];
  return [...absentRoutes(names, place), ...unreadTags(names, place)].slice(0, NAMES_TOLD_MAX);
}

function absentRoutes({ entities }: PolicyNames, place: Place): TargetWarning[] {
  const known = place.routes.map(({ name }) => name);
  return entities.flatMap(({ type, id, policy, hides }) => {
    const route = type === ROUTE ? routeIn(id, place) : undefined;
    if (route === undefined || known.includes(route)) return [];
    const hint = didYouMean(route, known) ?? (known.length === 0 ? 'it has none' : `it has ${listed(known)}`);
    return [
      warning(
        `policy ${JSON.stringify(policy)} names route ${JSON.stringify(route)}, which is not there (${hint})`,
        hides ? HIDING_REMEDY : ROUTE_REMEDY,
      ),
    ];
  });
}

/** Of policies on this target alone: what is read of the routes of several may well be there in one of another. */
function unreadTags({ tags }: PolicyNames, place: Place): TargetWarning[] {
  return tags.flatMap(({ policy, scope, tag }) => {
    const routes = routesIn(scope, place);
    if (routes.length === 0 || routes.some((route) => readsOf(route).includes(tag))) return [];
    const reads = Array.from(new Set(routes.flatMap(readsOf))).sort();
    const hint = didYouMean(tag, reads) ?? (reads.length === 0 ? 'nothing is read' : `read are ${listed(reads)}`);
    const of =
      routes.length === 1 ? `route ${JSON.stringify(routes[0]?.name)} does not read` : 'none of its routes reads';
    return [warning(`policy ${JSON.stringify(policy)} decides by ${tag}, which ${of} (${hint})`, TAG_REMEDY)];
  });
}

/** The routes that a scope takes in, if it takes in nothing of other targets. */
function routesIn(scope: ResourceScope, place: Place): readonly Route[] {
  if (scope.op === 'any' || scope.op === 'is') return [];
  if (scope.type === ROUTE) {
    const name = routeIn(scope.id, place);
    return place.routes.filter((route) => route.name === name);
  }
  const isWhole = scope.op === 'in' && (scope.type === 'Target' || scope.type === 'Http::Origin');
  return isWhole && partsOfId(scope.id).join('/') === place.name ? place.routes : [];
}

function routeIn(id: string, { name }: Place): string | undefined {
  // Most of ten thousand policies are about other targets: those ids are not taken apart for each target.
  if (!id.startsWith(`${name}/`)) return undefined;
  const [, route, ...more] = partsOfId(id);
  return more.length === 0 ? route : undefined;
}

/** Names of the tags that its requests can have. */
function readsOf({ parts, reads }: Route): string[] {
  return [
    ...parts.flatMap((part) => (part.kind === 'literal' ? [] : [`path.${part.name}`])),
    ...reads.query.map((name) => `query.${name}`),
    ...reads.header.map((name) => `header.${name}`),
    ...reads.body.map((path) => `body.${path.join('.')}`),
  ];
}

function listed(names: readonly string[]): string {
  return `${names.slice(0, NAMES_LISTED_MAX).join(', ')}${names.length > NAMES_LISTED_MAX ? ', …' : ''}`;
}

function warning(what: string, remedy: string): TargetWarning {
  return { about: 'names', what, remedy };
}

const ROUTE_REMEDY =
  'Correct the name in the policy, or add the route to the target; until then it permits nothing there.';
const HIDING_REMEDY =
  'Correct the name in the policy, or add the route to the target; what was meant is neither forbidden nor masked by it now.';
const TAG_REMEDY =
  'Correct the name in the policy, or let the route read it (`reads`): a condition on what is not read finds it absent.';
const ROUTE = 'Http::Route';
/** A screenful; the rest shows once these are mended. */
const NAMES_TOLD_MAX = 20;
const NAMES_LISTED_MAX = 10;
