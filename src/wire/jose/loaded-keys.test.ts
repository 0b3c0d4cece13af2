import { generateKeyPairSync } from 'node:crypto';
import { parseTrustDomain } from '@countersign/sdk/identity';
import { describe, expect, it } from 'vitest';
import type { JwtAuthority } from '../../model/index.ts';
import { signJwt } from './jwt.ts';
import { createVerifiedTokenCache } from './verified-token-cache.ts';
import { verifyJwtSvid } from './verify-jwt-svid.ts';

// Goal: keys are loaded once and tokens verified once, and neither ever outlives the key that the bundle holds at this moment.

const NOW_MS = 1_800_000_000_000;
const trustDomain = parseTrustDomain('example.org');
const [first, second] = [0, 1].map(() => generateKeyPairSync('ec', { namedCurve: 'P-256' }));
if (!first || !second) throw new Error('two keys were made');
const derOf = (pair: typeof first) => pair.publicKey.export({ format: 'der', type: 'spki' });
const claims = { sub: 'spiffe://example.org/web', aud: ['db'], exp: NOW_MS / 1000 + 60 };
const token = signJwt({ algorithm: 'ES256', keyId: 'k', key: first.privateKey, claims });
const authorityOf = (pair: typeof first): JwtAuthority => ({
  ...{ keyId: 'k', publicKeyDer: derOf(pair), expiresAtS: 0, tainted: false },
});
const requestFor = (authority: JwtAuthority | undefined) => ({
  ...{ token, audience: 'db', nowMs: NOW_MS },
  authorities: (name: string) => (name === trustDomain && authority ? [authority] : []),
});

describe.each([
  { name: 'verifying', create: () => verifyJwtSvid },
  { name: 'the cache of verified tokens', create: () => createVerifiedTokenCache({ entriesMax: 10 }).verify },
])('$name', ({ create }) => {
  it('takes the key of the authority, the first time and again', () => {
    const verify = create();
    const authority = authorityOf(first);
    for (let count = 0; count < 3; count++) expect(verify(requestFor(authority)).ok).toBe(true);
    expect(verify(requestFor(authorityOf(first))).ok).toBe(true);
  });

  it('refuses as soon as another key has that name, or none has', () => {
    const verify = create();
    expect(verify(requestFor(authorityOf(first))).ok).toBe(true);
    expect(verify(requestFor(authorityOf(second)))).toEqual({ ok: false, reason: 'bad-signature' });
    expect(verify(requestFor(authorityOf(first))).ok).toBe(true);
    expect(verify(requestFor(undefined))).toEqual({ ok: false, reason: 'unknown-key' });
  });
});

describe('a loaded key', () => {
  it('is loaded again when the bytes of its authority have become others', () => {
    const authority = authorityOf(first);
    expect(verifyJwtSvid(requestFor(authority)).ok).toBe(true);
    derOf(second).copy(authority.publicKeyDer);
    expect(verifyJwtSvid(requestFor(authority))).toEqual({ ok: false, reason: 'bad-signature' });
  });
});
