import { isAscii, isUtf8 } from 'node:buffer';
import { PostgresWireError } from './errors.ts';

/** What the bytes of a text say; throws when they say nothing. Never asked about texts of ASCII alone, which all encodings share. */
export type DecodeText = (bytes: Buffer) => string;

/** Walks the body of one message; each read checks its bounds. For messages that are looked into, not for rows. */
export class BodyReader {
  readonly #buffer: Buffer;
  #offset: number;
  readonly #end: number;
  readonly #what: string;
  readonly #decode: DecodeText | undefined;

  /** Reads `buffer` from `start` to `end`; `what` names the message in errors. Without `decode`, texts are UTF-8. */
  constructor(buffer: Buffer, span: { start: number; end: number; decode?: DecodeText | undefined }, what: string) {
    this.#buffer = buffer;
    this.#offset = span.start;
    this.#end = span.end;
    this.#what = what;
    this.#decode = span.decode;
  }

  byte(): number {
    this.#need(1);
    return this.#buffer[this.#offset++] ?? 0;
  }

  int16(): number {
    this.#need(2);
    const value = this.#buffer.readInt16BE(this.#offset);
    this.#offset += 2;
    return value;
  }

  uint16(): number {
    return this.int16() & 0xffff;
  }

  int32(): number {
    this.#need(4);
    const value = this.#buffer.readInt32BE(this.#offset);
    this.#offset += 4;
    return value;
  }

  uint32(): number {
    return this.int32() >>> 0;
  }

  /** The next `count` bytes, not copied. */
  bytes(count: number): Buffer {
    this.#need(count);
    const value = this.#buffer.subarray(this.#offset, this.#offset + count);
    this.#offset += count;
    return value;
  }

  /** Bytes up to the next NUL, not copied. */
  stringBytes(): Buffer {
    const nul = this.#buffer.indexOf(0, this.#offset);
    if (nul < 0 || nul >= this.#end) throw this.malformed('text without an end');
    const value = this.#buffer.subarray(this.#offset, nul);
    this.#offset = nul + 1;
    return value;
  }

  /** NUL-terminated text; in one encoding, since a byte that is read in two ways can mean two things. */
  string(): string {
    const buffer = this.#buffer;
    const start = this.#offset;
    const last = Math.min(this.#end, start + SHORT_BYTES);
    // Names are mostly short and ASCII: looked at here, one costs less than a single call out of JavaScript.
    for (let at = start; at < last; at++) {
      const byte = buffer[at] ?? 0;
      if (byte >= 0x80) break;
      if (byte !== 0) continue;
      this.#offset = at + 1;
      return at === start ? '' : buffer.toString('latin1', start, at);
    }
    const bytes = this.stringBytes();
    if (this.#decode !== undefined) return isAscii(bytes) ? bytes.toString('latin1') : this.#decode(bytes);
    if (!isUtf8(bytes)) throw this.malformed('text that is not UTF-8');
    return bytes.toString('utf8');
  }

  /** Steps over `count` bytes. */
  skip(count: number): void {
    this.#need(count);
    this.#offset += count;
  }

  get rest(): number {
    return this.#end - this.#offset;
  }

  get offset(): number {
    return this.#offset;
  }

  /** Demands that nothing is left. */
  done(): void {
    if (this.#offset !== this.#end) throw this.malformed(`${this.rest} bytes too many`);
  }

  malformed(why: string): PostgresWireError {
    return new PostgresWireError('ERR_PG_MALFORMED', `${this.#what} message holds ${why}`);
  }

  #need(count: number): void {
    if (count < 0 || this.#offset + count > this.#end) throw this.malformed('less than it announces');
  }
}

const SHORT_BYTES = 64;
