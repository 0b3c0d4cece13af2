import { CodedError, type ErrorEntry, type ErrorTable } from '../std/index.ts';

/** What can go wrong with sessions that run. That a gateway does not answer is a value. */
export const errorTable = {
  ERR_SESSIONS_GATEWAY: {
    status: 404,
    exit: 'no',
    meaning: 'No gateway of that address or SPIFFE ID is connected.',
    remedy: 'Look which ones are: `countersign target list`.',
  },
  ERR_SESSIONS_REQUEST: {
    status: 400,
    exit: 'usage',
    meaning: 'A filter is malformed, or more sessions are named than may be at once.',
    remedy: 'Correct what the message names.',
  },
  ERR_SESSIONS_UNANSWERED: {
    status: 503,
    exit: 'unavailable',
    meaning: 'No gateway that answered has that session, and some did not answer.',
    remedy: 'Ask again; `countersign session list` names those that do not answer.',
  },
  ERR_SESSIONS_LIMIT: {
    status: 429,
    exit: 'unavailable',
    meaning: 'Sessions are followed by as many filters as there may be at once.',
    remedy: 'Follow by a filter that others follow by, or ask for the list now and then.',
  },
  ERR_SESSIONS_ANSWER: {
    status: 400,
    exit: 'internal',
    meaning: 'A gateway says of its sessions what can not be.',
    remedy: 'Bring the gateway to the version of the server; if it is, find out what runs at its address.',
  },
} as const satisfies ErrorTable;

/** A failure of sessions. */
export class SessionsError extends CodedError<keyof typeof errorTable> {
  get entry(): ErrorEntry {
    return errorTable[this.code];
  }
}
