import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import type { JwtAuthority } from '../../model/index.ts';
import { JoseError } from './errors.ts';

/**
 * Encodes signing keys as a JSON Web Key Set, each with `kid` and `use: "jwt-svid"`: the specification's readers want the use, and the
 * others ignore it. Private parts never enter: the input is public keys.
 * @throws JoseError ERR_JWKS for a key that does not load
 * @see SPIFFE Trust Domain and Bundle §4.2
 */
export function encodeJwks(authorities: readonly JwtAuthority[]): Buffer {
  const keys = authorities.map(({ keyId, publicKeyDer }) => ({
    ...publicKeyToJwk(publicKeyDer),
    kid: keyId,
    use: 'jwt-svid',
  }));
  return Buffer.from(JSON.stringify({ keys }), 'utf8');
}

/**
 * Reads the JWT signing keys of a key set (a SPIFFE bundle document or what the Workload API serves). Keys for other uses are skipped, as the
 * specification wants; keys without `use` count, because SPIRE serves them so. Expiry is unknown: 0.
 * @throws JoseError ERR_JWKS
 */
export function parseJwks(bytes: Buffer): JwtAuthority[] {
  if (bytes.length > JWKS_BYTES_MAX) throw new JoseError('ERR_JWKS', `a key set has at most ${JWKS_BYTES_MAX} bytes`);
  let document: unknown;
  try {
    document = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new JoseError('ERR_JWKS', 'the key set is not JSON', { cause });
  }
  if (!isObject(document) || !Array.isArray(document['keys']))
    throw new JoseError('ERR_JWKS', 'the key set has no keys list');
  if (document['keys'].length > KEYS_MAX) throw new JoseError('ERR_JWKS', `a key set has at most ${KEYS_MAX} keys`);
  const authorities: JwtAuthority[] = [];
  const seen = new Set<string>();
  for (const jwk of document['keys']) {
    if (!isObject(jwk)) throw new JoseError('ERR_JWKS', 'a key of the set is not an object');
    if (jwk['use'] !== undefined && jwk['use'] !== 'jwt-svid') continue;
    const keyId = jwk['kid'];
    if (typeof keyId !== 'string' || keyId === '') throw new JoseError('ERR_JWKS', 'a key of the set has no kid');
    // Two keys of one name: which one verifies would depend on the reader.
    if (seen.has(keyId)) throw new JoseError('ERR_JWKS', 'two keys of the set have the same kid');
    seen.add(keyId);
    authorities.push({ keyId, publicKeyDer: jwkToPublicKey(jwk), expiresAtS: 0, tainted: false });
  }
  return authorities;
}

/** The public JWK of a PKIX DER key. @throws JoseError ERR_JWKS */
export function publicKeyToJwk(publicKeyDer: Buffer): JsonWebKey {
  return load(() => createPublicKey({ key: publicKeyDer, format: 'der', type: 'spki' })).export({ format: 'jwk' });
}

/** The PKIX DER of a public JWK; a private member is refused, as it should never have been sent. @throws JoseError ERR_JWKS */
export function jwkToPublicKey(jwk: Readonly<Record<string, unknown>>): Buffer {
  if (jwk['kty'] !== 'EC' && jwk['kty'] !== 'RSA') throw new JoseError('ERR_JWKS', 'a key is of type EC or RSA');
  if (jwk['d'] !== undefined) throw new JoseError('ERR_JWKS', 'the key set holds a private key');
  const { kty, crv, x, y, n, e } = jwk;
  const members = kty === 'EC' ? { kty, crv, x, y } : { kty, n, e };
  if (!Object.values(members).every((value) => typeof value === 'string')) {
    throw new JoseError('ERR_JWKS', 'a key of the set lacks a public parameter');
  }
  // Every member was just found to be text, which is what JsonWebKey wants of these names.
  return load(() => createPublicKey({ key: members as JsonWebKey, format: 'jwk' })).export({
    format: 'der',
    type: 'spki',
  });
}

function load(create: () => KeyObject): KeyObject {
  try {
    return create();
  } catch (cause) {
    throw new JoseError('ERR_JWKS', 'a public key does not load', { cause });
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A hundred servers with three keys each stay well below. */
const JWKS_BYTES_MAX = 1024 * 1024;
const KEYS_MAX = 1024;
