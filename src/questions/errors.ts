import { CodedError, type ErrorEntry, type ErrorTable } from '../std/index.ts';

/** What can go wrong with questions to gateways. That a gateway does not answer is a value. */
export const errorTable = {
  ERR_QUESTIONS_LIMIT: {
    status: 429,
    exit: 'unavailable',
    meaning: 'As many questions are being asked as gateways are to be bothered with at once.',
    remedy: 'Try again in some seconds.',
  },
  ERR_QUESTIONS_GATEWAY: {
    status: 409,
    exit: 'unavailable',
    meaning: 'A gateway answers to a server that it does not watch.',
    remedy: 'Nothing: the server that it watches asks it as well.',
  },
  ERR_QUESTIONS_NOT_ASKED: {
    status: 403,
    exit: 'no',
    meaning: 'A gateway answers a question that it was not asked.',
    remedy: 'Find out what runs at the address that the log names: no gateway of ours does so.',
  },
  ERR_QUESTIONS_ANSWER: {
    status: 400,
    exit: 'internal',
    meaning: 'An answer is larger than it may be, or its pages do not come in their order.',
    remedy: 'Bring the gateway to the version of the server; if it is, report it.',
  },
} as const satisfies ErrorTable;

/** A failure of questions. */
export class QuestionsError extends CodedError<keyof typeof errorTable> {
  get entry(): ErrorEntry {
    return errorTable[this.code];
  }
}
