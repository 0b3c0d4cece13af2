import { closeSync, lstatSync, openSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { AuthorityError } from '../../errors.ts';

/**
 * Takes the folder for this process; the answer gives it back. The lock is the operating system's, held through an empty SQLite file, so
 * it ends with the process however that ends: a lock file with a pid in it would outlive a crash.
 * @throws AuthorityError ERR_KEYSTORE_LOCKED, ERR_KEYSTORE_UNSAFE
 */
export function lockFolder(file: string): () => void {
  const stat = lstatSync(file, { throwIfNoEntry: false });
  if (stat && !stat.isFile()) throw new AuthorityError('ERR_KEYSTORE_UNSAFE', `${file} is not a plain file`);
  if (!stat) closeSync(openSync(file, 'wx', 0o600));
  const database = new DatabaseSync(file);
  try {
    database.exec('pragma locking_mode = exclusive; pragma journal_mode = delete; begin exclusive;');
  } catch (cause) {
    database.close();
    throw new AuthorityError('ERR_KEYSTORE_LOCKED', `another process holds ${file}`, { cause });
  }
  return () => database.close();
}
