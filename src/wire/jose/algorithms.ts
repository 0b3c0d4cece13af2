import { constants, type KeyObject, sign, verify } from 'node:crypto';
import type { KeyType, SigningAlgorithm } from '../../model/index.ts';
import { derSignature, joinedSignature } from './ecdsa-signature.ts';
import { JoseError } from './errors.ts';

/** True for the names of {@link SigningAlgorithm}; `none`, HMAC and EdDSA are not among them. @see JWT-SVID §2.1 */
export function isSigningAlgorithm(name: unknown): name is SigningAlgorithm {
  return typeof name === 'string' && Object.hasOwn(algorithms, name);
}

/** The algorithm that keys of a type sign tokens with. */
export function algorithmForKeyType(type: KeyType): SigningAlgorithm {
  return type === 'ec-p256' ? 'ES256' : type === 'ec-p384' ? 'ES384' : 'RS256';
}

/**
 * True when the key may be used with the algorithm: its kind, its curve, and for RSA its size and exponent. With an exponent of 1 the padded
 * hash is its own signature: anyone could sign.
 */
export function keyFits(algorithm: SigningAlgorithm, key: KeyObject): boolean {
  const wanted = algorithms[algorithm];
  if (key.asymmetricKeyType !== wanted.keyType) return false;
  const details = key.asymmetricKeyDetails;
  if (wanted.keyType === 'ec') return details?.namedCurve === wanted.curve;
  const bits = details?.modulusLength ?? 0;
  const exponent = details?.publicExponent ?? 0n;
  return (
    bits >= RSA_BITS_MIN &&
    bits <= RSA_BITS_MAX &&
    (exponent & 1n) === 1n &&
    exponent >= RSA_EXPONENT_MIN &&
    exponent < RSA_EXPONENT_END
  );
}

/** Signs the input as JWS wants it: ECDSA as r‖s, PSS with a salt as long as the hash. @throws JoseError ERR_JWT_KEY */
export function signJws(algorithm: SigningAlgorithm, key: KeyObject, input: Buffer): Buffer {
  if (!keyFits(algorithm, key)) throw new JoseError('ERR_JWT_KEY', `the key does not fit ${algorithm}`);
  const wanted = algorithms[algorithm];
  // The key by itself: wrapped into an object with options the same key costs twenty microseconds more.
  if (wanted.keyType === 'ec') return joinedSignature(sign(wanted.hash, input, key), wanted.orderBytes);
  return sign(wanted.hash, input, algorithm.startsWith('PS') ? { key, ...PSS } : key);
}

/** True when the signature is the key's over the input. The key must be one that {@link keyFits}. */
export function verifyFitting(
  algorithm: SigningAlgorithm,
  jws: { readonly key: KeyObject; readonly input: Buffer; readonly signature: Buffer },
): boolean {
  const wanted = algorithms[algorithm];
  if (wanted.keyType === 'ec') {
    const signature = derSignature(jws.signature, wanted.orderBytes);
    return signature !== undefined && verify(wanted.hash, jws.input, jws.key, signature);
  }
  const key = algorithm.startsWith('PS') ? { key: jws.key, ...PSS } : jws.key;
  return verify(wanted.hash, jws.input, key, jws.signature);
}

const algorithms = {
  ES256: { keyType: 'ec', curve: 'prime256v1', hash: 'sha256', orderBytes: 32 },
  ES384: { keyType: 'ec', curve: 'secp384r1', hash: 'sha384', orderBytes: 48 },
  ES512: { keyType: 'ec', curve: 'secp521r1', hash: 'sha512', orderBytes: 66 },
  RS256: { keyType: 'rsa', hash: 'sha256' },
  RS384: { keyType: 'rsa', hash: 'sha384' },
  RS512: { keyType: 'rsa', hash: 'sha512' },
  PS256: { keyType: 'rsa', hash: 'sha256' },
  PS384: { keyType: 'rsa', hash: 'sha384' },
  PS512: { keyType: 'rsa', hash: 'sha512' },
} as const satisfies Record<SigningAlgorithm, { keyType: string; hash: string; curve?: string; orderBytes?: number }>;

const PSS = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
const RSA_BITS_MIN = 2048;
/** Above it one verification takes milliseconds. */
const RSA_BITS_MAX = 8192;
/** As for certificates: odd, no less than this, and of at most 33 bits. */
const RSA_EXPONENT_MIN = 3n;
const RSA_EXPONENT_END = 1n << 33n;
