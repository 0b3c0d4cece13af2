import { createPublicKey, type KeyObject } from 'node:crypto';
import { OID } from '../der/oids.ts';
import { DerReader, readWhole, TAG } from '../der/reader.ts';
import { X509Error } from '../errors.ts';
import { type CurveName, isOnCurve, isSmallOrderEd25519 } from './curve-points.ts';

/** What kind a public key is; RSA with its modulus length in bits. */
export type PublicKeyKind =
  | { readonly type: 'ec'; readonly curve: CurveName }
  | { readonly type: 'rsa'; readonly bits: number }
  /** An RSA key that signs by PSS only. */
  | { readonly type: 'rsa-pss'; readonly bits: number }
  | { readonly type: 'ed25519' };

/** A parsed SubjectPublicKeyInfo. */
export interface PublicKeyInfo {
  readonly kind: PublicKeyKind;
  /** The content of the subjectPublicKey bit string: what key identifiers are hashed from. */
  readonly keyBits: Buffer;
}

/**
 * Reads a SubjectPublicKeyInfo and refuses what no path here may use: explicit curve parameters, compressed points, points off their curve or
 * of small order, RSA below 2048 or above 8192 bits (verification time grows with the size), even RSA moduli, RSA exponents that are even, 1
 * or over 33 bits.
 * @throws X509Error ERR_PUBLIC_KEY or ERR_DER
 * @see RFC 5480 §2, RFC 4055 §1.2, RFC 8017 §A.1.1, RFC 8410 §4
 */
export function parsePublicKeyInfo(spkiDer: Buffer): PublicKeyInfo {
  const reader = readWhole(spkiDer, TAG.sequence);
  const algorithm = reader.enter(TAG.sequence);
  const oid = algorithm.oid();
  const kindOf = readersByOid[oid];
  if (!kindOf) throw new X509Error('ERR_PUBLIC_KEY', `public key algorithm ${oid} is not allowed`);
  const parameters = algorithm.done ? undefined : algorithm.element();
  algorithm.finish();
  const keyBits = reader.bitStringBytes();
  reader.finish();
  return { kind: kindOf(parameters, keyBits), keyBits };
}

/** A key that may be certified. Only {@link parseSubjectKey} makes one. */
export interface SubjectKey {
  /** PKIX DER. */
  readonly spkiDer: Buffer;
  readonly info: PublicKeyInfo;
  readonly key: KeyObject;
  readonly [checked]: true;
}

/**
 * Parses a subject's public key that is to be certified: EC on P-256 or P-384, RSA of 2048 to 8192 bits with exponent ≥ 65537.
 * The key is loaded, so a point off its curve is refused here.
 * @throws X509Error ERR_PUBLIC_KEY or ERR_DER
 */
export function parseSubjectKey(spkiDer: Buffer): SubjectKey {
  const info = parsePublicKeyInfo(spkiDer);
  if (
    info.kind.type === 'ed25519' ||
    info.kind.type === 'rsa-pss' ||
    (info.kind.type === 'ec' && info.kind.curve === 'P-521')
  ) {
    throw new X509Error('ERR_PUBLIC_KEY', 'a workload key is EC on P-256 or P-384, or RSA');
  }
  if (info.kind.type === 'rsa' && rsaExponent(info.keyBits) < RSA_EXPONENT_ISSUE_MIN) {
    throw new X509Error('ERR_PUBLIC_KEY', `an RSA exponent must be at least ${RSA_EXPONENT_ISSUE_MIN}`);
  }
  return { spkiDer, info, key: loadPublicKey(spkiDer), [checked]: true };
}

/**
 * Loads a SubjectPublicKeyInfo as a key for node:crypto.
 * @throws X509Error ERR_PUBLIC_KEY
 */
export function loadPublicKey(spkiDer: Buffer): KeyObject {
  try {
    // As PEM text, since node:crypto loads that in a third of the time that it takes for DER in an object of options.
    return createPublicKey(`-----BEGIN PUBLIC KEY-----\n${spkiDer.toString('base64')}\n-----END PUBLIC KEY-----\n`);
  } catch (cause) {
    throw new X509Error('ERR_PUBLIC_KEY', 'the public key does not load: not a point of its curve, or a bad modulus', {
      cause,
    });
  }
}

/** Not exported: what carries it was made here. */
const checked = Symbol('checked subject key');

const readersByOid: Readonly<
  Record<string, (parameters: Buffer | undefined, keyBits: Buffer) => PublicKeyInfo['kind']>
> = {
  [OID.ecPublicKey]: readEc,
  [OID.rsaEncryption](parameters, keyBits) {
    if (parameters?.length !== 2 || parameters[0] !== TAG.null) {
      throw new X509Error('ERR_PUBLIC_KEY', 'RSA parameters must be NULL');
    }
    return { type: 'rsa', bits: rsaBits(keyBits) };
  },
  // Its parameters, if any, say which hashes it signs with: OpenSSL holds signatures to them when it loads the key.
  [OID.rsaPss]: (_parameters, keyBits) => ({ type: 'rsa-pss', bits: rsaBits(keyBits) }),
  [OID.ed25519](parameters, keyBits) {
    if (parameters || keyBits.length !== 32) throw new X509Error('ERR_PUBLIC_KEY', 'malformed Ed25519 public key');
    if (isSmallOrderEd25519(keyBits))
      throw new X509Error('ERR_PUBLIC_KEY', 'an Ed25519 key can not be a point of small order');
    return { type: 'ed25519' };
  },
};

function readEc(parameters: Buffer | undefined, keyBits: Buffer): PublicKeyKind {
  if (parameters?.[0] !== TAG.oid) throw new X509Error('ERR_PUBLIC_KEY', 'an EC key must name its curve');
  const curve = curves[new DerReader(parameters).oid()];
  if (!curve) throw new X509Error('ERR_PUBLIC_KEY', 'an EC key must be on P-256, P-384 or P-521');
  if (keyBits.length !== 1 + 2 * curve.coordinateBytes || keyBits[0] !== 0x04) {
    throw new X509Error('ERR_PUBLIC_KEY', `a ${curve.name} point must be uncompressed`);
  }
  if (!isOnCurve(curve.name, keyBits.subarray(1)))
    throw new X509Error('ERR_PUBLIC_KEY', `the point of a ${curve.name} key is not on its curve`);
  return { type: 'ec', curve: curve.name };
}

/** The size of a modulus, once it and the exponent are found to be sound. */
function rsaBits(keyBits: Buffer): number {
  const reader = readWhole(keyBits, TAG.sequence);
  const modulus = reader.integerBytes();
  const exponent = reader.integerBytes();
  reader.finish();
  const first = modulus[0] ?? 0xff;
  if (((modulus.at(-1) ?? 0) & 1) === 0) throw new X509Error('ERR_PUBLIC_KEY', 'an RSA modulus can not be even');
  if (first >= 0x80) throw new X509Error('ERR_PUBLIC_KEY', 'an RSA modulus can not be negative');
  const bits = first === 0 ? (modulus.length - 1) * 8 : modulus.length * 8 - (Math.clz32(first) - 24);
  if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX) {
    throw new X509Error('ERR_PUBLIC_KEY', `RSA keys have ${RSA_BITS_MIN} to ${RSA_BITS_MAX} bits, this one ${bits}`);
  }
  const oddExponent = ((exponent.at(-1) ?? 0) & 1) === 1;
  if (
    exponent.length > RSA_EXPONENT_BYTES_MAX ||
    (exponent[0] ?? 0x80) >= 0x80 ||
    !oddExponent ||
    rsaExponent(keyBits) < 3
  ) {
    throw new X509Error('ERR_PUBLIC_KEY', 'an RSA exponent must be odd, at least 3 and of at most 33 bits');
  }
  return bits;
}

function rsaExponent(keyBits: Buffer): number {
  const reader = readWhole(keyBits, TAG.sequence);
  reader.integerBytes();
  const exponent = reader.integerBytes();
  return exponent.readUIntBE(0, Math.min(exponent.length, 6));
}

const curves: Readonly<Record<string, { readonly name: CurveName; readonly coordinateBytes: number }>> = {
  [OID.p256]: { name: 'P-256', coordinateBytes: 32 },
  [OID.p384]: { name: 'P-384', coordinateBytes: 48 },
  [OID.p521]: { name: 'P-521', coordinateBytes: 66 },
};
const RSA_BITS_MIN = 2048;
/** Above it one verification takes milliseconds: a denial-of-service lever. */
const RSA_BITS_MAX = 8192;
const RSA_EXPONENT_BYTES_MAX = 5;
const RSA_EXPONENT_ISSUE_MIN = 65_537;
