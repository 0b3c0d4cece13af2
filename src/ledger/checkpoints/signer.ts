import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { closeSync, fstatSync, fsyncSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { codeOf } from '../../std/index.ts';
import type { LedgerSigner } from '../contract.ts';
import { LedgerError, toIoError } from '../errors.ts';

/** A signer whose private key is in this process. `name` is the key's name in notes, as a rule the log's origin. */
export function createSigner(name: string, privateKey: KeyObject): LedgerSigner {
  return { name, publicKey: createPublicKey(privateKey), sign: (bytes) => sign(null, bytes, privateKey) };
}

/**
 * The signer whose Ed25519 key is in the file at `path` (PKCS #8 PEM, 0600); the key is made and written there when there is
 * none yet. @throws ERR_LEDGER_IO when the file can't be read or made, is no such key, or may be read by others
 */
export function openSignerFile(path: string, name: string): LedgerSigner {
  try {
    return createSigner(name, readKey(path) ?? makeKey(path));
  } catch (cause) {
    throw toIoError(`the ledger's signing key in ${path} can't be used`, cause);
  }
}

function readKey(path: string): KeyObject | undefined {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const mode = fstatSync(file).mode & 0o777;
    if ((mode & 0o077) !== 0) {
      throw new LedgerError(
        'ERR_LEDGER_IO',
        `${path} has mode ${mode.toString(8)}: others may read or change the key; allowed is 600`,
      );
    }
    const key = createPrivateKey(readFileSync(file));
    if (key.asymmetricKeyType === 'ed25519') return key;
    throw new LedgerError('ERR_LEDGER_IO', `${path} holds a key of type ${key.asymmetricKeyType}, not ed25519`);
  } finally {
    closeSync(file);
  }
}

function makeKey(path: string): KeyObject {
  const { privateKey } = generateKeyPairSync('ed25519');
  const file = openSync(path, 'wx', 0o600);
  try {
    writeFileSync(file, privateKey.export({ format: 'pem', type: 'pkcs8' }));
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  return privateKey;
}
