import { OID } from '../der/oids.ts';
import { DerReader, TAG } from '../der/reader.ts';
import { X509Error } from '../errors.ts';
import { checkDirectoryString, readDirectoryString } from './directory-string.ts';

/**
 * Checks a Name, DER: SEQUENCE of SET of (type, value), each value a string that is well encoded. Gives back what it was given.
 * @throws X509Error ERR_CERTIFICATE or ERR_DER
 * @see RFC 5280 §4.1.2.4
 */
export function checkName(element: Buffer): Buffer {
  walkName(element, ({ tag, content }) => checkDirectoryString(tag, content));
  return element;
}

/**
 * The relative names of a Name in the form in which they are compared: text by its characters, whatever its string type, without regard to
 * case and to spaces around words. Two names are one when all of these are equal, one lies below the other when it begins with them.
 * `loosely` takes more for the same: what is excluded must not pass in another spelling.
 * @see RFC 5280 §7.1
 */
export function comparableName(element: Buffer, { loosely = false } = {}): readonly string[] {
  const fold = loosely ? foldLoosely : foldStrictly;
  const names: string[][] = [];
  walkName(element, ({ oid, tag, content, index }) => {
    names[index] ??= [];
    names[index]?.push(`${oid}=${fold(readDirectoryString(tag, content))}`);
  });
  // No string holds a NUL, so nothing can be both a text and two of them.
  return names.map((attributes) => attributes.toSorted().join('\0'));
}

/** A Name for people to read, as `CN=db, O=Example`, innermost first; cut when long, and with nothing in it that could end a line. */
export function describeName(element: Buffer): string {
  const parts: string[] = [];
  walkName(element, ({ oid, tag, content }) => {
    parts.unshift(`${SHORT_NAMES.get(oid) ?? oid}=${readDirectoryString(tag, content)}`);
  });
  const text = parts.join(', ').replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '?');
  if (text === '') return 'no name';
  return text.length > DESCRIBED_CHARS_MAX ? `${text.slice(0, DESCRIBED_CHARS_MAX)}…` : text;
}

/** ASCII case only, as others do: more would depend on a version of Unicode. */
function foldStrictly(text: string): string {
  return text
    .trim()
    .replace(/\s+/g, ' ')
    .replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

function foldLoosely(text: string): string {
  return text
    .normalize('NFKC')
    .toLowerCase()
    .toUpperCase()
    .replace(/[\s\p{C}]+/gu, '');
}

interface Attribute {
  readonly oid: string;
  readonly tag: number;
  readonly content: Buffer;
  /** Counts the relative names, of which one may have several attributes. */
  readonly index: number;
}

function walkName(element: Buffer, visit: (attribute: Attribute) => void): void {
  const name = new DerReader(element).enter(TAG.sequence);
  for (let index = 0; !name.done; index++) {
    const set = name.enter(TAG.set);
    if (set.done) throw new X509Error('ERR_CERTIFICATE', 'a name holds an empty set');
    while (!set.done) {
      const attribute = set.enter(TAG.sequence);
      const oid = attribute.oid();
      const tag = attribute.peek() ?? 0;
      visit({ oid, tag, content: attribute.content(tag), index });
      attribute.finish();
    }
  }
}

const SHORT_NAMES: ReadonlyMap<string, string> = new Map([
  [OID.commonName, 'CN'],
  [OID.serialNumber, 'serialNumber'],
  [OID.country, 'C'],
  [OID.organization, 'O'],
  [OID.organizationalUnit, 'OU'],
  ['2.5.4.7', 'L'],
  ['2.5.4.8', 'ST'],
  ['0.9.2342.19200300.100.1.25', 'DC'],
]);
const DESCRIBED_CHARS_MAX = 200;
