import { constants, type KeyObject, sign, verify } from 'node:crypto';
import type { KeyType, SigningAlgorithm } from '../../model/index.ts';
import { JoseError } from './errors.ts';

/** True for the names of {@link SigningAlgorithm}; `none`, HMAC and EdDSA are not among them. @see JWT-SVID §2.1 */
export function isSigningAlgorithm(name: unknown): name is SigningAlgorithm {
  return typeof name === 'string' && Object.hasOwn(algorithms, name);
}

/** The algorithm that keys of a type sign tokens with. */
export function algorithmForKeyType(type: KeyType): SigningAlgorithm {
  return type === 'ec-p256' ? 'ES256' : type === 'ec-p384' ? 'ES384' : 'RS256';
}

/** True when the key may be used with the algorithm: its kind, its curve, and for RSA its size. */
export function keyFits(algorithm: SigningAlgorithm, key: KeyObject): boolean {
  const wanted = algorithms[algorithm];
  if (key.asymmetricKeyType !== wanted.keyType) return false;
  const details = key.asymmetricKeyDetails;
  if (wanted.keyType === 'ec') return details?.namedCurve === wanted.curve;
  const bits = details?.modulusLength ?? 0;
  return bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX;
}

/** Signs the input as JWS wants it: ECDSA as r‖s, PSS with a salt as long as the hash. @throws JoseError ERR_JWT_KEY */
export function signJws(algorithm: SigningAlgorithm, key: KeyObject, input: Buffer): Buffer {
  if (!keyFits(algorithm, key)) throw new JoseError('ERR_JWT_KEY', `the key does not fit ${algorithm}`);
  return sign(algorithms[algorithm].hash, input, { key, ...options(algorithm) });
}

/** True when the signature is the key's over the input; false also when the key does not fit the algorithm. */
export function verifyJws(
  algorithm: SigningAlgorithm,
  jws: { readonly key: KeyObject; readonly input: Buffer; readonly signature: Buffer },
): boolean {
  if (!keyFits(algorithm, jws.key)) return false;
  return verify(algorithms[algorithm].hash, jws.input, { key: jws.key, ...options(algorithm) }, jws.signature);
}

/** What node:crypto needs beside the key: our signing functions take it with the hash. */
export function signingParameters(algorithm: SigningAlgorithm): {
  hash: string;
  dsaEncoding?: 'ieee-p1363';
  padding?: number;
  saltLength?: number;
} {
  return { hash: algorithms[algorithm].hash, ...options(algorithm) };
}

function options(algorithm: SigningAlgorithm): { dsaEncoding?: 'ieee-p1363'; padding?: number; saltLength?: number } {
  if (algorithm.startsWith('ES')) return { dsaEncoding: 'ieee-p1363' };
  if (!algorithm.startsWith('PS')) return { padding: constants.RSA_PKCS1_PADDING };
  return { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
}

const algorithms = {
  ES256: { keyType: 'ec', curve: 'prime256v1', hash: 'sha256' },
  ES384: { keyType: 'ec', curve: 'secp384r1', hash: 'sha384' },
  ES512: { keyType: 'ec', curve: 'secp521r1', hash: 'sha512' },
  RS256: { keyType: 'rsa', hash: 'sha256' },
  RS384: { keyType: 'rsa', hash: 'sha384' },
  RS512: { keyType: 'rsa', hash: 'sha512' },
  PS256: { keyType: 'rsa', hash: 'sha256' },
  PS384: { keyType: 'rsa', hash: 'sha384' },
  PS512: { keyType: 'rsa', hash: 'sha512' },
} as const satisfies Record<SigningAlgorithm, { keyType: string; hash: string; curve?: string }>;

const RSA_BITS_MIN = 2048;
/** Above it one verification takes milliseconds. */
const RSA_BITS_MAX = 8192;
