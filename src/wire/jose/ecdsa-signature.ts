import { assert } from '../../std/index.ts';

/**
 * ECDSA signatures as JWS has them (r‖s, each as long as the curve's order) and as OpenSSL has them (a DER SEQUENCE of two INTEGERs).
 * node:crypto can convert, but asked for it a P-256 signature costs more than twice as much; here it is a microsecond.
 */

/** r‖s of a DER signature that node:crypto has just made. @see RFC 7518 §3.4 */
export function joinedSignature(der: Buffer, orderBytes: number): Buffer {
  const joined = Buffer.alloc(2 * orderBytes);
  let at = (der[1] ?? 0) < 0x80 ? 2 : 3;
  for (const end of [orderBytes, 2 * orderBytes]) {
    const length = der[at + 1] ?? 0;
    assert(der[at] === INTEGER && at + 2 + length <= der.length, 'an ECDSA signature is two integers');
    const start = at + 2 + Math.max(0, length - orderBytes);
    at += 2 + length;
    der.copy(joined, end - (at - start), start, at);
  }
  assert(at === der.length, 'nothing follows the two integers of an ECDSA signature');
  return joined;
}

/** The DER of r‖s; undefined when it is not exactly as long as it must be. */
export function derSignature(joined: Buffer, orderBytes: number): Buffer | undefined {
  if (joined.length !== 2 * orderBytes) return undefined;
  const first = skipZeros(joined, 0, orderBytes);
  const second = skipZeros(joined, orderBytes, 2 * orderBytes);
  const content = integerBytes(joined, first, orderBytes) + integerBytes(joined, second, 2 * orderBytes);
  const der = Buffer.allocUnsafe(content + (content < 0x80 ? 2 : 3));
  let at = 0;
  der[at++] = SEQUENCE;
  if (content >= 0x80) der[at++] = 0x81;
  der[at++] = content;
  at = putInteger(joined, first, orderBytes, { into: der, at });
  at = putInteger(joined, second, 2 * orderBytes, { into: der, at });
  assert(at === der.length, 'the signature has the length that was counted');
  return der;
}

/** Where the INTEGER's bytes begin: zeros in front are not written, but for a last one. */
function skipZeros(bytes: Buffer, start: number, end: number): number {
  let at = start;
  while (at < end - 1 && bytes[at] === 0) at++;
  return at;
}

/** Length of the INTEGER with its head, and with the zero that keeps it positive. */
function integerBytes(bytes: Buffer, start: number, end: number): number {
  return 2 + end - start + ((bytes[start] ?? 0) >> 7);
}

/** Writes an INTEGER, returns where it ends. */
function putInteger(bytes: Buffer, start: number, end: number, place: { into: Buffer; at: number }): number {
  const { into } = place;
  let { at } = place;
  into[at++] = INTEGER;
  into[at] = integerBytes(bytes, start, end) - 2;
  at++;
  if ((bytes[start] ?? 0) >= 0x80) into[at++] = 0;
  return at + bytes.copy(into, at, start, end);
}

const SEQUENCE = 0x30;
const INTEGER = 0x02;
