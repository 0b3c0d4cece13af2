import { OID } from '../der/oids.ts';
import { contextTag, TAG } from '../der/reader.ts';
import { formatTime } from '../der/time.ts';
import {
  encodeBoolean,
  encodeElement,
  encodeHeader,
  encodeInteger,
  encodeNamedBits,
  encodeOctetString,
  encodeOid,
  encodeSequence,
  encodeTime,
  encodeUnsigned,
} from '../der/writer.ts';
import { X509Error } from '../errors.ts';
import { keyIdOf, keyIdOfBits } from '../keys/key-id.ts';
import { parsePublicKeyInfo } from '../keys/public-key.ts';
import { encodeSignatureAlgorithm, type SignatureAlgorithm } from '../keys/signature-algorithm.ts';
import { encodeName, encodeSubjectAltName } from '../names/name-writer.ts';
import { KEY_USAGES, type KeyUsage } from './extensions.ts';

/** Who signs: the name and key identifier that go into what it signs, and its signing operation. */
export interface CertificateIssuer {
  readonly subjectDer: Buffer;
  readonly subjectKeyId: Buffer;
  readonly algorithm: SignatureAlgorithm;
  /** Signs the bytes; ECDSA signatures in DER. */
  sign(data: Buffer): Buffer;
}

/** What varies from one SVID to the next. Times in epoch seconds. */
export interface SvidFields {
  /** 16 bytes as {@link fixedWidthSerial} makes them. */
  readonly serial: Buffer;
  readonly notBeforeS: number;
  readonly notAfterS: number;
  /** PKIX DER of a key that {@link parseSubjectKey} accepted. */
  readonly spkiDer: Buffer;
  readonly uri: string;
  readonly dnsNames: readonly string[];
}

/** Writes X.509-SVIDs of one issuer. */
export interface SvidWriter {
  /** @throws X509Error ERR_CERTIFICATE_WRITE for fields that can not be written, and what the issuer's `sign` throws. */
  write(fields: SvidFields): Buffer;
}

/**
 * Creates a writer that keeps one encoded certificate body per shape (lengths of URI and key, DNS names) and only puts the varying
 * bytes in their places: signing is then nearly all of the cost.
 */
export function createSvidWriter(issuer: CertificateIssuer): SvidWriter {
  const templates = new Map<string, Template>();
  const algorithmDer = encodeSignatureAlgorithm(issuer.algorithm);
  const timeText = createTimeTexts();
  return {
    write(fields) {
      checkFields(fields);
      const timeBytes =
        fields.notAfterS < GENERALIZED_FROM_S ? 'u' : fields.notBeforeS < GENERALIZED_FROM_S ? 'm' : 'g';
      const shape = `${timeBytes} ${fields.uri.length} ${fields.spkiDer.length} ${fields.dnsNames.join(' ')}`;
      let template = templates.get(shape);
      if (!template) {
        template = makeTemplate(issuer, fields, algorithmDer);
        // Oldest out: shapes are few unless each SVID has its own DNS names.
        const [oldest] = templates.keys();
        if (templates.size >= TEMPLATES_MAX && oldest !== undefined) templates.delete(oldest);
        templates.set(shape, template);
      }
      return sealCertificate(splice(template, fields, timeText), algorithmDer, issuer.sign);
    },
  };
}

/** A serial number of exactly 16 bytes, positive and never zero, from 16 random bytes: 126 bits of chance. */
export function fixedWidthSerial(randomBytes: Buffer): Buffer {
  const serial = Buffer.from(randomBytes.subarray(0, SERIAL_BYTES));
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  return serial;
}

/**
 * Writes a CA certificate for a trust domain; self-signed when `issuer` signs with its own key and name. Fields as SPIFFE X509-SVID
 * §4 asks of signing certificates.
 */
export function writeCaCertificate(options: {
  readonly issuer: CertificateIssuer;
  readonly subjectDer: Buffer;
  readonly spkiDer: Buffer;
  readonly serial: Buffer;
  readonly notBeforeS: number;
  readonly notAfterS: number;
  /** `spiffe://trust-domain`. */
  readonly uri: string;
  readonly pathLength?: number;
}): Buffer {
  const { issuer } = options;
  const algorithmDer = encodeSignatureAlgorithm(issuer.algorithm);
  const pathLength = options.pathLength === undefined ? [] : [encodeInteger(options.pathLength)];
  const extensions = [
    extension(OID.keyUsage, true, keyUsageBits(['keyCertSign', 'cRLSign'])),
    extension(OID.basicConstraints, true, encodeSequence(encodeBoolean(true), ...pathLength)),
    extension(OID.subjectKeyIdentifier, false, encodeOctetString(keyIdOf(options.spkiDer))),
    extension(
      OID.authorityKeyIdentifier,
      false,
      encodeSequence(encodeElement(contextTag(0, false), issuer.subjectKeyId)),
    ),
    extension(OID.subjectAltName, false, encodeSubjectAltName([options.uri], [])),
  ];
  const tbs = encodeTbs({ ...options, issuerDer: issuer.subjectDer, algorithmDer, extensions });
  return sealCertificate(tbs, algorithmDer, issuer.sign);
}

interface Template {
  readonly tbs: Buffer;
  readonly serialAt: number;
  /** Where the text of each time starts. */
  readonly notBeforeAt: number;
  readonly notAfterAt: number;
  readonly spkiAt: number;
  /** What stands before the key bits in a SubjectPublicKeyInfo of this shape. */
  readonly spkiHead: Buffer;
  readonly keyIdAt: number;
  readonly uriAt: number;
}

function makeTemplate(issuer: CertificateIssuer, fields: SvidFields, algorithmDer: Buffer): Template {
  const keyId = keyIdOf(fields.spkiDer);
  const san = encodeSubjectAltName([fields.uri], fields.dnsNames);
  const extensions = [
    extension(OID.keyUsage, true, keyUsageBits(['digitalSignature', 'keyEncipherment', 'keyAgreement'])),
    extension(OID.extendedKeyUsage, false, encodeSequence(encodeOid(OID.serverAuth), encodeOid(OID.clientAuth))),
    extension(OID.basicConstraints, true, encodeSequence()),
    extension(OID.subjectKeyIdentifier, false, encodeOctetString(keyId)),
    extension(
      OID.authorityKeyIdentifier,
      false,
      encodeSequence(encodeElement(contextTag(0, false), issuer.subjectKeyId)),
    ),
    extension(OID.subjectAltName, false, san),
  ];
  const [commonName] = fields.dnsNames;
  const subjectDer = encodeName({
    country: 'US',
    organization: 'SPIRE',
    // A common name holds 64 characters at most; the DNS name stands in the alternative names anyway.
    ...(commonName !== undefined && commonName.length <= 64 ? { commonName } : {}),
  });
  const tbs = encodeTbs({ ...fields, issuerDer: issuer.subjectDer, subjectDer, algorithmDer, extensions });
  const headerLength = encodeHeader(TAG.sequence, tbs.length - 4).length;
  const serialAt = headerLength + VERSION.length + 2;
  // Positions follow from the lengths of what stands before; nothing is searched for, so no value can imitate a place.
  const validityAt = serialAt + SERIAL_BYTES + algorithmDer.length + issuer.subjectDer.length;
  const notBeforeAt = validityAt + 4;
  const notAfterAt = notBeforeAt + formatTime(fields.notBeforeS).length + 2;
  const spkiAt = notAfterAt + formatTime(fields.notAfterS).length + subjectDer.length;
  const extensionsEnd = tbs.length;
  const sanStart = extensionsEnd - lengthOf(extensions.slice(5));
  const skiEnd = sanStart - lengthOf(extensions.slice(4, 5));
  return {
    tbs,
    serialAt,
    notBeforeAt,
    notAfterAt,
    spkiAt,
    spkiHead: Buffer.from(fields.spkiDer.subarray(0, -parsePublicKeyInfo(fields.spkiDer).keyBits.length)),
    keyIdAt: skiEnd - keyId.length,
    uriAt: extensionsEnd - san.length + uriOffset(san),
  };
}

/** The offset of the first name's text within a subjectAltName value: past two headers. */
function uriOffset(san: Buffer): number {
  const headerLength = (at: number) => ((san[at + 1] ?? 0) < 0x80 ? 2 : 2 + ((san[at + 1] ?? 0) & 0x7f));
  const outer = headerLength(0);
  return outer + headerLength(outer);
}

function splice(template: Template, fields: SvidFields, timeText: (epochS: number) => string): Buffer {
  const { spkiHead } = template;
  const tbs = Buffer.from(template.tbs);
  fields.serial.copy(tbs, template.serialAt);
  tbs.write(timeText(fields.notBeforeS), template.notBeforeAt, 'latin1');
  tbs.write(timeText(fields.notAfterS), template.notAfterAt, 'latin1');
  fields.spkiDer.copy(tbs, template.spkiAt);
  // A key of the same length may still be of another kind: only the very same head tells where the key bits start.
  const sameHead = fields.spkiDer.compare(spkiHead, 0, spkiHead.length, 0, spkiHead.length) === 0;
  const keyBits = sameHead ? fields.spkiDer.subarray(spkiHead.length) : parsePublicKeyInfo(fields.spkiDer).keyBits;
  keyIdOfBits(keyBits).copy(tbs, template.keyIdAt);
  tbs.write(fields.uri, template.uriAt, 'latin1');
  return tbs;
}

/** Formats times, remembering the last few: certificates of one second share theirs. */
function createTimeTexts(): (epochS: number) => string {
  const texts = new Map<number, string>();
  return (epochS) => {
    const known = texts.get(epochS);
    if (known !== undefined) return known;
    if (texts.size >= TIME_TEXTS_MAX) texts.clear();
    const text = formatTime(epochS);
    texts.set(epochS, text);
    return text;
  };
}

export function encodeTbs(fields: {
  readonly serial: Buffer;
  readonly algorithmDer: Buffer;
  readonly issuerDer: Buffer;
  readonly notBeforeS: number;
  readonly notAfterS: number;
  readonly subjectDer: Buffer;
  readonly spkiDer: Buffer;
  readonly extensions: readonly Buffer[];
}): Buffer {
  return encodeSequence(
    VERSION,
    encodeUnsigned(fields.serial),
    fields.algorithmDer,
    fields.issuerDer,
    encodeValidity(fields.notBeforeS, fields.notAfterS),
    fields.subjectDer,
    fields.spkiDer,
    encodeElement(contextTag(3, true), encodeSequence(...fields.extensions)),
  );
}

function encodeValidity(notBeforeS: number, notAfterS: number): Buffer {
  return encodeSequence(encodeTime(notBeforeS), encodeTime(notAfterS));
}

export function sealCertificate(tbs: Buffer, algorithmDer: Buffer, sign: (data: Buffer) => Buffer): Buffer {
  const signature = sign(tbs);
  const signatureHead = encodeHeader(TAG.bitString, signature.length + 1);
  const length = tbs.length + algorithmDer.length + signatureHead.length + 1 + signature.length;
  // One allocation: this is the hot path.
  return Buffer.concat([
    encodeHeader(TAG.sequence, length),
    tbs,
    algorithmDer,
    signatureHead,
    NO_UNUSED_BITS,
    signature,
  ]);
}

export function extension(oid: string, critical: boolean, value: Buffer): Buffer {
  return encodeSequence(encodeOid(oid), ...(critical ? [encodeBoolean(true)] : []), encodeOctetString(value));
}

export function keyUsageBits(usages: readonly KeyUsage[]): Buffer {
  return encodeNamedBits(usages.map((usage) => KEY_USAGES.indexOf(usage)));
}

function lengthOf(parts: readonly Buffer[]): number {
  return parts.reduce((sum, part) => sum + part.length, 0);
}

function checkFields(fields: SvidFields): void {
  if (fields.serial.length !== SERIAL_BYTES || ((fields.serial[0] ?? 0) & 0xc0) !== 0x40) {
    throw new X509Error('ERR_CERTIFICATE_WRITE', 'a serial number has 16 bytes, the first two bits 01');
  }
  if (!/^[\x21-\x7e]{1,2048}$/.test(fields.uri)) {
    throw new X509Error('ERR_CERTIFICATE_WRITE', 'a URI name is 1 to 2048 visible ASCII characters');
  }
  if (!(fields.notBeforeS < fields.notAfterS)) {
    throw new X509Error('ERR_CERTIFICATE_WRITE', 'a certificate must end after it begins');
  }
}

const NO_UNUSED_BITS = Buffer.from([0]);
const TIME_TEXTS_MAX = 64;
/** `[0] { INTEGER 2 }`: version 3. */
const VERSION = encodeElement(contextTag(0, true), encodeInteger(2));
const SERIAL_BYTES = 16;
/** 2050-01-01: from here times are two bytes longer. */
const GENERALIZED_FROM_S = 2_524_608_000;
/** A template is about 600 bytes; shapes differ by URI length, so 512 covers every length in use. */
const TEMPLATES_MAX = 512;
