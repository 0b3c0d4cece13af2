import { ConfigError } from '../../config/index.ts';
import { UsageError } from '../command.ts';

/** What is wrong with a file that was named on the command line, under the code that says what to do. */
export class NamedFileError extends UsageError {
  readonly code: ConfigError['code'];

  constructor(cause: ConfigError) {
    super(cause.message, { cause });
    this.code = cause.code;
  }
}

/**
 * Reads a file of resources or tests that was named on the command line. What is wrong with it is a wrong use: nobody has to mend the
 * configuration for it. @throws NamedFileError for a ConfigError
 */
export function readNamedFile<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof ConfigError ? new NamedFileError(error) : error;
  }
}
