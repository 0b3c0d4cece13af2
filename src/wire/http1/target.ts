import { HEX, HOST, isMadeOf, kindAt, TARGET } from './characters.ts';
import { Http1Error } from './errors.ts';

/**
 * A host as Host and targets have it, in lower case: RFC 9112 §3.2, RFC 3986 §3.2.2. Names are of letters, digits, `-`, `_` and single
 * dots; user info, lists, escapes, zones and empty ports are refused.
 *
 * @throws ERR_HTTP1_HOST
 */
export function parseHost(text: string): string {
  const portAt = text.startsWith('[') ? text.indexOf(']') + 1 : text.indexOf(':');
  const nameEnd = portAt > 0 ? portAt : text.length;
  const isNamed = text.startsWith('[') ? isIpv6(text.slice(1, nameEnd - 1)) && portAt > 0 : isName(text, nameEnd);
  if (!isNamed || portAt === 0 || (nameEnd < text.length && !isPort(text, nameEnd)) || text.length > HOST_BYTES_MAX)
    throw new Http1Error('ERR_HTTP1_HOST', 'Host is no host name or address, with a port or without');
  return text.toLowerCase();
}

/**
 * The target of a request in the form that goes on: RFC 9112 §3.2. Of the absolute form only what names the same host, so that it can't be
 * decided about one and sent to the other; it becomes the path.
 *
 * @param host of the Host field, in lower case.
 * @throws ERR_HTTP1_TARGET
 */
export function parseTarget(method: string, written: string, host: string): string {
  if (written.startsWith('/') && method !== 'CONNECT') return written;
  if (method === 'CONNECT') {
    if (written.toLowerCase() !== host || !/:\d+$/.test(host))
      throw new Http1Error('ERR_HTTP1_TARGET', 'the target of CONNECT is not the host and port that Host names');
    return host;
  }
  if (written === '*' && method === 'OPTIONS') return written;
  const scheme = ABSOLUTE.exec(written)?.[0];
  if (scheme === undefined)
    throw new Http1Error('ERR_HTTP1_TARGET', 'the target is neither a path nor an address of this server');
  const end = written.slice(scheme.length).search(/[/?]/);
  const authority = end < 0 ? written.slice(scheme.length) : written.slice(scheme.length, scheme.length + end);
  if (authority.toLowerCase() !== host)
    throw new Http1Error('ERR_HTTP1_TARGET', 'the target names another host than Host does');
  const rest = written.slice(scheme.length + authority.length);
  if (rest.startsWith('/')) return rest;
  return rest === '' && method === 'OPTIONS' ? '*' : `/${rest}`;
}

/** True for a target that a request of the method may be sent with as it is. */
export function isSendable(method: string, target: string, host: string): boolean {
  if (method === 'CONNECT') return target === host && /:\d+$/.test(host);
  if (target === '*') return method === 'OPTIONS';
  return target.startsWith('/') && isMadeOf(target, TARGET);
}

function isName(text: string, end: number): boolean {
  let dotted = true;
  for (let at = 0; at < end; at++) {
    if ((kindAt(text, at) & HOST) === 0) return false;
    const isDot = text.charCodeAt(at) === DOT;
    if (isDot && dotted) return false;
    dotted = isDot;
  }
  return end > 0;
}

function isIpv6(text: string): boolean {
  for (let at = 0; at < text.length; at++)
    if ((kindAt(text, at) & HEX) === 0 && text.charCodeAt(at) !== DOT && text.charCodeAt(at) !== COLON) return false;
  return text.includes(':') && URL.canParse(`http://[${text}]/`);
}

function isPort(text: string, colonAt: number): boolean {
  const port = text.slice(colonAt + 1);
  return text.charCodeAt(colonAt) === COLON && /^[1-9]\d{0,4}$/.test(port) && Number(port) <= PORT_MAX;
}

const ABSOLUTE = /^https?:\/\//i;
const DOT = 0x2e;
const COLON = 0x3a;
const PORT_MAX = 65_535;
/** A name of DNS is at most 253; brackets and port beside it. */
const HOST_BYTES_MAX = 260;
