import { OID } from '../der/oids.ts';
import { TAG } from '../der/reader.ts';
import { encodeElement, encodeOid, encodeSequence, encodeSet } from '../der/writer.ts';
import { X509Error } from '../errors.ts';
import { NAME_TAG } from './general-names.ts';

/** The attributes that our Names have, written in this order. */
export interface NameAttributes {
  readonly country?: string;
  readonly organization?: string;
  readonly organizationalUnit?: string;
  readonly commonName?: string;
  readonly serialNumber?: string;
}

/** Writes a Name; country and serial number as PrintableString, the rest as UTF8String. @see RFC 5280 §4.1.2.4 */
export function encodeName(attributes: NameAttributes): Buffer {
  const parts: Buffer[] = [];
  for (const { key, oid, tag, lengthMax } of ATTRIBUTES) {
    const value = attributes[key];
    if (value === undefined) continue;
    if (
      value === '' ||
      value.length > lengthMax ||
      (tag === TAG.printableString && !/^[A-Za-z0-9 '()+,./:=?-]*$/.test(value))
    ) {
      throw new X509Error('ERR_CERTIFICATE_WRITE', `a name's ${key} has 1 to ${lengthMax} characters of its alphabet`);
    }
    parts.push(encodeSet(encodeSequence(encodeOid(oid), encodeElement(tag, Buffer.from(value, 'utf8')))));
  }
  return encodeSequence(...parts);
}

/** Writes the value of a subjectAltName extension: URIs, then DNS names. */
export function encodeSubjectAltName(uris: readonly string[], dnsNames: readonly string[]): Buffer {
  for (const uri of uris) {
    if (!/^[\x21-\x7e]{1,2048}$/.test(uri))
      throw new X509Error('ERR_CERTIFICATE_WRITE', 'a URI name is 1 to 2048 visible ASCII characters');
  }
  for (const name of dnsNames) {
    if (!isDnsName(name))
      throw new X509Error('ERR_CERTIFICATE_WRITE', `not a DNS name: ${JSON.stringify(name.slice(0, 253))}`);
  }
  return encodeSequence(
    ...uris.map((uri) => encodeElement(NAME_TAG.uri, Buffer.from(uri, 'latin1'))),
    ...dnsNames.map((name) => encodeElement(NAME_TAG.dns, Buffer.from(name, 'latin1'))),
  );
}

/** True for a host name of letters, digits, dashes and underscores, with at most one wildcard as its whole first label. */
export function isDnsName(name: string): boolean {
  const labels = (name.startsWith('*.') ? name.slice(2) : name).split('.');
  return name.length <= 253 && labels.every((label) => /^[a-zA-Z0-9_]([a-zA-Z0-9_-]{0,61}[a-zA-Z0-9_])?$/.test(label));
}

const ATTRIBUTES = [
  { key: 'country', oid: OID.country, tag: TAG.printableString, lengthMax: 2 },
  { key: 'organization', oid: OID.organization, tag: TAG.utf8String, lengthMax: 64 },
  { key: 'organizationalUnit', oid: OID.organizationalUnit, tag: TAG.utf8String, lengthMax: 64 },
  { key: 'commonName', oid: OID.commonName, tag: TAG.utf8String, lengthMax: 64 },
  { key: 'serialNumber', oid: OID.serialNumber, tag: TAG.printableString, lengthMax: 64 },
] as const;
