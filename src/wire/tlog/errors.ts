import { CodedError, type ErrorEntry, type ErrorTable } from '../../std/index.ts';

/** Every failure of the transparency-log codecs. */
export const errorTable = {
  ERR_TLOG_JSON: {
    status: 400,
    exit: 'no',
    meaning: 'A value can not be written as canonical JSON, or bytes read are not canonical JSON.',
    remedy:
      'Only strings, safe integers, booleans, null, arrays and plain objects are allowed, keys sorted, no spaces.',
  },
  ERR_TLOG_NOTE: {
    status: 400,
    exit: 'no',
    meaning: 'A signed note or a verifier key is malformed, or no signature of the expected key verifies.',
    remedy: 'Check that the public key belongs to this log; otherwise the note was altered or forged.',
  },
  ERR_TLOG_CHECKPOINT: {
    status: 400,
    exit: 'no',
    meaning: 'The text of a checkpoint is malformed, or it is of another log.',
    remedy: 'Check the origin line; otherwise the checkpoint was altered.',
  },
  ERR_TLOG_PROOF: {
    status: 400,
    exit: 'no',
    meaning: 'A proof is malformed or does not lead to the signed root.',
    remedy: 'The entry, the proof or the checkpoint was altered, or they do not belong together.',
  },
  ERR_TLOG_TILE: {
    status: 400,
    exit: 'no',
    meaning: 'A tile has the wrong length or a place in the tree that can not be.',
    remedy: 'Tiles are derived: they are made again from the entries when the ledger next starts without them.',
  },
} as const satisfies ErrorTable;

/** A failure of the transparency-log codecs. */
export class TlogError extends CodedError<keyof typeof errorTable> {
  get entry(): ErrorEntry {
    return errorTable[this.code];
  }
}
