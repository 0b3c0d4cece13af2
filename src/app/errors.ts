import { CodedError, type ErrorTable } from '../std/index.ts';

export const errorTable = {
  ERR_APP_CONFIG: {
    status: 500,
    meaning: 'The settings of a role do not fit together.',
    remedy: 'Mend the setting that the message names.',
  },
  ERR_APP_FOLDER: {
    status: 500,
    meaning: "A role's data folder can not be used: it is none, belongs to another user, or others may read it.",
    remedy: 'Give each role a folder of its own, owned by its user, mode 0700.',
  },
  ERR_APP_KEY: {
    status: 500,
    meaning: 'A key file is missing, damaged, or readable by others.',
    remedy: 'Set its mode to 0600; bring a damaged one back from a copy. Without it, what it sealed is lost.',
  },
} as const satisfies ErrorTable;

/** What keeps a role from starting. */
export class AppError extends CodedError<keyof typeof errorTable> {}
