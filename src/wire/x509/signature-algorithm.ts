import { type KeyObject, sign, verify } from 'node:crypto';
import { DerReader, TAG } from './der-reader.ts';
import { encodeElement, encodeOid, encodeSequence } from './der-writer.ts';
import { X509Error } from './errors.ts';
import { OID } from './oids.ts';
import type { PublicKeyKind } from './public-key.ts';

/** The signature algorithms that a certificate may carry here: the allow-list. No SHA-1, no MD5, no DSA, no RSA-PSS. */
export type SignatureAlgorithm =
  | 'ecdsa-sha256'
  | 'ecdsa-sha384'
  | 'ecdsa-sha512'
  | 'rsa-sha256'
  | 'rsa-sha384'
  | 'rsa-sha512'
  | 'ed25519';

/** Reads an AlgorithmIdentifier element; undefined when it is not on the allow-list or its parameters are not the prescribed ones. */
export function parseSignatureAlgorithm(element: Buffer): SignatureAlgorithm | undefined {
  const reader = new DerReader(element).enter(TAG.sequence);
  const oid = reader.oid();
  const parameters = reader.done ? undefined : reader.element();
  reader.finish();
  for (const [name, entry] of entries) {
    if (entry.oid !== oid) continue;
    // RFC 4055 §5: NULL for RSA; RFC 5758 §3.2 and RFC 8410 §3: absent for the others.
    const asPrescribed =
      entry.keyType === 'rsa' ? parameters?.length === 2 && parameters[0] === TAG.null : parameters === undefined;
    return asPrescribed ? name : undefined;
  }
  return undefined;
}

/** The AlgorithmIdentifier element of an algorithm. */
export function encodeSignatureAlgorithm(algorithm: SignatureAlgorithm): Buffer {
  const { oid, keyType } = algorithms[algorithm];
  return keyType === 'rsa' ? encodeSequence(encodeOid(oid), encodeElement(TAG.null)) : encodeSequence(encodeOid(oid));
}

/** The algorithm that a key signs certificates with: SHA-2 as strong as the curve. */
export function algorithmForKey(kind: PublicKeyKind): SignatureAlgorithm {
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
  algorithm: SignatureAlgorithm,
  options: {
    readonly key: KeyObject;
    readonly kind?: PublicKeyKind;
    readonly data: Buffer;
    readonly signature: Buffer;
  },
): boolean {
  const { hash, keyType } = algorithms[algorithm];
  if ((options.kind?.type ?? options.key.asymmetricKeyType) !== keyType) return false;
  try {
    return verify(hash, options.data, options.key, options.signature);
  } catch (cause) {
    // OpenSSL throws, rather than answers, on some malformed signatures; a caller must see a code it knows.
    throw new X509Error('ERR_PUBLIC_KEY', 'the signature could not be checked with that key', { cause });
  }
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

// Object.entries forgets the key's union; the keys are exactly those of the table above.
const entries = Object.entries(algorithms) as [SignatureAlgorithm, (typeof algorithms)[SignatureAlgorithm]][];
