import type { Duplex } from 'node:stream';

/** One system call for small pieces, and one for many. */
export function write(stream: Duplex, pieces: readonly Buffer[], taken?: () => void): void {
  if (stream.destroyed || stream.writableEnded || pieces.length === 0) return;
  const bytes = bytesIn(pieces);
  if (pieces.length === 1 || bytes <= JOIN_BYTES_MAX) {
    stream.write(pieces.length === 1 ? pieces[0] : Buffer.concat(pieces, bytes), taken);
    return;
  }
  stream.cork();
  for (const [i, piece] of pieces.entries()) stream.write(piece, i === pieces.length - 1 ? taken : undefined);
  stream.uncork();
}

/** How many there are of all. */
export function bytesIn(pieces: readonly Buffer[]): number {
  let bytes = 0;
  for (const piece of pieces) bytes += piece.length;
  return bytes;
}

/** Copying this much costs less than a vector write with many parts. */
const JOIN_BYTES_MAX = 16 * 1024;
