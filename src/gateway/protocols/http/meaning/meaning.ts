import type { EntityRef } from '../../../../model/index.ts';
import type { RequestHead } from '../../../../wire/http1/index.ts';
import type { JsonValue } from '../../../../wire/json/index.ts';
import type { HttpConfig } from '../config.ts';
import { bodyText } from './body.ts';
import { credentialParameter } from './fields.ts';
import { type CanonicalPath, encodeSegment, type PathLiberty, parsePath } from './path.ts';
import { parseQuery } from './query.ts';
import { isRefusal, type MeaningRefusal, refusal } from './refusal.ts';
import { originResource, routeResource } from './resources.ts';
import { createRouteTable, parseRoute, type Route, type RouteTable } from './routes.ts';
import { pathShape } from './shape.ts';
import { signedTarget } from './signed.ts';

/** What a request asks of policy, and what goes to the upstream of its first line. */
export interface Meaning {
  readonly action: string;
  /** A route, or the whole origin where none takes it. */
  readonly resource: EntityRef;
  readonly context: { readonly method: string; readonly path: string; readonly host: string };
  /** Equal for requests that differ in values only: `GET /v1/customers/{id}`. */
  readonly shape: string;
  readonly method: string;
  /** Path and query, encoded anew. */
  readonly target: string;
  readonly changes: boolean;
  readonly route: Route | undefined;
  /** Policy reads of the body, where there is one, whatever the method: `withBody` comes before it is asked. */
  readonly readsBody: boolean;
}

/** What is needed of a head. */
export type MeantHead = Pick<RequestHead, 'method' | 'target' | 'host' | 'fields' | 'upgrade'>;

/** Tells what requests to one target mean. */
export interface Meanings {
  /** The resource of `http:connect`: all others are in it. */
  readonly place: EntityRef;
  of(head: MeantHead): Meaning | MeaningRefusal;
  /** With the values of its JSON body that its route reads; undefined: it has none. */
  withBody(meaning: Meaning, body: JsonValue | undefined): Meaning | MeaningRefusal;
}

/** Creates it for the target of that name. */
export function createMeaning(name: string, config: HttpConfig): Meanings {
  const place = originResource(name);
  const table = createRouteTable(config.routes.map(parseRoute));
  const hosts = config.hosts && new Set(config.hosts);
  const credential = credentialParameter(config.credential);
  const service = serviceOf(config);
  return {
    place,
    of(head) {
      const host = hostAsked(head.host, hosts);
      if (hosts !== undefined && !hosts.has(host))
        return refusal(
          'http-host',
          'this target does not serve the host asked for',
          `ask for ${config.hosts?.[0]}`,
          421,
        );
      const action = actionOf(head);
      if (typeof action !== 'string') return action;
      const cut = head.target.indexOf('?');
      const path = pathOf(cut < 0 ? head.target : head.target.slice(0, cut), head.method);
      if (isRefusal(path)) return path;
      const route = routeOf(head.method, path, { table, config });
      if (route !== undefined && isRefusal(route)) return route;
      const query = parseQuery(cut < 0 ? '' : head.target.slice(cut + 1), {
        reads: route?.reads.query ?? [],
        credential,
      });
      if (isRefusal(query)) return query;
      const tags = route === undefined ? {} : tagsOf(route, path, head, query.values);
      if (isRefusal(tags)) return tags;
      const other = service === undefined ? undefined : otherObject(head, route);
      if (other !== undefined) return other;
      const written = { path: path.written, query: query.written };
      const target = service === undefined ? `${written.path}${written.query}` : signedTarget(written, service);
      if (typeof target !== 'string') return target;
      const readsBody = route !== undefined && route.reads.body.length > 0;
      const shape = `${methodShown(head.method)} ${route?.template ?? (path.seen === '*' ? '*' : pathShape(path.segments))}`;
      return {
        ...{ action, route, readsBody, shape: action === UPGRADE ? `${shape} websocket` : shape },
        resource: route === undefined ? place : routeResource(name, route.name, tags),
        context: { method: head.method, path: path.seen, host },
        ...{ method: head.method, target, changes: !READING.has(action) },
      };
    },
    withBody(meaning, body) {
      const { route, resource } = meaning;
      if (route === undefined || body === undefined) return meaning;
      const tags: Record<string, string> = textsOf(resource.tags);
      for (const path of route.reads.body) {
        const found = bodyText(body, path);
        if (isRefusal(found)) return found;
        if (found.text !== undefined) tags[`body.${path.join('.')}`] = found.text;
      }
      const problem = tagsProblem(tags);
      return problem ?? { ...meaning, resource: routeResource(name, route.name, tags) };
    },
  };
}

/** That its requests are signed for. */
function serviceOf({ credential }: Pick<HttpConfig, 'credential'>): string | undefined {
  return credential !== undefined && 'sigv4' in credential ? credential.sigv4.service : undefined;
}

/** A field names another object beside that of the path, to be read with the gateway's credential: policy has to see it. */
function otherObject({ fields }: MeantHead, route: Route | undefined): MeaningRefusal | undefined {
  const found = fields.find(({ name }) => OTHER_OBJECTS.has(name) && route?.reads.header.includes(name) !== true);
  if (found === undefined) return undefined;
  return refusal(
    'http-field',
    `the field ${found.name} names another object, which no policy was asked about`,
    `have a route read header.${found.name}`,
  );
}

function actionOf({ method, upgrade }: MeantHead): string | MeaningRefusal {
  const known = method.toUpperCase();
  if (known === 'CONNECT')
    return refusal('http-method', 'CONNECT is not served: this is no forward proxy', 'send the request itself', 501);
  if (known === 'TRACE') return refusal('http-method', 'TRACE is not served', 'use GET or HEAD', 405);
  if (known !== method || !METHOD.test(method))
    return refusal(
      'http-method',
      'the method is not in upper case, or no method',
      `write it ${METHOD.test(known) ? known : 'GET'}`,
      501,
    );
  if (upgrade === undefined) return ACTIONS.has(method) ? `http:${method.toLowerCase()}` : OTHER;
  if (upgrade !== 'websocket')
    return refusal('http-upgrade', 'no other protocol than a WebSocket can be changed to', 'leave Upgrade away', 501);
  return method === 'GET' ? UPGRADE : refusal('http-upgrade', 'a WebSocket is opened by GET', 'use GET');
}

function pathOf(path: string, method: string): CanonicalPath | MeaningRefusal {
  if (path === '*' && method === 'OPTIONS') return { segments: [], written: '*', seen: '*', needs: new Set() };
  const parsed = parsePath(path);
  if (isRefusal(parsed) || parsed.seen.length <= PATH_MAX) return parsed;
  return refusal('http-size', `the path has more than ${PATH_MAX} bytes`, 'ask for a shorter path', 414);
}

/** The route that takes it, for whichever server stands behind; undefined: none, and policy is asked about the origin. */
function routeOf(
  method: string,
  path: CanonicalPath,
  { table, config }: { readonly table: RouteTable; readonly config: HttpConfig },
): Route | MeaningRefusal | undefined {
  const { segments, needs } = path;
  const route = path.seen === '*' ? undefined : table.match(method, segments);
  for (const need of needs)
    if ((route?.allow[need] ?? config.allow[need]) !== true)
      return refusal(
        'http-path',
        `the path has ${LIBERTIES[need]}`,
        `${LIBERTY_HINTS[need]}; or set allow.${need} of the target or route`,
      );
  if (path.seen !== '*') {
    const other = config.allow.otherCase === true ? route : table.matchFolded(method, segments);
    if (other !== undefined && other !== route)
      return refusal(
        'http-path',
        `the path differs from that of route ${other.name} in letter case or form of characters alone`,
        `write it as ${other.template}; or set allow.otherCase of the target`,
      );
    const flat = needs.size === 0 || route !== undefined ? undefined : table.matchFolded(method, flattened(segments));
    if (flat !== undefined)
      return refusal(
        'http-path',
        `some servers take the path for one of route ${flat.name}`,
        `write it as ${flat.template}`,
      );
  }
  if (route === undefined && config.unlisted === 'refuse')
    return refusal(
      'http-unlisted',
      'no route of this target takes the request',
      'ask for one of its routes, or have it added to them',
      404,
    );
  return route;
}

/** As a server sees segments that decodes slashes before it splits, and merges what is empty. */
function flattened(segments: readonly string[]): readonly string[] {
  return segments.flatMap((text) => text.split('/')).filter((text) => text !== '');
}

function tagsOf(
  { parts, reads }: Route,
  { segments }: CanonicalPath,
  { fields }: MeantHead,
  query: ReadonlyMap<string, string>,
): Record<string, string> | MeaningRefusal {
  const tags: Record<string, string> = {};
  for (const [index, part] of parts.entries()) {
    if (part.kind === 'literal') continue;
    const rest = segments.slice(index).map((text) => text.replaceAll('/', '%2F'));
    if (part.kind === 'parameter') tags[`path.${part.name}`] = segments[index] ?? '';
    else if (rest.length > 0) tags[`path.${part.name}`] = rest.join('/');
  }
  for (const [name, value] of query) tags[`query.${name}`] = value;
  for (const name of reads.header) {
    const values = fields.filter((field) => field.name === name);
    if (values.length > 1)
      return refusal('http-field', `the field ${name} is there twice, which policy reads`, 'send it once');
    if (values[0] !== undefined) tags[`header.${name}`] = values[0].value;
  }
  return tagsProblem(tags) ?? tags;
}

function tagsProblem(tags: Readonly<Record<string, string>>): MeaningRefusal | undefined {
  for (const [name, value] of Object.entries(tags)) {
    if (!value.isWellFormed())
      return refusal('http-body', `${name} has half of a surrogate pair`, 'send whole characters');
    if (Buffer.byteLength(value) > VALUE_MAX)
      return refusal(
        'http-size',
        `${name}, which policy reads, has more than ${VALUE_MAX} bytes`,
        'send a shorter value',
        tooLong(name),
      );
  }
  if (Buffer.byteLength(JSON.stringify(tags)) <= VALUES_MAX) return undefined;
  return refusal(
    'http-size',
    `the values that policy reads have more than ${VALUES_MAX} bytes`,
    'send shorter values',
    413,
  );
}

function tooLong(name: string): number {
  if (name.startsWith('path.') || name.startsWith('query.')) return 414;
  return name.startsWith('header.') ? 431 : 413;
}

function textsOf(tags: EntityRef['tags']): Record<string, string> {
  return Object.fromEntries(Object.entries(tags ?? {}).map(([name, value]) => [name, String(value)]));
}

/**
 * The host that a request is for. Who has come by an address of this machine, that of `countersign run`, can name no other: the door says which target is
 * meant, and the host is the first that it lists.
 */
function hostAsked(written: string, hosts: ReadonlySet<string> | undefined): string {
  const host = hostName(written);
  const [first = host] = hosts ?? [];
  return hosts?.has(host) === false && LOOPBACK.has(host) ? first : host;
}

/** Without its port. */
function hostName(host: string): string {
  return host.replace(/:\d*$/, '').toLowerCase();
}

function methodShown(method: string): string {
  return ACTIONS.has(method) ? method : encodeSegment(method).slice(0, 32);
}

const OTHER_OBJECTS: ReadonlySet<string> = new Set(['x-amz-copy-source', 'x-amz-rename-source']);
const OTHER = 'http:other';
const UPGRADE = 'http:upgrade';
const LOOPBACK = new Set(['127.0.0.1', 'localhost', '[::1]']);
const METHOD = /^[A-Z][A-Z0-9-]{0,31}$/;
const ACTIONS = new Set(['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE']);
const READING = new Set(['http:get', 'http:head', 'http:options']);
const LIBERTIES: { readonly [liberty in PathLiberty]: string } = {
  encodedSlash: 'an encoded slash',
  emptySegments: 'an empty segment',
  matrixParameters: 'a semicolon',
};
const LIBERTY_HINTS: { readonly [liberty in PathLiberty]: string } = {
  encodedSlash: 'write / or leave it away',
  emptySegments: 'write one / between segments',
  matrixParameters: 'leave what follows the ; away',
};
/** With all values that are read it fits into a question as the ledger keeps it, whole. */
const PATH_MAX = 2048;
const VALUE_MAX = 256;
const VALUES_MAX = 4096;
