import { OID } from '../der/oids.ts';
import { contextTag } from '../der/reader.ts';
import {
  encodeElement,
  encodeInteger,
  encodeOctetString,
  encodeOid,
  encodeSequence,
  encodeSet,
} from '../der/writer.ts';

/**
 * Writes certificates that are to be trusted as Java reads them: PKCS #12 without encryption or password, which holds nothing secret. Java takes none for
 * trusted without the attribute that names what for. @see RFC 7292 §4
 */
export function encodeTrustStore(certificates: readonly Buffer[]): Buffer {
  const contents = encodeSequence(...certificates.map(certificateBag));
  const safes = encodeSequence(data(contents));
  return encodeSequence(encodeInteger(PFX_VERSION), data(safes));
}

function certificateBag(der: Buffer, index: number): Buffer {
  const certificate = encodeSequence(encodeOid(OID.x509Certificate), wrapped(encodeOctetString(der)));
  const name = Buffer.from(`ca-${index}`, 'utf16le').swap16();
  return encodeSequence(
    encodeOid(OID.certBag),
    wrapped(certificate),
    encodeSet(
      attribute(OID.friendlyName, encodeElement(BMP_STRING, name)),
      attribute(OID.javaTrustedKeyUsage, encodeOid(OID.anyExtendedKeyUsage)),
    ),
  );
}

function attribute(oid: string, value: Buffer): Buffer {
  return encodeSequence(encodeOid(oid), encodeSet(value));
}

function data(content: Buffer): Buffer {
  return encodeSequence(encodeOid(OID.pkcs7Data), wrapped(encodeOctetString(content)));
}

function wrapped(content: Buffer): Buffer {
  return encodeElement(contextTag(0, true), content);
}

const PFX_VERSION = 3;
const BMP_STRING = 0x1e;
