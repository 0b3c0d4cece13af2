/** The shapes in which a value may lie somewhere: as it is, encoded, or as programs print bytes. */

export interface Form {
  readonly name: string;
  readonly bytes: Buffer;
}

/**
 * Shapes of the beginning and of the end of a value, so one that was cut is found too. Values have {@link VALUE_BYTES_MIN} bytes or more.
 * Binary ones get the shapes that bytes have; texts also those that characters have.
 */
export function formsOf(value: Buffer): readonly Form[] {
  if (value.length < VALUE_BYTES_MIN)
    throw new Error(
      `a value of ${value.length} bytes would be found by chance; ${VALUE_BYTES_MIN} or more are allowed`,
    );
  const head = value.subarray(0, HEAD_BYTES);
  const tail = value.subarray(-TAIL_BYTES);
  const all = [head, tail].flatMap((part) => [...byteForms(part), ...(isText(value) ? textForms(part) : [])]);
  const seen = new Set<string>();
  return all.filter(({ bytes }) => {
    const key = bytes.toString('latin1');
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

function byteForms(part: Buffer): Form[] {
  const hex = part.toString('hex');
  const texts: (readonly [string, string])[] = [
    ['hex', hex],
    ['hex', hex.toUpperCase()],
    ['hex', hex.replaceAll(/(..)(?!$)/g, '$1 ')], // As Node prints a Buffer.
    ['hex', hex.replaceAll(/(..)(?!$)/g, '$1:')],
    ['numbers', [...part].join(',')], // As a Buffer is put into JSON.
    ['numbers', [...part].join(', ')],
    ['numbers', [...part].map((byte, index) => `"${index}":${byte}`).join(',')], // As a Uint8Array is.
  ];
  for (const shift of [0, 1, 2]) {
    const base64 = base64At(part, shift);
    texts.push(['base64', base64], ['base64url', base64.replaceAll('+', '-').replaceAll('/', '_')]);
  }
  return [
    { name: 'plain', bytes: part },
    ...texts.map(([name, text]) => ({ name, bytes: Buffer.from(text, 'latin1') })),
  ];
}

function textForms(part: Buffer): Form[] {
  const text = part.toString('utf8');
  const escaped = [...part].map((byte) => byte.toString(16).padStart(2, '0'));
  const texts: (readonly [string, string])[] = [
    ['JSON', JSON.stringify(text).slice(1, -1)],
    ['JSON', escaped.map((code) => `\\u00${code}`).join('')],
    ['URL', encodeURIComponent(text)],
    ['URL', escaped.map((code) => `%${code}`).join('')],
    ['URL', escaped.map((code) => `%${code.toUpperCase()}`).join('')],
    ['SQL', text.replaceAll("'", "''")],
  ];
  const wide = Buffer.from(text, 'utf16le');
  return [
    ...texts.map(([name, shown]) => ({ name, bytes: Buffer.from(shown, 'utf8') })),
    { name: 'UTF-16', bytes: wide },
    { name: 'UTF-16', bytes: Buffer.from(wide).swap16() },
    { name: 'reversed', bytes: Buffer.from(part).reverse() },
  ];
}

/** What base64 shows of these bytes whatever stands around them, when they begin at that offset modulo 3. */
function base64At(part: Buffer, shift: number): string {
  const text = Buffer.concat([Buffer.alloc(shift), part])
    .toString('base64')
    .replaceAll('=', '');
  const bits = (shift + part.length) * 8;
  return text.slice(Math.ceil((shift * 8) / 6), Math.floor(bits / 6));
}

function isText(value: Buffer): boolean {
  return value.every((byte) => byte >= 0x20 && byte < 0x7f);
}

/** Fewer could lie in gigabytes of other bytes by chance. */
export const VALUE_BYTES_MIN = 12;
const HEAD_BYTES = 16;
const TAIL_BYTES = 12;
