import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import { codeOf, type Random, Secret } from '../../../std/index.ts';
import { SEAL_KEY_BYTES, SealError, unwrapKey, wrapKey } from '../../../wire/seal/index.ts';
import { AuthorityError } from '../../errors.ts';
import { readOwnFile, writeOwnFile } from './files.ts';

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
  const bare = await readOwnFile(bareFile);
  const wrapped = await readOwnFile(wrappedFile);
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
  if (options.passphrase) await writeOwnFile(wrappedFile, await wrapKey(key, options.passphrase, options.random));
  else await writeOwnFile(bareFile, key.reveal());
  return key;
}

/**
 * Reads a passphrase given as `env:NAME` or `file:PATH`; one newline at its end is not part of it.
 * @throws AuthorityError ERR_KEYSTORE_PASSPHRASE (missing, empty), ERR_KEYSTORE_UNSAFE (a file that others can read)
 */
export async function readPassphrase(reference: string): Promise<Secret> {
  const name = reference.slice(reference.indexOf(':') + 1);
  const text = reference.startsWith('env:') ? (process.env[name] ?? '') : await readPassphraseFile(name);
  const passphrase = text.replace(/\r?\n$/, '');
  if (passphrase === '')
    throw new AuthorityError('ERR_KEYSTORE_PASSPHRASE', `the passphrase ${reference} is missing or empty`);
  return Secret.fromText(passphrase);
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

async function readPassphraseFile(file: string): Promise<string> {
  let handle: fs.FileHandle;
  try {
    handle = await fs.open(file, 'r');
  } catch (cause) {
    const why = codeOf(cause) === 'ENOENT' ? 'is missing' : 'can not be opened';
    throw new AuthorityError('ERR_KEYSTORE_PASSPHRASE', `the passphrase file ${file} ${why}`, { cause });
  }
  try {
    const stat = await handle.stat();
    // Mounted secrets belong to root or are shared with a group; what everyone can read is no secret.
    if ((stat.mode & 0o007) !== 0) {
      throw new AuthorityError(
        'ERR_KEYSTORE_UNSAFE',
        `the passphrase file ${file} can be read by others, take their access away`,
      );
    }
    if (stat.size > PASSPHRASE_BYTES_MAX) {
      throw new AuthorityError(
        'ERR_KEYSTORE_PASSPHRASE',
        `the passphrase file ${file} has more than ${PASSPHRASE_BYTES_MAX} bytes`,
      );
    }
    return (await handle.readFile()).toString('utf8');
  } finally {
    await handle.close();
  }
}

const PASSPHRASE_BYTES_MAX = 4096;
