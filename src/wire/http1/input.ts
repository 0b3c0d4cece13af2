import { CR, LF } from './characters.ts';

/**
 * The bytes that came and were not read yet. Heads are copied together where they straddle chunks; all else is shown where it lies. What is
 * read depends on the bytes alone, never on where they were cut.
 */
export class Input {
  #chunk: Buffer = EMPTY;
  #offset = 0;
  readonly #queued: Buffer[] = [];
  /** Of a block of lines that straddles chunks. */
  #tail: Buffer = EMPTY;
  #tailBytes = 0;
  /** Of the block under way: what was looked through, and where its last line starts. */
  #scannedBytes = 0;
  #lineAt = 0;

  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    if (this.#offset < this.#chunk.length) this.#queued.push(chunk);
    else {
      this.#chunk = chunk;
      this.#offset = 0;
    }
  }

  get bufferedBytes(): number {
    let bytes = this.#tailBytes + this.#chunk.length - this.#offset;
    for (const chunk of this.#queued) bytes += chunk.length;
    return bytes;
  }

  /** True when bytes came that were not looked at yet. */
  get hasUnread(): boolean {
    return this.#offset < this.#chunk.length || this.#queued.length > 0;
  }

  /** The next byte, which stays; undefined when none is there. */
  peek(): number | undefined {
    return this.#tailBytes > 0 ? this.#tail[0] : this.#has() ? this.#chunk[this.#offset] : undefined;
  }

  /** The next byte; undefined when none is there. Not within a block of lines. */
  byte(): number | undefined {
    return this.#has() ? this.#chunk[this.#offset++] : undefined;
  }

  /** At most `bytesMax` of what comes next, from one chunk; undefined when nothing is there. Not within a block of lines. */
  take(bytesMax: number): Buffer | undefined {
    if (!this.#has()) return undefined;
    const from = this.#offset;
    this.#offset = Math.min(this.#chunk.length, from + bytesMax);
    return from === 0 && this.#offset === this.#chunk.length ? this.#chunk : this.#chunk.subarray(from, this.#offset);
  }

  /**
   * The next lines up to an empty one, as Latin-1 text with all line ends; undefined while it has not come. A text that does not end in an
   * empty line is cut at `bytesMax`, or behind a line end that is not CR LF: whoever reads it comes upon what is wrong at its end at the latest.
   */
  lines(bytesMax: number): string | undefined {
    while (this.#has()) {
      const from = this.#offset;
      const room = bytesMax - this.#tailBytes;
      const until = Math.min(this.#chunk.length, from + room);
      if (this.#tailBytes === 0) {
        const end = this.#scan(this.#chunk, from, until);
        if (end > 0 || until - from === bytesMax) return this.#textHere(end > 0 ? end : until);
        this.#keep(until);
        continue;
      }
      this.#keep(until);
      const end = this.#scan(this.#tail, 0, this.#tailBytes);
      if (end > 0 || this.#tailBytes === bytesMax) return this.#textOfTail(end > 0 ? end : bytesMax);
    }
    return undefined;
  }

  /** All that was not read, which is no longer held. */
  takeRest(): Buffer {
    const parts = [this.#tail.subarray(0, this.#tailBytes), this.#chunk.subarray(this.#offset), ...this.#queued];
    this.#chunk = EMPTY;
    this.#offset = 0;
    this.#queued.length = 0;
    this.#endBlock();
    return Buffer.concat(parts);
  }

  /** Makes the next chunk the one at hand when that is used up; false when there is none. */
  #has(): boolean {
    if (this.#offset < this.#chunk.length) return true;
    const next = this.#queued.shift();
    if (next === undefined) return false;
    this.#chunk = next;
    this.#offset = 0;
    return true;
  }

  /** Looks on for the end of the block that starts at `base`: an empty line, or an LF without CR. 0 while neither has come. */
  #scan(buffer: Buffer, base: number, until: number): number {
    let line = base + this.#lineAt;
    for (let at = base + this.#scannedBytes; at < until; at++) {
      if (buffer[at] !== LF) continue;
      if (at === line || buffer[at - 1] !== CR || at - line === 1) return at + 1;
      line = at + 1;
    }
    this.#lineAt = line - base;
    this.#scannedBytes = until - base;
    return 0;
  }

  #textHere(end: number): string {
    const text = this.#chunk.toString('latin1', this.#offset, end);
    this.#offset = end;
    this.#scannedBytes = 0;
    this.#lineAt = 0;
    return text;
  }

  /** The tail's end beyond the block was not looked through before, so it is the end of the chunk at hand, or a part of it. */
  #textOfTail(end: number): string {
    const text = this.#tail.toString('latin1', 0, end);
    this.#offset -= this.#tailBytes - end;
    this.#endBlock();
    return text;
  }

  #endBlock(): void {
    this.#tail = EMPTY;
    this.#tailBytes = 0;
    this.#scannedBytes = 0;
    this.#lineAt = 0;
  }

  /** Copies the chunk at hand up to `until` into the tail, which grows by doubling. */
  #keep(until: number): void {
    const total = this.#tailBytes + until - this.#offset;
    if (total > this.#tail.length) {
      const grown = Buffer.allocUnsafe(Math.max(total * 2, TAIL_BYTES_MIN));
      this.#tail.copy(grown, 0, 0, this.#tailBytes);
      this.#tail = grown;
    }
    this.#chunk.copy(this.#tail, this.#tailBytes, this.#offset, until);
    this.#tailBytes = total;
    this.#offset = until;
  }
}

const EMPTY = Buffer.alloc(0);
/** Most heads fit. */
const TAIL_BYTES_MIN = 1024;
