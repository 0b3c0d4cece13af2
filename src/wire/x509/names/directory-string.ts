import { isUtf8 } from 'node:buffer';
import { X509Error } from '../errors.ts';

/**
 * Reads the value of an attribute in a Name as text, by the rules of its string type. A NUL is in none: for some readers the text would end
 * there, and `web\0admin` would be `web`. What is no string is refused, too.
 * @throws X509Error ERR_CERTIFICATE
 * @see RFC 5280 §4.1.2.4, X.690 §8.23
 */
export function readDirectoryString(tag: number, content: Buffer): string {
  checkDirectoryString(tag, content);
  if (tag === STRING_TAG.utf8) return content.toString('utf8');
  if (tag === STRING_TAG.bmp) return Buffer.from(content).swap16().toString('utf16le');
  if (tag !== STRING_TAG.universal) return content.toString('latin1');
  let text = '';
  for (let at = 0; at < content.length; at += 4) text += String.fromCodePoint(content.readUInt32BE(at));
  return text;
}

/** As {@link readDirectoryString} without making the text: each certificate is read so, before anything in it is believed. */
export function checkDirectoryString(tag: number, content: Buffer): void {
  if (!holds(tag, content)) {
    const name = NAMES.get(tag) ?? `value of type ${tag}`;
    throw new X509Error('ERR_CERTIFICATE', `a name holds a ${name} that is badly encoded or not allowed`);
  }
}

function holds(tag: number, content: Buffer): boolean {
  switch (tag) {
    case STRING_TAG.utf8:
      return isUtf8(content) && !content.includes(0);
    case STRING_TAG.printable:
      return all(content, (byte) => PRINTABLE[byte] === 1);
    case STRING_TAG.numeric:
      return all(content, (byte) => byte === 0x20 || (byte >= 0x30 && byte <= 0x39));
    case STRING_TAG.ia5:
      return all(content, (byte) => byte > 0 && byte < 0x80);
    case STRING_TAG.visible:
      return all(content, (byte) => byte >= 0x20 && byte < 0x7f);
    case STRING_TAG.teletex:
      return !content.includes(0);
    case STRING_TAG.bmp:
      return content.length % 2 === 0 && isPlainUtf16(content);
    case STRING_TAG.universal:
      return content.length % 4 === 0 && isUtf32(content);
    default:
      return false;
  }
}

/** By index: this runs for every name of every certificate, and iterating a Buffer is slow. */
function all(content: Buffer, allows: (byte: number) => boolean): boolean {
  for (let at = 0; at < content.length; at++) if (!allows(content[at] ?? 0)) return false;
  return true;
}

/** UCS-2: nothing beyond the basic plane, so no surrogates. */
function isPlainUtf16(content: Buffer): boolean {
  for (let at = 0; at < content.length; at += 2) {
    const unit = content.readUInt16BE(at);
    if (unit === 0 || (unit >= 0xd800 && unit <= 0xdfff)) return false;
  }
  return true;
}

function isUtf32(content: Buffer): boolean {
  for (let at = 0; at < content.length; at += 4) {
    const point = content.readUInt32BE(at);
    if (point === 0 || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return false;
  }
  return true;
}

/** Universal tags of the string types. */
export const STRING_TAG = {
  utf8: 0x0c,
  numeric: 0x12,
  printable: 0x13,
  teletex: 0x14,
  ia5: 0x16,
  visible: 0x1a,
  universal: 0x1c,
  bmp: 0x1e,
} as const;

const NAMES: ReadonlyMap<number, string> = new Map([
  [STRING_TAG.utf8, 'UTF8String'],
  [STRING_TAG.numeric, 'NumericString'],
  [STRING_TAG.printable, 'PrintableString'],
  [STRING_TAG.teletex, 'TeletexString'],
  [STRING_TAG.ia5, 'IA5String'],
  [STRING_TAG.visible, 'VisibleString'],
  [STRING_TAG.universal, 'UniversalString'],
  [STRING_TAG.bmp, 'BMPString'],
]);

/** The alphabet of X.680 §41.4, and two beside it that real certificates hold and Go takes: asterisk and ampersand. */
const PRINTABLE = Uint8Array.from({ length: 256 }, (_, code) =>
  /^[A-Za-z0-9 '()+,./:=?*&-]$/.test(String.fromCharCode(code)) ? 1 : 0,
);
