import { PostgresWireError } from './errors.ts';

/** How long messages may be. Lengths count the whole message with its type byte. */
export interface FramerLimits {
  /** Longer messages end the stream (ERR_PG_TOO_LONG). */
  readonly messageBytesMax: number;
  /** Longer messages of that type are read and dropped, and come out as `oversize`; undefined: only the hard limit counts. */
  readonly keptBytesMax?: (type: number) => number | undefined;
}

/**
 * Cuts a byte stream into PostgreSQL messages (type byte, big-endian length, body) without slicing: after `next()` returned
 * true, the message lies in `buffer` from `start` (its type byte) to `end`. A message that lies in one chunk is shown in that very
 * chunk, so untouched runs can be sent on as they came; one that straddles chunks gets a buffer of its own, never reused.
 * Holds at most one unfinished message and the chunks not walked yet. A class, since its fields are read once a message.
 */
export class Framer {
  /** Type byte of the current message. */
  type = 0;
  buffer: Buffer = EMPTY;
  start = 0;
  end = 0;
  /** True when the current message was too long for its type: its body was dropped, `start` equals `end`. */
  oversize = false;
  readonly #limits: FramerLimits;
  #chunk: Buffer = EMPTY;
  #offset = 0;
  #queued: Buffer[] = [];
  #tail: Buffer = EMPTY;
  #tailBytes = 0;
  /** Whole size of the message in `#tail`; 0 while its header is incomplete. */
  #need = 0;
  #skipBytes = 0;

  constructor(limits: FramerLimits) {
    this.#limits = limits;
  }

  /** Gives the next chunk; it must not change afterwards. */
  push(chunk: Buffer): void {
    if (this.#offset === this.#chunk.length) {
      this.#chunk = chunk;
      this.#offset = 0;
    } else {
      this.#queued.push(chunk);
    }
  }

  /**
   * Moves to the next whole message; false when more bytes are needed.
   * @throws PostgresWireError ERR_PG_LENGTH, ERR_PG_TOO_LONG: the stream can't be read on
   */
  next(): boolean {
    for (;;) {
      const available = this.#chunk.length - this.#offset;
      if (available === 0) {
        const chunk = this.#queued.shift();
        if (chunk === undefined) return false;
        this.#chunk = chunk;
        this.#offset = 0;
        continue;
      }
      if (this.#skipBytes > 0) {
        if (this.#skip(available)) return true;
        continue;
      }
      if (this.#tailBytes > 0) {
        if (this.#fill(available)) return true;
        continue;
      }
      if (available < HEADER_BYTES) {
        this.#keep(available, HEADER_BYTES);
        continue;
      }
      const need = this.#measure(this.#chunk, this.#offset);
      if (need === 0) continue;
      if (need > available) {
        this.#need = need;
        this.#keep(available, need);
        continue;
      }
      this.type = this.#chunk[this.#offset] ?? 0;
      this.buffer = this.#chunk;
      this.start = this.#offset;
      this.end = this.#offset + need;
      this.oversize = false;
      this.#offset = this.end;
      return true;
    }
  }

  /** Bytes of the chunks given that were not looked at yet. */
  get unreadBytes(): number {
    let bytes = this.#chunk.length - this.#offset;
    for (const chunk of this.#queued) bytes += chunk.length;
    return bytes;
  }

  /** Bytes held that belong to no message shown yet. */
  get bufferedBytes(): number {
    return this.#tailBytes + this.unreadBytes;
  }

  /** Size of the message at `offset`, or 0 when it is too long for its type and its body is to be skipped. */
  #measure(buffer: Buffer, offset: number): number {
    const length = buffer.readInt32BE(offset + 1);
    if (length < LENGTH_MIN) {
      throw new PostgresWireError('ERR_PG_LENGTH', `message announces ${length} bytes; the least is ${LENGTH_MIN}`);
    }
    const need = length + 1;
    if (need > this.#limits.messageBytesMax) {
      throw new PostgresWireError(
        'ERR_PG_TOO_LONG',
        `message of ${need} bytes; at most ${this.#limits.messageBytesMax} are allowed`,
      );
    }
    const type = buffer[offset] ?? 0;
    const keptBytesMax = this.#limits.keptBytesMax?.(type);
    if (keptBytesMax !== undefined && need > keptBytesMax) {
      this.type = type;
      this.#skipBytes = need - this.#tailBytes;
      this.#tailBytes = 0;
      return 0;
    }
    return need;
  }

  /** Drops bytes of an oversize message; true once it is over. */
  #skip(available: number): boolean {
    const bytes = Math.min(available, this.#skipBytes);
    this.#offset += bytes;
    this.#skipBytes -= bytes;
    if (this.#skipBytes > 0) return false;
    this.#show(EMPTY, 0, this.type, true);
    return true;
  }

  /** Adds to the unfinished message; true once it is whole. */
  #fill(available: number): boolean {
    const want = this.#need === 0 ? HEADER_BYTES : this.#need;
    this.#keep(Math.min(available, want - this.#tailBytes), want);
    if (this.#tailBytes < want) return false;
    if (this.#need === 0) {
      this.#need = this.#measure(this.#tail, 0);
      if (this.#need === 0 || this.#need > HEADER_BYTES) return false;
    }
    this.#show(this.#tail, this.#need, this.#tail[0] ?? 0, false);
    this.#tail = EMPTY;
    this.#tailBytes = 0;
    this.#need = 0;
    return true;
  }

  #show(buffer: Buffer, end: number, type: number, oversize: boolean): void {
    this.type = type;
    this.buffer = buffer;
    this.start = 0;
    this.end = end;
    this.oversize = oversize;
  }

  /** Copies `bytes` from the chunk into the tail, which grows by doubling: an announced length alone costs no memory. */
  #keep(bytes: number, want: number): void {
    const total = this.#tailBytes + bytes;
    if (total > this.#tail.length || this.#tailBytes === 0) {
      const capacity = Math.min(want, Math.max(total * 2, TAIL_BYTES_MIN));
      const grown = Buffer.allocUnsafe(Math.max(capacity, total));
      this.#tail.copy(grown, 0, 0, this.#tailBytes);
      this.#tail = grown;
    }
    this.#chunk.copy(this.#tail, this.#tailBytes, this.#offset, this.#offset + bytes);
    this.#tailBytes = total;
    this.#offset += bytes;
  }
}

/** Type byte and length. */
const HEADER_BYTES = 5;
const LENGTH_MIN = 4;
const EMPTY = Buffer.alloc(0);
/** Most messages fit: one allocation for a straddling message. */
const TAIL_BYTES_MIN = 1024;
