import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { throwIfAborted } from '../std/index.ts';
import { parseFrame } from '../wire/tlog/index.ts';
import { createTailCheck, type TailCheck } from './checkpoints/unsigned-tail.ts';
import type { LedgerEntry } from './contract.ts';
import { operationKey } from './entry.ts';
import { LedgerError, toIoError } from './errors.ts';
import { type LedgerFiles, readFully, writeFully } from './files.ts';
import type { LogState } from './segments/append.ts';
import {
  listSegments,
  openSegment,
  parseSegmentHeader,
  readSegmentHeader,
  type SegmentHeader,
  segmentPath,
  segmentsDirectory,
} from './segments/segment.ts';
import { type Spare, UNFINISHED_SUFFIX } from './segments/segment-pool.ts';
import { entryIn, framesBehind, lastNonZero } from './segments/torn-tail.ts';
import { entriesInTiles } from './tree/tiles-shown.ts';

/** What a start finds. */
export interface Recovered {
  readonly state: LogState;
  readonly spares: readonly Spare[];
  /** Number for the next segment to be made. */
  readonly nextIndex: number;
  /** Intents that no outcome follows: what they announced may or may not have happened. */
  readonly unfinished: readonly LedgerEntry[];
  /** Bytes of a torn tail that were removed: entries that nobody was told are on disk. */
  readonly tornBytes: number;
}

interface RecoverDeps {
  readonly files: LedgerFiles;
  readonly directory: string;
  readonly origin: string;
  /** Entries that the newest checkpoint covers: all of them were synced. */
  readonly signedSize: number;
  readonly signal: AbortSignal;
}

/**
 * Reads the log's end and makes it whole: the first bytes that are no frame, or not the next entry, end the log, and what
 * follows is zeroed, provided it can only be a tail that was never synced. Whether an entry was synced is known from the last
 * signed checkpoint and from the frames after it, each of which says how far the log was on disk when it was written.
 *
 * What is kept behind the checkpoint is written again and synced: after a sync that failed, the system may hold in memory, as
 * if clean, what the disk never took, and a later power cut would lose entries that this start found good.
 * @throws ERR_LEDGER_CORRUPT when a synced entry is damaged or missing, ERR_LEDGER_IO
 */
export async function recoverLog(deps: RecoverDeps): Promise<Recovered> {
  try {
    // First: in the folder of another version, nothing is touched.
    const headers = readHeaders(deps);
    removeUnfinished(deps);
    const scan = await scanTail(deps, headers);
    checkNothingSyncedIsLost(deps, scan);
    for (const segment of scan.segments) await writeBack(deps, segment);
    return openRecovered(deps, scan, headers.length);
  } catch (cause) {
    throw toIoError('the ledger folder could not be read and repaired', cause);
  }
}

/** A segment that was read: `bytes` up to `used` hold entries of the log, what is behind it has to go. */
interface ScannedSegment {
  readonly index: number;
  readonly length: number;
  /** Held only where there is something to mend or to write again: an intent that was open for long may lie many segments back. */
  readonly bytes: Buffer | undefined;
  readonly used: number;
  /** Bytes behind `used` that are not padding. */
  readonly torn: number;
  /** Sequence number behind its last entry. */
  readonly nextSeq: number;
}

interface Scan {
  readonly segments: readonly ScannedSegment[];
  readonly nextSeq: number;
  readonly timeMs: number;
  readonly open: ReadonlyMap<string, LedgerEntry>;
  /** What in the unsigned tail no crash leaves. */
  readonly dishonest: string | undefined;
}

function removeUnfinished({ files, directory }: RecoverDeps): void {
  const folder = segmentsDirectory(directory);
  for (const name of files.list(folder)) if (name.endsWith(UNFINISHED_SUFFIX)) files.remove(join(folder, name));
}

/** The header of each segment; those after the last one in use are undefined. */
function readHeaders({ files, directory, origin }: RecoverDeps): (SegmentHeader | 'torn' | undefined)[] {
  const indices = listSegments(files, directory);
  const missing = indices.findIndex((index, place) => index !== place);
  if (missing >= 0) throw new LedgerError('ERR_LEDGER_CORRUPT', `segment ${missing} of the ledger is missing`);
  const headers = indices.map((index) => readSegmentHeader(files, directory, index));
  const other = headers.find((header) => typeof header === 'object' && header.origin !== origin);
  if (typeof other === 'object') {
    throw new LedgerError('ERR_LEDGER_CORRUPT', `the folder holds the log ${other.origin}, not ${origin}`);
  }
  return headers;
}

/** Reads from the segment where both the signed part ends and the oldest open intent stands. */
async function scanTail(deps: RecoverDeps, headers: readonly (SegmentHeader | 'torn' | undefined)[]): Promise<Scan> {
  const good = headers.filter((header) => typeof header === 'object');
  // With the last signed entry: what may follow depends on it.
  const from = Math.min(Math.max(0, deps.signedSize - 1), good.at(-1)?.openFrom ?? 0);
  const start = Math.max(
    0,
    good.findLastIndex((header) => header.firstSeq <= from),
  );
  if (good.slice(0, start + 1).some((header, place) => header.index !== place)) {
    throw new LedgerError('ERR_LEDGER_CORRUPT', `a segment before ${start} has lost its header`);
  }
  const last = headers.findLastIndex((header) => header !== undefined);
  const segments: ScannedSegment[] = [];
  const cursor = createCursor(good[start]?.firstSeq ?? 0, deps.signedSize);
  let whole = true;
  for (let index = start; index <= last; index++) {
    await pause(deps.signal);
    const bytes = readSegment(deps, index);
    const used: number = whole ? scanSegment(bytes, index, cursor) : 0;
    const torn = Math.max(0, lastNonZero(bytes) + 1 - used);
    whole &&= used > 0 && torn === 0;
    const { nextSeq } = cursor;
    const held = torn > 0 || nextSeq > deps.signedSize ? bytes : undefined;
    segments.push({ index, length: bytes.length, bytes: held, used, torn, nextSeq });
  }
  // A power cut can keep a segment's later pages and lose its first: what looks unused then holds entries of a life that never was.
  for (let index = last + 1; index < headers.length; index++) {
    await pause(deps.signal);
    const bytes = readSegment(deps, index);
    const torn = lastNonZero(bytes) + 1;
    if (torn > 0) segments.push({ index, length: bytes.length, bytes, used: 0, torn, nextSeq: cursor.nextSeq });
  }
  return { segments, ...cursor };
}

/** Where the reading stands, entry by entry. */
interface Cursor {
  nextSeq: number;
  timeMs: number;
  readonly open: Map<string, LedgerEntry>;
  readonly signedSize: number;
  readonly tail: TailCheck;
  dishonest: string | undefined;
}

function createCursor(nextSeq: number, signedSize: number): Cursor {
  return { nextSeq, timeMs: 0, open: new Map(), signedSize, tail: createTailCheck(), dishonest: undefined };
}

/** A stop asked for meanwhile is heard between two segments. */
async function pause(signal: AbortSignal): Promise<void> {
  await turn();
  throwIfAborted(signal);
}

/** Follows the entries of one segment; returns the offset behind the last good one, 0 when the segment is not the log's next. */
function scanSegment(bytes: Buffer, index: number, cursor: Cursor): number {
  const first = parseFrame(bytes, 0);
  const header = first.kind === 'frame' ? parseSegmentHeader(first.payload) : undefined;
  if (first.kind !== 'frame' || header?.index !== index || header.firstSeq !== cursor.nextSeq) return 0;
  let used = first.end;
  for (;;) {
    const frame = parseFrame(bytes, used);
    const entry = frame.kind === 'frame' ? entryIn(frame.payload) : undefined;
    if (frame.kind !== 'frame' || entry?.seq !== cursor.nextSeq) return used;
    if (entry.kind === 'intent' && !cursor.open.has(operationKey(entry))) cursor.open.set(operationKey(entry), entry);
    if (entry.kind === 'outcome') cursor.open.delete(operationKey(entry));
    if (entry.seq === cursor.signedSize - 1) cursor.tail.after(entry);
    if (entry.seq >= cursor.signedSize) cursor.dishonest ??= cursor.tail.take(entry);
    cursor.nextSeq++;
    cursor.timeMs = entry.timeMs;
    used = frame.end;
  }
}

/** A torn tail is what a crash leaves of writes that no sync covered; anything else is damage, and is not touched. */
function checkNothingSyncedIsLost({ files, directory, signedSize }: RecoverDeps, scan: Scan): void {
  if (signedSize > scan.nextSeq) {
    const message = `a checkpoint covers ${signedSize} entries, but only ${scan.nextSeq} are whole`;
    throw new LedgerError('ERR_LEDGER_CORRUPT', message);
  }
  const tiled = entriesInTiles({ files, directory });
  if (tiled > scan.nextSeq) {
    const message = `tiles were made of ${tiled} entries on disk, but only ${scan.nextSeq} are whole`;
    throw new LedgerError('ERR_LEDGER_CORRUPT', message);
  }
  if (scan.dishonest !== undefined) {
    const message = `the entries from ${signedSize} on, which no checkpoint covers, are not what a crash leaves: ${scan.dishonest}`;
    throw new LedgerError('ERR_LEDGER_CORRUPT', message);
  }
  for (const { index, bytes, used } of scan.segments) {
    if (!bytes) continue;
    const behind = framesBehind(bytes, used);
    if (!behind) {
      const message = `segment ${index} ends in bytes that look like entries and are none; no crash leaves that`;
      throw new LedgerError('ERR_LEDGER_CORRUPT', message);
    }
    const witness = behind.find((frame) => frame.seq - frame.unsynced > scan.nextSeq);
    if (witness) {
      const message = `entry ${scan.nextSeq} is damaged or missing, but entry ${witness.seq} in segment ${index} shows that it was on disk`;
      throw new LedgerError('ERR_LEDGER_CORRUPT', message);
    }
  }
}

async function writeBack({ files, directory, signedSize }: RecoverDeps, segment: ScannedSegment): Promise<void> {
  const { index, bytes, used, torn } = segment;
  if (!bytes || (torn === 0 && segment.nextSeq <= signedSize)) return;
  bytes.fill(0, used);
  const file = files.open(segmentPath(directory, index), 'update');
  try {
    writeFully(files, file, bytes.subarray(0, used + torn), 0);
    await files.sync(file);
  } finally {
    files.close(file);
  }
}

function openRecovered({ files, directory }: RecoverDeps, scan: Scan, segments: number): Recovered {
  const current = scan.segments.findLast((segment) => segment.used > 0);
  const active = current && {
    index: current.index,
    file: files.open(segmentPath(directory, current.index), 'update'),
    bytes: current.length,
    offset: current.used,
  };
  const spares: Spare[] = [];
  for (let index = (current?.index ?? -1) + 1; index < segments; index++) {
    const file = files.open(segmentPath(directory, index), 'update');
    spares.push({ index, file, bytes: files.size(file) });
  }
  const open = new Map([...scan.open].map(([key, entry]) => [key, entry.seq]));
  const state = { active, sequence: scan.nextSeq - 1, timeMs: scan.timeMs, open };
  const tornBytes = scan.segments.reduce((sum, segment) => sum + segment.torn, 0);
  return { state, spares, nextIndex: segments, unfinished: [...scan.open.values()], tornBytes };
}

function readSegment({ files, directory }: RecoverDeps, index: number): Buffer {
  const file = openSegment(files, directory, index);
  try {
    const bytes = Buffer.alloc(files.size(file));
    return bytes.subarray(0, readFully(files, file, bytes, 0));
  } finally {
    files.close(file);
  }
}
