import { CodedError, type ErrorEntry, type ErrorTable } from '../std/index.ts';

/** What can go wrong with declared resources as a whole; what is wrong with one resource is a value. */
export const errorTable = {
  ERR_RESOURCES_LIMIT: {
    status: 400,
    exit: 'usage',
    meaning: 'Too many resources, one that is too large, or the same one twice.',
    remedy: 'Split or correct what the message names.',
  },
  ERR_RESOURCES_CHANGED: {
    status: 409,
    exit: 'no',
    meaning: 'Targets or policies were changed by somebody else since they were looked at; nothing was done.',
    remedy: 'Look again, and repeat what is still wanted.',
  },
  ERR_RESOURCES_ADDRESS: {
    status: 400,
    exit: 'config',
    meaning: 'A gateway advertises an address that agents can not dial.',
    remedy: 'Set the gateway to advertise host:port, a name or address that agents reach.',
  },
  ERR_RESOURCES_GATEWAY: {
    status: 409,
    exit: 'unavailable',
    meaning: 'A gateway reports to a server that it does not watch.',
    remedy: 'Nothing: it reports again once it is connected.',
  },
  ERR_RESOURCES_REPORTS: {
    status: 429,
    exit: 'unavailable',
    meaning: 'A gateway reports too often.',
    remedy: 'Bring the gateway to the version of the server; if it is, report it.',
  },
  ERR_RESOURCES_NOT_READY: {
    status: 503,
    exit: 'unavailable',
    meaning: 'The declared resources are not loaded yet, or the server stops.',
    remedy: 'Try again in a moment.',
  },
} as const satisfies ErrorTable;

/** A failure of resources. */
export class ResourcesError extends CodedError<keyof typeof errorTable> {
  get entry(): ErrorEntry {
    return errorTable[this.code];
  }
}
