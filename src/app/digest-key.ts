import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createContentDigester } from '../gateway/index.ts';
import type { LedgerEvent } from '../model/index.ts';
import { readOrCreatePrivateFile } from '../private-files/index.ts';
import type { Log, Random, Secret } from '../std/index.ts';
import { AppError } from './errors.ts';
import { keyLine, parseKeyLine, requireKeyLine } from './role-keys.ts';

/** A gateway's key of content digests, and what the entry of each start says of it. */
export interface DigestKey {
  readonly key: Secret;
  readonly about: LedgerEvent['detail'];
}

/**
 * The key of the digests of what clients say: `digest.key`, written as `withheld.key` is, so that it too can be given to whoever may look for statements
 * in the ledger. Where there is none one is made, at the first start or since it was lost: that is said in the log where there is a ledger already,
 * and in the ledger.
 * @throws AppError ERR_APP_KEY, PrivateFileError
 */
export function openDigestKey(dataDir: string, { random, log }: { random: Random; log: Log }): DigestKey {
  const path = join(dataDir, DIGEST_KEY_FILE);
  const made = keyLine(random);
  const hasLedger = existsSync(join(dataDir, 'ledger'));
  const found = readOrCreatePrivateFile(path, { bytesMax: FILE_BYTES_MAX, random, make: () => made });
  const key = parseKeyLine(found.toString('latin1'));
  if (key === undefined)
    throw new AppError('ERR_APP_KEY', `${path} is damaged: it has 43 characters of Base64url; ${WITHOUT_DIGEST_KEY}`);
  const { keyId } = createContentDigester(key);
  const isNew = found.equals(made);
  if (isNew && hasLedger) log.warn('gateway.digest_key.new', { digestKey: keyId });
  return { key, about: { digestKey: keyId, ...(isNew ? { digestKeyIsNew: true } : {}) } };
}

/** Reads the text of such a file. @throws AppError ERR_APP_KEY */
export function parseDigestKey(path: string, text: string): Secret {
  return requireKeyLine(path, text, 'content digests');
}

/** In the gateway's data folder. */
export const DIGEST_KEY_FILE = 'digest.key';

const WITHOUT_DIGEST_KEY =
  'bring it back from a copy, or move it away: the next start makes a new one, and what was recorded before is found by the old one alone';
/** A longer file is another one. */
const FILE_BYTES_MAX = 4096;
