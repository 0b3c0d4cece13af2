import { isUtf8 } from 'node:buffer';

/** Follows a stream of UTF-8 across its chunks. */
export class Utf8Check {
  /** Continuation bytes that the character at the end of the last chunk still lacks, and what the next of them may be. */
  #missing = 0;
  #low = 0x80;
  #high = 0xbf;

  /** True when no character is unfinished. */
  get isWhole(): boolean {
    return this.#missing === 0;
  }

  /** Where the first byte stands that no UTF-8 has there; -1 when there is none. */
  push(chunk: Buffer): number {
    let at = 0;
    while (this.#missing > 0 && at < chunk.length) if (!this.#take(chunk[at++] ?? 0)) return at - 1;
    const tail = startOfTail(chunk, at);
    const middle = at === 0 && tail === chunk.length ? chunk : chunk.subarray(at, tail);
    // Byte by byte only where a character may be cut, and to find a fault.
    if (isUtf8(middle)) at = tail;
    while (at < chunk.length) if (!this.#take(chunk[at++] ?? 0)) return at - 1;
    return -1;
  }

  /** One byte; false when it can't stand there. @see Unicode table 3-7 */
  #take(byte: number): boolean {
    if (this.#missing > 0) {
      if (byte < this.#low || byte > this.#high) return false;
      this.#missing--;
      this.#low = 0x80;
      this.#high = 0xbf;
      return true;
    }
    if (byte < 0x80) return true;
    if (byte < 0xc2 || byte > 0xf4) return false;
    this.#missing = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
    // No second spelling of a shorter character, no surrogate, nothing beyond U+10FFFF.
    if (byte === 0xe0) this.#low = 0xa0;
    else if (byte === 0xed) this.#high = 0x9f;
    else if (byte === 0xf0) this.#low = 0x90;
    else if (byte === 0xf4) this.#high = 0x8f;
    return true;
  }
}

/** Where a character begins that the chunk's end cuts; the end when none does. */
function startOfTail(chunk: Buffer, from: number): number {
  for (let at = chunk.length - 1; at >= from && at >= chunk.length - 3; at--) {
    const byte = chunk[at] ?? 0;
    if (byte < 0x80) break;
    if (byte < 0xc0) continue;
    const bytes = byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
    return at + bytes > chunk.length ? at : chunk.length;
  }
  return chunk.length;
}
