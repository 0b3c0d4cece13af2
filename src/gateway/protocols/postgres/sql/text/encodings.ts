import { isUtf8 } from 'node:buffer';

/** How the bytes of a client's texts are read, exactly as its server reads them. */
export interface TextCoding {
  /** What is sent is UTF-8, and what is answered is what the server holds. */
  readonly isUtf8: boolean;
  /** Undefined for bytes that mean nothing in it, or that the server could read otherwise. */
  decode(bytes: Buffer): string | undefined;
  /** For texts of our own: characters that it has not become question marks. */
  encode(text: string): Buffer;
  /** Bytes of a character that begins so, by the server's count. */
  lengthOf(lead: number): number;
}

/** PostgreSQL's own name of an encoding; undefined for what it takes for none. It compares letters and digits only. */
export function encodingNamed(name: string): string | undefined {
  return names.get(name.toLowerCase().replace(/[^a-z0-9]/g, ''));
}

/**
 * How to read a client in that encoding at a database of that one, both by PostgreSQL's own names; undefined when nobody here could be sure
 * to read it as the server does. A database without an encoding takes bytes as they are, and its names are read as UTF-8.
 */
export function codingBetween(client: string, server: string): TextCoding | undefined {
  if (client === 'UTF8') return utf8;
  if (server === 'SQL_ASCII') return client === 'SQL_ASCII' ? utf8 : undefined;
  if (client === 'SQL_ASCII') return codings.get(server);
  return server === 'UTF8' || client === server ? codings.get(client) : undefined;
}

/** True when some database's clients are served in that encoding. */
export function isServedEncoding(name: string): boolean {
  return name === 'SQL_ASCII' || codings.has(name);
}

/** True when the server has no value that it could fail to write in that encoding: which one fails would tell about masked ones. */
export function holdsAnyValue(name: string): boolean {
  return name === 'UTF8' || name === 'SQL_ASCII';
}

/** What to do about an encoding that is not served. */
export const encodingHint =
  'Set the client to UTF8: PGCLIENTENCODING=UTF8 for libpq, client_encoding=UTF8 in the connection string, or SET client_encoding TO UTF8.';

/** The bytes of the first character that can't be read, as the server shows them. */
export function undecodedBytes(bytes: Buffer, { decode, lengthOf }: TextCoding): string {
  let good = 0;
  let end = bytes.length;
  // Halved where a character surely begins, since a hostile text is long; what is left is looked at one by one.
  while (end - good > LOOKED_AT_BYTES) {
    let middle = (good + end) >>> 1;
    while (middle > good && (bytes[middle] ?? 0) >= 0x80) middle--;
    if (middle === good) break;
    if (decode(bytes.subarray(good, middle)) === undefined) end = middle;
    else good = middle;
  }
  const last = Math.min(end, good + LOOKED_AT_BYTES);
  let length = 1;
  for (; good < last; good += length) {
    length = lengthOf(bytes[good] ?? 0);
    if (good + length > bytes.length || decode(bytes.subarray(good, good + length)) === undefined) break;
  }
  const shown = bytes.subarray(good, good + length);
  return Array.from(shown, (byte) => `0x${byte.toString(16).padStart(2, '0')}`).join(' ');
}

const utf8: TextCoding = {
  isUtf8: true,
  decode: (bytes) => (isUtf8(bytes) ? bytes.toString('utf8') : undefined),
  encode: (text) => Buffer.from(text, 'utf8'),
  lengthOf: (lead) => (lead < 0xc0 || lead >= 0xf8 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4),
};

/** An encoding that Node knows by `label` and reads as PostgreSQL does, but for the characters that are replaced then. */
function codingOf(
  label: string,
  options: {
    readonly replaced?: Readonly<Record<string, string>>;
    readonly isWide?: boolean;
    /** Bytes that the server has no character for are control characters to Node. */
    readonly hasControls?: boolean;
  } = {},
): TextCoding {
  const decoder = new TextDecoder(label, { fatal: true });
  const { replaced, isWide = false, hasControls = true } = options;
  const wrong = replaced === undefined ? undefined : new RegExp(`[${Object.keys(replaced).join('')}]`, 'g');
  return wideOrNarrow(isWide, (bytes) => {
    try {
      const text = decoder.decode(bytes);
      if (!hasControls && controls.test(text)) return undefined;
      // The server takes no byte of ASCII for a part of a longer character; some pages that Node knows by that name do.
      if (isWide && plainOf(text) !== bytes.reduce((count, byte) => (byte < 0x80 ? count + 1 : count), 0))
        return undefined;
      return wrong === undefined ? text : text.replace(wrong, (one) => replaced?.[one] ?? one);
    } catch {
      return undefined; // It throws for bytes that mean nothing, and for nothing else.
    }
  });
}

const controls = /[\u0080-\u009f]/;

/** How many characters of ASCII. */
function plainOf(text: string): number {
  let count = 0;
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) < 0x80) count++;
  return count;
}

function wideOrNarrow(isWide: boolean, decode: TextCoding['decode']): TextCoding {
  const lengthOf = (lead: number) => (!isWide || lead < 0x80 ? 1 : lead === 0x8f ? 3 : 2);
  return { isUtf8: false, decode, encode: (text) => encodeNarrow(text, decode), lengthOf };
}

/** Errors of ours are rare and mostly ASCII, so no table is kept for them. */
function encodeNarrow(text: string, decode: TextCoding['decode']): Buffer {
  const bytes = new Map<string, number>();
  for (let byte = 0x80; byte <= 0xff; byte++) {
    const character = decode(Buffer.of(byte));
    if (character !== undefined) bytes.set(character, byte);
  }
  const plain = text.replaceAll('’', "'");
  return Buffer.from(
    Array.from(plain, (one) => (one < '\u0080' ? one.charCodeAt(0) : (bytes.get(one) ?? QUESTION_MARK))),
  );
}

/** Every byte is the character of that number. */
const latin1 = wideOrNarrow(false, (bytes) => bytes.toString('latin1'));

/** Turkish letters in place of six Icelandic ones. Node's own ISO 8859-9 is Windows' page, which has other control characters. */
const latin5 = wideOrNarrow(false, (bytes) =>
  bytes.toString('latin1').replace(/[\xd0\xdd\xde\xf0\xfd\xfe]/g, (one) => turkish[one] ?? one),
);
const turkish: Readonly<Record<string, string>> = {
  ...{ '\xd0': '\u011e', '\xdd': '\u0130', '\xde': '\u015e' },
  ...{ '\xf0': '\u011f', '\xfd': '\u0131', '\xfe': '\u015f' },
};

/**
 * Those of which a test has compared every character with the server's. What is not here may have a quote's or a backslash's byte within a
 * character (SJIS, BIG5, GBK, UHC, GB18030, JOHAB), or nobody but PostgreSQL to read it (MULE_INTERNAL, EUC_TW).
 */
const codings: ReadonlyMap<string, TextCoding> = new Map([
  ['UTF8', utf8],
  ['LATIN1', latin1],
  ['LATIN2', codingOf('iso-8859-2')],
  ['LATIN3', codingOf('iso-8859-3')],
  ['LATIN4', codingOf('iso-8859-4')],
  ['LATIN5', latin5],
  ['LATIN6', codingOf('iso-8859-10')],
  ['LATIN7', codingOf('iso-8859-13')],
  ['LATIN8', codingOf('iso-8859-14')],
  ['LATIN9', codingOf('iso-8859-15')],
  ['LATIN10', codingOf('iso-8859-16')],
  ...[5, 6, 7, 8].map((part) => [`ISO_8859_${part}`, codingOf(`iso-8859-${part}`)] as const),
  ...[0, 1, 2, 3, 4, 5, 6, 7, 8].map(
    (page) => [`WIN125${page}`, codingOf(`windows-125${page}`, { hasControls: false })] as const,
  ),
  ['WIN866', codingOf('ibm866')],
  ['WIN874', codingOf('windows-874', { hasControls: false })],
  ['KOI8R', codingOf('koi8-r')],
  // Node's has Belarusian letters where the server has lines of boxes.
  ['KOI8U', codingOf('koi8-u', { replaced: { '\u045e': '\u255d', '\u040e': '\u256c' } })],
  ['EUC_JP', codingOf('euc-jp', { isWide: true, replaced: { '\u00a6': '\uffe4' } })],
  ['EUC_KR', codingOf('euc-kr', { isWide: true })],
  ['EUC_CN', codingOf('gbk', { isWide: true, replaced: { '\u00b7': '\u30fb', '\u2014': '\u2015' } })],
]);

/** PostgreSQL's names and their other spellings, in small letters and digits. */
const names: ReadonlyMap<string, string> = new Map(
  [
    ...['UTF8 unicode', 'SQL_ASCII', 'MULE_INTERNAL', 'EUC_JP', 'EUC_KR', 'EUC_CN', 'EUC_TW', 'EUC_JIS_2004'],
    ...['LATIN1 iso88591', 'LATIN2 iso88592', 'LATIN3 iso88593', 'LATIN4 iso88594', 'LATIN5 iso88599'],
    ...['LATIN6 iso885910', 'LATIN7 iso885913', 'LATIN8 iso885914', 'LATIN9 iso885915', 'LATIN10 iso885916'],
    ...['ISO_8859_5', 'ISO_8859_6', 'ISO_8859_7', 'ISO_8859_8', 'KOI8R koi8', 'KOI8U'],
    ...['WIN1250 windows1250', 'WIN1251 windows1251 win', 'WIN1252 windows1252', 'WIN1253 windows1253'],
    ...['WIN1254 windows1254', 'WIN1255 windows1255', 'WIN1256 windows1256', 'WIN1257 windows1257'],
    ...['WIN1258 windows1258 abc tcvn tcvn5712 vscii', 'WIN866 windows866 alt', 'WIN874 windows874'],
    ...['SJIS mskanji shiftjis win932 windows932', 'SHIFT_JIS_2004 shiftjis2004', 'BIG5 win950 windows950'],
    ...['GBK win936 windows936', 'UHC win949 windows949', 'GB18030', 'JOHAB'],
  ].flatMap((line) => {
    const [name = '', ...others] = line.split(' ');
    return [name.toLowerCase().replaceAll('_', ''), ...others].map((one) => [one, name] as const);
  }),
);

/** Of a text in which no character surely begins, no more than this is looked at one by one. */
const LOOKED_AT_BYTES = 4096;
const QUESTION_MARK = 0x3f;
