import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Random, Secret } from '../std/index.ts';
import { SEAL_KEY_BYTES, unwrapKey, wrapKey } from '../wire/seal/index.ts';
import { AgentError } from './errors.ts';
import { readPrivateFile, writeFileAtomic } from './files.ts';

/**
 * The key that seals the agent's state: a random one, kept in a file of mode 0600 beside the state. With a passphrase (given by
 * reference) that file holds it wrapped, so a copy of the folder alone opens nothing.
 * @throws AgentError ERR_AGENT_STATE, ERR_AGENT_CONFIG
 */
export async function openSealKey(options: {
  dataDir: string;
  passphraseRef: string | undefined;
  random: Random;
}): Promise<Secret> {
  const { dataDir, passphraseRef, random } = options;
  const passphrase = passphraseRef === undefined ? undefined : await resolvePassphrase(passphraseRef);
  const path = join(dataDir, passphrase ? WRAPPED_FILE : PLAIN_FILE);
  const kept = await readPrivateFile(path);
  if (kept) return passphrase ? unwrap(path, kept, passphrase) : plainKey(path, kept);
  const key = new Secret(random.bytes(SEAL_KEY_BYTES));
  const bytes = passphrase ? await wrapKey(key, passphrase, random) : key.reveal();
  await writeFileAtomic(path, bytes, { mode: 0o600, random });
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
  const text = await readReference(reference);
  const trimmed = text?.replace(/\r?\n$/, '') ?? '';
  if (trimmed !== '') return Secret.fromText(trimmed);
  throw new AgentError('ERR_AGENT_CONFIG', 'sealPassphrase must name a non-empty env:NAME or file:/path');
}

async function readReference(reference: string): Promise<string | undefined> {
  if (reference.startsWith('env:')) return process.env[reference.slice('env:'.length)];
  if (!reference.startsWith('file:')) return undefined;
  try {
    return await readFile(reference.slice('file:'.length), 'utf8');
  } catch (cause) {
    throw new AgentError('ERR_AGENT_CONFIG', `the passphrase of ${reference} can not be read`, { cause });
  }
}

const PLAIN_FILE = 'seal.key';
const WRAPPED_FILE = 'seal.key.wrapped';
