/**
 * Collects what goes out for one chunk that came in: runs of the incoming buffer as they are, own messages between them, and
 * rewritten rows in one scratch buffer. `take` gives the pieces for a single write.
 */
export class Outbox {
  /** Bytes collected since the last `take`. */
  bytes = 0;
  #pieces: Buffer[] = [];
  #run: Buffer | undefined;
  #runStart = 0;
  #runEnd = 0;
  #scratch: Buffer = EMPTY;
  #scratchStart = 0;
  #scratchEnd = 0;

  /** Adds a part of an incoming buffer; a part that follows the one before costs nothing. */
  keep(buffer: Buffer, start: number, end: number): void {
    this.bytes += end - start;
    if (this.#run === buffer && this.#runEnd === start) {
      this.#runEnd = end;
      return;
    }
    this.#close();
    this.#run = buffer;
    this.#runStart = start;
    this.#runEnd = end;
  }

  /** Adds a buffer of its own. */
  add(buffer: Buffer): void {
    this.#close();
    this.bytes += buffer.length;
    this.#pieces.push(buffer);
  }

  /** Room for up to `bytesMax` rewritten bytes at `scratchOffset`; tell the true number with `written`. */
  reserve(bytesMax: number): Buffer {
    if (this.#run !== undefined) this.#close();
    if (this.#scratchEnd + bytesMax > this.#scratch.length) {
      this.#close();
      this.#scratch = Buffer.allocUnsafe(Math.max(bytesMax, SCRATCH_BYTES));
      this.#scratchStart = 0;
      this.#scratchEnd = 0;
    }
    return this.#scratch;
  }

  get scratchOffset(): number {
    return this.#scratchEnd;
  }

  written(bytes: number): void {
    this.#scratchEnd += bytes;
    this.bytes += bytes;
  }

  /** Ends the current piece, so that what follows can be replaced on its own; the number of pieces so far. */
  mark(): number {
    this.#close();
    return this.#pieces.length;
  }

  /** Everything collected, in order; the box is empty afterwards. */
  take(): Buffer[] {
    this.#close();
    const pieces = this.#pieces;
    this.#pieces = [];
    this.bytes = 0;
    return pieces;
  }

  /** Nothing holds on to what was taken: its memory can be written to again. */
  recycle(): void {
    if (this.bytes > 0) return;
    this.#scratchStart = 0;
    this.#scratchEnd = 0;
  }

  #close(): void {
    if (this.#run !== undefined) {
      const whole = this.#runStart === 0 && this.#runEnd === this.#run.length;
      this.#pieces.push(whole ? this.#run : this.#run.subarray(this.#runStart, this.#runEnd));
      this.#run = undefined;
    } else if (this.#scratchEnd > this.#scratchStart) {
      this.#pieces.push(this.#scratch.subarray(this.#scratchStart, this.#scratchEnd));
      this.#scratchStart = this.#scratchEnd;
    }
  }
}

const EMPTY = Buffer.alloc(0);
/** Rewritten rows of one usual 64 KiB chunk, with room for longer values. */
const SCRATCH_BYTES = 72 * 1024;
