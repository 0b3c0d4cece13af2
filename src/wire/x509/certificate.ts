import type { KeyObject } from 'node:crypto';
import { contextTag, DerReader, readWhole, TAG } from './der-reader.ts';
import { checkName } from './distinguished-name.ts';
import { X509Error } from './errors.ts';
import {
  type AuthorityKeyId,
  type BasicConstraints,
  type KeyUsage,
  type NameConstraints,
  parseAuthorityKeyId,
  parseBasicConstraints,
  parseExtendedKeyUsage,
  parseKeyUsage,
  parseNameConstraints,
  parseSubjectAltName,
  parseSubjectKeyId,
} from './extensions.ts';
import { type GeneralNames, NO_NAMES } from './general-names.ts';
import { OID } from './oids.ts';
import { loadPublicKey } from './public-key.ts';
import { parseSignatureAlgorithm, type SignatureAlgorithm } from './signature-algorithm.ts';
import { parseTime } from './time.ts';

/** A parsed X.509 v3 certificate. Buffers are views of `der`. What it says is not yet believed: see the validators. */
export interface Certificate {
  readonly der: Buffer;
  readonly tbsDer: Buffer;
  /** Positive; decimal. */
  readonly serial: string;
  /** Epoch seconds; both ends included. */
  readonly notBeforeS: number;
  readonly notAfterS: number;
  /** DER of the Names. */
  readonly subjectDer: Buffer;
  readonly issuerDer: Buffer;
  readonly spkiDer: Buffer;
  /** Undefined when the algorithm is not on the allow-list: such a certificate never verifies. */
  readonly signatureAlgorithm: SignatureAlgorithm | undefined;
  readonly signature: Buffer;
  readonly names: GeneralNames;
  readonly basicConstraints: BasicConstraints | undefined;
  readonly keyUsage: ReadonlySet<KeyUsage> | undefined;
  /** Object identifiers. */
  readonly extendedKeyUsage: readonly string[] | undefined;
  readonly subjectKeyId: Buffer | undefined;
  readonly authorityKeyId: AuthorityKeyId | undefined;
  readonly nameConstraints: NameConstraints | undefined;
  /** Every extension's object identifier with its critical flag, in order. */
  readonly criticalByOid: ReadonlyMap<string, boolean>;
  /** Critical extensions that are not understood here. */
  readonly unknownCritical: readonly string[];
  /** The subject's key, loaded once. @throws X509Error ERR_PUBLIC_KEY */
  publicKey(): KeyObject;
}

/**
 * Parses one DER certificate: strict DER, version 3, every extension that matters to a validator.
 * @throws X509Error ERR_CERTIFICATE or ERR_DER
 * @see RFC 5280 §4.1
 */
export function parseCertificate(der: Buffer): Certificate {
  const outer = readWhole(der, TAG.sequence);
  const tbsDer = outer.element();
  const outerAlgorithm = outer.element();
  const signature = outer.bitStringBytes();
  outer.finish();
  const tbs = new DerReader(tbsDer).enter(TAG.sequence);
  const version = tbs.enterOptional(contextTag(0, true));
  if (version?.integer() !== 2) throw new X509Error('ERR_CERTIFICATE', 'only version 3 certificates are read');
  version.finish();
  const serial = parseSerial(tbs.integerBytes());
  const innerAlgorithm = tbs.element();
  // The outer copy is not signed: RFC 5280 §4.1.1.2 wants both the same.
  if (!innerAlgorithm.equals(outerAlgorithm)) {
    throw new X509Error('ERR_CERTIFICATE', 'the two signature algorithms of the certificate differ');
  }
  const issuerDer = checkName(tbs.element());
  const validity = tbs.enter(TAG.sequence);
  const notBeforeS = readTime(validity);
  const notAfterS = readTime(validity);
  validity.finish();
  const subjectDer = checkName(tbs.element());
  const spkiDer = tbs.element();
  if (tbs.contentOptional(contextTag(1, false)) || tbs.contentOptional(contextTag(2, false))) {
    throw new X509Error('ERR_CERTIFICATE', 'unique identifiers are not allowed');
  }
  const extensions = readExtensions(tbs.enterOptional(contextTag(3, true)));
  tbs.finish();
  let key: KeyObject | undefined;
  return {
    der,
    tbsDer,
    serial,
    notBeforeS,
    notAfterS,
    subjectDer,
    issuerDer,
    spkiDer,
    signatureAlgorithm: parseSignatureAlgorithm(innerAlgorithm),
    signature,
    ...extensions,
    publicKey: () => {
      key ??= loadPublicKey(spkiDer);
      return key;
    },
  };
}

/**
 * Cuts concatenated DER certificates apart (as the Workload API carries a chain); views of the input.
 * @throws X509Error ERR_DER
 */
export function splitCertificates(concatenatedDer: Buffer): Buffer[] {
  const reader = new DerReader(concatenatedDer);
  const parts: Buffer[] = [];
  while (!reader.done) {
    if (parts.length >= CERTIFICATES_MAX) {
      throw new X509Error('ERR_DER', `more than ${CERTIFICATES_MAX} certificates are joined together`);
    }
    if (reader.peek() !== TAG.sequence) throw new X509Error('ERR_DER', 'what is joined together is not certificates');
    parts.push(reader.element());
  }
  return parts;
}

type Extensions = Pick<
  Certificate,
  | 'names'
  | 'basicConstraints'
  | 'keyUsage'
  | 'extendedKeyUsage'
  | 'subjectKeyId'
  | 'authorityKeyId'
  | 'nameConstraints'
  | 'criticalByOid'
  | 'unknownCritical'
>;

function readExtensions(wrapper: DerReader | undefined): Extensions {
  const list = wrapper?.enter(TAG.sequence);
  wrapper?.finish();
  const criticalByOid = new Map<string, boolean>();
  const values = new Map<string, Buffer>();
  const unknownCritical: string[] = [];
  while (list && !list.done) {
    const extension = list.enter(TAG.sequence);
    const oid = extension.oid();
    const critical = extension.peek() === TAG.boolean ? extension.boolean() : false;
    const value = extension.content(TAG.octetString);
    extension.finish();
    if (values.has(oid)) throw new X509Error('ERR_CERTIFICATE', `extension ${oid} appears twice`);
    if (values.size >= EXTENSIONS_MAX) throw new X509Error('ERR_CERTIFICATE', `more than ${EXTENSIONS_MAX} extensions`);
    values.set(oid, value);
    criticalByOid.set(oid, critical);
    if (critical && !UNDERSTOOD.has(oid)) unknownCritical.push(oid);
  }
  const read = <T>(oid: string, parse: (value: Buffer) => T): T | undefined => {
    const value = values.get(oid);
    return value ? parse(value) : undefined;
  };
  return {
    names: read(OID.subjectAltName, parseSubjectAltName) ?? NO_NAMES,
    basicConstraints: read(OID.basicConstraints, parseBasicConstraints),
    keyUsage: read(OID.keyUsage, parseKeyUsage),
    extendedKeyUsage: read(OID.extendedKeyUsage, parseExtendedKeyUsage),
    subjectKeyId: read(OID.subjectKeyIdentifier, parseSubjectKeyId),
    authorityKeyId: read(OID.authorityKeyIdentifier, parseAuthorityKeyId),
    nameConstraints: read(OID.nameConstraints, parseNameConstraints),
    criticalByOid,
    unknownCritical,
  };
}

function parseSerial(bytes: Buffer): string {
  if ((bytes[0] ?? 0x80) >= 0x80 || bytes.length > SERIAL_BYTES_MAX) {
    throw new X509Error('ERR_CERTIFICATE', `a serial number is positive and has at most ${SERIAL_BYTES_MAX} bytes`);
  }
  const serial = BigInt(`0x${bytes.toString('hex')}`);
  if (serial === 0n) throw new X509Error('ERR_CERTIFICATE', 'a serial number can not be zero');
  return serial.toString();
}

function readTime(reader: DerReader): number {
  const tag = reader.peek() ?? 0;
  return parseTime(tag, reader.content(tag));
}

/** The extensions whose meaning the validators enforce. */
const UNDERSTOOD: ReadonlySet<string> = new Set([
  OID.subjectAltName,
  OID.basicConstraints,
  OID.keyUsage,
  OID.extendedKeyUsage,
  OID.subjectKeyIdentifier,
  OID.authorityKeyIdentifier,
  OID.nameConstraints,
]);
/** RFC 5280 §4.1.2.2: 20 octets, and one for the sign. */
const SERIAL_BYTES_MAX = 21;
const EXTENSIONS_MAX = 64;
/** A large trust bundle sent as one field. */
const CERTIFICATES_MAX = 1024;
