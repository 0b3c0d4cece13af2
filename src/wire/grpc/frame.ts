import { GrpcWireError } from './errors.ts';

/** One message with its prefix: a zero byte (not compressed), the length as 32 bits big-endian, the bytes. */
export function encodeFrame(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(PREFIX_BYTES + message.length);
  frame[0] = 0;
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, PREFIX_BYTES);
  return frame;
}

/** Cuts a stream of bytes into messages. After it threw, the stream is lost. */
export interface Deframer {
  /**
   * Takes the next bytes and returns the messages completed by them, in order. A message may share memory with `chunk`.
   * @throws GrpcWireError ERR_GRPC_FRAME_SIZE (as soon as the length is known), ERR_GRPC_FRAME_COMPRESSED
   */
  push(chunk: Uint8Array): Uint8Array[];
  /** To be called when the stream has ended. @throws GrpcWireError ERR_GRPC_FRAME_TRUNCATED */
  end(): void;
  /** Bytes held for a message that is not complete. */
  readonly pendingBytes: number;
}

/** Creates a {@link Deframer} that refuses messages over `messageBytesMax`. */
export function createDeframer(messageBytesMax: number): Deframer {
  return new FrameReader(messageBytesMax);
}

/** A class, since each call has one: most see a single chunk that is a single frame, for which nothing is held. */
class FrameReader implements Deframer {
  readonly #messageBytesMax: number;
  /** The part of a prefix that has come so far. */
  readonly #prefix: number[] = [];
  /** Length of the message that is being read, once its prefix is there. */
  #wantedBytes: number | undefined;
  #held = EMPTY;
  #heldBytes = 0;

  constructor(messageBytesMax: number) {
    this.#messageBytesMax = messageBytesMax;
  }

  push(chunk: Uint8Array): Uint8Array[] {
    const messages: Uint8Array[] = [];
    let offset = 0;
    while (offset < chunk.length) {
      if (this.#wantedBytes === undefined) {
        offset = this.#takePrefix(chunk, offset);
        if (this.#wantedBytes === undefined) break;
      }
      const end = Math.min(offset + this.#wantedBytes - this.#heldBytes, chunk.length);
      if (end === offset && this.#wantedBytes > 0) break;
      const message = this.#take(chunk.subarray(offset, end), this.#wantedBytes);
      offset = end;
      if (message !== undefined) messages.push(message);
    }
    return messages;
  }

  end(): void {
    if (this.pendingBytes > 0) {
      throw new GrpcWireError(
        'ERR_GRPC_FRAME_TRUNCATED',
        `the stream ended with ${this.pendingBytes} bytes of an incomplete message`,
      );
    }
  }

  get pendingBytes(): number {
    return (this.#wantedBytes === undefined ? this.#prefix.length : PREFIX_BYTES) + this.#heldBytes;
  }

  /** Returns where the prefix ends, or the end of the chunk when more of it is to come. */
  #takePrefix(chunk: Uint8Array, start: number): number {
    const prefix = this.#prefix;
    let offset = start;
    while (prefix.length < PREFIX_BYTES && offset < chunk.length) prefix.push(chunk[offset++] ?? 0);
    if (prefix.length === PREFIX_BYTES) {
      this.#wantedBytes = parsePrefix(prefix, this.#messageBytesMax);
      prefix.length = 0;
    }
    return offset;
  }

  #take(part: Uint8Array, wantedBytes: number): Uint8Array | undefined {
    const whole = this.#heldBytes === 0 && part.length === wantedBytes;
    if (!whole) this.#hold(part, wantedBytes);
    if (!whole && this.#heldBytes < wantedBytes) return undefined;
    const message = whole ? part : this.#held;
    this.#wantedBytes = undefined;
    this.#held = EMPTY;
    this.#heldBytes = 0;
    return message;
  }

  #hold(part: Uint8Array, wantedBytes: number): void {
    const neededBytes = this.#heldBytes + part.length;
    if (neededBytes > this.#held.length) {
      // Grows with what has arrived, not with what the prefix claims: five bytes must not cost the receiver a full-size buffer.
      const roomBytes = Math.max(neededBytes, this.#held.length * 2, HELD_BYTES_FIRST);
      const grown = Buffer.allocUnsafe(Math.min(wantedBytes, roomBytes));
      this.#held.copy(grown, 0, 0, this.#heldBytes);
      this.#held = grown;
    }
    this.#held.set(part, this.#heldBytes);
    this.#heldBytes = neededBytes;
  }
}

function parsePrefix(prefix: readonly number[], messageBytesMax: number): number {
  const [flag = 0, ...length] = prefix;
  if (flag !== 0) {
    throw new GrpcWireError(
      'ERR_GRPC_FRAME_COMPRESSED',
      `a message has compression flag ${flag}, only 0 is understood`,
    );
  }
  const messageBytes = length.reduce((sum, byte) => sum * 256 + byte, 0);
  if (messageBytes > messageBytesMax) {
    throw new GrpcWireError(
      'ERR_GRPC_FRAME_SIZE',
      `a message has ${messageBytes} bytes, at most ${messageBytesMax} are allowed`,
    );
  }
  return messageBytes;
}

const EMPTY = Buffer.alloc(0);
const PREFIX_BYTES = 5;
/** The first piece of a split message: most messages fit, and many idle streams holding one stay cheap. */
const HELD_BYTES_FIRST = 4096;
