import { FRAME_HEADER_BYTES, FRAME_PAYLOAD_BYTES_MAX, parseFrame } from '../../wire/tlog/index.ts';
import type { LedgerEntry } from '../contract.ts';
import { parseEntry } from '../entry.ts';
import { LedgerError } from '../errors.ts';

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
 * written, all with a sequence number below `seq - unsynced`: so it tells a torn tail from damage. Undefined when the bytes are made
 * to look like so many frames that finding out would take too long: no crash leaves that.
 */
export function framesBehind(
  bytes: Buffer,
  from: number,
  work = scanWork(bytes.length),
): { readonly seq: number; readonly unsynced: number }[] | undefined {
  const found: { seq: number; unsynced: number }[] = [];
  for (let next = nextEntry(bytes, from, work); next; next = nextEntry(bytes, next.end, work)) {
    found.push({ seq: next.entry.seq, unsynced: next.unsynced });
  }
  return work.left < 0 ? undefined : found;
}

/** How much a search for frames may still check: each byte a few times, however often it is said to be part of one. */
export interface ScanWork {
  left: number;
}

/** The work that bytes of that length may take. */
export function scanWork(length: number): ScanWork {
  return { left: CHECKS_A_BYTE * length };
}

/** The first whole entry at or behind an offset; undefined when there is none, or the work was not enough. */
export function nextEntry(
  bytes: Buffer,
  from: number,
  work: ScanWork,
):
  | { readonly entry: LedgerEntry; readonly unsynced: number; readonly start: number; readonly end: number }
  | undefined {
  // Every entry's text begins alike, so most of the bytes are passed over at the speed of a search.
  let mark = bytes.indexOf(ENTRY_START, from + FRAME_HEADER_BYTES);
  for (; mark >= 0; mark = bytes.indexOf(ENTRY_START, mark + 1)) {
    const start = mark - FRAME_HEADER_BYTES;
    const length = bytes.readUInt32BE(start + 4);
    if (length > Math.min(FRAME_PAYLOAD_BYTES_MAX, bytes.length - mark)) continue;
    work.left -= length;
    if (work.left < 0) return undefined;
    const frame = parseFrame(bytes, start);
    const entry = frame.kind === 'frame' ? entryIn(frame.payload) : undefined;
    if (frame.kind === 'frame' && entry) return { entry, unsynced: frame.unsynced, start, end: frame.end };
  }
  return undefined;
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
/** Canonical JSON sorts its names. */
const ENTRY_START = Buffer.from('{"action":"');
/** A torn tail holds each byte in one frame or in none; a few times that for lengths that are torn themselves. */
const CHECKS_A_BYTE = 8;
