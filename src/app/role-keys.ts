import { createPrivateKey, createPublicKey, generateKeyPairSync, hkdfSync, type KeyObject } from 'node:crypto';
import { join } from 'node:path';
import { type CheckpointKeeper, createSigner, type LedgerSigner } from '../ledger/index.ts';
import { readOrCreatePrivateFile, readPrivateFile, writePrivateFile } from '../private-files/index.ts';
import { type Random, Secret } from '../std/index.ts';
import { createSealer, SEAL_KEY_BYTES } from '../wire/seal/index.ts';
import { cosignatureKeyOf, formatVerifierKey, formatWitnessKey, noteKeyOf } from '../wire/tlog/index.ts';
import { AppError } from './errors.ts';

/** The key of a role's sealed files: 32 random bytes in `seal.key` (0600), made at the first start. @throws AppError ERR_APP_KEY, PrivateFileError */
export function openSealKey(dataDir: string, random: Random): Secret {
  const path = join(dataDir, 'seal.key');
  const bytes = readOrCreate(path, random, () => random.bytes(SEAL_KEY_BYTES));
  if (bytes.length !== SEAL_KEY_BYTES)
    throw new AppError(
      'ERR_APP_KEY',
      `${path} has ${bytes.length} bytes, not ${SEAL_KEY_BYTES}; bring the file back from a copy`,
    );
  return new Secret(bytes);
}

/** A key for another purpose, derived from the sealing key. */
export function deriveKey(key: Secret, purpose: string): Secret {
  return new Secret(
    Buffer.from(hkdfSync('sha256', key.reveal(), Buffer.alloc(0), `countersign ${purpose}`, SEAL_KEY_BYTES)),
  );
}

/**
 * The key that signs the ledger's checkpoints: Ed25519, sealed in `ledger.key`; its public half lies as a verifier key beside it, in
 * `ledger.vkey`, to be given to whoever verifies.
 * @throws AppError ERR_APP_KEY, PrivateFileError
 */
export function openLedgerSigner(options: {
  dataDir: string;
  name: string;
  sealKey: Secret;
  random: Random;
}): LedgerSigner {
  const { dataDir, name, sealKey, random } = options;
  const sealer = createSealer(sealKey, random);
  const path = join(dataDir, 'ledger.key');
  const sealed = readOrCreate(path, random, () =>
    sealer.seal(generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'der' }), LEDGER_KEY_CONTEXT),
  );
  const privateKey = openLedgerKey(path, () => sealer.open(sealed, LEDGER_KEY_CONTEXT));
  const publicKey = createPublicKey(privateKey);
  readOrCreate(join(dataDir, 'ledger.vkey'), random, () =>
    Buffer.from(`${formatVerifierKey(noteKeyOf(name, publicKey))}\n`),
  );
  return createSigner(name, privateKey);
}

/**
 * The key by which a server countersigns checkpoints of ledgers: Ed25519, sealed in `witness.key`; its public half lies beside it in
 * `witness.vkey`. It is not the key of its own ledger: nobody vouches for himself.
 * @throws AppError ERR_APP_KEY, PrivateFileError
 */
export function openWitnessKey(options: { dataDir: string; name: string; sealKey: Secret; random: Random }): KeyObject {
  const { dataDir, name, sealKey, random } = options;
  const sealer = createSealer(sealKey, random);
  const path = join(dataDir, 'witness.key');
  const sealed = readOrCreate(path, random, () =>
    sealer.seal(generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'der' }), WITNESS_CONTEXT),
  );
  const privateKey = openLedgerKey(path, () => sealer.open(sealed, WITNESS_CONTEXT));
  readOrCreate(join(dataDir, 'witness.vkey'), random, () =>
    Buffer.from(`${formatWitnessKey(cosignatureKeyOf(name, createPublicKey(privateKey)))}\n`),
  );
  return privateKey;
}

/**
 * Keeps the ledger's newest checkpoint in `ledger.checkpoint`, sealed as the key beside it is: whoever puts the ledger's folder back to an
 * earlier state is found out at the next start, unless he has this file and `seal.key` too.
 */
export function openCheckpointKeeper(options: { dataDir: string; sealKey: Secret; random: Random }): CheckpointKeeper {
  const { dataDir, sealKey, random } = options;
  const sealer = createSealer(sealKey, random);
  const path = join(dataDir, 'ledger.checkpoint');
  return {
    async read() {
      const sealed = await readPrivateFile(path, { bytesMax: CHECKPOINT_BYTES_MAX });
      if (sealed === undefined) return undefined;
      try {
        return sealer.open(sealed, CHECKPOINT_CONTEXT).toString('utf8');
      } catch (cause) {
        const message = `${path} does not open with seal.key beside it; bring both back from one copy`;
        throw new AppError('ERR_APP_KEY', message, { cause });
      }
    },
    write: (note) => writePrivateFile(path, sealer.seal(Buffer.from(note, 'utf8'), CHECKPOINT_CONTEXT), random),
  };
}

/**
 * The key of what clients were not shown, which stands sealed in the ledger: `withheld.key`, 32 random bytes in Base64url. It opens nothing else, so
 * that it can be given to whoever may read those texts.
 * @throws AppError ERR_APP_KEY, PrivateFileError
 */
export function openWithheldKey(dataDir: string, random: Random): Secret {
  const path = join(dataDir, WITHHELD_KEY_FILE);
  return parseWithheldKey(path, readOrCreate(path, random, () => keyLine(random)).toString('latin1'));
}

/** Reads the text of such a file. @throws AppError ERR_APP_KEY */
export function parseWithheldKey(path: string, text: string): Secret {
  return requireKeyLine(path, text, 'withheld texts');
}

/** In the gateway's data folder. */
export const WITHHELD_KEY_FILE = 'withheld.key';

/** 32 random bytes as a line that can be copied. */
export function keyLine(random: Random): Buffer {
  return Buffer.from(`${Buffer.from(random.bytes(SEAL_KEY_BYTES)).toString('base64url')}\n`);
}

/** The bytes of such a line; undefined for anything else. */
export function parseKeyLine(text: string): Secret | undefined {
  const bytes = /^[\w-]{43}\n?$/.test(text) ? Buffer.from(text, 'base64url') : Buffer.alloc(0);
  return bytes.length === SEAL_KEY_BYTES ? new Secret(bytes) : undefined;
}

/** The bytes of such a line, in a file that holds a key of `what`. @throws AppError ERR_APP_KEY */
export function requireKeyLine(path: string, text: string, what: string): Secret {
  const key = parseKeyLine(text);
  if (key === undefined)
    throw new AppError('ERR_APP_KEY', `${path} is no key of ${what}: it has 43 characters of Base64url`);
  return key;
}

function openLedgerKey(path: string, open: () => Buffer): KeyObject {
  try {
    return createPrivateKey({ key: open(), type: 'pkcs8', format: 'der' });
  } catch (cause) {
    throw new AppError('ERR_APP_KEY', `${path} does not open with seal.key beside it; bring both back from one copy`, {
      cause,
    });
  }
}

function readOrCreate(path: string, random: Random, make: () => Buffer): Buffer {
  return readOrCreatePrivateFile(path, { bytesMax: KEY_FILE_BYTES_MAX, random, make });
}

const CHECKPOINT_CONTEXT = 'ledger/kept-checkpoint';
/** A checkpoint is a name and a line or two. */
const CHECKPOINT_BYTES_MAX = 64 * 1024;
const WITNESS_CONTEXT = 'records/witness-key';
const LEDGER_KEY_CONTEXT = 'ledger/signing-key';
/** A sealed Ed25519 key is the largest, with some 150 bytes. */
const KEY_FILE_BYTES_MAX = 4096;
