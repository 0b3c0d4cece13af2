import { createPrivateKey, createPublicKey, generateKeyPairSync, hkdfSync, type KeyObject } from 'node:crypto';
import {
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { createSigner, type LedgerSigner } from '../ledger/index.ts';
import { codeOf, type Random, Secret } from '../std/index.ts';
import { createSealer, SEAL_KEY_BYTES } from '../wire/seal/index.ts';
import { formatVerifierKey, noteKeyOf } from '../wire/tlog/index.ts';
import { AppError } from './errors.ts';

/** Makes a role's data folder (0700) when it is missing, and checks that nobody else may look into it. @throws AppError ERR_APP_FOLDER */
export function openDataFolder(path: string): void {
  openFolder(path, 0o700);
  if ((lstatSync(path).mode & 0o077) !== 0)
    throw new AppError('ERR_APP_FOLDER', `${path} may be read by others; chmod 700 it`);
}

/**
 * Makes a folder that others may look into (0755) when it is missing, and checks that nobody else may put anything into it: a link planted
 * there would have us write elsewhere.
 * @throws AppError ERR_APP_FOLDER
 */
export function openSharedFolder(path: string): void {
  openFolder(path, 0o755);
  if ((lstatSync(path).mode & 0o022) !== 0)
    throw new AppError('ERR_APP_FOLDER', `${path} may be written by others; chmod go-w it`);
}

/** Makes the folder when it is missing; it must be one, and this user's. */
function openFolder(path: string, mode: number): void {
  makeFolder(path, mode);
  const stat = lstatSync(path);
  if (!stat.isDirectory()) throw new AppError('ERR_APP_FOLDER', `${path} is no folder`);
  if (stat.uid === process.getuid?.()) return;
  throw new AppError('ERR_APP_FOLDER', `${path} belongs to user ${stat.uid}, not to the one that runs this process`);
}

function makeFolder(path: string, mode: number): void {
  try {
    mkdirSync(path, { recursive: true, mode });
  } catch (cause) {
    throw new AppError(
      'ERR_APP_FOLDER',
      `${path} can not be made by this user (${codeOf(cause) ?? 'unknown error'}): make it for this user (systemd: StateDirectory=, RuntimeDirectory=), or name another`,
      { cause },
    );
  }
}

/**
 * Makes the folder of a socket when it is missing, for its owner alone, and checks the whole way to it: who may write a folder on it can put
 * another socket in place of ours, and operators would say there what was meant for the server.
 * @throws AppError ERR_APP_FOLDER
 */
export function openSocketFolder(socket: string): void {
  const folder = resolve(dirname(socket));
  makeFolder(folder, 0o700);
  for (const way of [folder, realpathSync(folder)]) checkWay(way, socket);
}

function checkWay(folder: string, socket: string): void {
  for (let at = folder; ; at = dirname(at)) {
    const { uid, mode } = lstatSync(at);
    if (uid !== 0 && uid !== process.getuid?.())
      throw new AppError('ERR_APP_FOLDER', `${at}, on the way to ${socket}, belongs to user ${uid}, not to root or us`);
    const isLink = (mode & constants.S_IFMT) === constants.S_IFLNK; // Its own mode says nothing; who owns it may change it.
    // In a sticky folder nobody may move what is ours away, but new things may be put into it.
    if (!isLink && (mode & 0o022) !== 0 && (at === folder || (mode & STICKY) === 0))
      throw new AppError('ERR_APP_FOLDER', `${at}, on the way to ${socket}, may be written by others; chmod go-w it`);
    if (at === '/') return;
  }
}

/** The key of a role's sealed files: 32 random bytes in `seal.key` (0600), made at the first start. @throws AppError ERR_APP_KEY */
export function openSealKey(dataDir: string, random: Random): Secret {
  const path = join(dataDir, 'seal.key');
  const bytes = readOrCreate(path, () => random.bytes(SEAL_KEY_BYTES));
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
 * @throws AppError ERR_APP_KEY
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
  const sealed = readOrCreate(path, () =>
    sealer.seal(generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'der' }), LEDGER_KEY_CONTEXT),
  );
  const privateKey = openLedgerKey(path, () => sealer.open(sealed, LEDGER_KEY_CONTEXT));
  const publicKey = createPublicKey(privateKey);
  readOrCreate(join(dataDir, 'ledger.vkey'), () => Buffer.from(`${formatVerifierKey(noteKeyOf(name, publicKey))}\n`));
  return createSigner(name, privateKey);
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

/** Reads a file that only we may read or, when there is none, creates it whole and synced: of two that try at once, one creates. */
function readOrCreate(path: string, make: () => Buffer): Buffer {
  if (!existsSync(path)) createWhole(path, make());
  const stat = lstatSync(path);
  if (!stat.isFile() || stat.uid !== process.getuid?.() || (stat.mode & 0o077) !== 0)
    throw new AppError('ERR_APP_KEY', `${path} must be a plain file of this user with mode 0600`);
  return readFileSync(path);
}

function createWhole(path: string, bytes: Buffer): void {
  const temporary = `${path}.${process.pid}.tmp`;
  const file = openSync(temporary, 'w', 0o600);
  try {
    writeSync(file, bytes);
    fsyncSync(file);
    closeSync(file);
    linkSync(temporary, path);
  } catch (error) {
    if (!existsSync(path)) throw error; // Another process was first: its file counts.
  } finally {
    rmSync(temporary, { force: true });
  }
  const folder = openSync(dirname(path), 'r');
  fsyncSync(folder);
  closeSync(folder);
}

const STICKY = 0o1000;
const LEDGER_KEY_CONTEXT = 'ledger/signing-key';
