import { assert, codeOf, messageOf } from '../../std/index.ts';
import { LedgerError } from '../errors.ts';
import { type LedgerFiles, writeFully } from '../files.ts';
import type { FreeSegment } from './room.ts';
import type { Spare } from './segment-pool.ts';

/** The segment being written, and those before it that no sync has covered yet. */
export interface SegmentWriter {
  readonly active: FreeSegment | undefined;
  /**
   * Writes behind what is there: all of it, or nothing that counts.
   * @throws ERR_LEDGER_FULL when the log is whole and may go on, ERR_LEDGER_IO when the disk can't be trusted any more
   */
  write(bytes: Buffer): void;
  /** Goes on in another segment, once its first bytes are written. @throws as {@link write} */
  writeTo(spare: Spare, bytes: Buffer): void;
  /** Resolves when everything written before the call is on disk. */
  sync(): Promise<void>;
  close(): void;
}

/** A segment in use: written up to `offset`. */
export interface ActiveSegment extends Spare {
  readonly offset: number;
}

/** Creates a {@link SegmentWriter}; it owns the files of the segments it is given. */
export function createSegmentWriter(files: LedgerFiles, recovered: ActiveSegment | undefined): SegmentWriter {
  const retired: number[] = [];
  let active = recovered;

  const writeAt = (file: number, bytes: Buffer, offset: number) => {
    try {
      writeFully(files, file, bytes, offset);
    } catch (cause) {
      throw failedWrite(cause, () => writeFully(files, file, Buffer.alloc(bytes.length), offset));
    }
  };
  return {
    get active() {
      return active;
    },
    write(bytes) {
      assert(active, 'there is a segment to write to');
      writeAt(active.file, bytes, active.offset);
      active = { ...active, offset: active.offset + bytes.length };
    },
    writeTo(spare, bytes) {
      writeAt(spare.file, bytes, 0);
      if (active) retired.push(active.file);
      active = { ...spare, offset: bytes.length };
    },
    async sync() {
      const left = retired.slice();
      const current = active;
      // Older first: an entry must not be on disk before those it follows.
      for (const file of left) await files.sync(file);
      if (current) await files.sync(current.file);
      for (const file of retired.splice(0, left.length)) files.close(file);
    },
    close() {
      for (const file of retired.splice(0)) files.close(file);
      if (active) files.close(active.file);
      active = undefined;
    },
  };
}

/** Half an entry must not stay where a shorter one may be written next, so it is blanked; if even that fails, the disk is at an end. */
function failedWrite(cause: unknown, blank: () => void): LedgerError {
  try {
    blank();
  } catch {
    // The first failure is the one to report.
    return new LedgerError('ERR_LEDGER_IO', `the disk failed to write the ledger: ${messageOf(cause)}`, { cause });
  }
  // File systems that copy on write need room even for what was preallocated: a full disk can show here, and pass.
  if (codeOf(cause) === 'ENOSPC' || codeOf(cause) === 'EDQUOT') {
    return new LedgerError('ERR_LEDGER_FULL', `the disk has no room: ${messageOf(cause)}`, { cause });
  }
  return new LedgerError('ERR_LEDGER_IO', `the disk failed to write the ledger: ${messageOf(cause)}`, { cause });
}
