import { CodedError, codeOf, type ErrorEntry, type ErrorTable, messageOf } from '../std/index.ts';

/** Every failure of the ledger. */
export const errorTable = {
  ERR_LEDGER_FULL: {
    status: 507,
    exit: 'io',
    meaning: 'No room is left in the ledger folder for a new entry and the outcomes still owed.',
    remedy: 'Free space on the ledger volume or make it larger; the ledger goes on by itself once there is room.',
  },
  ERR_LEDGER_IO: {
    status: 503,
    exit: 'io',
    meaning:
      'The disk failed to write, sync or read the ledger; after a failed write or sync nothing more is accepted.',
    remedy: 'Look at the disk and the kernel log, then restart: the start re-reads, re-writes and syncs the tail.',
  },
  ERR_LEDGER_CLOSED: {
    status: 503,
    exit: 'unavailable',
    meaning: 'The ledger is not started yet, or already stopped.',
    remedy: 'None; seen only while the process starts or stops.',
  },
  ERR_LEDGER_ENTRY_INVALID: {
    status: 500,
    exit: 'internal',
    meaning: 'An event is not canonical JSON (fraction, lone surrogate, too deep) or is larger than an entry may be.',
    remedy: 'Report it: the caller must bound and clean what it records.',
  },
  ERR_LEDGER_LOCKED: {
    status: 503,
    exit: 'unavailable',
    meaning: 'Another process (or another ledger of this process) is writing to the same folder.',
    remedy: 'Stop the other writer; each server and gateway needs a ledger folder of its own.',
  },
  ERR_LEDGER_CORRUPT: {
    status: 503,
    exit: 'no',
    meaning: 'The ledger on disk is not what was synced or signed earlier: an entry, a segment or a tile was damaged.',
    remedy: 'Keep the folder as it is and run `countersign ledger verify`, which names the first bad entry.',
  },
  ERR_LEDGER_ROLLED_BACK: {
    status: 503,
    exit: 'no',
    meaning:
      'The ledger folder ends before, or contradicts, the newest checkpoint that is kept beside the signing key: entries that were signed are gone.',
    remedy:
      'Put the newest folder back. If it is lost: move `ledger`, `ledger.key`, `ledger.vkey` and `ledger.checkpoint` away together; the next start begins a new ledger.',
  },
  ERR_LEDGER_UNSIGNED: {
    status: 503,
    exit: 'unavailable',
    meaning:
      'No checkpoint could be signed for 20 s (or since the start), so nothing new is accepted that could be changed unseen.',
    remedy: 'Look for `ledger.checkpoint.failed` in the log; the ledger goes on by itself once a checkpoint is signed.',
  },
  ERR_LEDGER_UNSHIPPED: {
    status: 503,
    exit: 'unavailable',
    meaning:
      'Entries wait for longer than `gateway.unshippedMax` to be shipped to the record, so nothing new is accepted.',
    remedy:
      'See why they are not shipped: condition `shipping` of the gateway, `countersign record logs`. It goes on by itself once they are.',
  },
  ERR_LEDGER_VERSION: {
    status: 503,
    exit: 'no',
    meaning: 'The ledger was written by an older or a newer version, whose format this one does not read.',
    remedy: 'Read it with the version that wrote it; to go on with this one, begin a new ledger.',
  },
  ERR_LEDGER_NOT_FOUND: {
    status: 404,
    exit: 'no',
    meaning: 'No entry with that sequence number, or it is not covered by a signed checkpoint yet.',
    remedy: 'Check the number; a fresh entry can be proven about a second after it was written.',
  },
  ERR_LEDGER_PROOF_INVALID: {
    status: 422,
    exit: 'no',
    meaning: 'A proof does not show that its entry is in the log, or was not signed by the given key.',
    remedy: 'Check that the public key is the one of this log; otherwise treat the proof or the entry as forged.',
  },
} as const satisfies ErrorTable;

/** A failure of the ledger. */
export class LedgerError extends CodedError<keyof typeof errorTable> {
  get entry(): ErrorEntry {
    return errorTable[this.code];
  }
}

/** Runs what reads or writes files; the system's error becomes ERR_LEDGER_IO, one of the ledger's own stays what it is. */
export function withIoErrors<T>(what: string, run: () => T): T {
  try {
    return run();
  } catch (cause) {
    throw toIoError(what, cause);
  }
}

/** What to throw for an error met while doing `what`. */
export function toIoError(what: string, cause: unknown): unknown {
  // An error without a code is a bug, or tells of an abort, and must stay what it is.
  const isSystem = codeOf(cause) !== undefined && !(cause instanceof CodedError);
  return isSystem ? new LedgerError('ERR_LEDGER_IO', `${what}: ${messageOf(cause)}`, { cause }) : cause;
}
