import { LedgerError } from '../errors.ts';
import type { LedgerFiles } from '../files.ts';
import { type FrameAt, listSegments, openSegment, readFrames, readSegmentHeader, type SegmentEnd } from './segment.ts';

/** Gives the bytes of entries by sequence number: in order at the speed of the disk, out of order after a search. */
export interface LeafReader {
  /**
   * The entry's bytes, good until the next call; undefined when the log ends before it, or is cut there.
   * @throws ERR_LEDGER_CORRUPT when the log goes on behind a gap, ERR_LEDGER_IO
   */
  next(sequence: number): Buffer | undefined;
  /** Forgets what was read ahead: it may have been written since. */
  refresh(): void;
  close(): void;
}

/** Creates a {@link LeafReader} over the segments of a folder. */
export function createLeafReader(deps: { readonly files: LedgerFiles; readonly directory: string }): LeafReader {
  const { files, directory } = deps;
  let at: Place | undefined;

  const close = () => {
    if (at) files.close(at.file);
    at = undefined;
  };
  const openAt = (index: number, firstSeq: number): Place => {
    close();
    const file = openSegment(files, directory, index);
    const frames = readFrames(files, file, 0);
    const header = frames.next(); // It told `firstSeq`.
    at = { index, sequence: firstSeq, file, offset: header.done ? 0 : header.value.end, frames };
    return at;
  };
  const seek = (sequence: number): Place | undefined => {
    for (const index of listSegments(files, directory).reverse()) {
      const header = readSegmentHeader(files, directory, index);
      if (typeof header === 'object' && header.firstSeq <= sequence) return openAt(index, header.firstSeq);
    }
    return undefined;
  };
  const openNext = (place: Place): Place | undefined => {
    const next = place.index + 1;
    const header = listSegments(files, directory).includes(next)
      ? readSegmentHeader(files, directory, next)
      : undefined;
    if (header === undefined) return undefined;
    if (header === 'torn' || header.firstSeq !== place.sequence) {
      throw new LedgerError(
        'ERR_LEDGER_CORRUPT',
        `segment ${place.index + 1} does not begin with entry ${place.sequence}`,
      );
    }
    return openAt(place.index + 1, header.firstSeq);
  };
  return {
    next(sequence) {
      let place = at && at.sequence <= sequence ? at : seek(sequence);
      while (place) {
        const frame: IteratorResult<FrameAt, SegmentEnd> = place.frames.next();
        if (frame.done) {
          place = openNext(place);
          continue;
        }
        place.offset = frame.value.end;
        place.sequence++;
        if (place.sequence > sequence) return frame.value.payload;
      }
      return undefined;
    },
    refresh() {
      if (!at) return;
      at.frames = readFrames(files, at.file, at.offset);
    },
    close,
  };
}

interface Place {
  readonly index: number;
  readonly file: number;
  /** Sequence number that `frames` gives next. */
  sequence: number;
  /** Where that entry begins. */
  offset: number;
  frames: Generator<FrameAt, SegmentEnd>;
}
