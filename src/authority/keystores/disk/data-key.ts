import * as path from 'node:path';
import { PrivateFileError, readGivenSecret, readPrivateFile, writePrivateFile } from '../../../private-files/index.ts';
import { type Random, Secret } from '../../../std/index.ts';
import { SEAL_KEY_BYTES, SealError, unwrapKey, wrapKey } from '../../../wire/seal/index.ts';
import { AuthorityError } from '../../errors.ts';
import { KEY_FILE_BYTES_MAX, withOwnFiles } from './own-files.ts';

/**
 * The key that the keystore's files are sealed with: opened from the folder, or made on first use. With a passphrase it lies wrapped in
 * `data-key.wrapped`, without one bare in `data-key`. A folder made the one way is not opened the other way.
 * @throws AuthorityError ERR_KEYSTORE_PASSPHRASE, ERR_KEYSTORE_DAMAGED, ERR_KEYSTORE_CONFIG, ERR_KEYSTORE_UNSAFE, ERR_KEYSTORE_IO
 */
export async function openDataKey(
  folder: string,
  options: { readonly passphrase: Secret | undefined; readonly random: Random; readonly keysExist: boolean },
): Promise<Secret> {
  const bareFile = path.join(folder, 'data-key');
  const wrappedFile = path.join(folder, 'data-key.wrapped');
  const read = (file: string) => withOwnFiles(() => readPrivateFile(file, { bytesMax: KEY_FILE_BYTES_MAX }));
  const bare = await read(bareFile);
  const wrapped = await read(wrappedFile);
  if (bare && wrapped) {
    throw new AuthorityError(
      'ERR_KEYSTORE_DAMAGED',
      `${folder} holds two data keys, one with and one without a passphrase`,
    );
  }
  if (wrapped) {
    if (!options.passphrase)
      throw new AuthorityError('ERR_KEYSTORE_PASSPHRASE', `${folder} is opened with a passphrase, none is configured`);
    return unwrap(wrapped, options.passphrase, wrappedFile);
  }
  if (bare) {
    if (options.passphrase) {
      throw new AuthorityError('ERR_KEYSTORE_CONFIG', `${folder} was made without a passphrase, one is configured now`);
    }
    if (bare.length !== SEAL_KEY_BYTES)
      throw new AuthorityError('ERR_KEYSTORE_DAMAGED', `${bareFile} was cut off or edited`);
    return new Secret(bare);
  }
  if (options.keysExist)
    throw new AuthorityError('ERR_KEYSTORE_DAMAGED', `${folder} holds keys, but the data key that opens them is gone`);
  const key = new Secret(options.random.bytes(SEAL_KEY_BYTES));
  const { passphrase, random } = options;
  const kept = passphrase ? await wrapKey(key, passphrase, random) : key.reveal();
  await withOwnFiles(() => writePrivateFile(passphrase ? wrappedFile : bareFile, kept, random));
  return key;
}

/**
 * Reads a passphrase given as `env:NAME` or `file:PATH`; one newline at its end is not part of it.
 * @throws AuthorityError ERR_KEYSTORE_PASSPHRASE (missing, empty), ERR_KEYSTORE_UNSAFE (a file that others can read or change)
 */
export async function readPassphrase(reference: string): Promise<Secret> {
  let passphrase: Secret | undefined;
  try {
    // Mounted secrets belong to root or are shared with a group; what everyone can read is no secret.
    const options = { env: process.env, bytesMax: PASSPHRASE_BYTES_MAX, groupMayRead: true };
    passphrase = await readGivenSecret(reference, options);
  } catch (cause) {
    if (!(cause instanceof PrivateFileError)) throw cause;
    const code = cause.code === 'ERR_PRIVATE_FILE_UNSAFE' ? 'ERR_KEYSTORE_UNSAFE' : 'ERR_KEYSTORE_PASSPHRASE';
    throw new AuthorityError(code, `the passphrase: ${cause.message}`, { cause });
  }
  if (passphrase) return passphrase;
  throw new AuthorityError('ERR_KEYSTORE_PASSPHRASE', `the passphrase ${reference} is missing or empty`);
}

async function unwrap(wrapped: Buffer, passphrase: Secret, file: string): Promise<Secret> {
  try {
    return await unwrapKey(wrapped, passphrase);
  } catch (cause) {
    if (!(cause instanceof SealError)) throw cause;
    if (cause.code === 'ERR_SEAL_BROKEN') {
      throw new AuthorityError(
        'ERR_KEYSTORE_PASSPHRASE',
        `the passphrase does not open ${file}, or the file was edited`,
        { cause },
      );
    }
    throw new AuthorityError('ERR_KEYSTORE_DAMAGED', `${file} was cut off or edited`, { cause });
  }
}

const PASSPHRASE_BYTES_MAX = 4096;
