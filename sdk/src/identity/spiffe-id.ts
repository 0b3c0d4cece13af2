import { IdentityError } from './errors.ts';

declare const trustDomainBrand: unique symbol;

/** A trust domain name such as `example.org`: 1–255 of `[a-z0-9._-]`. @see SPIFFE-ID §2.1 */
export type TrustDomain = string & { readonly [trustDomainBrand]: true };

/** A parsed SPIFFE ID. `uri` is its one textual form; `path` is empty or starts with `/`. @see SPIFFE-ID §2 */
export interface SpiffeId {
  readonly trustDomain: TrustDomain;
  readonly path: string;
  readonly uri: string;
}

/**
 * Parses a bare trust domain name.
 * @throws IdentityError ERR_TRUST_DOMAIN
 */
export function parseTrustDomain(text: string): TrustDomain {
  if (text.length === 0) throw new IdentityError('ERR_TRUST_DOMAIN', 'a trust domain can not be empty');
  if (text.length > TRUST_DOMAIN_BYTES_MAX) {
    throw new IdentityError(
      'ERR_TRUST_DOMAIN',
      `a trust domain has at most ${TRUST_DOMAIN_BYTES_MAX} characters, this one has ${text.length}`,
    );
  }
  for (let i = 0; i < text.length; i++) {
    if (!isTrustDomainChar(text.charCodeAt(i))) {
      throw new IdentityError(
        'ERR_TRUST_DOMAIN',
        `a trust domain holds only a-z, 0-9, dot, dash and underscore; character ${i + 1} is none of these`,
      );
    }
  }
  return text as TrustDomain; // The only place that makes one: every character was checked above.
}

/**
 * Parses `spiffe://trust-domain/path`. Nothing is normalised or decoded.
 * @throws IdentityError ERR_SPIFFE_ID or ERR_TRUST_DOMAIN
 */
export function parseSpiffeId(uri: string): SpiffeId {
  if (uri.length > SPIFFE_ID_BYTES_MAX)
    throw new IdentityError('ERR_SPIFFE_ID', `a SPIFFE ID has at most ${SPIFFE_ID_BYTES_MAX} bytes`);
  if (!uri.startsWith(SCHEME)) throw new IdentityError('ERR_SPIFFE_ID', 'a SPIFFE ID starts with spiffe://');
  const slash = uri.indexOf('/', SCHEME.length);
  const trustDomain = parseTrustDomain(slash < 0 ? uri.slice(SCHEME.length) : uri.slice(SCHEME.length, slash));
  const path = slash < 0 ? '' : uri.slice(slash);
  checkPath(path);
  return Object.freeze({ trustDomain, path, uri });
}

/**
 * The SPIFFE ID with that path (`''` or `/a/b`) in the trust domain.
 * @throws IdentityError ERR_SPIFFE_ID
 */
export function spiffeIdOf(trustDomain: TrustDomain, path: string): SpiffeId {
  return parseSpiffeId(`${SCHEME}${trustDomain}${path}`);
}

/** The textual form of an ID or, as `spiffe://name`, of a trust domain. */
export function formatSpiffeId(id: SpiffeId | TrustDomain): string {
  return typeof id === 'string' ? `${SCHEME}${id}` : id.uri;
}

function checkPath(path: string): void {
  if (path === '') return;
  if (path.endsWith('/')) throw new IdentityError('ERR_SPIFFE_ID', 'a SPIFFE ID path has no trailing slash');
  for (const segment of path.slice(1).split('/')) {
    if (segment === '') throw new IdentityError('ERR_SPIFFE_ID', 'a SPIFFE ID path has no empty segment');
    if (segment === '.' || segment === '..')
      throw new IdentityError('ERR_SPIFFE_ID', 'a SPIFFE ID path has no dot segment');
    for (let i = 0; i < segment.length; i++) {
      if (!isPathChar(segment.charCodeAt(i))) {
        throw new IdentityError(
          'ERR_SPIFFE_ID',
          'a SPIFFE ID path segment holds only letters, digits, dot, dash and underscore',
        );
      }
    }
  }
}

function isTrustDomainChar(code: number): boolean {
  return (
    (code >= 0x61 && code <= 0x7a) || (code >= 0x30 && code <= 0x39) || code === 0x2d || code === 0x2e || code === 0x5f
  );
}

function isPathChar(code: number): boolean {
  return isTrustDomainChar(code) || (code >= 0x41 && code <= 0x5a);
}

const SCHEME = 'spiffe://';
const TRUST_DOMAIN_BYTES_MAX = 255;
/** The specification's upper bound that every implementation must accept; we accept no more. */
const SPIFFE_ID_BYTES_MAX = 2048;
