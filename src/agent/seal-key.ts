import { join } from 'node:path';
import { readGivenSecret, readPrivateFile, writePrivateFile } from '../private-files/index.ts';
import { messageOf, type Random, Secret } from '../std/index.ts';
import { SEAL_KEY_BYTES, unwrapKey, wrapKey } from '../wire/seal/index.ts';
import { AgentError } from './errors.ts';

/**
 * The key that seals the agent's state: a random one, kept in a file of mode 0600 beside the state. With a passphrase (given by
 * reference) that file holds it wrapped, so a copy of the folder alone opens nothing. Unless `mayMake` it must be there.
 * @throws AgentError ERR_AGENT_STATE, ERR_AGENT_CONFIG; PrivateFileError
 */
export async function openSealKey(options: {
  dataDir: string;
  passphraseRef: string | undefined;
  random: Random;
  mayMake: boolean;
}): Promise<Secret> {
  const { dataDir, passphraseRef, random } = options;
  const passphrase = passphraseRef === undefined ? undefined : await resolvePassphrase(passphraseRef);
  const path = join(dataDir, passphrase ? WRAPPED_FILE : PLAIN_FILE);
  const kept = await readPrivateFile(path, { bytesMax: KEY_FILE_BYTES_MAX });
  if (kept) return passphrase ? unwrap(path, kept, passphrase) : plainKey(path, kept);
  if (!options.mayMake)
    throw new AgentError('ERR_AGENT_STATE', `there is no ${path}, so what lies beside it can not be opened`);
  const key = new Secret(random.bytes(SEAL_KEY_BYTES));
  const bytes = passphrase ? await wrapKey(key, passphrase, random) : key.reveal();
  await writePrivateFile(path, bytes, random);
  return key;
}

function plainKey(path: string, bytes: Buffer): Secret {
  if (bytes.length === SEAL_KEY_BYTES) return new Secret(bytes);
  throw new AgentError('ERR_AGENT_STATE', `${path} has ${bytes.length} bytes, not ${SEAL_KEY_BYTES}`);
}

async function unwrap(path: string, bytes: Buffer, passphrase: Secret): Promise<Secret> {
  try {
    return await unwrapKey(bytes, passphrase);
  } catch (cause) {
    throw new AgentError('ERR_AGENT_STATE', `${path} does not open with the configured passphrase`, { cause });
  }
}

async function resolvePassphrase(reference: string): Promise<Secret> {
  let passphrase: Secret | undefined;
  try {
    // Mounted secrets belong to root or are shared with a group; what everyone can read is no secret.
    const options = { env: process.env, bytesMax: PASSPHRASE_BYTES_MAX, groupMayRead: true };
    passphrase = await readGivenSecret(reference, options);
  } catch (cause) {
    throw new AgentError('ERR_AGENT_CONFIG', `the passphrase can not be read: ${messageOf(cause)}`, { cause });
  }
  if (passphrase) return passphrase;
  throw new AgentError('ERR_AGENT_CONFIG', 'sealPassphrase must name a non-empty env:NAME or file:/path');
}

const PLAIN_FILE = 'seal.key';
const WRAPPED_FILE = 'seal.key.wrapped';
/** A key, bare or wrapped, has less than 200 bytes. */
const KEY_FILE_BYTES_MAX = 4096;
const PASSPHRASE_BYTES_MAX = 4096;
