import { X509Error } from '../errors.ts';
import { TAG } from './reader.ts';
import { formatTime } from './time.ts';

/** One element: tag, minimal length, the parts joined. */
export function encodeElement(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  let length = 0;
  for (const part of parts) length += part.length;
  return Buffer.concat([encodeHeader(tag, length), ...parts]);
}

/** The tag byte and minimal length that stand before `length` bytes of content. */
export function encodeHeader(tag: number, length: number): Buffer {
  if (length < 0x80) return Buffer.from([tag, length]);
  if (length < 0x100) return Buffer.from([tag, 0x81, length]);
  if (length < 0x10000) return Buffer.from([tag, 0x82, length >> 8, length & 0xff]);
  return Buffer.from([tag, 0x83, length >> 16, (length >> 8) & 0xff, length & 0xff]);
}

export function encodeSequence(...parts: readonly Uint8Array[]): Buffer {
  return encodeElement(TAG.sequence, ...parts);
}

export function encodeSet(...parts: readonly Uint8Array[]): Buffer {
  return encodeElement(TAG.set, ...parts);
}

/** A non-negative INTEGER from big-endian bytes: leading zeros are dropped, a sign byte added where needed. */
export function encodeUnsigned(bytes: Uint8Array): Buffer {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  const value = bytes.subarray(start);
  if (value.length === 0) return Buffer.from([TAG.integer, 1, 0]);
  return (value[0] ?? 0) >= 0x80
    ? encodeElement(TAG.integer, Buffer.from([0]), value)
    : encodeElement(TAG.integer, value);
}

/** A small non-negative INTEGER. */
export function encodeInteger(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return encodeUnsigned(bytes);
}

export function encodeBoolean(value: boolean): Buffer {
  return Buffer.from([TAG.boolean, 1, value ? 0xff : 0x00]);
}

/** An OBJECT IDENTIFIER from dotted form. */
export function encodeOid(dotted: string): Buffer {
  const arcs = dotted.split('.').map(Number);
  const [top = 0, second = 0, ...rest] = arcs;
  const valid = arcs.length >= 2 && arcs.every((arc) => Number.isSafeInteger(arc) && arc >= 0);
  if (!valid || top > 2 || (top < 2 && second >= 40)) {
    throw new X509Error('ERR_DER', `not an OBJECT IDENTIFIER: ${dotted.slice(0, 80)}`);
  }
  const bytes: number[] = [];
  for (const arc of [top * 40 + second, ...rest]) {
    const digits = [arc % 128];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) digits.unshift((left % 128) | 0x80);
    bytes.push(...digits);
  }
  return encodeElement(TAG.oid, Buffer.from(bytes));
}

/** A BIT STRING of whole bytes. */
export function encodeBitString(bytes: Uint8Array): Buffer {
  return encodeElement(TAG.bitString, Buffer.from([0]), bytes);
}

/** A BIT STRING of named bits: bit 0 is the first of the first byte, trailing zero bits are dropped (DER §11.2.2). */
export function encodeNamedBits(bits: readonly number[]): Buffer {
  const highest = Math.max(-1, ...bits);
  const bytes = Buffer.alloc(Math.floor(highest / 8) + 1);
  for (const bit of bits) bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) | (0x80 >> (bit & 7));
  return encodeElement(TAG.bitString, Buffer.from([highest < 0 ? 0 : 7 - (highest & 7)]), bytes);
}

export function encodeOctetString(bytes: Uint8Array): Buffer {
  return encodeElement(TAG.octetString, bytes);
}

/** A Time as RFC 5280 §4.1.2.5 wants it: UTCTime through 2049, GeneralizedTime from 2050. */
export function encodeTime(epochS: number): Buffer {
  const text = formatTime(epochS);
  return encodeElement(text.length === 13 ? TAG.utcTime : TAG.generalizedTime, Buffer.from(text, 'latin1'));
}
