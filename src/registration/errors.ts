import { CodedError, type ErrorEntry, type ErrorTable } from '../std/index.ts';

/** What can go wrong in registration as a whole; what is wrong with one entry of a batch is a value. */
export const errorTable = {
  ERR_REGISTRATION_REQUEST: {
    status: 400,
    exit: 'usage',
    meaning: 'A batch is too large, or a filter, a page size or a page token is malformed.',
    remedy: 'Correct what the message names.',
  },
  ERR_REGISTRATION_NOT_READY: {
    status: 503,
    exit: 'unavailable',
    meaning: 'The entries are not loaded yet, or the server stops.',
    remedy: 'Try again in a moment.',
  },
} as const satisfies ErrorTable;

/** A failure of registration. */
export class RegistrationError extends CodedError<keyof typeof errorTable> {
  get entry(): ErrorEntry {
    return errorTable[this.code];
  }
}
