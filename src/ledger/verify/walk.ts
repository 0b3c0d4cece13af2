import { FRAME_HEADER_BYTES, parseFrame } from '../../wire/tlog/index.ts';
import { type LedgerFiles, readFully } from '../files.ts';
import { listSegments, openSegment, parseSegmentHeader, readFrames, readSegmentHeader } from '../segments/segment.ts';
import { framesBehind, lastNonZero, nextEntry, type ScanWork, scanWork } from '../segments/torn-tail.ts';

/** An entry where it stands in the folder; `payload` is good until the next step. */
export interface WalkedEntry {
  readonly payload: Buffer;
  readonly segment: number;
}

/** Something about the files that is not as a writer leaves it, met before entry number `at` (counting what is there). */
export interface WalkNote {
  readonly at: number;
  readonly kind: 'segment-missing' | 'segment-damaged' | 'torn-tail';
  readonly message: string;
}

/**
 * The entries of a folder one after another, as they stand, whatever numbers they bear; goes on over gaps and damage as far as
 * it can, and tells `note` of each. Holds one chunk in memory. @throws ERR_LEDGER_IO
 */
export function* walkEntries(
  deps: { readonly files: LedgerFiles; readonly directory: string; readonly origin?: string },
  note: (note: WalkNote) => void,
): Generator<WalkedEntry, void> {
  const { files, directory, origin } = deps;
  const segments = listSegments(files, directory);
  const lastUsed = segments.findLast((segment) => readSegmentHeader(files, directory, segment) !== undefined) ?? -1;
  let at = 0;
  let expected = 0;
  for (const segment of segments) {
    if (segment !== expected) {
      const which = segment === expected + 1 ? `segment ${expected} is` : `segments ${expected} to ${segment - 1} are`;
      note({ at, kind: 'segment-missing', message: `${which} missing` });
    }
    expected = segment + 1;
    if (segment > lastUsed) continue;
    const file = openSegment(files, directory, segment);
    try {
      at = yield* walkSegment({ files, file, segment, origin, isLast: segment === lastUsed, note }, at);
    } finally {
      files.close(file);
    }
  }
}

interface SegmentWalk {
  readonly files: LedgerFiles;
  readonly file: number;
  readonly segment: number;
  readonly origin: string | undefined;
  readonly isLast: boolean;
  readonly note: (note: WalkNote) => void;
}

/** Walks one segment from entry number `start`; returns the number behind its last. */
function* walkSegment(walk: SegmentWalk, start: number): Generator<WalkedEntry, number> {
  const { files, file, segment } = walk;
  let at = start;
  let offset = 0;
  const frames = readFrames(files, file, 0);
  let step = frames.next();
  for (; !step.done; step = frames.next()) {
    if (offset > 0) {
      at++;
      yield { payload: step.value.payload, segment };
    } else {
      checkHeader(walk, step.value.payload, at);
    }
    offset = step.value.end;
  }
  if (step.value.torn === undefined && offset > 0 && isPadding(walk, offset)) return at;
  return yield* walkDamaged(walk, { at, offset, reason: step.value.torn ?? 'what follows padding is not nothing' });
}

function checkHeader({ segment, origin, note }: SegmentWalk, payload: Buffer, at: number): void {
  const header = parseSegmentHeader(payload);
  const damaged = (what: string) => note({ at, kind: 'segment-damaged', message: `segment ${segment} ${what}` });
  if (header?.index !== segment) damaged('does not begin with its own header');
  else if (header.origin !== (origin ?? header.origin)) damaged(`is said to be of the log ${header.origin}`);
  else if (header.firstSeq !== at) damaged(`is said to begin with entry ${header.firstSeq}, and begins with ${at}`);
  else if (header.openFrom > at)
    damaged(`is said to have its oldest open intent, ${header.openFrom}, behind its begin`);
}

/** Goes on behind the first damage of a segment, in memory: once for all that follows. */
function* walkDamaged(
  walk: SegmentWalk,
  from: { readonly at: number; readonly offset: number; readonly reason: string },
): Generator<WalkedEntry, number> {
  const { segment } = walk;
  const bytes = readRest(walk, from.offset);
  const work = scanWork(bytes.length);
  const damaged = (message: string) =>
    walk.note({ at, kind: 'segment-damaged', message: `segment ${segment} ${message}` });
  let { at, reason } = from;
  let place = 0;
  for (let damages = 0; damages < DAMAGES_MAX; damages++) {
    const offset = from.offset + place;
    const behind = walk.isLast && offset > 0 ? framesBehind(bytes, place, work) : undefined;
    if (behind?.every((frame) => frame.seq - frame.unsynced <= at)) {
      walk.note({ at, kind: 'torn-tail', message: `segment ${segment} is torn at offset ${offset}: ${reason}` });
      return at;
    }
    damaged(`is damaged at offset ${offset}: ${reason}`);
    const next = skipDamaged(bytes, place, work);
    if (!next) return at;
    if (next.payload && offset > 0) {
      at++;
      yield { payload: next.payload, segment };
    }
    let frame = parseFrame(bytes, next.end);
    for (place = next.end; frame.kind === 'frame'; frame = parseFrame(bytes, place)) {
      at++;
      yield { payload: frame.payload, segment };
      place = frame.end;
    }
    if (lastNonZero(bytes.subarray(place)) < 0) return at;
    reason = frame.kind === 'torn' ? frame.reason : 'what follows is no frame';
  }
  damaged(`has over ${DAMAGES_MAX} damaged places; the rest of it was not read`);
  return at;
}

/** A damaged frame whose length still leads to a good one gives what is left of its entry; else the next whole entry is looked for. */
function skipDamaged(
  bytes: Buffer,
  place: number,
  work: ScanWork,
): { readonly payload: Buffer | undefined; readonly end: number } | undefined {
  if (bytes.length - place < FRAME_HEADER_BYTES) return undefined;
  const start = place + FRAME_HEADER_BYTES;
  const end = start + bytes.readUInt32BE(place + 4);
  if (end > start && end <= bytes.length && parseFrame(bytes, end).kind !== 'torn') {
    return { payload: bytes.subarray(start, end), end };
  }
  const next = nextEntry(bytes, place + 1, work);
  return next && { payload: undefined, end: next.start };
}

/** Segments are bounded, and this is for the damaged ones. */
function readRest({ files, file }: SegmentWalk, offset: number): Buffer {
  const bytes = Buffer.alloc(Math.max(0, files.size(file) - offset));
  return bytes.subarray(0, readFully(files, file, bytes, offset));
}

function isPadding({ files, file }: SegmentWalk, offset: number): boolean {
  const chunk = Buffer.alloc(PADDING_CHUNK_BYTES);
  for (let at = offset; ; at += chunk.length) {
    const count = readFully(files, file, chunk, at);
    if (lastNonZero(chunk.subarray(0, count)) >= 0) return false;
    if (count < chunk.length) return true;
  }
}

/** Enough to see what was done; whoever makes more of them has the reader search for nothing. */
const DAMAGES_MAX = 64;
const PADDING_CHUNK_BYTES = 256 * 1024;
