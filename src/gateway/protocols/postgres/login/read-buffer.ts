/** How bytes of a target get into memory, as `onread` of a socket has it, and `release` for who is done with them. */
export interface Reads {
  readonly buffer: Uint8Array;
  callback(bytes: number): boolean;
  /** Nothing holds on to the chunk that came last. */
  release(): void;
}

/**
 * Node gives each read of a socket 64 KiB of its own, and takes back most of it. For answers of a hundred bytes that costs more than
 * reading them; for answers of megabytes it has the collector run a third of the time. Here all sockets read into one buffer, and what came is
 * copied: a little into memory that Buffer shares out, much into one buffer of the connection, used again once it was released.
 */
export function createReads(take: (chunk: Buffer) => void): Reads {
  let large: Buffer | undefined;
  let isFree = false;
  const copyOf = (bytes: number): Buffer => {
    const read = shared.subarray(0, bytes);
    if (bytes <= SMALL_BYTES_MAX) {
      large = undefined; // An idle connection keeps no memory.
      return Buffer.from(read);
    }
    if (large === undefined || !isFree) large = Buffer.allocUnsafeSlow(READ_BYTES);
    isFree = false;
    read.copy(large);
    return large.subarray(0, bytes);
  };
  return {
    buffer: shared,
    callback(bytes) {
      take(copyOf(bytes));
      return true;
    },
    release() {
      isFree = true;
    },
  };
}

const READ_BYTES = 64 * 1024;
/** What Buffer takes from its pool. */
const SMALL_BYTES_MAX = 4 * 1024;
/** Used from when the system has filled it until it is copied: within one call. */
const shared = Buffer.allocUnsafeSlow(READ_BYTES);
