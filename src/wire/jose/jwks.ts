import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import type { JwtAuthority } from '../../model/index.ts';
import { parsePublicKeyInfo, X509Error } from '../x509/index.ts';
import { isSigningAlgorithm, keyFits } from './algorithms.ts';
import { JoseError } from './errors.ts';
import { parseStrictObject } from './strict-json.ts';

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
 * specification wants; keys without `use` count, because SPIRE serves them so. A key that contradicts itself, or that anyone could sign with,
 * refuses the whole set: nobody can say what its publisher meant. Expiry is unknown: 0.
 * @throws JoseError ERR_JWKS
 */
export function parseJwks(bytes: Buffer): JwtAuthority[] {
  if (bytes.length > JWKS_BYTES_MAX) throw new JoseError('ERR_JWKS', `a key set has at most ${JWKS_BYTES_MAX} bytes`);
  const { keys } = parseStrictObject(bytes, { code: 'ERR_JWKS', what: 'the key set' });
  if (!Array.isArray(keys)) throw new JoseError('ERR_JWKS', 'the key set has no keys list');
  if (keys.length > KEYS_MAX) throw new JoseError('ERR_JWKS', `a key set has at most ${KEYS_MAX} keys`);
  const authorities: JwtAuthority[] = [];
  const seen = new Set<string>();
  for (const jwk of keys) {
    if (!isObject(jwk)) throw new JoseError('ERR_JWKS', 'a key of the set is not an object');
    const use = jwk['use'];
    if (use !== undefined && typeof use !== 'string')
      throw new JoseError('ERR_JWKS', 'a key of the set has a use that is no text');
    if (use !== undefined && use !== 'jwt-svid') continue;
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

/**
 * The PKIX DER of a public JWK that may verify tokens. Refused: a private member, as it should never have been sent; members of another key
 * type; an `alg` or `key_ops` that say otherwise than the key; numbers that are not written in their one form; weak keys.
 * @throws JoseError ERR_JWKS
 * @see RFC 7517 §4, RFC 7518 §6
 */
export function jwkToPublicKey(jwk: Readonly<Record<string, unknown>>): Buffer {
  const { kty, crv } = jwk;
  if (kty !== 'EC' && kty !== 'RSA') throw new JoseError('ERR_JWKS', 'a key is of type EC or RSA');
  if (PRIVATE_MEMBERS.some((name) => jwk[name] !== undefined))
    throw new JoseError('ERR_JWKS', 'the key set holds a private key');
  if ((kty === 'EC' ? RSA_MEMBERS : EC_MEMBERS).some((name) => jwk[name] !== undefined))
    throw new JoseError('ERR_JWKS', `an ${kty} key holds parameters of another type`);
  const key = load(() => createPublicKey({ key: kty === 'EC' ? ecMembers(jwk, crv) : rsaMembers(jwk), format: 'jwk' }));
  const der = key.export({ format: 'der', type: 'spki' });
  try {
    parsePublicKeyInfo(der);
  } catch (cause) {
    if (cause instanceof X509Error) throw new JoseError('ERR_JWKS', cause.message, { cause });
    throw cause;
  }
  checkPurpose(jwk, key);
  return der;
}

/** What a key says of its use must fit the key, and be verifying. */
function checkPurpose({ alg, key_ops: operations }: Readonly<Record<string, unknown>>, key: KeyObject): void {
  if (alg !== undefined && !(isSigningAlgorithm(alg) && keyFits(alg, key)))
    throw new JoseError('ERR_JWKS', 'a key of the set names an algorithm that it does not fit');
  if (operations === undefined) return;
  if (
    !Array.isArray(operations) ||
    !operations.includes('verify') ||
    !operations.every((operation) => operation === 'verify' || operation === 'sign') ||
    new Set(operations).size !== operations.length
  ) {
    throw new JoseError('ERR_JWKS', 'the key_ops of a key of the set are others than to verify');
  }
}

function ecMembers(jwk: Readonly<Record<string, unknown>>, crv: unknown): JsonWebKey {
  const coordinateBytes = typeof crv === 'string' ? COORDINATE_BYTES.get(crv) : undefined;
  if (coordinateBytes === undefined || typeof crv !== 'string')
    throw new JoseError('ERR_JWKS', 'an EC key is on P-256, P-384 or P-521');
  const [x, y] = [number(jwk, 'x'), number(jwk, 'y')];
  // RFC 7518 §6.2.1.2: as long as the curve's field, zeros in front included.
  if (x.length !== coordinateBytes || y.length !== coordinateBytes)
    throw new JoseError('ERR_JWKS', `a coordinate on ${crv} has ${coordinateBytes} bytes`);
  return { kty: 'EC', crv, x: x.toString('base64url'), y: y.toString('base64url') };
}

function rsaMembers(jwk: Readonly<Record<string, unknown>>): JsonWebKey {
  const [n, e] = [number(jwk, 'n'), number(jwk, 'e')];
  // RFC 7518 §2, Base64urlUInt: as few bytes as the number takes.
  if ((n[0] ?? 0) === 0 || (e[0] ?? 0) === 0)
    throw new JoseError('ERR_JWKS', 'a number of an RSA key is empty or begins with zeros');
  return { kty: 'RSA', n: n.toString('base64url'), e: e.toString('base64url') };
}

/** The bytes of a member in base64url, which has one canonical form. */
function number(jwk: Readonly<Record<string, unknown>>, name: string): Buffer {
  const text = jwk[name];
  if (typeof text !== 'string') throw new JoseError('ERR_JWKS', 'a key of the set lacks a public parameter');
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.toString('base64url') !== text) throw new JoseError('ERR_JWKS', `${name} of a key is not base64url`);
  return bytes;
}

function load(create: () => KeyObject): KeyObject {
  try {
    return create();
  } catch (cause) {
    if (cause instanceof JoseError) throw cause;
    throw new JoseError('ERR_JWKS', 'a public key does not load', { cause });
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const EC_MEMBERS = ['crv', 'x', 'y'] as const;
const RSA_MEMBERS = ['n', 'e'] as const;
/** RFC 7518 §6.2.2, §6.3.2, §6.4. */
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'] as const;
const COORDINATE_BYTES: ReadonlyMap<string, number> = new Map([
  ['P-256', 32],
  ['P-384', 48],
  ['P-521', 66],
]);
/** A hundred servers with three keys each stay well below. */
const JWKS_BYTES_MAX = 1024 * 1024;
const KEYS_MAX = 1024;
