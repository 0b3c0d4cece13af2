import { crc32 } from 'node:zlib';

/**
 * One frame of a segment: CRC-32 (that of zlib and Ethernet), payload length, `unsynced` (each 4 bytes, big-endian), then the payload. The checksum covers
 * all that follows it. A header of zeros is padding and ends the segment.
 */
export type Frame =
  | {
      readonly kind: 'frame';
      readonly payload: Buffer;
      /** How many frames before this one were not known to be on disk when it was written: what is older was promised to last. */
      readonly unsynced: number;
      /** Offset behind the frame. */
      readonly end: number;
    }
  /** Padding, or no byte left. */
  | { readonly kind: 'end' }
  /** The buffer ends before the frame does; its whole length is `bytes` (or at least that, while the header is cut). */
  | { readonly kind: 'short'; readonly bytes: number }
  /** Not a frame: cut by a crash, or damaged. */
  | { readonly kind: 'torn'; readonly reason: string };

/** Bytes before the payload. */
export const FRAME_HEADER_BYTES = 12;

/** Largest payload: bounds what a reader must hold. */
export const FRAME_PAYLOAD_BYTES_MAX = 1024 * 1024;

/** Reads the frame at `offset`. The payload is a view into `bytes`. Never throws. */
export function parseFrame(bytes: Buffer, offset: number): Frame {
  const left = bytes.length - offset;
  if (left <= 0) return { kind: 'end' };
  if (left < FRAME_HEADER_BYTES) {
    return allZero(bytes, offset, bytes.length) ? { kind: 'end' } : { kind: 'short', bytes: FRAME_HEADER_BYTES };
  }
  const length = bytes.readUInt32BE(offset + 4);
  if (length === 0) {
    return allZero(bytes, offset, offset + FRAME_HEADER_BYTES)
      ? { kind: 'end' }
      : { kind: 'torn', reason: 'length 0 in a header that is not all zeros' };
  }
  if (length > FRAME_PAYLOAD_BYTES_MAX) {
    return { kind: 'torn', reason: `length ${length} is over ${FRAME_PAYLOAD_BYTES_MAX}` };
  }
  const end = offset + FRAME_HEADER_BYTES + length;
  if (end > bytes.length) return { kind: 'short', bytes: FRAME_HEADER_BYTES + length };
  if (bytes.readUInt32BE(offset) !== crc32(bytes.subarray(offset + 4, end)))
    return { kind: 'torn', reason: 'checksum differs' };
  return {
    kind: 'frame',
    payload: bytes.subarray(offset + FRAME_HEADER_BYTES, end),
    unsynced: bytes.readUInt32BE(offset + 8),
    end,
  };
}

/** Writes the header for the `length` payload bytes that already stand at `offset + FRAME_HEADER_BYTES`; returns the offset behind the frame. */
export function writeFrameHeader(into: Buffer, offset: number, frame: { length: number; unsynced: number }): number {
  const end = offset + FRAME_HEADER_BYTES + frame.length;
  into.writeUInt32BE(frame.length, offset + 4);
  into.writeUInt32BE(frame.unsynced, offset + 8);
  into.writeUInt32BE(crc32(into.subarray(offset + 4, end)), offset);
  return end;
}

/** A whole frame in a buffer of its own. */
export function formatFrame(payload: Uint8Array, unsynced: number): Buffer {
  const bytes = Buffer.allocUnsafe(FRAME_HEADER_BYTES + payload.length);
  bytes.set(payload, FRAME_HEADER_BYTES);
  writeFrameHeader(bytes, 0, { length: payload.length, unsynced });
  return bytes;
}

function allZero(bytes: Buffer, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (bytes[i] !== 0) return false;
  return true;
}
