import { constants, type KeyObject, sign, verify } from 'node:crypto';
import { OID } from '../der/oids.ts';
import { contextTag, DerReader, TAG } from '../der/reader.ts';
import { encodeElement, encodeOid, encodeSequence } from '../der/writer.ts';
import { X509Error } from '../errors.ts';
import type { PublicKeyKind } from './public-key.ts';

/** The signature algorithms that we sign with and that an SVID may carry: the allow-list. No SHA-1, no MD5, no DSA. */
export type SignatureAlgorithm =
  | 'ecdsa-sha256'
  | 'ecdsa-sha384'
  | 'ecdsa-sha512'
  | 'rsa-sha256'
  | 'rsa-sha384'
  | 'rsa-sha512'
  | 'ed25519';

/** RSA-PSS, which certificates of other PKIs may carry: MGF1 of the same hash, a salt of any length. */
export type PssAlgorithm = 'rsa-pss-sha256' | 'rsa-pss-sha384' | 'rsa-pss-sha512';

/** Reads an AlgorithmIdentifier element; undefined when it is not on the allow-list or its parameters are not the prescribed ones. */
export function parseSignatureAlgorithm(element: Buffer): SignatureAlgorithm | undefined {
  const { oid, parameters } = readIdentifier(new DerReader(element));
  for (const [name, entry] of entries) {
    if (entry.oid !== oid) continue;
    // RFC 4055 §5: NULL for RSA; RFC 5758 §3.2 and RFC 8410 §3: absent for the others.
    const asPrescribed = entry.keyType === 'rsa' ? isNull(parameters) : parameters === undefined;
    return asPrescribed ? name : undefined;
  }
  return undefined;
}

/**
 * As {@link parseSignatureAlgorithm}, for RSA-PSS with one hash for message and mask. OpenSSL writes the longest salt that fits when nobody tells
 * it another; no length is weak.
 * @see RFC 4055 §3.1
 */
export function parsePssAlgorithm(element: Buffer): PssAlgorithm | undefined {
  const { oid, parameters } = readIdentifier(new DerReader(element));
  // Without parameters the hash would be SHA-1.
  if (oid !== OID.rsaPss || parameters?.[0] !== TAG.sequence) return undefined;
  const reader = new DerReader(parameters).enter(TAG.sequence);
  const hash = readHash(reader.enterOptional(contextTag(0, true)));
  const mask = reader.enterOptional(contextTag(1, true));
  const mgf = mask && readIdentifier(mask);
  reader.enterOptional(contextTag(2, true))?.integer();
  const trailer = reader.enterOptional(contextTag(3, true))?.integer();
  reader.finish();
  const name = hash && PSS_BY_HASH.get(hash);
  if (!name || mgf?.oid !== OID.mgf1 || !mgf.parameters || (trailer !== undefined && trailer !== 1)) return undefined;
  return readHash(new DerReader(mgf.parameters)) === hash ? name : undefined;
}

/** The AlgorithmIdentifier element of an algorithm. */
export function encodeSignatureAlgorithm(algorithm: SignatureAlgorithm): Buffer {
  const { oid, keyType } = algorithms[algorithm];
  return keyType === 'rsa' ? encodeSequence(encodeOid(oid), encodeElement(TAG.null)) : encodeSequence(encodeOid(oid));
}

/** The algorithm that a key signs certificates with: SHA-2 as strong as the curve. @throws X509Error ERR_PUBLIC_KEY for one that signs none here */
export function algorithmForKey(kind: PublicKeyKind): SignatureAlgorithm {
  if (kind.type === 'rsa-pss') throw new X509Error('ERR_PUBLIC_KEY', 'an RSA-PSS key signs no certificates here');
  if (kind.type === 'rsa') return 'rsa-sha256';
  if (kind.type === 'ed25519') return 'ed25519';
  return kind.curve === 'P-256' ? 'ecdsa-sha256' : kind.curve === 'P-384' ? 'ecdsa-sha384' : 'ecdsa-sha512';
}

/** Signs with a private key; ECDSA signatures are DER. */
export function signWith(algorithm: SignatureAlgorithm, key: KeyObject, data: Buffer): Buffer {
  return sign(algorithms[algorithm].hash, data, key);
}

/**
 * True when `signature` is the key's over `data`; false also when the key is of another kind than the algorithm's. `kind` is the key's where
 * it is known: asking a key that was just loaded costs microseconds.
 */
export function verifyWith(
  algorithm: SignatureAlgorithm | PssAlgorithm,
  options: {
    readonly key: KeyObject;
    readonly kind?: PublicKeyKind;
    readonly data: Buffer;
    readonly signature: Buffer;
  },
): boolean {
  const { key, data, signature } = options;
  const keyType = options.kind?.type ?? key.asymmetricKeyType;
  try {
    if (isPss(algorithm)) {
      if (keyType !== 'rsa' && keyType !== 'rsa-pss') return false;
      return verify(pssAlgorithms[algorithm], data, { key, ...PSS }, signature);
    }
    return keyType === algorithms[algorithm].keyType && verify(algorithms[algorithm].hash, data, key, signature);
  } catch (cause) {
    // OpenSSL throws, rather than answers, on some malformed signatures; a caller must see a code it knows.
    throw new X509Error('ERR_PUBLIC_KEY', 'the signature could not be checked with that key', { cause });
  }
}

export function isPss(algorithm: SignatureAlgorithm | PssAlgorithm): algorithm is PssAlgorithm {
  return Object.hasOwn(pssAlgorithms, algorithm);
}

/** Reads the AlgorithmIdentifier that is all of what is left. */
function readIdentifier(outer: DerReader): { oid: string; parameters: Buffer | undefined } {
  const reader = outer.enter(TAG.sequence);
  outer.finish();
  const oid = reader.oid();
  const parameters = reader.done ? undefined : reader.element();
  reader.finish();
  return { oid, parameters };
}

/** RFC 4055 §2.1: the parameters of a hash are NULL, or absent. */
function readHash(outer: DerReader | undefined): string | undefined {
  if (!outer) return undefined;
  const { oid, parameters } = readIdentifier(outer);
  return parameters === undefined || isNull(parameters) ? oid : undefined;
}

function isNull(parameters: Buffer | undefined): boolean {
  return parameters?.length === 2 && parameters[0] === TAG.null;
}

const algorithms = {
  'ecdsa-sha256': { oid: OID.ecdsaSha256, keyType: 'ec', hash: 'sha256' },
  'ecdsa-sha384': { oid: OID.ecdsaSha384, keyType: 'ec', hash: 'sha384' },
  'ecdsa-sha512': { oid: OID.ecdsaSha512, keyType: 'ec', hash: 'sha512' },
  'rsa-sha256': { oid: OID.rsaSha256, keyType: 'rsa', hash: 'sha256' },
  'rsa-sha384': { oid: OID.rsaSha384, keyType: 'rsa', hash: 'sha384' },
  'rsa-sha512': { oid: OID.rsaSha512, keyType: 'rsa', hash: 'sha512' },
  ed25519: { oid: OID.ed25519, keyType: 'ed25519', hash: null },
} as const satisfies Record<SignatureAlgorithm, { oid: string; keyType: string; hash: string | null }>;

const pssAlgorithms = {
  'rsa-pss-sha256': 'sha256',
  'rsa-pss-sha384': 'sha384',
  'rsa-pss-sha512': 'sha512',
} as const satisfies Record<PssAlgorithm, string>;
const PSS = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_AUTO };

const PSS_BY_HASH: ReadonlyMap<string, PssAlgorithm> = new Map([
  [OID.sha256, 'rsa-pss-sha256'],
  [OID.sha384, 'rsa-pss-sha384'],
  [OID.sha512, 'rsa-pss-sha512'],
]);

// Object.entries forgets the key's union; the keys are exactly those of the table above.
const entries = Object.entries(algorithms) as [SignatureAlgorithm, (typeof algorithms)[SignatureAlgorithm]][];
