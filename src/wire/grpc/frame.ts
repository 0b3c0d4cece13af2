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
  const prefix = Buffer.allocUnsafe(PREFIX_BYTES); // Read only when filled: a call a deframer, zeroed memory would cost more than the rest.
  let prefixBytes = 0;
  let wantedBytes = 0;
  let held: Buffer = EMPTY;
  let heldBytes = 0;
  const hold = (part: Uint8Array) => {
    const neededBytes = heldBytes + part.length;
    if (neededBytes > held.length) {
      // Grows with what has arrived, not with what the prefix claims: five bytes must not cost the receiver a full-size buffer.
      const grown = Buffer.allocUnsafe(Math.min(wantedBytes, Math.max(neededBytes, held.length * 2, HELD_BYTES_FIRST)));
      held.copy(grown, 0, 0, heldBytes);
      held = grown;
    }
    held.set(part, heldBytes);
    heldBytes = neededBytes;
  };
  const take = (part: Uint8Array): Uint8Array | undefined => {
    const whole = heldBytes === 0 && part.length === wantedBytes;
    if (!whole) hold(part);
    if (!whole && heldBytes < wantedBytes) return undefined;
    const message = whole ? part : held;
    prefixBytes = 0;
    held = EMPTY;
    heldBytes = 0;
    return message;
  };
  return {
    push(chunk) {
      const messages: Uint8Array[] = [];
      let offset = 0;
      while (offset < chunk.length) {
        if (prefixBytes < PREFIX_BYTES) {
          const end = Math.min(offset + PREFIX_BYTES - prefixBytes, chunk.length);
          prefix.set(chunk.subarray(offset, end), prefixBytes);
          prefixBytes += end - offset;
          offset = end;
          if (prefixBytes < PREFIX_BYTES) break;
          wantedBytes = parsePrefix(prefix, messageBytesMax);
        }
        const end = Math.min(offset + wantedBytes - heldBytes, chunk.length);
        if (end === offset && wantedBytes > 0) break;
        const message = take(chunk.subarray(offset, end));
        offset = end;
        if (message !== undefined) messages.push(message);
      }
      return messages;
    },
    end() {
      if (prefixBytes > 0) {
        throw new GrpcWireError(
          'ERR_GRPC_FRAME_TRUNCATED',
          `the stream ended with ${prefixBytes + heldBytes} bytes of an incomplete message`,
        );
      }
    },
    get pendingBytes() {
      return prefixBytes + heldBytes;
    },
  };
}

function parsePrefix(prefix: Buffer, messageBytesMax: number): number {
  const flag = prefix[0];
  if (flag !== 0) {
    throw new GrpcWireError(
      'ERR_GRPC_FRAME_COMPRESSED',
      `a message has compression flag ${flag}, only 0 is understood`,
    );
  }
  const messageBytes = prefix.readUInt32BE(1);
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
