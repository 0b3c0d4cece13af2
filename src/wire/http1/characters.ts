/** What each byte may be part of. A table, since these are looked up for every byte of every head. */
export const CHARACTERS: Uint8Array = makeTable();
/** RFC 9110 §5.6.2. */
export const TOKEN = 1;
/** A to Z; each is a token character too. */
export const UPPER = 2;
/** RFC 9110 §5.5: visible ASCII, space, tab. */
export const VALUE = 4;
/** RFC 9110 §5.5: 0x80 to 0xFF. */
export const OBS_TEXT = 8;
/** Of a request's target: visible ASCII but `#`. Which of these a path may have is for whoever gives it a meaning. */
export const TARGET = 16;
/** Of a host's name: letters, digits, `-`, `.`, `_`. RFC 3986 §3.2.2 has more, which no name has and readers take apart differently. */
export const HOST = 32;
export const HEX = 64;

/** What the byte at `at` may be part of; 0 beyond the end, and of what is no byte. */
export function kindAt(text: string, at: number): number {
  return CHARACTERS[text.charCodeAt(at)] ?? 0;
}

/** True for a text of one character or more, each of one of `kinds`. */
export function isMadeOf(text: string, kinds: number): boolean {
  for (let at = 0; at < text.length; at++) if ((kindAt(text, at) & kinds) === 0) return false;
  return text.length > 0;
}

/** True for a token of no capital letter: the name of a field as it is known here. */
export function isLowerToken(text: string): boolean {
  for (let at = 0; at < text.length; at++) if ((kindAt(text, at) & (TOKEN | UPPER)) !== TOKEN) return false;
  return text.length > 0;
}

/** True for what a value may be between its outer blanks, that is, without any. */
export function isValue(text: string, allowObsText: boolean): boolean {
  // Four times as fast as the table where the text is a part of another.
  if ((allowObsText ? NOT_IN_OBS_VALUE : NOT_IN_VALUE).test(text)) return false;
  return !isBlank(text.charCodeAt(0)) && !isBlank(text.charCodeAt(text.length - 1));
}

/** A space or a tab. */
export function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

const NOT_IN_VALUE = /[^\t -~]/;
const NOT_IN_OBS_VALUE = /[^\t -~\u0080-\u00ff]/;
export const CR = 0x0d;
export const LF = 0x0a;
export const COLON = 0x3a;
export const SPACE = 0x20;

function makeTable(): Uint8Array {
  const table = new Uint8Array(256);
  const add = (text: string, kind: number) => {
    for (const character of text) table[character.charCodeAt(0)] = (table[character.charCodeAt(0)] ?? 0) | kind;
  };
  const lower = 'abcdefghijklmnopqrstuvwxyz';
  const letters = `${lower}${lower.toUpperCase()}`;
  const visible = Array.from({ length: 0x7f - 0x21 }, (_, at) => String.fromCharCode(0x21 + at)).join('');
  add(`${letters}0123456789!#$%&'*+-.^_\`|~`, 1);
  add(lower.toUpperCase(), 2);
  add(`${visible} \t`, 4);
  add(Array.from({ length: 0x80 }, (_, at) => String.fromCharCode(0x80 + at)).join(''), 8);
  add(visible.replace('#', ''), 16);
  add(`${letters}0123456789-._`, 32);
  add('0123456789abcdefABCDEF', 64);
  return table;
}
