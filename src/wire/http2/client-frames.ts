import { createHeaderBlock } from './header-block.ts';

/**
 * Follows what one client sends, frame by frame, and changes nothing: node:http2 leaves fields out that it does not like without a word, tells of a
 * stream that was taken back as of one that has ended, and allows more of most frames than anybody needs.
 */
export interface ClientFrames {
  /**
   * Takes the next bytes of the connection, in pieces of any size.
   *
   * @param nowMs monotonic.
   * @param sentBytes to the client, since the last call: it may answer them with larger windows.
   * @returns What there is too much of: the connection has to end, and these bytes are for nobody.
   */
  pass(chunk: Buffer, nowMs: number, sentBytes: number): Flood | undefined;
  /** What has come of a stream that node:http2 tells of. Streams before it that it has not told of are forgotten. */
  take(id: number): ClientStream | undefined;
  /** A stream that was taken is closed. */
  forget(id: number): void;
}

/**
 * `resets`: streams that were taken back, or opened beyond what may be; `control`: frames that belong to no request; `headers`: of one head; `streams`:
 * at once.
 */
export type Flood = 'resets' | 'control' | 'headers' | 'streams';

/** One stream as its frames have it, kept up to date. */
export interface ClientStream {
  /** In the block that opened it, pseudo-headers taken in. */
  readonly fields: number;
  /** Its last frame has come, by its own word. */
  readonly hasEnded: boolean;
  /** Its client took it back. */
  readonly isReset: boolean;
}

/** Creates a {@link ClientFrames}. */
export function createClientFrames(): ClientFrames {
  return new Follower(PREFACE_BYTES);
}

/** The same of what a server sends: it has no preface, and opens the streams that it answers. */
export function createServerFrames(): ClientFrames {
  return new Follower(0);
}

class Follower implements ClientFrames {
  readonly #block = createHeaderBlock({ isReadOnly: true });
  readonly #head = Buffer.alloc(FRAME_HEAD_BYTES);
  #headBytes = 0;
  #prefaceLeft: number;
  // Of the frame under way: bytes before the header block, of the block (0 in other frames), and after it.
  #before = 0;
  #within = 0;
  #after = 0;
  #isPadded = false;
  #isOpen = false;
  /** Marked once its frame is whole. */
  #ending: number | undefined;
  #blockBytes = 0;
  #blockFrames = 0;
  #newest = 0;
  /** The one that the block under way opens. */
  #opening: Stream | undefined;
  readonly #untold = new Map<number, Stream>();
  readonly #told = new Map<number, Stream>();
  readonly #resets = createBudget(RESETS_MAX, RESETS_A_SECOND);
  readonly #control = createBudget(CONTROL_MAX, CONTROL_A_SECOND);
  #flood: Flood | undefined;

  constructor(prefaceBytes: number) {
    this.#prefaceLeft = prefaceBytes;
  }

  pass(chunk: Buffer, nowMs: number, sentBytes: number): Flood | undefined {
    this.#resets.refill(nowMs, 0);
    this.#control.refill(nowMs, sentBytes / SENT_BYTES_A_FRAME);
    let at = Math.min(this.#prefaceLeft, chunk.length);
    this.#prefaceLeft -= at;
    while (at < chunk.length && this.#flood === undefined) at = this.#step(chunk, at);
    return this.#flood;
  }

  take(id: number): ClientStream | undefined {
    for (const [other, stream] of this.#untold) {
      if (other > id) break;
      this.#untold.delete(other);
      if (other === id) {
        this.#told.set(id, stream);
        return stream;
      }
      // It was refused: more than may be at once, or a malformed one.
      if (!stream.isReset) this.#spend(this.#resets, 'resets');
    }
    return undefined;
  }

  forget(id: number): void {
    this.#told.delete(id);
  }

  #step(chunk: Buffer, at: number): number {
    if (!this.#isOpen) {
      this.#head.writeUInt8(chunk.readUInt8(at), this.#headBytes);
      this.#headBytes = (this.#headBytes + 1) % FRAME_HEAD_BYTES;
      if (this.#headBytes === 0) this.#begin();
      return at + 1;
    }
    const left = chunk.length - at;
    let bytes = 1;
    if (this.#isPadded) {
      const padding = Math.min(chunk.readUInt8(at), this.#within);
      this.#within -= padding;
      this.#after += padding;
      this.#isPadded = false;
    } else if (this.#before > 0) {
      bytes = Math.min(this.#before, left);
      this.#before -= bytes;
    } else if (this.#within > 0) {
      bytes = Math.min(this.#within, left);
      this.#block.pass(chunk.subarray(at, at + bytes));
      if (this.#opening !== undefined) this.#opening.fields = this.#block.fields;
      this.#within -= bytes;
    } else {
      bytes = Math.min(this.#after, left);
      this.#after -= bytes;
    }
    if (!this.#isPadded && this.#before + this.#within + this.#after === 0) this.#end();
    return at + bytes;
  }

  #begin() {
    const length = this.#head.readUIntBE(0, 3);
    const type = this.#head.readUInt8(3);
    const flags = this.#head.readUInt8(4);
    const id = this.#head.readUInt32BE(5) % 2 ** 31;
    const opens = type === HEADERS;
    this.#isPadded = opens && (flags & PADDED) !== 0 && length > 0;
    this.#before = opens && (flags & PRIORITY_FLAG) !== 0 ? PRIORITY_BYTES : 0;
    const rest = length - this.#before - (this.#isPadded ? 1 : 0);
    // Below zero its length is a lie that node:http2 answers: the connection ends there.
    if (rest < 0) [this.#before, this.#isPadded] = [0, false];
    const isBlock = rest >= 0 && (opens || type === CONTINUATION);
    this.#within = isBlock ? rest : 0;
    this.#after = isBlock ? 0 : rest < 0 ? length : rest;
    if (opens) this.#beginBlock(id);
    if (opens || type === CONTINUATION) this.#countBlock(length);
    const ends = (opens || type === DATA) && (flags & END_STREAM) !== 0;
    this.#ending = ends ? id : undefined;
    if (type === RESET) this.#reset(id);
    else if (isControl(type) || (type === DATA && length === 0 && !ends)) this.#spend(this.#control, 'control');
    this.#isOpen = true;
    if (length === 0) this.#end();
  }

  #end() {
    this.#isOpen = false;
    const stream = this.#ending === undefined ? undefined : this.#find(this.#ending);
    if (stream !== undefined) stream.hasEnded = true;
  }

  #beginBlock(id: number) {
    this.#block.begin();
    this.#blockBytes = 0;
    this.#blockFrames = 0;
    this.#opening = undefined;
    if (id <= this.#newest) return;
    this.#newest = id;
    this.#opening = { fields: 0, hasEnded: false, isReset: false };
    this.#untold.set(id, this.#opening);
    if (this.#untold.size > UNTOLD_MAX) this.#flood = 'streams';
  }

  #countBlock(length: number) {
    this.#blockBytes += length;
    if (this.#blockBytes > BLOCK_BYTES_MAX || ++this.#blockFrames > BLOCK_FRAMES_MAX) this.#flood = 'headers';
  }

  #reset(id: number) {
    const stream = this.#find(id);
    if (stream !== undefined) stream.isReset = true;
    this.#spend(this.#resets, 'resets');
  }

  #find(id: number): Stream | undefined {
    return this.#told.get(id) ?? this.#untold.get(id);
  }

  #spend(budget: Budget, flood: Flood) {
    if (!budget.take()) this.#flood = flood;
  }
}

interface Stream {
  fields: number;
  hasEnded: boolean;
  isReset: boolean;
}

/** So many at once, and then so many a second. */
interface Budget {
  refill(nowMs: number, more: number): void;
  take(): boolean;
}

function createBudget(most: number, aSecond: number): Budget {
  let left = most;
  let atMs: number | undefined;
  return {
    refill(nowMs, more) {
      left = Math.min(most, left + more + ((nowMs - (atMs ?? nowMs)) / 1000) * aSecond);
      atMs = nowMs;
    },
    take() {
      left--;
      return left >= 0;
    },
  };
}

/** All that is neither a request nor a part of one, unknown ones too. */
function isControl(type: number): boolean {
  return type !== DATA && type !== HEADERS && type !== RESET && type !== CONTINUATION;
}

/** What every client says first: RFC 9113 §3.4. */
const PREFACE_BYTES = 24;
const FRAME_HEAD_BYTES = 9;
const PRIORITY_BYTES = 5;
const DATA = 0;
const HEADERS = 1;
const RESET = 3;
const CONTINUATION = 9;
const END_STREAM = 0x1;
const PADDED = 0x8;
const PRIORITY_FLAG = 0x20;
/** A page that is left takes back what it has under way; whoever goes on so does nothing else. CVE-2023-44487. */
const RESETS_MAX = 200;
const RESETS_A_SECOND = 20;
/** Clients send few of them, but for windows; some of these make one larger for each four kilobytes, of the stream and of the connection. */
const CONTROL_MAX = 5_000;
const CONTROL_A_SECOND = 100;
const SENT_BYTES_A_FRAME = 1_024;
/** Of one head as it is sent: twice of what it may have, since a value that is coded badly is longer. */
const BLOCK_BYTES_MAX = 64 * 1024;
/** CVE-2023-45288, CVE-2024-27983. */
const BLOCK_FRAMES_MAX = 32;
/** Streams that came in one read: ten times what may be open. */
const UNTOLD_MAX = 1_000;
