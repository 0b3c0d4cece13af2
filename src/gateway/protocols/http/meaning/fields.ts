import type { Field, RequestHead, ResponseHead } from '../../../../wire/http1/index.ts';
import { foldedName } from './query.ts';
import { type MeaningRefusal, refusal } from './refusal.ts';

/** What config says of fields. */
export interface FieldRules {
  readonly url: string | readonly string[];
  readonly passCookies: boolean;
  readonly credential?: object | undefined;
  readonly upstreamHttp2?: boolean;
  readonly routes?: readonly { readonly reads?: readonly string[] | undefined }[];
  readonly responseHeaders?: { readonly deny: readonly string[] } | { readonly allow: readonly string[] } | undefined;
}

/** The fields of a request that go on, in their order: none by which an upstream could take the client for somebody else, or the request for another. */
export function forwardedFields(
  { fields }: Pick<RequestHead, 'fields'>,
  rules: FieldRules,
): readonly Field[] | MeaningRefusal {
  const seen = new Set<string>();
  const forwarded: Field[] = [];
  for (const field of fields) {
    const { name } = field;
    if (!NAME.test(name) && mayBeAnother(name, rules))
      return refusal(
        'http-field',
        'a field name has other characters than letters, digits and hyphens',
        'some servers take them for hyphens: leave the field away or rename it',
      );
    if (SINGLE.has(name) && seen.has(name))
      return refusal('http-field', `the field ${name} is there twice`, 'send it once');
    seen.add(name);
    if (!isDroppedField(name, rules)) forwarded.push(field);
  }
  return forwarded;
}

/** CGI and its heirs make `_` of what is no letter, so `x_forwarded_for` would be `x-forwarded-for` there. What speaks HTTP/2 has none of them behind it, and metadata of gRPC may have such names. */
function mayBeAnother(name: string, rules: FieldRules): boolean {
  if (rules.upstreamHttp2 !== true || !METADATA_NAME.test(name)) return true;
  const hyphened = name.replace(/[_.]/g, '-');
  if (SINGLE.has(hyphened) || isDroppedField(hyphened, rules)) return true;
  return rules.routes?.some(({ reads = [] }) => reads.includes(`header.${hyphened}`)) === true;
}

/** True for a field that no client can send to an upstream, by its lower-case name. */
export function isDroppedField(
  name: string,
  { passCookies, credential }: Pick<FieldRules, 'passCookies' | 'credential'>,
): boolean {
  if (DROPPED.has(name) || DROPPED_BEGINNINGS.some((beginning) => name.startsWith(beginning))) return true;
  if (SIGNING.has(name) && credential !== undefined && 'sigv4' in credential) return true;
  return (name === 'cookie' && !passCookies) || name === credentialField(credential);
}

/** The fields of an answer that the client sees, in their order. */
export function answeredFields({ fields }: Pick<ResponseHead, 'fields'>, rules: FieldRules): readonly Field[] {
  const listed = rules.responseHeaders;
  const denied = new Set(listed !== undefined && 'deny' in listed ? listed.deny.map(lower) : []);
  const allowed = listed !== undefined && 'allow' in listed ? new Set(listed.allow.map(lower)) : undefined;
  const secret = credentialParameter(rules.credential);
  return fields.flatMap((field): Field[] => {
    const { name } = field;
    if (HIDDEN.has(name) || name.startsWith(OWN) || denied.has(name)) return [];
    if (name === 'set-cookie' && !rules.passCookies) return [];
    if (allowed !== undefined && !allowed.has(name) && !DESCRIBING.has(name)) return [];
    if (LOCATIONS.has(name)) return [{ name, value: locationShown(field.value, rules.url, secret) }];
    // A link to itself has the credential in its query.
    if (secret !== undefined && LINKING.has(name) && mentions(field.value, secret)) return [];
    return [field];
  });
}

/** A place as clients reach it, by the gateway: without the upstream's own origin, and without the credential. */
function locationShown(value: string, url: FieldRules['url'], secret: string | undefined): string {
  const own = pathAt(value, url);
  if (secret === undefined) return own;
  const [before = '', ...fragment] = own.split('#');
  const cut = before.indexOf('?');
  if (cut < 0) return own;
  const pairs = before.slice(cut + 1).split(/[&;]/);
  const kept = pairs.filter((pair) => foldedName(decodedLoosely(pair.split('=')[0] ?? '')) !== foldedName(secret));
  if (kept.length === pairs.length) return own;
  const query = kept.length === 0 ? '' : `?${kept.join('&')}`;
  return [`${before.slice(0, cut)}${query}`, ...fragment].join('#');
}

/** The path and query of an absolute address at `url`, or one of these; any other as it is. */
function pathAt(value: string, url: FieldRules['url']): string {
  const authority = /^(https?:)?\/\/([^/?#]*)/i.exec(value);
  if (authority === null) return value;
  const [whole, scheme = ''] = authority;
  const bases = (typeof url === 'string' ? [url] : url).map((one) => new URL(one));
  let found: URL;
  try {
    found = new URL(scheme === '' ? `${bases[0]?.protocol}${whole}` : whole);
  } catch {
    return value;
  }
  if (!bases.some(({ origin }) => origin === found.origin) || found.username !== '' || found.password !== '')
    return value;
  // What begins with two slashes would be another host.
  const rest = value.slice(whole.length).replace(/^\/[/\\]+/, '/');
  return rest.startsWith('/') ? rest : `/${rest}`;
}

function mentions(value: string, name: string): boolean {
  return decodedLoosely(value).toLowerCase().includes(`${name.toLowerCase()}=`);
}

function decodedLoosely(text: string): string {
  return text.replace(/%[0-9a-f]{2}/gi, (found) => String.fromCharCode(Number.parseInt(found.slice(1), 16)));
}

function credentialField(credential: object | undefined): string | undefined {
  return credential !== undefined && 'header' in credential ? lower(nameIn(credential.header)) : undefined;
}

/** The query parameter that holds the credential. */
export function credentialParameter(credential: object | undefined): string | undefined {
  return credential !== undefined && 'query' in credential ? nameIn(credential.query) : undefined;
}

function nameIn(part: unknown): string {
  return typeof part === 'object' && part !== null && 'name' in part && typeof part.name === 'string' ? part.name : '';
}

function lower(name: string): string {
  return name.toLowerCase();
}

const NAME = /^[a-z0-9-]+$/;
/** @see gRPC over HTTP/2, Custom-Metadata */
const METADATA_NAME = /^[a-z0-9_.-]+$/;

/** A second one would be joined, passed over or taken instead, by whoever reads it. */
const SINGLE = new Set([
  ...['authorization', 'content-type', 'content-length', 'content-encoding', 'content-range', 'cookie', 'from', 'host'],
  ...[
    'if-modified-since',
    'if-range',
    'if-unmodified-since',
    'max-forwards',
    'origin',
    'range',
    'referer',
    'user-agent',
  ],
  ...['sec-websocket-key', 'sec-websocket-version'],
]);

/** Between two neighbours; what a gateway alone says of a client; what makes another request of it. */
const DROPPED = new Set([
  ...['connection', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'content-length', 'host', 'expect'],
  ...['authorization', 'forwarded', 'via', 'client-cert', 'client-cert-chain', 'remote-user', 'remote-addr'],
  ...['x-real-ip', 'x-client-ip', 'x-cluster-client-ip', 'true-client-ip', 'cf-connecting-ip', 'fastly-client-ip'],
  ...['x-rewrite-url', 'x-http-method', 'x-http-method-override', 'x-method-override', 'x-host'],
]);
/** What a client's own signature has beside `authorization`; the gateway says it anew. */
const SIGNING = new Set([
  ...['x-amz-date', 'x-amz-content-sha256', 'x-amz-security-token', 'x-amz-s3session-token'],
  ...['date', 'presigned-expires'],
]);
const OWN = 'x-countersign-';
const DROPPED_BEGINNINGS = [
  ...[OWN, 'proxy-', 'x-forwarded', 'x-original-', 'x-envoy-', 'x-remote-', 'x-auth-request-', 'x-ssl-client-'],
  ...['x-client-cert', 'impersonate-', 'http2-settings'],
];

/** Of answers: between two neighbours, and what would lead clients past the gateway. */
const HIDDEN = new Set([
  ...['connection', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'content-length'],
  ...['proxy-authenticate', 'proxy-authentication-info', 'proxy-connection', 'alt-svc', 'set-cookie2'],
]);
/** Without these nobody can read an answer, or open a WebSocket. */
const DESCRIBING = new Set([
  ...['content-type', 'content-encoding', 'content-range', 'location'],
  ...['sec-websocket-accept', 'sec-websocket-protocol', 'sec-websocket-extensions', 'grpc-status', 'grpc-encoding'],
]);
const LOCATIONS = new Set(['location', 'content-location']);
const LINKING = new Set(['link', 'refresh']);
