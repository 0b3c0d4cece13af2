import { PostgresWireError } from './errors.ts';

/** How long messages may be. Lengths count the whole message with its type byte. */
export interface FramerLimits {
  /** Longer messages end the stream (ERR_PG_TOO_LONG), unless their type says otherwise. */
  readonly messageBytesMax: number;
  /** Longer messages of that type are read and dropped, and come out as `oversize`; undefined: `messageBytesMax` counts. */
  readonly keptBytesMax?: (type: number) => number | undefined;
  /** True of types whose long messages are shown in pieces as they come. */
  readonly inPieces?: (type: number) => boolean;
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
  /** Of a message in pieces only the first has the header, and no other begins before the last. Of any other message both are true. */
  isFirst = true;
  isLast = true;
  readonly #limits: FramerLimits;
  #chunk: Buffer = EMPTY;
  #offset = 0;
  #queued: Buffer[] = [];
  #tail: Buffer = EMPTY;
  #tailBytes = 0;
  /** Whole size of the message in `#tail`; 0 while its header is incomplete. */
  #need = 0;
  #skipBytes = 0;
  /** Of a message in pieces, what is still to come. */
  #pieceBytes = 0;

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
   * Moves to the next whole message, or piece; false when more bytes are needed.
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
      if (this.#pieceBytes > 0) {
        this.#piece(available);
        return true;
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
        if (this.#isInPieces(this.#chunk[this.#offset] ?? 0, need)) {
          this.type = this.#chunk[this.#offset] ?? 0;
          this.#pieceBytes = need;
          this.#piece(available);
          this.isFirst = true;
          return true;
        }
        this.#need = need;
        this.#keep(available, need);
        continue;
      }
      this.type = this.#chunk[this.#offset] ?? 0;
      this.buffer = this.#chunk;
      this.start = this.#offset;
      this.end = this.#offset + need;
      this.oversize = false;
      this.isFirst = true;
      this.isLast = true;
      this.#offset = this.end;
      return true;
    }
  }

  /** Bytes of the chunks given that were not looked at yet. */
  /** Of the message whose first piece is at hand: all of it, as it announces. */
  get messageBytes(): number {
    return this.isLast ? this.end - this.start : this.buffer.readInt32BE(this.start + 1) + 1;
  }

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
    if (length > LENGTH_MAX)
      throw new PostgresWireError('ERR_PG_LENGTH', `message announces ${length} bytes; the most is ${LENGTH_MAX}`);
    const need = length + 1;
    const type = buffer[offset] ?? 0;
    const { messageBytesMax } = this.#limits;
    if (this.#isInPieces(type, need)) return need;
    const keptBytesMax = this.#limits.keptBytesMax?.(type);
    if (keptBytesMax !== undefined && need > keptBytesMax) {
      this.type = type;
      this.#skipBytes = need - this.#tailBytes;
      this.#tailBytes = 0;
      return 0;
    }
    if (need > messageBytesMax)
      throw new PostgresWireError(
        'ERR_PG_TOO_LONG',
        `message of ${need} bytes; at most ${messageBytesMax} are allowed`,
      );
    return need;
  }

  #isInPieces(type: number, need: number): boolean {
    return need > PIECES_BYTES_MIN && this.#limits.inPieces?.(type) === true;
  }

  /** Shows what is there of a message in pieces. */
  #piece(available: number): void {
    const bytes = Math.min(available, this.#pieceBytes);
    this.#show(this.#chunk, this.#offset, { end: this.#offset + bytes, type: this.type });
    this.#offset += bytes;
    this.#pieceBytes -= bytes;
    this.isFirst = false;
    this.isLast = this.#pieceBytes === 0;
  }

  /** Drops bytes of an oversize message; true once it is over. */
  #skip(available: number): boolean {
    const bytes = Math.min(available, this.#skipBytes);
    this.#offset += bytes;
    this.#skipBytes -= bytes;
    if (this.#skipBytes > 0) return false;
    this.#show(EMPTY, 0, { end: 0, type: this.type, oversize: true });
    return true;
  }

  /** Adds to the unfinished message; true once it is whole. */
  #fill(available: number): boolean {
    const want = this.#need === 0 ? HEADER_BYTES : this.#need;
    this.#keep(Math.min(available, want - this.#tailBytes), want);
    if (this.#tailBytes < want) return false;
    if (this.#need === 0) {
      this.#need = this.#measure(this.#tail, 0);
      if (this.#need === 0) return false;
      const type = this.#tail[0] ?? 0;
      if (this.#isInPieces(type, this.#need)) {
        this.#pieceBytes = this.#need - HEADER_BYTES;
        this.#need = HEADER_BYTES;
      } else if (this.#need > HEADER_BYTES) return false;
    }
    this.#show(this.#tail, 0, { end: this.#need, type: this.#tail[0] ?? 0 });
    this.isLast = this.#pieceBytes === 0;
    this.#tail = EMPTY;
    this.#tailBytes = 0;
    this.#need = 0;
    return true;
  }

  #show(buffer: Buffer, start: number, message: { end: number; type: number; oversize?: boolean }): void {
    this.type = message.type;
    this.buffer = buffer;
    this.start = start;
    this.end = message.end;
    this.oversize = message.oversize === true;
    this.isFirst = true;
    this.isLast = true;
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

/** What PostgreSQL itself sends and takes at most. */
const LENGTH_MAX = 0x3fffffff;
/** Shorter messages are whole: most come in one chunk or two. */
const PIECES_BYTES_MIN = 256 * 1024;
/** Type byte and length. */
const HEADER_BYTES = 5;
const LENGTH_MIN = 4;
const EMPTY = Buffer.alloc(0);
/** Most messages fit: one allocation for a straddling message. */
const TAIL_BYTES_MIN = 1024;
