/** Bytes that are collected: room grows by doubling, so that collecting takes time in proportion to what is collected. */
export class ByteBox {
  buffer: Buffer = EMPTY;
  length = 0;

  /** Makes sure of room for `bytes` more at `length`. */
  reserve(bytes: number): void {
    const needed = this.length + bytes;
    if (needed <= this.buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(needed, this.buffer.length * 2, BOX_BYTES_MIN));
    this.buffer.copy(grown, 0, 0, this.length);
    this.buffer = grown;
  }

  /** Few bytes are copied faster here than by a call out of JavaScript. */
  add(source: Buffer, from: number, to: number): void {
    this.reserve(to - from);
    if (to - from > FEW_BYTES) source.copy(this.buffer, this.length, from, to);
    else for (let i = from, at = this.length; i < to; i++) this.buffer[at++] = source[i] ?? 0;
    this.length += to - from;
  }

  /** What was collected, as a buffer of its own; the box is empty afterwards. */
  take(): Buffer {
    const taken = this.buffer.subarray(0, this.length);
    this.buffer = EMPTY;
    this.length = 0;
    return taken;
  }

  /** Empties the box; its room is kept when it is small. */
  clear(): void {
    this.length = 0;
    if (this.buffer.length > ROOM_KEPT_BYTES) this.buffer = EMPTY;
  }
}

const EMPTY = Buffer.alloc(0);
const BOX_BYTES_MIN = 256;
const FEW_BYTES = 24;
const ROOM_KEPT_BYTES = 64 * 1024;
