import { join } from 'node:path';
import {
  FRAME_HEADER_BYTES,
  FRAME_PAYLOAD_BYTES_MAX,
  formatCanonicalJson,
  formatFrame,
  type JsonValue,
  parseCanonicalJson,
  parseFrame,
} from '../../wire/tlog/index.ts';
import { LedgerError } from '../errors.ts';
import { type LedgerFiles, readFully } from '../files.ts';

/** First frame of a segment that is in use. It is not part of the tree: nothing in it is believed without being checked. */
export interface SegmentHeader {
  /** Number of the segment, from 0, without gaps; also its file name. */
  readonly index: number;
  readonly origin: string;
  /** Sequence number of its first entry. */
  readonly firstSeq: number;
  /** Oldest intent without an outcome when the segment was taken into use, else `firstSeq`: where a restart begins to read. */
  readonly openFrom: number;
}

/** An entry where it stands. `payload` is only good until the next one is asked for. */
export interface FrameAt {
  readonly payload: Buffer;
  readonly unsynced: number;
  readonly offset: number;
  readonly end: number;
}

/** How a segment ended: at padding, or at bytes that are no frame. */
export interface SegmentEnd {
  readonly offset: number;
  /** Undefined at padding or the end of the file. */
  readonly torn: string | undefined;
}

/** Folder of the segments in the ledger's folder. */
export function segmentsDirectory(directory: string): string {
  return join(directory, 'segments');
}

/** Path of the segment with that number. */
export function segmentPath(directory: string, index: number): string {
  return join(segmentsDirectory(directory), `${String(index).padStart(NAME_DIGITS, '0')}.seg`);
}

/** Numbers of the segments there, ascending. */
export function listSegments(files: LedgerFiles, directory: string): number[] {
  const names = files.list(segmentsDirectory(directory)).filter((name) => /^\d{10}\.seg$/.test(name));
  return names.map((name) => Number(name.slice(0, NAME_DIGITS)));
}

/** The frame of a header. */
export function formatSegmentHeader(header: SegmentHeader): Buffer {
  return formatFrame(Buffer.from(formatCanonicalJson({ ...header, format: FORMAT })), 0);
}

/** The header in a frame's payload; undefined when it is none. @throws ERR_LEDGER_VERSION when another version wrote it */
export function parseSegmentHeader(payload: Buffer): SegmentHeader | undefined {
  let value: JsonValue;
  try {
    value = parseCanonicalJson(payload);
  } catch {
    return undefined; // The caller reports where; what the bytes were instead of a header does not matter.
  }
  if (typeof value !== 'object' || value === null || !('format' in value)) return undefined;
  checkVersion(value['format']);
  if (value['format'] !== FORMAT) return undefined;
  const { index, origin, firstSeq, openFrom } = value;
  if (typeof index !== 'number' || typeof firstSeq !== 'number' || typeof openFrom !== 'number') return undefined;
  return typeof origin === 'string' ? { index, origin, firstSeq, openFrom } : undefined;
}

/** The header of a segment: undefined while it is unused (zeros), `torn` when its first frame is no header. @throws ERR_LEDGER_IO, ERR_LEDGER_VERSION */
export function readSegmentHeader(
  files: LedgerFiles,
  directory: string,
  index: number,
): SegmentHeader | 'torn' | undefined {
  return withSegment(files, directory, index, (file) => {
    const frames = readFrames(files, file, 0, HEADER_CHUNK_BYTES);
    const first = frames.next();
    if (first.done && first.value.torn !== undefined) checkNotOlder(files, file);
    if (first.done) return first.value.torn === undefined ? undefined : 'torn';
    return parseSegmentHeader(first.value.payload) ?? 'torn';
  });
}

/** Runs `use` with the segment open for reading. @throws ERR_LEDGER_IO */
export function withSegment<T>(files: LedgerFiles, directory: string, index: number, use: (file: number) => T): T {
  const file = openSegment(files, directory, index);
  try {
    return use(file);
  } finally {
    files.close(file);
  }
}

/** Opens a segment for reading; the caller closes it. @throws ERR_LEDGER_IO, ERR_LEDGER_CORRUPT for what is no segment's file */
export function openSegment(files: LedgerFiles, directory: string, index: number): number {
  const path = segmentPath(directory, index);
  let file: number;
  try {
    file = files.open(path, 'read');
  } catch (cause) {
    if (cause instanceof LedgerError) throw cause;
    throw new LedgerError('ERR_LEDGER_IO', `segment ${index} can't be opened for reading`, { cause });
  }
  const bytes = files.size(file);
  if (bytes <= SEGMENT_BYTES_MAX) return file;
  files.close(file);
  throw new LedgerError('ERR_LEDGER_CORRUPT', `segment ${index} has ${bytes} bytes, over ${SEGMENT_BYTES_MAX}`);
}

/** The frames from `offset` on, in order, holding no more than a chunk and a frame in memory. @throws ERR_LEDGER_IO */
export function* readFrames(
  files: LedgerFiles,
  file: number,
  offset: number,
  chunkBytes = CHUNK_BYTES,
): Generator<FrameAt, SegmentEnd> {
  let chunk = Buffer.allocUnsafe(chunkBytes);
  let filled = readChunk(files, file, chunk, offset);
  let chunkStart = offset;
  let at = 0;
  for (;;) {
    const frame = parseFrame(chunk.subarray(0, filled), at);
    if (frame.kind === 'frame') {
      yield { payload: frame.payload, unsynced: frame.unsynced, offset: chunkStart + at, end: chunkStart + frame.end };
      at = frame.end;
      continue;
    }
    if (frame.kind === 'torn') return { offset: chunkStart + at, torn: frame.reason };
    // Padding ends the segment only if it is a whole header of it: less is the end of the chunk.
    if (frame.kind === 'end' && filled - at >= FRAME_HEADER_BYTES) return { offset: chunkStart + at, torn: undefined };
    if (filled < chunk.length) {
      return { offset: chunkStart + at, torn: frame.kind === 'end' ? undefined : 'the file ends within a frame' };
    }
    chunkStart += at;
    if (frame.kind === 'short' && frame.bytes > chunk.length) chunk = Buffer.allocUnsafe(FRAME_BYTES_MAX);
    filled = readChunk(files, file, chunk, chunkStart);
    at = 0;
  }
}

function checkVersion(format: JsonValue | undefined): void {
  const found = /^countersign-segment\/(\d{1,9})$/.exec(typeof format === 'string' ? format : '')?.[1];
  if (found === undefined || Number(found) === VERSION) return;
  const which = Number(found) > VERSION ? 'a newer' : 'an older';
  const message = `the ledger was written by ${which} version: it has format ${found}, this version reads ${VERSION}`;
  throw new LedgerError('ERR_LEDGER_VERSION', message);
}

/** The first ledgers bore the number 1 and another checksum, so that their headers can't be read. @see docs/decisions/0012 */
function checkNotOlder(files: LedgerFiles, file: number): void {
  const bytes = Buffer.alloc(HEADER_CHUNK_BYTES);
  readChunk(files, file, bytes, 0);
  const length = bytes.readUInt32BE(4);
  if (length === 0 || length > HEADER_CHUNK_BYTES - FRAME_HEADER_BYTES) return;
  if (bytes.readUInt32BE(0) !== crc32c(bytes.subarray(4, FRAME_HEADER_BYTES + length))) return;
  const message = 'the ledger was written by an older version: its frames bear CRC-32C, this version reads CRC-32';
  throw new LedgerError('ERR_LEDGER_VERSION', message);
}

function crc32c(bytes: Buffer): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return ~crc >>> 0;
}

function readChunk(files: LedgerFiles, file: number, into: Buffer, position: number): number {
  try {
    return readFully(files, file, into, position);
  } catch (cause) {
    throw new LedgerError('ERR_LEDGER_IO', `a segment can't be read at offset ${position}`, { cause });
  }
}

/** Most bytes that a segment's header takes: an origin is bounded to fit. */
export const SEGMENT_HEADER_BYTES_MAX = 1024;

/** Most bytes of a segment: a start reads whole segments into memory. */
export const SEGMENT_BYTES_MAX = 256 * 1024 * 1024;

/** Of the whole folder: what a header says of its segment holds for entries, tiles and checkpoints too. */
const VERSION = 2;
const FORMAT = `countersign-segment/${VERSION}`;
const NAME_DIGITS = 10;
const HEADER_CHUNK_BYTES = SEGMENT_HEADER_BYTES_MAX;
/** Large enough that the cost of a read is lost in that of hashing what it brings. */
const CHUNK_BYTES = 256 * 1024;
const FRAME_BYTES_MAX = FRAME_HEADER_BYTES + FRAME_PAYLOAD_BYTES_MAX;
