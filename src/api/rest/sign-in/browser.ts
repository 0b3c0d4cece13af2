import { RestError } from '../errors.ts';

/** Headers of a request by name, lower-case; of one that came twice all that is joined. */
export type HeaderOf = (name: string) => string | undefined;

/** The cookie of whoever has signed in. Its prefix makes browsers keep it to this very host, and to TLS. @see RFC 6265bis §4.1.3.2 */
export const SIGN_IN_COOKIE = '__Host-countersign';
/** What ties the answer of a provider to the browser that was sent there. */
export const FLOW_COOKIE = '__Host-countersign-flow';

/**
 * The value of a cookie; undefined when there is none, or more than one: which of two is ours nobody knows.
 * A value is never more than what we hand out.
 */
export function cookieOf(header: HeaderOf, name: string): string | undefined {
  const all = (header('cookie') ?? '')
    // Not by commas: a neighbour's cookie may have one in its value, and ours behind it.
    .split(';')
    .map((pair) => pair.replace(/^[ \t]+|[ \t]+$/g, ''))
    .filter((pair) => pair.startsWith(`${name}=`))
    .map((pair) => pair.slice(name.length + 1));
  const [value] = all;
  return all.length === 1 && value !== undefined && /^[\w.~%/-]{1,1024}$/.test(value) ? value : undefined;
}

/**
 * A header that sets it. `strict`: sent with nothing that another site began; `lax`: also when another site's page leads here, as a provider's does.
 */
export function setCookie(
  name: string,
  value: string,
  { sameSite, maxAgeS }: { sameSite: 'Strict' | 'Lax'; maxAgeS: number },
): string {
  return `${name}=${value}; Path=/; Secure; HttpOnly; SameSite=${sameSite}; Max-Age=${maxAgeS}`;
}

export function clearCookie(name: string): string {
  return `${name}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0`;
}

/**
 * Refuses what another origin's page made a browser send, a neighbour's below the same domain included, whose requests SameSite lets pass. What
 * changes something must say where it comes from; what only looks may be silent, as a link that somebody typed is. `url`: where browsers are to reach
 * the server, besides by the name that they used. @throws RestError ERR_REST_ORIGIN
 */
export function refuseOtherOrigins(
  request: { readonly method: string; readonly header: HeaderOf },
  url: string | undefined,
): void {
  const { method, header } = request;
  const origin = header('origin');
  const site = header('sec-fetch-site');
  const own = [`https://${header('host') ?? ''}`, ...(url === undefined ? [] : [url])];
  const isLook = method === 'GET' || method === 'HEAD';
  if (site !== undefined && site !== 'same-origin' && !(isLook && site === 'none'))
    throw otherOrigin('the browser says that another site asks');
  if (origin !== undefined && !own.includes(origin)) throw otherOrigin('the page that asks is of another origin');
  if (!isLook && origin === undefined && site === undefined)
    throw otherOrigin('it is not said which page asks: a browser sends Origin or Sec-Fetch-Site');
}

function otherOrigin(message: string): RestError {
  return new RestError('ERR_REST_ORIGIN', message);
}
