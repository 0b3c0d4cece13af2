import { closeSync, constants, openSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { LedgerError } from '../../ledger/index.ts';
import { openPrivateFolder } from '../../private-files/index.ts';
import { WORKERS } from './own-folder.ts';

/**
 * Takes the data folder for the workers of this process; the answer gives it back, and so does the system when the process ends. Of two gateways that
 * start at once, each would get the ledgers of some workers else, and neither all.
 * @throws LedgerError ERR_LEDGER_LOCKED
 */
export function lockWorkersFolder(dataDir: string): () => void {
  const folder = join(dataDir, WORKERS);
  openPrivateFolder(folder);
  const path = join(folder, 'lock');
  closeSync(openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600));
  // Node has no flock; SQLite takes a lock that the kernel drops with the process.
  const database = new DatabaseSync(path);
  try {
    database.exec('BEGIN EXCLUSIVE');
  } catch (cause) {
    database.close();
    const what = `another gateway has the data folder ${dataDir}; stop it, or give this one a folder of its own`;
    throw new LedgerError('ERR_LEDGER_LOCKED', what, { cause });
  }
  return () => database.close();
}
