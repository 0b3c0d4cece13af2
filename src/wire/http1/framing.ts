import { isMadeOf, TOKEN } from './characters.ts';
import { Http1Error } from './errors.ts';
import type { FieldLines } from './field-lines.ts';
import { type BodyLength, CHUNKED_BODY, NO_BODY } from './message.ts';

/**
 * Where the body ends by its fields: RFC 9112 §6. Undefined where they say nothing. Transfer-Encoding beside Content-Length, or in 1.0, is
 * refused, though §6.3 leaves a way to read it: no honest sender has both.
 */
export function framedBody(controls: FieldLines['controls'], version: '1.0' | '1.1'): BodyLength | undefined {
  const { transferEncoding, contentLength } = controls;
  if (transferEncoding === undefined) {
    if (contentLength === undefined) return undefined;
    const bytes = parseContentLength(contentLength);
    return bytes === 0 ? NO_BODY : { kind: 'length', bytes };
  }
  if (contentLength !== undefined)
    throw new Http1Error('ERR_HTTP1_FRAMING', 'both Transfer-Encoding and Content-Length are given');
  if (version === '1.0') throw new Http1Error('ERR_HTTP1_FRAMING', 'HTTP/1.0 has no Transfer-Encoding');
  checkCoding(transferEncoding.toLowerCase());
  return CHUNKED_BODY;
}

/** RFC 9110 §8.6, of what all readers take for the same number: no sign, no leading zero, no list, and not beyond what is exact. */
export function parseContentLength(value: string): number {
  let bytes = 0;
  for (let at = 0; at < value.length; at++) {
    const digit = value.charCodeAt(at) - ZERO;
    if (!(digit >= 0 && digit <= 9)) throw badLength();
    bytes = bytes * 10 + digit;
  }
  if (value === '' || value.length > LENGTH_DIGITS_MAX || (value.length > 1 && value.startsWith('0')))
    throw badLength();
  return bytes;
}

function badLength(): Http1Error {
  return new Http1Error('ERR_HTTP1_FRAMING', 'Content-Length is no plain number of at most 15 digits');
}

/** RFC 9112 §6.1, §7. Whoever ends a list of codings with `chunked` means well, and is told that nothing else is spoken here. */
function checkCoding(value: string): void {
  if (value === 'chunked') return;
  const codings = value.split(',').map((coding) => coding.trim());
  const isHonest = codings.indexOf('chunked') === codings.length - 1 && codings.every((one) => isMadeOf(one, TOKEN));
  if (isHonest) throw new Http1Error('ERR_HTTP1_CODING', 'the body has another transfer coding than chunked');
  throw new Http1Error('ERR_HTTP1_FRAMING', 'Transfer-Encoding is not chunked alone');
}

const ZERO = 0x30;
const LENGTH_DIGITS_MAX = 15;
