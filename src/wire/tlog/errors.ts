import { CodedError } from '../../std/index.ts';

/** Every failure of the transparency-log codecs. */
export const errorTable = {
  ERR_TLOG_JSON: {
    status: 400,
    meaning: 'a value can not be written as canonical JSON, or bytes read are not canonical JSON',
    remedy: 'only strings, safe integers, booleans, null, arrays and plain objects are allowed, keys sorted, no spaces',
  },
  ERR_TLOG_NOTE: {
    status: 400,
    meaning: 'a signed note or a verifier key is malformed, or no signature of the expected key verifies',
    remedy: 'check that the public key belongs to this log; otherwise the note was altered or forged',
  },
  ERR_TLOG_CHECKPOINT: {
    status: 400,
    meaning: 'the text of a checkpoint is malformed, or it is of another log',
    remedy: 'check the origin line; otherwise the checkpoint was altered',
  },
  ERR_TLOG_PROOF: {
    status: 400,
    meaning: 'a proof is malformed or does not lead to the signed root',
    remedy: 'the entry, the proof or the checkpoint was altered, or they do not belong together',
  },
  ERR_TLOG_TILE: {
    status: 400,
    meaning: 'a tile has the wrong length or a place in the tree that can not be',
    remedy: 'tiles are derived: they are made again from the entries when the ledger next starts without them',
  },
} as const;

/** A failure of the transparency-log codecs. */
export class TlogError extends CodedError<keyof typeof errorTable> {}
