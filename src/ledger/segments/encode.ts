import type { LedgerEvent } from '../../model/index.ts';
import { assert } from '../../std/index.ts';
import { FRAME_HEADER_BYTES, FRAME_PAYLOAD_BYTES_MAX, writeFrameHeader } from '../../wire/tlog/index.ts';
import { formatEntry } from '../entry.ts';
import { LedgerError } from '../errors.ts';
import { SEGMENT_HEADER_BYTES_MAX } from './segment.ts';

/** Encodes batches into one buffer that is used again and again: what it gives is good until the next batch. */
export interface Encoder {
  /** Frames the events as entries. @throws ERR_LEDGER_ENTRY_INVALID */
  encode(events: readonly LedgerEvent[], from: EncodeFrom): Batch;
  /** The batch with `prefix` right before it, so that a segment's header goes out with its first entries in one write. */
  withPrefix(prefix: Buffer, batch: Batch): Buffer;
}

/** What the entries of a batch get their numbers and times from. */
export interface EncodeFrom {
  readonly firstSeq: number;
  /** Time of the entry before; no entry gets an earlier one. */
  readonly timeMs: number;
  readonly syncedSequence: number;
}

/** Encoded entries. */
export interface Batch {
  readonly bytes: Buffer;
  readonly timeMs: number;
}

/** Creates an encoder whose batches fit into a fresh segment of that size. */
export function createEncoder(segmentBytes: number): Encoder {
  const entryBytesMax = Math.min(FRAME_PAYLOAD_BYTES_MAX, Math.floor(segmentBytes / ENTRIES_A_SEGMENT_MIN));
  let buffer = Buffer.alloc(BUFFER_BYTES);
  const reserve = (bytes: number) => {
    if (bytes <= buffer.length) return;
    const larger = Buffer.alloc(2 ** Math.ceil(Math.log2(bytes)));
    buffer.copy(larger);
    buffer = larger;
  };
  return {
    encode(events, from) {
      // The header's room comes first in the buffer, as it does in a segment: so the limit of both is the same.
      let at = SEGMENT_HEADER_BYTES_MAX;
      let { timeMs } = from;
      let seq = from.firstSeq;
      for (const event of events) {
        timeMs = Math.max(timeMs, event.timeMs);
        const text = formatEntry(event, { seq, timeMs });
        if (text.length > entryBytesMax) throw tooLarge('an entry', text.length, entryBytesMax);
        reserve(at + FRAME_HEADER_BYTES + text.length * UTF8_BYTES_MAX);
        const length = buffer.write(text, at + FRAME_HEADER_BYTES, 'utf8');
        if (length > entryBytesMax) throw tooLarge('an entry', length, entryBytesMax);
        at = writeFrameHeader(buffer, at, { length, unsynced: seq - 1 - from.syncedSequence });
        if (at > segmentBytes) throw tooLarge('a batch', at, segmentBytes - SEGMENT_HEADER_BYTES_MAX);
        seq++;
      }
      return { bytes: buffer.subarray(SEGMENT_HEADER_BYTES_MAX, at), timeMs };
    },
    withPrefix(prefix, batch) {
      const start = SEGMENT_HEADER_BYTES_MAX - prefix.length;
      assert(start >= 0, 'a segment header is within its bound');
      prefix.copy(buffer, start);
      return buffer.subarray(start, SEGMENT_HEADER_BYTES_MAX + batch.bytes.length);
    },
  };
}

function tooLarge(what: string, bytes: number, bytesMax: number): LedgerError {
  return new LedgerError('ERR_LEDGER_ENTRY_INVALID', `${what} of ${bytes} bytes is over ${bytesMax}`);
}

/** So that a segment is never mostly the gap before a large entry. */
const ENTRIES_A_SEGMENT_MIN = 4;
const BUFFER_BYTES = 64 * 1024;
/** Most bytes that a UTF-16 code unit takes in UTF-8. */
const UTF8_BYTES_MAX = 3;
