/** What the codec itself reads of a head. */
export type ControlName = 'host' | 'connection' | 'te' | 'transferEncoding' | 'contentLength' | 'expect' | 'upgrade';

/** What becomes of a field: `keep` for the caller, `drop`, `refuse`, or read here. */
export interface NameRule {
  /** One bit of its own if the field may stand there once, 0 if often. */
  readonly bit: number;
  readonly role: 'keep' | 'drop' | 'refuse' | 'control';
  readonly control: ControlName | undefined;
}

/** Of requests; names that are not there may be repeated, and are kept. */
export const requestNames: ReadonlyMap<string, NameRule> = rulesOf([
  ...['authorization', 'content-type', 'content-range', 'content-location', 'content-disposition', 'cookie', 'date'],
  ...['from', 'if-modified-since', 'if-range', 'if-unmodified-since', 'max-forwards', 'origin', 'range', 'referer'],
  ...['sec-websocket-key', 'user-agent', 'access-control-request-method'],
]);

/** Of responses. */
export const responseNames: ReadonlyMap<string, NameRule> = rulesOf([
  ...['content-type', 'content-range', 'content-location', 'content-disposition', 'etag', 'last-modified', 'location'],
  ...['access-control-allow-origin', 'sec-websocket-accept', 'sec-websocket-protocol'],
]);

/**
 * Of trailers (RFC 9110 §6.5.1): what frames, routes or proves is refused, and what a reader would merge into the head it has judged already
 * is dropped.
 */
export const trailerNames: ReadonlyMap<string, NameRule> = new Map([
  ...['content-length', 'transfer-encoding', 'host', 'connection', 'trailer', 'te', 'upgrade', 'expect'].map((name) =>
    plain(name, 'refuse'),
  ),
  ...['authorization', 'proxy-authorization', 'proxy-authenticate', 'proxy-connection', 'keep-alive', 'cookie'].map(
    (name) => plain(name, 'drop'),
  ),
  ...['set-cookie', 'www-authenticate', 'authentication-info', 'location', 'cache-control', 'vary', 'pragma'].map(
    (name) => plain(name, 'drop'),
  ),
  ...['range', 'origin', 'forwarded', 'max-forwards', 'date', 'age', 'expires', 'retry-after', 'referer'].map((name) =>
    plain(name, 'drop'),
  ),
]);

/** True for a name whose field in a trailer is dropped since all of its kind are. */
export function isHeadOnly(name: string): boolean {
  return HEAD_ONLY.some((prefix) => name.startsWith(prefix));
}

/**
 * True for a name that `Connection` must not hold (RFC 9110 §7.6.1): it would take a field away that is meant for the other end, from one
 * reader and not from the next. `te` is not among them: §10.1.4 wants it named.
 */
export function isEndToEnd(name: string): boolean {
  if (BETWEEN_NEIGHBOURS.has(name)) return false;
  if (END_TO_END.has(name) || requestNames.has(name) || responseNames.has(name)) return true;
  return HEAD_ONLY.some((prefix) => name.startsWith(prefix));
}

function rulesOf(single: readonly string[]): ReadonlyMap<string, NameRule> {
  const rules = new Map<string, NameRule>();
  let bit = 1;
  const once = (name: string, role: NameRule['role'], control?: ControlName) => {
    rules.set(name, { bit, role, control });
    bit <<= 1;
  };
  for (const name of single) once(name, 'keep');
  once('host', 'control', 'host');
  once('transfer-encoding', 'control', 'transferEncoding');
  once('content-length', 'control', 'contentLength');
  once('expect', 'control', 'expect');
  once('upgrade', 'control', 'upgrade');
  once('proxy-authorization', 'drop');
  rules.set('connection', { bit: 0, role: 'control', control: 'connection' });
  rules.set('te', { bit: 0, role: 'control', control: 'te' });
  for (const name of ['keep-alive', 'proxy-connection', 'proxy-authenticate', 'trailer', 'http2-settings'])
    rules.set(name, { bit: 0, role: 'drop', control: undefined });
  return rules;
}

function plain(name: string, role: 'drop' | 'refuse'): [string, NameRule] {
  return [name, { bit: 0, role, control: undefined }];
}

const BETWEEN_NEIGHBOURS: ReadonlySet<string> = new Set([
  ...['close', 'keep-alive', 'te', 'upgrade', 'http2-settings', 'proxy-connection', 'trailer'],
  ...['proxy-authenticate', 'proxy-authorization'],
]);
const END_TO_END: ReadonlySet<string> = new Set([
  ...['connection', 'cache-control', 'forwarded', 'set-cookie', 'vary', 'via', 'www-authenticate', 'x-real-ip'],
  ...['x-http-method-override', 'x-request-id', 'traceparent', 'expires', 'age', 'pragma', 'idempotency-key'],
]);
const HEAD_ONLY = [
  ...['accept', 'content-', 'if-', 'sec-', 'access-control-', 'x-countersign-', 'x-forwarded-', 'x-original-'],
];
