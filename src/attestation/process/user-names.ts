import { readFileSync, statSync } from 'node:fs';

/** Name of a user id in /etc/passwd; undefined when it has none. */
export function userName(uid: number): string | undefined {
  return lookUp('/etc/passwd', uid);
}

/** Name of a group id in /etc/group; undefined when it has none. */
export function groupName(gid: number): string | undefined {
  return lookUp('/etc/group', gid);
}

/** Whether a user id has that name; undefined where the file can't be looked into. */
export function isUserName(name: string): boolean | undefined {
  return isName('/etc/passwd', name);
}

/** Whether a group id has that name; undefined where the file can't be looked into. */
export function isGroupName(name: string): boolean | undefined {
  return isName('/etc/group', name);
}

/** Number (third field) to name (first field) of a passwd or group file; of two lines with one number the first counts, as in libc. */
export function parseNames(text: string): Map<number, string> {
  const names = new Map<number, string>();
  for (const line of text.split('\n')) {
    const [name, , number] = line.split(':');
    if (name && number && /^\d{1,10}$/.test(number) && !names.has(Number(number))) names.set(Number(number), name);
  }
  return names;
}

const known = new Map<string, { version: string; names: Map<number, string> }>();

function lookUp(file: string, id: number): string | undefined {
  return namesIn(file)?.get(id);
}

function isName(file: string, name: string): boolean | undefined {
  const names = namesIn(file);
  return names && [...names.values()].includes(name);
}

function namesIn(file: string): ReadonlyMap<number, string> | undefined {
  const stat = statSync(file, { throwIfNoEntry: false, bigint: true });
  if (!stat || stat.size > FILE_BYTES_MAX) return undefined; // No name is safe: an entry that wants one does not match.
  const version = `${stat.ino}:${stat.size}:${stat.mtimeNs}:${stat.ctimeNs}`;
  let entry = known.get(file);
  if (entry?.version !== version) {
    entry = { version, names: parseNames(readFileSync(file, 'utf8')) };
    known.set(file, entry);
  }
  return entry.names;
}

/** Larger name files are directories of another kind; they are not read for each caller. */
const FILE_BYTES_MAX = 8n * 1024n * 1024n;
