import type { KeyObject } from 'node:crypto';
import { OID } from '../der/oids.ts';
import { contextTag, DerReader, readWhole, TAG } from '../der/reader.ts';
import { isTimeAsProfiled, parseTime } from '../der/time.ts';
import { X509Error } from '../errors.ts';
import { loadPublicKey } from '../keys/public-key.ts';
import {
  type PssAlgorithm,
  parsePssAlgorithm,
  parseSignatureAlgorithm,
  type SignatureAlgorithm,
} from '../keys/signature-algorithm.ts';
import { checkName } from '../names/distinguished-name.ts';
import { type GeneralNames, NO_NAMES } from '../names/general-names.ts';
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
import {
  type PolicyExtensions,
  parseCertificatePolicies,
  parseInhibitAnyPolicy,
  parsePolicyConstraints,
} from './policies.ts';

/** A parsed X.509 v3 certificate. Buffers are views of `der`. What it says is not yet believed: see the validators. */
export interface Certificate extends PolicyExtensions {
  readonly der: Buffer;
  readonly tbsDer: Buffer;
  /** Not negative; decimal. */
  readonly serial: string;
  /** Epoch seconds; both ends included. */
  readonly notBeforeS: number;
  readonly notAfterS: number;
  /** DER of the Names. */
  readonly subjectDer: Buffer;
  readonly issuerDer: Buffer;
  readonly spkiDer: Buffer;
  /** Undefined when the algorithm is not on the allow-list: such a certificate never verifies. */
  readonly signatureAlgorithm: SignatureAlgorithm | PssAlgorithm | undefined;
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
  /** What RFC 5280 §4 tells CAs not to write though a reader understands it well, in words. */
  readonly outsideProfile: readonly string[];
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
  const serialBytes = tbs.integerBytes();
  const serial = parseSerial(serialBytes);
  const innerAlgorithm = tbs.element();
  // The outer copy is not signed: RFC 5280 §4.1.1.2 wants both the same.
  if (!innerAlgorithm.equals(outerAlgorithm)) {
    throw new X509Error('ERR_CERTIFICATE', 'the two signature algorithms of the certificate differ');
  }
  const issuerDer = checkName(tbs.element());
  const validity = tbs.enter(TAG.sequence);
  const notBefore = readTime(validity);
  const notAfter = readTime(validity);
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
    notBeforeS: notBefore.epochS,
    notAfterS: notAfter.epochS,
    subjectDer,
    issuerDer,
    spkiDer,
    signatureAlgorithm: parseSignatureAlgorithm(innerAlgorithm) ?? parsePssAlgorithm(innerAlgorithm),
    signature,
    ...extensions,
    outsideProfile: findOutsideProfile({
      serial: serial === '0' || serialBytes.length > SERIAL_BYTES_PROFILED_MAX,
      time: !notBefore.asProfiled || !notAfter.asProfiled,
      pathLength: extensions.basicConstraints?.ca === false && extensions.basicConstraints.pathLength !== undefined,
    }),
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
  | keyof PolicyExtensions
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
    policies: read(OID.certificatePolicies, parseCertificatePolicies),
    requireExplicitPolicy: read(OID.policyConstraints, parsePolicyConstraints),
    inhibitAnyPolicy: read(OID.inhibitAnyPolicy, parseInhibitAnyPolicy),
    criticalByOid,
    unknownCritical,
  };
}

function parseSerial(bytes: Buffer): string {
  if ((bytes[0] ?? 0x80) >= 0x80 || bytes.length > SERIAL_BYTES_MAX) {
    throw new X509Error('ERR_CERTIFICATE', `a serial number is not negative and has at most ${SERIAL_BYTES_MAX} bytes`);
  }
  return BigInt(`0x${bytes.toString('hex')}`).toString();
}

function findOutsideProfile(found: { serial: boolean; time: boolean; pathLength: boolean }): readonly string[] {
  if (!found.serial && !found.time && !found.pathLength) return NOTHING;
  return [
    ...(found.serial ? [`a serial number is positive and has at most 20 bytes (§4.1.2.2)`] : []),
    ...(found.time ? ['a time before 2050 is UTCTime (§4.1.2.5)'] : []),
    ...(found.pathLength ? ['only a CA has a path length (§4.2.1.9)'] : []),
  ];
}

function readTime(reader: DerReader): { readonly epochS: number; readonly asProfiled: boolean } {
  const tag = reader.peek() ?? 0;
  const epochS = parseTime(tag, reader.content(tag));
  return { epochS, asProfiled: isTimeAsProfiled(tag, epochS) };
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
const NOTHING: readonly string[] = [];
/** RFC 5280 §4.1.2.2: 20 octets, and one for the sign. */
const SERIAL_BYTES_PROFILED_MAX = 21;
const SERIAL_BYTES_MAX = 64;
const EXTENSIONS_MAX = 64;
/** A large trust bundle sent as one field. */
const CERTIFICATES_MAX = 1024;
