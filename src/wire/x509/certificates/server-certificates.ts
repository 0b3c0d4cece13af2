import { OID } from '../der/oids.ts';
import { contextTag } from '../der/reader.ts';
import {
  encodeBoolean,
  encodeElement,
  encodeInteger,
  encodeOctetString,
  encodeOid,
  encodeSequence,
} from '../der/writer.ts';
import { X509Error } from '../errors.ts';
import { keyIdOf } from '../keys/key-id.ts';
import { encodeSignatureAlgorithm } from '../keys/signature-algorithm.ts';
import { NAME_TAG } from '../names/general-names.ts';
import { encodeName, encodeSubjectAltName, isDnsName } from '../names/name-writer.ts';
import { type CertificateIssuer, encodeTbs, extension, keyUsageBits, sealCertificate } from './certificate-writer.ts';

/** What every certificate has. Times in epoch seconds; `serial` as `fixedWidthSerial` makes it; `spkiDer`: PKIX DER of the key. */
export interface CertificateFields {
  readonly serial: Buffer;
  readonly notBeforeS: number;
  readonly notAfterS: number;
  readonly spkiDer: Buffer;
}

/**
 * Writes a self-signed root that can vouch for servers of these host names, and of names below them, alone: no address, no CA below it.
 * @throws X509Error ERR_CERTIFICATE_WRITE for names that are none @see RFC 5280 §4.2.1.10
 */
export function writeServerRoot(
  issuer: CertificateIssuer,
  fields: CertificateFields,
  hosts: readonly string[],
): Buffer {
  if (hosts.length === 0 || !hosts.every((host) => isDnsName(host) && !host.startsWith('*')))
    throw new X509Error('ERR_CERTIFICATE_WRITE', 'a root for servers needs the names of hosts that it is for');
  const permitted = hosts.map((host) => subtree(NAME_TAG.dns, Buffer.from(host, 'latin1')));
  // Without these, names of a kind that is not listed would be free.
  const excluded = [8, 32].map((bytes) => subtree(NAME_TAG.ip, Buffer.alloc(bytes)));
  const constraints = encodeSequence(
    encodeElement(contextTag(0, true), ...permitted),
    encodeElement(contextTag(1, true), ...excluded),
  );
  return write(issuer, { ...fields, subjectDer: issuer.subjectDer }, [
    extension(OID.keyUsage, true, keyUsageBits(['keyCertSign'])),
    extension(OID.extendedKeyUsage, false, encodeSequence(encodeOid(OID.serverAuth))),
    extension(OID.basicConstraints, true, encodeSequence(encodeBoolean(true), encodeInteger(0))),
    extension(OID.nameConstraints, true, constraints),
  ]);
}

/** Writes the certificate of a server of that host name. @throws X509Error ERR_CERTIFICATE_WRITE for a name that is none */
export function writeServerCertificate(issuer: CertificateIssuer, fields: CertificateFields, host: string): Buffer {
  // A common name has at most 64 characters, and nobody looks at it.
  const subjectDer = encodeName({ organization: 'Countersign' });
  return write(issuer, { ...fields, subjectDer }, [
    extension(OID.keyUsage, true, keyUsageBits(['digitalSignature'])),
    extension(OID.extendedKeyUsage, false, encodeSequence(encodeOid(OID.serverAuth))),
    extension(OID.basicConstraints, true, encodeSequence()),
    extension(OID.subjectAltName, false, encodeSubjectAltName([], [host])),
  ]);
}

function write(
  issuer: CertificateIssuer,
  fields: CertificateFields & { readonly subjectDer: Buffer },
  extensions: readonly Buffer[],
): Buffer {
  const algorithmDer = encodeSignatureAlgorithm(issuer.algorithm);
  const authority = encodeSequence(encodeElement(contextTag(0, false), issuer.subjectKeyId));
  const all = [
    ...extensions,
    extension(OID.subjectKeyIdentifier, false, encodeOctetString(keyIdOf(fields.spkiDer))),
    extension(OID.authorityKeyIdentifier, false, authority),
  ];
  const tbs = encodeTbs({ ...fields, issuerDer: issuer.subjectDer, algorithmDer, extensions: all });
  return sealCertificate(tbs, algorithmDer, issuer.sign);
}

function subtree(tag: number, base: Buffer): Buffer {
  return encodeSequence(encodeElement(tag, base));
}
