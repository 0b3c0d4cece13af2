import { contextTag, DerReader, readWhole, TAG } from '../der/reader.ts';
import { X509Error } from '../errors.ts';
import { type GeneralNames, readGeneralNames } from '../names/general-names.ts';

/** Bits of the keyUsage extension, by position. @see RFC 5280 §4.2.1.3 */
export type KeyUsage = (typeof KEY_USAGES)[number];

export const KEY_USAGES = [
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
  'encipherOnly',
  'decipherOnly',
] as const;

export interface BasicConstraints {
  readonly ca: boolean;
  /** Most intermediate certificates that may follow; undefined = no limit. Means nothing without `ca`. */
  readonly pathLength: number | undefined;
}

export interface NameConstraints {
  readonly permitted: GeneralNames | undefined;
  readonly excluded: GeneralNames | undefined;
}

/** @see RFC 5280 §4.2.1.9 */
export function parseBasicConstraints(value: Buffer): BasicConstraints {
  const reader = readWhole(value, TAG.sequence);
  // An explicit FALSE is not DER for a default, but it is common and can only mean one thing.
  const ca = reader.peek() === TAG.boolean ? reader.boolean() : false;
  const pathLength = reader.peek() === TAG.integer ? reader.integer() : undefined;
  reader.finish();
  return { ca, pathLength };
}

/** @see RFC 5280 §4.2.1.3 */
export function parseKeyUsage(value: Buffer): ReadonlySet<KeyUsage> {
  const outer = new DerReader(value);
  const content = outer.content(TAG.bitString);
  outer.finish();
  const [unused = 8, ...bytes] = content;
  const last = bytes.at(-1) ?? 0;
  // DER §11.2.2: trailing zero bits are dropped, so the last used bit is set; an empty usage would mean nothing is allowed.
  if (
    bytes.length === 0 ||
    bytes.length > 2 ||
    unused > 7 ||
    ((bytes[1] ?? 0) & 0x7f) !== 0 ||
    (last & ((1 << unused) - 1)) !== 0 ||
    ((last >> unused) & 1) === 0
  ) {
    throw new X509Error(
      'ERR_CERTIFICATE',
      'keyUsage is empty, not a minimal bit string, or has bits without a meaning',
    );
  }
  const usages = KEY_USAGES.filter((_, bit) => (((bytes[bit >> 3] ?? 0) << (bit & 7)) & 0x80) !== 0);
  return new Set(usages);
}

/** @see RFC 5280 §4.2.1.12 */
export function parseExtendedKeyUsage(value: Buffer): readonly string[] {
  const reader = readWhole(value, TAG.sequence);
  const oids: string[] = [];
  while (!reader.done) {
    if (oids.length >= PURPOSES_MAX) throw new X509Error('ERR_CERTIFICATE', 'extendedKeyUsage holds too many purposes');
    oids.push(reader.oid());
  }
  if (oids.length === 0) throw new X509Error('ERR_CERTIFICATE', 'extendedKeyUsage is empty');
  return oids;
}

/** @see RFC 5280 §4.2.1.2 */
export function parseSubjectKeyId(value: Buffer): Buffer {
  const reader = new DerReader(value);
  const id = reader.content(TAG.octetString);
  reader.finish();
  if (id.length === 0) throw new X509Error('ERR_CERTIFICATE', 'subjectKeyIdentifier is empty');
  return id;
}

export interface AuthorityKeyId {
  readonly keyId: Buffer | undefined;
  /** True when issuer and serial number are given too. */
  readonly namesIssuer: boolean;
}

/** @see RFC 5280 §4.2.1.1 */
export function parseAuthorityKeyId(value: Buffer): AuthorityKeyId {
  const reader = readWhole(value, TAG.sequence);
  const keyId = reader.contentOptional(contextTag(0, false));
  const issuer = reader.contentOptional(contextTag(1, true));
  const serial = reader.contentOptional(contextTag(2, false));
  reader.finish();
  return { keyId, namesIssuer: issuer !== undefined || serial !== undefined };
}

/** @see RFC 5280 §4.2.1.6 */
export function parseSubjectAltName(value: Buffer): GeneralNames {
  if (value[0] === TAG.sequence && value[1] === 0) throw new X509Error('ERR_CERTIFICATE', 'subjectAltName is empty');
  return readGeneralNames(readWhole(value, TAG.sequence), 'subjectAltName');
}

/** @see RFC 5280 §4.2.1.10 */
export function parseNameConstraints(value: Buffer): NameConstraints {
  const reader = readWhole(value, TAG.sequence);
  const permitted = readSubtrees(reader.enterOptional(contextTag(0, true)));
  const excluded = readSubtrees(reader.enterOptional(contextTag(1, true)));
  reader.finish();
  if (!permitted && !excluded) throw new X509Error('ERR_CERTIFICATE', 'nameConstraints is empty');
  return { permitted, excluded };
}

function readSubtrees(reader: DerReader | undefined): GeneralNames | undefined {
  if (!reader) return undefined;
  const bases: Buffer[] = [];
  while (!reader.done) {
    const subtree = reader.enter(TAG.sequence);
    bases.push(subtree.element());
    // RFC 5280: minimum must be 0 (so it is left out) and maximum absent.
    subtree.finish();
  }
  if (bases.length === 0) throw new X509Error('ERR_CERTIFICATE', 'nameConstraints holds an empty list');
  return readGeneralNames(new DerReader(Buffer.concat(bases)), 'nameConstraints');
}

const PURPOSES_MAX = 64;
