import { CodedError, type ErrorEntry, type ErrorTable } from '../std/index.ts';

/** Every failure of the record. */
export const errorTable = {
  ERR_RECORDS_REQUEST: {
    status: 400,
    exit: 'usage',
    meaning: 'What was shipped or asked for is malformed or over a limit, so nothing of it was taken.',
    remedy: 'Correct what the message names; of a shipper of ours, bring gateway and server to one version.',
  },
  ERR_RECORDS_OWNER: {
    status: 403,
    exit: 'no',
    meaning:
      'The log is shipped by another identity than the one that shipped it first, or no log of that name is its to ship.',
    remedy:
      'Give each gateway its own `gateway.name`; if the gateway has a new identity, accept it by `countersign record accept`.',
  },
  ERR_RECORDS_ALARM: {
    status: 409,
    exit: 'no',
    meaning:
      'The log contradicts what was shipped of it before: it was forked, rolled back, edited, has a gap, or another key signs it.',
    remedy:
      'Find out who changed the ledger: keep its folder as it is, run `countersign ledger verify` over it, then `countersign record accept`.',
  },
  ERR_RECORDS_LIMIT: {
    status: 429,
    exit: 'unavailable',
    meaning: 'As many logs, shippers or entries without a checkpoint are there as the server takes.',
    remedy: 'The shipper tries again by itself; if it lasts, see which gateways ship, and how many names they use.',
  },
  ERR_RECORDS_SINK: {
    status: 500,
    exit: 'config',
    meaning: 'A sink can not be opened as it is configured, so nothing goes there.',
    remedy: 'Correct what the message names under `server.sinks`, then start the server again.',
  },
  ERR_RECORDS_NOT_FOUND: {
    status: 404,
    exit: 'no',
    meaning: 'The record has no such entry or log.',
    remedy: 'Take the id from `countersign record search`, the name of a log from `countersign record logs`.',
  },
  ERR_RECORDS_GONE: {
    status: 410,
    exit: 'no',
    meaning:
      'The content of the entry has left the record: it was past its time, or the key that it was sealed under is gone. Its hash stays in the log.',
    remedy:
      'None: the message says by which rule, and when. The gateway that wrote it may have it in its own ledger, and an export from before has it.',
  },
  ERR_RECORDS_EXPORT: {
    status: 400,
    exit: 'no',
    meaning:
      'An export is not what a server has signed: a line is missing, added, changed or moved, or its manifest is none.',
    remedy: 'Have it exported anew, and find out who had it in hands since.',
  },
} as const satisfies ErrorTable;

/** A failure of the record. */
export class RecordsError extends CodedError<keyof typeof errorTable> {
  get entry(): ErrorEntry {
    return errorTable[this.code];
  }
}
