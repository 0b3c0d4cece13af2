import { FRAME_HEADER_BYTES, parseFrame } from '../wire/tlog/index.ts';
import { type LedgerFiles, readFully } from './files.ts';
import { listSegments, openSegment, parseSegmentHeader, readFrames, readSegmentHeader } from './segment.ts';
import { framesBehind, lastNonZero } from './torn-tail.ts';

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
  deps: { readonly files: LedgerFiles; readonly directory: string },
  note: (note: WalkNote) => void,
): Generator<WalkedEntry, void> {
  const { files, directory } = deps;
  const segments = listSegments(files, directory);
  const lastUsed = segments.findLast((segment) => readSegmentHeader(files, directory, segment) !== undefined) ?? -1;
  let at = 0;
  let expected = 0;
  for (const segment of segments) {
    if (segment > lastUsed) break;
    if (segment !== expected) {
      const which = segment === expected + 1 ? `segment ${expected} is` : `segments ${expected} to ${segment - 1} are`;
      note({ at, kind: 'segment-missing', message: `${which} missing` });
    }
    expected = segment + 1;
    const file = openSegment(files, directory, segment);
    try {
      at = yield* walkSegment({ files, file, segment, isLast: segment === lastUsed, note }, at);
    } finally {
      files.close(file);
    }
  }
}

interface SegmentWalk {
  readonly files: LedgerFiles;
  readonly file: number;
  readonly segment: number;
  readonly isLast: boolean;
  readonly note: (note: WalkNote) => void;
}

/** Walks one segment from entry number `start`; returns the number behind its last. */
function* walkSegment(walk: SegmentWalk, start: number): Generator<WalkedEntry, number> {
  const { files, file, segment } = walk;
  let at = start;
  let offset = 0;
  const damaged = (message: string) =>
    walk.note({ at, kind: 'segment-damaged', message: `segment ${segment} ${message}` });
  for (;;) {
    const frames = readFrames(files, file, offset);
    let step = frames.next();
    for (; !step.done; step = frames.next()) {
      const isHeader = offset === 0;
      offset = step.value.end;
      if (!isHeader) {
        at++;
        yield { payload: step.value.payload, segment };
      } else if (parseSegmentHeader(step.value.payload)?.index !== segment) {
        damaged('does not begin with its own header');
      }
    }
    offset = step.value.offset;
    const rest =
      step.value.torn === undefined && offset > 0 && isPadding(walk, offset) ? undefined : readRest(walk, offset);
    if (!rest) return at;
    const reason = step.value.torn ?? 'what follows padding is not nothing';
    if (walk.isLast && offset > 0 && framesBehind(rest, 0).every((frame) => frame.seq - frame.unsynced <= at)) {
      walk.note({ at, kind: 'torn-tail', message: `segment ${segment} is torn at offset ${offset}: ${reason}` });
      return at;
    }
    damaged(`is damaged at offset ${offset}: ${reason}`);
    const next = skipDamaged(rest);
    if (!next) return at;
    if (next.payload && offset > 0) {
      at++;
      yield { payload: next.payload, segment };
    }
    offset += next.end;
  }
}

/** A damaged frame whose length still leads to a good one gives what is left of its entry; else the next whole frame is looked for. */
function skipDamaged(rest: Buffer): { readonly payload: Buffer | undefined; readonly end: number } | undefined {
  if (rest.length < FRAME_HEADER_BYTES) return undefined;
  const end = FRAME_HEADER_BYTES + rest.readUInt32BE(4);
  if (end > FRAME_HEADER_BYTES && end <= rest.length && parseFrame(rest, end).kind !== 'torn') {
    return { payload: rest.subarray(FRAME_HEADER_BYTES, end), end };
  }
  for (let at = 1; at + FRAME_HEADER_BYTES < rest.length; at++) {
    if (rest.readUInt32BE(at + 4) !== 0 && parseFrame(rest, at).kind === 'frame')
      return { payload: undefined, end: at };
  }
  return undefined;
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

const PADDING_CHUNK_BYTES = 256 * 1024;
