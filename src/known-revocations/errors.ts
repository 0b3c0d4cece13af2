import { CodedError, type ErrorEntry, type ErrorTable } from '../std/index.ts';

/** What can go wrong with what a verifier knows of revocations. That a message is not taken is no error: see `problem`. */
export const errorTable = {
  ERR_REVOCATIONS_KEPT: {
    status: 500,
    exit: 'config',
    meaning: 'The file in which a gateway or an agent keeps who is revoked does not open.',
    remedy:
      'The role goes on with what the server says, and writes it anew. Find out who has changed the file, or the key beside it.',
  },
  ERR_REVOCATIONS_REFUSED: {
    status: 502,
    exit: 'unavailable',
    meaning:
      'A server tells a gateway or an agent of revocations what can not be: it is older than what was told before, of another store, or not signed by the trust domain.',
    remedy:
      'If its store was put back from a backup, say so by `countersign revocation restart`; else find out who answers in the place of the server.',
  },
  ERR_REVOCATIONS_SILENT: {
    status: 504,
    exit: 'unavailable',
    meaning: 'A server has said nothing of revocations for so long that it is asked anew.',
    remedy: 'Nothing, unless it lasts: then see that the server runs and is reached.',
  },
} as const satisfies ErrorTable;

export class KnownRevocationsError extends CodedError<keyof typeof errorTable> {
  get entry(): ErrorEntry {
    return errorTable[this.code];
  }
}
