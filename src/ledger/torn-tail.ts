import { FRAME_HEADER_BYTES, parseFrame } from '../wire/tlog/index.ts';
import type { LedgerEntry } from './contract.ts';
import { parseEntry } from './entry.ts';
import { LedgerError } from './errors.ts';

/** The entry in a frame's payload; undefined when it is something else, which ends a log as a torn frame does. */
export function entryIn(payload: Buffer): LedgerEntry | undefined {
  try {
    return parseEntry(payload);
  } catch (error) {
    if (error instanceof LedgerError) return undefined;
    throw error;
  }
}

/**
 * Whatever whole entries stand behind an offset, wherever they begin. Each tells which entries were on disk when it was
 * written, all with a sequence number below `seq - unsynced`: so it tells a torn tail from damage.
 */
export function framesBehind(bytes: Buffer, from: number): { readonly seq: number; readonly unsynced: number }[] {
  const found: { seq: number; unsynced: number }[] = [];
  const end = lastNonZero(bytes) + 1;
  for (let at = from; at + FRAME_HEADER_BYTES < end; at++) {
    // Most places are padding: a length of zero.
    if (bytes.readUInt32BE(at + 4) === 0) continue;
    const frame = parseFrame(bytes, at);
    const entry = frame.kind === 'frame' ? entryIn(frame.payload) : undefined;
    if (frame.kind !== 'frame' || !entry) continue;
    found.push({ seq: entry.seq, unsynced: frame.unsynced });
    at = frame.end - 1;
  }
  return found;
}

/** Offset of the last byte that is not zero; -1 for none. */
export function lastNonZero(bytes: Buffer): number {
  let end = bytes.length;
  // Most of a segment is padding: whole pieces of it are compared at once.
  while (end >= ZEROS.length && bytes.subarray(end - ZEROS.length, end).equals(ZEROS)) end -= ZEROS.length;
  let at = end - 1;
  while (at >= 0 && bytes[at] === 0) at--;
  return at;
}

const ZEROS = Buffer.alloc(64 * 1024);
