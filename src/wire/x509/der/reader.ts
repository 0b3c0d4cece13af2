import { X509Error } from '../errors.ts';

/** Universal and context tags used in X.509; one byte each. */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** The tag byte of a context-specific element: `[number]`. */
export function contextTag(number: number, constructed: boolean): number {
  return (constructed ? 0xa0 : 0x80) | number;
}

/**
 * Reads strict DER from front to back: one-byte tags, definite minimal lengths, bounded depth. Nothing is copied: what it
 * returns are views of the input. Every method throws `X509Error` ERR_DER when the bytes differ from what was asked.
 */
export class DerReader {
  readonly #bytes: Buffer;
  readonly #end: number;
  readonly #depth: number;
  #position: number;

  constructor(bytes: Buffer, start = 0, end = bytes.length, depth = 0) {
    if (depth > DEPTH_MAX) throw new X509Error('ERR_DER', `DER nests deeper than ${DEPTH_MAX} levels`);
    this.#bytes = bytes;
    this.#position = start;
    this.#end = end;
    this.#depth = depth;
  }

  get done(): boolean {
    return this.#position >= this.#end;
  }

  /** The next element's tag byte, undefined at the end. */
  peek(): number | undefined {
    return this.done ? undefined : this.#bytes[this.#position];
  }

  /** The whole next element, header included, whatever its tag. */
  element(): Buffer {
    const start = this.#position;
    const { end } = this.#header();
    this.#position = end;
    return this.#bytes.subarray(start, end);
  }

  /** The content of the next element, which must carry `tag`. */
  content(tag: number): Buffer {
    const { start, end } = this.#expect(tag);
    this.#position = end;
    return this.#bytes.subarray(start, end);
  }

  /** A reader over the content of the next element, which must carry `tag`. */
  enter(tag: number): DerReader {
    const { start, end } = this.#expect(tag);
    this.#position = end;
    return new DerReader(this.#bytes, start, end, this.#depth + 1);
  }

  /** As {@link enter} when the next element carries `tag`, else undefined and nothing is read. */
  enterOptional(tag: number): DerReader | undefined {
    return this.peek() === tag ? this.enter(tag) : undefined;
  }

  /** As {@link content} when the next element carries `tag`, else undefined and nothing is read. */
  contentOptional(tag: number): Buffer | undefined {
    return this.peek() === tag ? this.content(tag) : undefined;
  }

  boolean(): boolean {
    const value = this.content(TAG.boolean);
    if (value.length !== 1 || (value[0] !== 0x00 && value[0] !== 0xff)) {
      throw new X509Error('ERR_DER', 'a BOOLEAN is one byte, 00 or FF');
    }
    return value[0] === 0xff;
  }

  /** The two's complement bytes of an INTEGER in their minimal form. */
  integerBytes(): Buffer {
    return checkInteger(this.content(TAG.integer));
  }

  /** A small non-negative INTEGER. */
  integer(): number {
    const value = this.integerBytes();
    if (value.length > 4 || (value[0] ?? 0) >= 0x80) {
      throw new X509Error('ERR_DER', 'an INTEGER is negative or too large here');
    }
    return value.readUIntBE(0, value.length);
  }

  /** An OBJECT IDENTIFIER in dotted form. */
  oid(): string {
    return decodeOid(this.content(TAG.oid));
  }

  /** The bytes of a BIT STRING that has no unused bits. */
  bitStringBytes(): Buffer {
    const value = this.content(TAG.bitString);
    if (value.length < 1 || value[0] !== 0) throw new X509Error('ERR_DER', 'a BIT STRING must have whole bytes here');
    return value.subarray(1);
  }

  /** Throws when something is left. */
  finish(): void {
    if (!this.done) throw new X509Error('ERR_DER', `${this.#end - this.#position} bytes follow the last element`);
  }

  #expect(tag: number): { start: number; end: number } {
    if (this.peek() !== tag) {
      const found = this.peek();
      throw new X509Error('ERR_DER', `expected tag ${hex(tag)}, found ${found === undefined ? 'the end' : hex(found)}`);
    }
    return this.#header();
  }

  #header(): { start: number; end: number } {
    const bytes = this.#bytes;
    const tag = this.#position < this.#end ? bytes[this.#position] : undefined;
    if (tag === undefined) throw new X509Error('ERR_DER', 'an element is missing');
    if ((tag & 0x1f) === 0x1f) throw new X509Error('ERR_DER', 'multi-byte tags are not used in X.509');
    const first = this.#position + 1 < this.#end ? bytes[this.#position + 1] : undefined;
    if (first === undefined) throw new X509Error('ERR_DER', 'an element has no length');
    let start = this.#position + 2;
    let length = first;
    if (first >= 0x80) {
      const count = first & 0x7f;
      if (count === 0 || count > LENGTH_BYTES_MAX || start + count > this.#end) {
        throw new X509Error('ERR_DER', 'a length is indefinite, too long or cut off');
      }
      length = bytes.readUIntBE(start, count);
      start += count;
      // DER §10.1: the one shortest form only, or two encodings of one certificate would differ in their hash.
      if (length < 0x80 || length < 2 ** (8 * (count - 1))) throw new X509Error('ERR_DER', 'a length is not minimal');
    }
    if (length > this.#end - start) throw new X509Error('ERR_DER', 'an element is longer than what holds it');
    return { start, end: start + length };
  }
}

/** Reads a whole input as one element with `tag`, at most `bytesMax` long. */
export function readWhole(bytes: Buffer, tag: number, bytesMax = DER_BYTES_MAX): DerReader {
  if (bytes.length > bytesMax) {
    throw new X509Error('ERR_DER', `an object of ${bytes.length} bytes is over the limit of ${bytesMax}`);
  }
  const outer = new DerReader(bytes);
  const inner = outer.enter(tag);
  outer.finish();
  return inner;
}

/** Checks the content of an INTEGER: at least one byte, no redundant leading byte. */
export function checkInteger(content: Buffer): Buffer {
  const first = content[0];
  const second = content[1];
  if (first === undefined) throw new X509Error('ERR_DER', 'an INTEGER has no bytes');
  if (second !== undefined && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80))) {
    throw new X509Error('ERR_DER', 'an INTEGER is not minimal');
  }
  return content;
}

/** Decodes the content of an OBJECT IDENTIFIER. */
export function decodeOid(content: Buffer): string {
  if (content.length === 0 || content.length > OID_BYTES_MAX) {
    throw new X509Error('ERR_DER', `an OBJECT IDENTIFIER has 1 to ${OID_BYTES_MAX} bytes`);
  }
  const arcs: number[] = [];
  let arc = 0;
  let fresh = true;
  // By index: this runs a dozen times for every certificate, and iterating a Buffer is slow.
  for (let index = 0; index < content.length; index++) {
    const byte = content[index] ?? 0;
    if (fresh && byte === 0x80) throw new X509Error('ERR_DER', 'an OBJECT IDENTIFIER is not minimal');
    if (arc > ARC_MAX) throw new X509Error('ERR_DER', 'an arc of an OBJECT IDENTIFIER is too large');
    arc = arc * 128 + (byte & 0x7f);
    fresh = byte < 0x80;
    if (fresh) {
      arcs.push(arc);
      arc = 0;
    }
  }
  if (!fresh) throw new X509Error('ERR_DER', 'an OBJECT IDENTIFIER is cut off');
  const head = arcs[0] ?? 0;
  const top = head < 40 ? 0 : head < 80 ? 1 : 2;
  let dotted = `${top}.${head - top * 40}`;
  for (let index = 1; index < arcs.length; index++) dotted += `.${arcs[index]}`;
  return dotted;
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, '0');
}

/** The deepest of our objects (a name constraint inside a certificate) nests 11 levels. */
const DEPTH_MAX = 16;
/** Lengths up to 2^32: more than any limit below. */
const LENGTH_BYTES_MAX = 4;
/** A certificate with an RSA-8192 key and a 2,048-byte SPIFFE ID stays under 8 KiB; real chains with many names under 64 KiB. */
export const DER_BYTES_MAX = 64 * 1024;
const OID_BYTES_MAX = 64;
/** Before the last shift an arc must leave room in a safe integer. */
const ARC_MAX = 2 ** 45;
