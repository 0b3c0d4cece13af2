import { CHARACTERS, TOKEN, VALUE } from './characters.ts';

/** Where in a list of chunk extensions a byte stands. */
export type ExtensionPart = 'name-starts' | 'name' | 'value-starts' | 'value' | 'quoted' | 'quoted-ends';

/**
 * What part the next byte belongs to, behind a part; undefined where it can not stand: RFC 9112 §7.1.1, of which blanks and escapes are not
 * taken, since readers differ in them.
 */
export function nextExtensionPart(part: ExtensionPart, byte: number): ExtensionPart | undefined {
  const kinds = CHARACTERS[byte] ?? 0;
  switch (part) {
    case 'name-starts':
      return (kinds & TOKEN) !== 0 ? 'name' : undefined;
    case 'name':
      if (byte === EQUALS) return 'value-starts';
      break;
    case 'value-starts':
      if (byte === QUOTE) return 'quoted';
      return (kinds & TOKEN) !== 0 ? 'value' : undefined;
    case 'quoted':
      if (byte === QUOTE) return 'quoted-ends';
      return (kinds & VALUE) !== 0 && byte !== BACKSLASH ? 'quoted' : undefined;
    case 'value':
      break;
    case 'quoted-ends':
      return byte === SEMICOLON ? 'name-starts' : undefined;
    default:
      return part satisfies never;
  }
  if (byte === SEMICOLON) return 'name-starts';
  return (kinds & TOKEN) !== 0 ? part : undefined;
}

/** True for a part behind which the line may end. */
export function mayEndExtensions(part: ExtensionPart): boolean {
  return part === 'name' || part === 'value' || part === 'quoted-ends';
}

const SEMICOLON = 0x3b;
const EQUALS = 0x3d;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
