import { isUtf8 } from 'node:buffer';

/** The bytes that a percent-encoded text stands for; `isValid`: each `%` has its two digits. One that has not stands for itself. */
export function percentDecoded(text: string): { readonly bytes: Buffer; readonly isValid: boolean } {
  if (!text.includes('%')) return { bytes: Buffer.from(text), isValid: true };
  const bytes: number[] = [];
  let isValid = true;
  for (let at = 0; at < text.length; at++) {
    const digits = text.slice(at + 1, at + 3);
    if (text[at] !== '%') bytes.push(...Buffer.from(text[at] ?? ''));
    else if (HEX.test(digits)) {
      bytes.push(Number.parseInt(digits, 16));
      at += 2;
    } else {
      isValid = false;
      bytes.push(PERCENT);
    }
  }
  return { bytes: Buffer.from(bytes), isValid };
}

/** The text that bytes are as UTF-8; undefined: they are none, overlong forms and half surrogates among them. */
export function utf8Text(bytes: Buffer): string | undefined {
  return isUtf8(bytes) ? bytes.toString() : undefined;
}

/** Bytes as a path's segment or a part of a query writes them: each that is not in `kept` as `%` and two upper-case digits. */
export function percentEncoded(bytes: Buffer, kept: ReadonlySet<number>): string {
  let text = '';
  for (const byte of bytes) text += kept.has(byte) ? String.fromCharCode(byte) : encodedByte(byte);
  return text;
}

/** `%2F` of 47. */
export function encodedByte(byte: number): string {
  return `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
}

/** The bytes of letters, digits, `-._~` and those signs. */
export function bytesKept(signs: string): ReadonlySet<number> {
  return new Set(Buffer.from(`ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~${signs}`));
}

const HEX = /^[0-9a-f]{2}$/i;
const PERCENT = 0x25;
