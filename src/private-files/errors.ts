import { CodedError, type ErrorEntry, type ErrorTable } from '../std/index.ts';

/** What can go wrong with files and folders that must be one user's own. */
export const errorTable = {
  ERR_PRIVATE_FILE_UNSAFE: {
    status: 500,
    exit: 'config',
    meaning:
      'A file or folder belongs to another user, is open to others, or is a link or something else in its place.',
    remedy:
      'Give each role a folder of its own (0700) and set owner and mode as the message says, after checking what was put or copied there.',
  },
  ERR_PRIVATE_FILE_SIZE: {
    status: 500,
    exit: 'config',
    meaning: 'A file is larger than any that belongs there.',
    remedy: 'Look at what is in it: it was edited, or the path names another file than was meant.',
  },
  ERR_PRIVATE_FILE_IO: {
    status: 503,
    exit: 'config',
    meaning: 'A file or folder could not be made, read or written.',
    remedy: 'Look at the disk and at the rights of the user that runs the role; the message names the path.',
  },
} as const satisfies ErrorTable;

/** A failure with a private file or folder. */
export class PrivateFileError extends CodedError<keyof typeof errorTable> {
  get entry(): ErrorEntry {
    return errorTable[this.code];
  }
}
