import { chmod, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Says in the folder of a target's socket which hosts are that target's, one a line, for whoever may use the socket; no file where there are none. It is
 * there whole or not at all.
 */
export async function writeHosts(folder: string, hosts: readonly string[]): Promise<void> {
  const names = hosts.filter((host) => HOST.test(host)).slice(0, HOSTS_MAX);
  if (names.length === 0) return await removeHosts(folder);
  const [file, fresh] = [join(folder, FILE), join(folder, `.${FILE}`)];
  const text = names.map((name) => `${name}\n`).join('');
  if ((await readFile(file, 'latin1').catch(() => undefined)) === text) return;
  await rm(fresh, { force: true });
  await writeFile(fresh, text, { flag: 'wx' });
  await chmod(fresh, 0o644); // Whatever the umask.
  await rename(fresh, file);
}

/** Removes it; the folder may have none, or be gone. */
export async function removeHosts(folder: string): Promise<void> {
  await rm(join(folder, FILE), { force: true }).catch(() => {}); // What is left keeps the folder, and that is told nobody either.
}

const FILE = 'hosts';
/** A server's word, but it becomes lines. */
const HOST = /^(?:\[[0-9a-f:.]+\]|[a-z0-9._-]{1,255})$/;
const HOSTS_MAX = 100;
