import { CodedError, type ErrorEntry, type ErrorTable } from '../std/index.ts';

export const errorTable = {
  ERR_WORKLOAD_API_ANSWER: {
    status: 502,
    exit: 'unavailable',
    meaning: 'The Workload API answered with an SVID, bundle or token that can not be used.',
    remedy: 'Check which agent listens on the socket, and its version; the message says what was wrong.',
  },
  ERR_SVID_FILES: {
    status: 500,
    exit: 'usage',
    meaning: 'The folder for SVID files can not be used safely.',
    remedy: 'Give a folder that belongs to the user who runs the command and that nobody else can write to.',
  },
} as const satisfies ErrorTable;

/** A process could not get, or not keep, its own identity. */
export class WorkloadIdentityError extends CodedError<keyof typeof errorTable> {
  get entry(): ErrorEntry {
    return errorTable[this.code];
  }
}
