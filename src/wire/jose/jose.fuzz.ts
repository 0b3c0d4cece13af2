import { createPrivateKey, createPublicKey } from 'node:crypto';
import { JoseError } from './errors.ts';
import { encodeJwks, parseJwks } from './jwks.ts';
import { parseJwt, signJwt } from './jwt.ts';
import { createVerifiedTokenCache } from './verified-token-cache.ts';
import { verifyJwtSvid } from './verify-jwt-svid.ts';

const NOW_MS = 1_800_000_000_000;
const key = createPrivateKey({
  key: {
    kty: 'EC',
    crv: 'P-256',
    x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
    y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
    d: 'jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI',
  },
  format: 'jwk',
});
const authorities = [
  {
    keyId: 'k1',
    publicKeyDer: createPublicKey(key).export({ format: 'der', type: 'spki' }),
    expiresAtS: 1_900_000_000,
    tainted: false,
  },
];
const token = signJwt({
  algorithm: 'ES256',
  keyId: 'k1',
  key,
  claims: { sub: 'spiffe://example.org/web', aud: ['db'], exp: NOW_MS / 1000 + 300, iat: NOW_MS / 1000 },
});
const cache = createVerifiedTokenCache({ entriesMax: 8 });

/** Readers refuse with their own error only; nothing but the one signed token verifies, with and without the cache. */
export function fuzz(input: Uint8Array): void {
  const bytes = Buffer.from(input);
  const text = bytes.toString('latin1');
  refusing(() => {
    const parsed = parseJwt(text);
    if (!text.startsWith(`${parsed.signingInput.toString('latin1')}.`))
      throw new Error('the signed part is not of the token');
  });
  refusing(() => {
    const read = parseJwks(bytes);
    const again = parseJwks(encodeJwks(read));
    if (again.length !== read.length) throw new Error('keys were lost');
  });
  const request = { token: text, audience: 'db', authorities: () => authorities, nowMs: NOW_MS };
  const direct = verifyJwtSvid(request);
  if (direct.ok !== cache.verify(request).ok) throw new Error('the cache answers otherwise');
  // An ECDSA signature has a twin (r, n−s): another token with the same claims.
  const signed = token.slice(0, token.lastIndexOf('.'));
  if (direct.ok && !text.startsWith(`${signed}.`)) throw new Error('a token verifies that was never signed');
}

function refusing(work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof JoseError)) throw error;
  }
}

export const seeds: readonly Uint8Array[] = [Buffer.from(token), encodeJwks(authorities), Buffer.from('a.b.c')];

export const tokens = [
  '.',
  'eyJhbGciOiJub25lIn0',
  'eyJhbGciOiJIUzI1NiJ9',
  '{"keys":[',
  '"kty":"',
  '"crv":"',
  '"use":"',
  '"kid":',
  '"n":"',
  '"e":"AQAB"',
  'RSA',
  'P-256',
  '=',
  '-',
  '_',
  'e30',
  token.slice(0, token.indexOf('.')),
];
