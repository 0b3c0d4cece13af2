import { CodedError, type ErrorEntry, type ErrorTable } from '../std/index.ts';

/** What can go wrong with approvals. That somebody says no is a value. */
export const errorTable = {
  ERR_APPROVAL_SUBJECT: {
    status: 400,
    exit: 'no',
    meaning:
      'What a gateway asks is not what it says: malformed, of another gateway, or not what people would be shown.',
    remedy: 'Look at that gateway: an honest one asks so only when its version does not fit that of the server.',
  },
  ERR_APPROVAL_HOLD: {
    status: 409,
    exit: 'no',
    meaning: 'The hold is that of another operation, or of another process.',
    remedy: 'Nothing: the operation was refused. If it lasts, look at the gateway that asks.',
  },
  ERR_APPROVAL_RULE: {
    status: 409,
    exit: 'no',
    meaning: 'A policy names a rule for approvals that is not declared, so nobody can be asked.',
    remedy: 'Declare an ApprovalRule of the name that the message says, or correct the policy.',
  },
  ERR_APPROVAL_LIMIT: {
    status: 429,
    exit: 'unavailable',
    meaning: 'Too many operations wait for an answer already: of this identity, of this gateway, or of all.',
    remedy: 'Answer those that wait (`countersign approval list`), or see why one identity asks so much.',
  },
  ERR_APPROVAL_REVOKED: {
    status: 403,
    exit: 'no',
    meaning: 'Whoever asks is revoked: nothing of theirs is approved.',
    remedy: 'Find out why: `countersign revocation list`.',
  },
  ERR_APPROVAL_UNKNOWN: {
    status: 404,
    exit: 'no',
    meaning: 'There is no approval of that id at that target.',
    remedy: 'Look which ones wait: `countersign approval list`. What is over is in the record.',
  },
  ERR_APPROVAL_OVER: {
    status: 409,
    exit: 'no',
    meaning: 'It waits no more: it was answered, its time was over, or its client is gone.',
    remedy: 'Look what became of it: `countersign approval show`.',
  },
  ERR_APPROVAL_DIGEST: {
    status: 409,
    exit: 'no',
    meaning: 'The answer is for something else than what waits under that id.',
    remedy: 'Look at it again, and answer by the digest that is shown.',
  },
  ERR_APPROVAL_REQUESTER: {
    status: 403,
    exit: 'no',
    meaning: 'Nobody answers their own question.',
    remedy: 'Let somebody else answer it.',
  },
  ERR_APPROVAL_APPROVER: {
    status: 403,
    exit: 'no',
    meaning: 'The rule names others who may answer.',
    remedy: 'Let one of those answer whom the rule names, or have them changed in its declaration.',
  },
  ERR_APPROVAL_ANSWERED: {
    status: 409,
    exit: 'no',
    meaning: 'The same person has answered it already; operators, and whoever came by their links, count as one.',
    remedy: 'Let somebody else answer as well.',
  },
  ERR_APPROVAL_SPENT: {
    status: 409,
    exit: 'no',
    meaning: 'There is no answer to be used: none was given, it was used already, or it is no longer good.',
    remedy: 'Ask anew: the operation is held again.',
  },
  ERR_APPROVAL_REQUEST: {
    status: 400,
    exit: 'usage',
    meaning: 'An answer is malformed.',
    remedy: 'Correct what the message names.',
  },
} as const satisfies ErrorTable;

/** A failure of approvals. */
export class ApprovalError extends CodedError<keyof typeof errorTable> {
  get entry(): ErrorEntry {
    return errorTable[this.code];
  }
}
