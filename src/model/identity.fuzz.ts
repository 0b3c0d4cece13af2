import { formatSpiffeId, IdentityError, parseSpiffeId, parseTrustDomain, spiffeIdOf } from '@countersign/sdk/identity';
import { formatSelector, parseSelector } from './selector.ts';

/** SPIFFE IDs, trust domains and selectors as texts: what is read is written back as it was, and nothing is read in two ways. */
export function fuzz(input: Uint8Array): void {
  const text = Buffer.from(input).toString('utf8');
  const id = orRefused(() => parseSpiffeId(text));
  if (id !== undefined) {
    if (formatSpiffeId(id) !== text || `spiffe://${id.trustDomain}${id.path}` !== text)
      throw new Error('an ID is not what was read');
    if (spiffeIdOf(parseTrustDomain(id.trustDomain), id.path).uri !== text)
      throw new Error('an ID is not made of its parts');
    // Another reader of URIs must see the same, or one of us is fooled.
    const url = new URL(text);
    if (url.host !== id.trustDomain || url.pathname !== id.path || url.search + url.hash + url.username !== '')
      throw new Error('another parser reads another ID');
  }
  const trustDomain = orRefused(() => parseTrustDomain(text));
  if (trustDomain !== undefined && orRefused(() => parseSpiffeId(`spiffe://${text}`)) === undefined)
    throw new Error('a trust domain is no ID');
  const selector = parseSelector(text);
  if (selector === undefined) return;
  if (formatSelector(selector) !== text || selector.type.includes(':') || selector.type === '' || selector.value === '')
    throw new Error('a selector is not what was read');
}

function orRefused<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof IdentityError)) throw error;
    return undefined;
  }
}

export const seeds: readonly Uint8Array[] = [
  'spiffe://example.org/ns/shop/web',
  'spiffe://a',
  'example.org',
  'unix:uid:1000',
  'spiffe://example.org/a/../b',
  'spiffe://user@example.org:80/a?b#c',
  'SPIFFE://Example.org/%2e%2e/',
].map((text) => Buffer.from(text));

export const tokens = [
  'spiffe://',
  '/',
  '..',
  '.',
  '%2e',
  '%',
  '@',
  ':',
  '?',
  '#',
  '\\',
  '\u0000',
  '\u212a',
  'xn--',
  '//',
];
