import { CodedError, type ErrorEntry, type ErrorTable } from '../std/index.ts';

/** What can go wrong with revocations. That a verifier does not answer is a value. */
export const errorTable = {
  ERR_REVOCATION_REVOKED: {
    status: 403,
    exit: 'no',
    meaning: 'What is asked for is revoked: nothing is signed for it, and nothing that was is taken.',
    remedy: 'Find out why: `countersign revocation list`. `countersign revocation lift` takes it back.',
  },
  ERR_REVOCATION_REQUEST: {
    status: 400,
    exit: 'usage',
    meaning: 'A revocation is malformed: its subject, what it lets pass, or its reason.',
    remedy: 'Correct what the message names.',
  },
  ERR_REVOCATION_EXISTS: {
    status: 409,
    exit: 'no',
    meaning: 'The subject is revoked already, or quarantined already.',
    remedy:
      'Nothing, if it is to be so: `countersign revocation show` tells where it is in effect. A stricter quarantine takes the place of one that stands; for a looser one lift that first.',
  },
  ERR_REVOCATION_UNKNOWN: {
    status: 404,
    exit: 'no',
    meaning: 'No revocation of that id stands.',
    remedy: 'Look which ones do: `countersign revocation list`.',
  },
  ERR_REVOCATION_LIVES: {
    status: 409,
    exit: 'no',
    meaning: 'What was issued before the revocation may be valid still: lifted, it would count again.',
    remedy: 'Lift it after the time that the message says; or give the workload another SPIFFE ID until then.',
  },
  ERR_REVOCATION_LIMIT: {
    status: 429,
    exit: 'unavailable',
    meaning: 'As many revocations stand as verifiers can be told of.',
    remedy:
      'Lift those that are over (`countersign revocation list`), or revoke a node or a label in the place of many identities.',
  },
  ERR_REVOCATION_PUT_BACK: {
    status: 409,
    exit: 'unavailable',
    meaning:
      'A verifier has a state of revocations that the store does not have: the store was put back from a backup.',
    remedy:
      'Revoke again what is missing, then let verifiers take what the store has: `countersign revocation restart`.',
  },
} as const satisfies ErrorTable;

/** A failure of revocations. */
export class RevocationError extends CodedError<keyof typeof errorTable> {
  get entry(): ErrorEntry {
    return errorTable[this.code];
  }
}
