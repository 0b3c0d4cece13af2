import { isIP } from 'node:net';

/** What a client asks a tunnel for. */
export interface Tunnel {
  /** In lower case, without a last dot; IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

/** What has come of a CONNECT: `more`; a whole one, with how many bytes it has; or why it is none. */
export type ConnectHead =
  | { readonly step: 'more' }
  | { readonly step: 'ready'; readonly tunnel: Tunnel; readonly bytes: number }
  | { readonly step: 'refuse'; readonly status: 400 | 431; readonly why: string };

/**
 * Reads the head of a CONNECT. Not by the codec: many clients name no host, or one without its port, beside what the first line says. A second host, a
 * body, or a line that readers may take for something else is refused all the same. @see RFC 9110 §9.3.6
 */
export function parseConnectHead(received: Buffer): ConnectHead {
  const end = received.indexOf('\r\n\r\n');
  if ((end < 0 ? received.length : end) > HEAD_BYTES_MAX)
    return { step: 'refuse', status: 431, why: `the head of CONNECT is longer than ${HEAD_BYTES_MAX} bytes` };
  if (end < 0) return { step: 'more' };
  const [first = '', ...lines] = received.toString('latin1', 0, end).split('\r\n');
  const [, named, digits] = CONNECT_LINE.exec(first) ?? [];
  const tunnel = named === undefined ? undefined : placeOf(named, Number(digits));
  if (tunnel === undefined) return malformed('the line of CONNECT has no host and port, or more than that');
  let hosts = 0;
  for (const line of lines) {
    const [, name = '', written = ''] = FIELD_LINE.exec(line) ?? [];
    if (name === '') return malformed('a line of CONNECT is no field of HTTP');
    const [field, value] = [name.toLowerCase(), withoutBlanks(written)];
    if (field === 'transfer-encoding' || (field === 'content-length' && value !== '0'))
      return malformed('CONNECT has a body');
    if (field !== 'host') continue;
    const [, host = '', port] = HOST_VALUE.exec(value) ?? [];
    const meant = placeOf(host, port === undefined ? tunnel.port : Number(port));
    if (++hosts > 1 || meant?.host !== tunnel.host || meant.port !== tunnel.port)
      return malformed('Host names another place than CONNECT does');
  }
  return { step: 'ready', tunnel, bytes: end + 4 };
}

/** A host as we compare it: in lower case, without brackets or a last dot; an address in the one spelling that it has for us, as `10.1` is 10.0.0.1. */
export function plainHost(host: string): string {
  const name = host.toLowerCase().replace(/\.$/, '');
  if (!name.startsWith('[') && !NUMBERS.test(name)) return name;
  const address = URL.canParse(`http://${name}/`) ? new URL(`http://${name}/`).hostname : name;
  const [, high = '', low = ''] = MAPPED.exec(address) ?? [];
  if (low === '') return address.replace(/^\[|\]$/g, '');
  const bytes = [high, low].map((group) => Number.parseInt(group, 16)).flatMap((two) => [two >> 8, two & 0xff]);
  return bytes.join('.');
}

/** Of those that may stand around a value: by hand, since an expression would take their square. */
function withoutBlanks(text: string): string {
  let [start, end] = [0, text.length];
  while (BLANK.has(text[start] ?? '')) start++;
  while (end > start && BLANK.has(text[end - 1] ?? '')) end--;
  return text.slice(start, end);
}

function placeOf(host: string, port: number): Tunnel | undefined {
  // Of two dots at the end one alone would go, and what is left be another host to us and the same to DNS.
  if (host === '' || host.startsWith('.') || host.includes('..') || port < 1 || port > PORT_MAX) return undefined;
  if (host.startsWith('[') && isIP(host.slice(1, -1)) !== 6) return undefined;
  const name = plainHost(host);
  return name === '' ? undefined : { host: name, port };
}

function malformed(why: string): ConnectHead {
  return { step: 'refuse', status: 400, why };
}

const CONNECT_LINE = /^CONNECT ([A-Za-z0-9._-]{1,254}|\[[0-9A-Fa-f:.]{2,45}\]):(\d{1,5}) HTTP\/1\.[01]$/;
const HOST_VALUE = /^([A-Za-z0-9._-]{1,254}|\[[0-9A-Fa-f:.]{2,45}\])(?::(\d{1,5}))?$/;
const FIELD_LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):([\t\x20-\x7e\x80-\xff]*)$/;
const BLANK: ReadonlySet<string> = new Set([' ', '\t']);
/** What system libraries take for an address of IPv4: one to four numbers, hexadecimal and octal ones among them. */
const NUMBERS = /^(?:0x[0-9a-f]*|\d+)(?:\.(?:0x[0-9a-f]*|\d+)){0,3}$/;
/** An address of IPv4 in IPv6. */
const MAPPED = /^\[::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})\]$/;
const HEAD_BYTES_MAX = 16 * 1024;
const PORT_MAX = 65_535;
