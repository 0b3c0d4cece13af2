import { contextTag, type DerReader, decodeOid } from '../der/reader.ts';
import { X509Error } from '../errors.ts';
import { checkName } from './distinguished-name.ts';

/** Subject alternative names by kind, in order of appearance. `other` counts names of kinds that are not read. */
export interface GeneralNames {
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
  /** Four or sixteen bytes each; in constraints twice as many, address and mask. */
  readonly ipAddresses: readonly Buffer[];
  readonly emails: readonly string[];
  /** directoryName: the DER of each Name. */
  readonly directoryNames: readonly Buffer[];
  /** Tag bytes of names of kinds that are not read: otherName, x400Address, ediPartyName, registeredID. */
  readonly otherTags: readonly number[];
}

export const NAME_TAG = {
  other: contextTag(0, true),
  email: contextTag(1, false),
  dns: contextTag(2, false),
  directory: contextTag(4, true),
  uri: contextTag(6, false),
  ip: contextTag(7, false),
  registeredId: contextTag(8, false),
} as const;

/** Reads the names of a GeneralNames up to its end: those of a subject, or the bases of constraints. @see RFC 5280 §4.2.1.6 */
export function readGeneralNames(reader: DerReader, what: 'subjectAltName' | 'nameConstraints'): GeneralNames {
  const uris: string[] = [];
  const dnsNames: string[] = [];
  const ipAddresses: Buffer[] = [];
  const emails: string[] = [];
  const directoryNames: Buffer[] = [];
  const otherTags: number[] = [];
  for (let count = 0; !reader.done; count++) {
    if (count >= NAMES_MAX) throw new X509Error('ERR_CERTIFICATE', `${what} holds more than ${NAMES_MAX} names`);
    const tag = reader.peek() ?? 0;
    if (tag === NAME_TAG.uri) uris.push(ia5(reader.content(tag), what));
    else if (tag === NAME_TAG.dns) dnsNames.push(ia5(reader.content(tag), what));
    else if (tag === NAME_TAG.email) emails.push(ia5(reader.content(tag), what));
    else if (tag === NAME_TAG.ip) ipAddresses.push(ipBytes(reader.content(tag), what));
    else if (tag === NAME_TAG.directory) {
      const name = reader.enter(tag);
      directoryNames.push(checkName(name.element()));
      name.finish();
    } else if (OTHER_TAGS.has(tag)) {
      if (tag === NAME_TAG.registeredId) decodeOid(reader.content(tag));
      else reader.element();
      otherTags.push(tag);
    } else throw new X509Error('ERR_CERTIFICATE', `${what} holds a name of unknown kind ${tag}`);
  }
  return { uris, dnsNames, ipAddresses, emails, directoryNames, otherTags };
}

/** IA5String content as text: seven-bit, no controls, so that no name can end in the middle for another reader. */
function ia5(content: Buffer, what: string): string {
  for (const byte of content) {
    if (byte <= 0x20 || byte >= 0x7f)
      throw new X509Error('ERR_CERTIFICATE', `${what} holds a name with a character outside 21–7E`);
  }
  return content.toString('latin1');
}

/** RFC 5280 §4.2.1.6: four or sixteen bytes; §4.2.1.10: each with a mask behind it. */
function ipBytes(content: Buffer, what: 'subjectAltName' | 'nameConstraints'): Buffer {
  const bytes = what === 'subjectAltName' ? content.length : content.length / 2;
  if (bytes !== 4 && bytes !== 16)
    throw new X509Error('ERR_CERTIFICATE', `${what} holds an IP address of ${content.length} bytes`);
  return content;
}

/** No GeneralNames at all. */
export const NO_NAMES: GeneralNames = {
  uris: [],
  dnsNames: [],
  ipAddresses: [],
  emails: [],
  directoryNames: [],
  otherTags: [],
};

const OTHER_TAGS: ReadonlySet<number> = new Set([
  NAME_TAG.other,
  contextTag(3, true),
  contextTag(5, true),
  NAME_TAG.registeredId,
]);
/** Large shared certificates carry a few hundred names. */
const NAMES_MAX = 1024;
