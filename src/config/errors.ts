import { CodedError, type ErrorEntry, type ErrorTable } from '../std/index.ts';

export const errorTable = {
  ERR_CONFIG_FILE: {
    status: 400,
    exit: 'config',
    meaning:
      'The configuration file is not there, can not be read, or may be written by other users than root and this one.',
    remedy:
      'Write one with `countersign init`, name another with --config, or give the file and the folders above it the owner and mode that the message says.',
  },
  ERR_CONFIG_SYNTAX: {
    status: 400,
    exit: 'config',
    meaning: 'The file is not YAML.',
    remedy: 'Mend the line that the message names.',
  },
  ERR_CONFIG_INVALID: {
    status: 400,
    exit: 'config',
    meaning: 'A key is unknown, or a value is not one of those allowed.',
    remedy: 'Mend each line that the message names; docs/reference/config.md lists every key.',
  },
} as const satisfies ErrorTable;

/** What is wrong with a configuration file; the message holds one line `file:line:column: problem` for each. */
export class ConfigError extends CodedError<keyof typeof errorTable> {
  get entry(): ErrorEntry {
    return errorTable[this.code];
  }
}
