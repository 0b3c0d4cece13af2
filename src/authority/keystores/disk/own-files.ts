import { PrivateFileError } from '../../../private-files/index.ts';
import { AuthorityError } from '../../errors.ts';

/** Does something with the keystore's files; what goes wrong there is told by the codes that every keystore has. */
export async function withOwnFiles<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof PrivateFileError) throw new AuthorityError(CODES[cause.code], cause.message, { cause });
    throw cause;
  }
}

const CODES = {
  ERR_PRIVATE_FILE_UNSAFE: 'ERR_KEYSTORE_UNSAFE',
  ERR_PRIVATE_FILE_SIZE: 'ERR_KEYSTORE_DAMAGED',
  ERR_PRIVATE_FILE_IO: 'ERR_KEYSTORE_IO',
} as const;
/** A sealed RSA-4096 key has about 2,500 bytes. */
export const KEY_FILE_BYTES_MAX = 64 * 1024;
