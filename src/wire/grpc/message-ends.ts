/** Follows the messages of a body of gRPC, in pieces of any size. */
export interface MessageEnds {
  /** True where the last byte of that piece is the last one of a message. */
  push(chunk: Buffer): boolean;
}

/** Creates one for the beginning of a body. @see https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md */
export function createMessageEnds(): MessageEnds {
  /** Of the prefix under way: a flag and the length. */
  let prefixBytes = 0;
  let length = 0;
  /** Of the message under way. */
  let left = 0;
  return {
    push(chunk) {
      let at = 0;
      while (at < chunk.length) {
        if (left > 0) {
          const bytes = Math.min(left, chunk.length - at);
          left -= bytes;
          at += bytes;
          continue;
        }
        length = prefixBytes === 0 ? 0 : length * 256 + chunk.readUInt8(at);
        at++;
        if (++prefixBytes < PREFIX_BYTES) continue;
        prefixBytes = 0;
        left = length;
      }
      return left === 0 && prefixBytes === 0;
    },
  };
}

const PREFIX_BYTES = 5;
