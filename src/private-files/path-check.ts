import { lstatSync, readFileSync, readlinkSync, type Stats } from 'node:fs';
import { dirname, join } from 'node:path';
import { isOurs, unsafe } from './checks.ts';

/**
 * Goes along a path (absolute) as the kernel does, link by link, and gives where it ends. Every folder and link on it must be ours or root's,
 * and no folder may be written by others: who may write one can put something else in the place of the next.
 * @throws PrivateFileError ERR_PRIVATE_FILE_UNSAFE; what the file system says
 */
export function checkPath(path: string): string {
  let at = '/';
  let links = 0;
  let rest = parts(path);
  checkStep({ at, stat: lstatSync(at), path });
  for (let name = rest.shift(); name !== undefined; name = rest.shift()) {
    if (name === '..') {
      at = dirname(at); // It was looked at on the way here.
      continue;
    }
    const next = join(at, name);
    const stat = lstatSync(next);
    checkStep({ at: next, stat, path });
    if (!stat.isSymbolicLink()) {
      at = next;
      continue;
    }
    if (++links > LINKS_MAX) throw unsafe(`the way to ${path} goes over more than ${LINKS_MAX} links`);
    const target = readlinkSync(next);
    if (target.startsWith('/')) at = '/';
    rest = [...parts(target), ...rest];
  }
  return at;
}

function parts(path: string): string[] {
  return path.split('/').filter((name) => name !== '' && name !== '.');
}

function checkStep({ at, stat, path }: { at: string; stat: Stats; path: string }): void {
  const where = at === path ? at : `${at}, on the way to ${path},`;
  if (stat.uid !== 0 && !isOurs(stat))
    throw unsafe(`${where} belongs to uid ${stat.uid}, not to root or us; give it to root, or name another`);
  // A link's own mode says nothing, a file is for the caller to judge. In a sticky folder nobody may move away what is ours or root's.
  if (!stat.isDirectory() || !othersMayWrite(stat) || (stat.mode & STICKY) !== 0) return;
  if (!isReadOnlyMount(at)) throw unsafe(`${where} may be written by others; chmod go-w it`);
}

/** True where a read-only file system is mounted: nobody writes there, whatever the mode says. A mounted ConfigMap has mode 0777. */
function isReadOnlyMount(folder: string): boolean {
  let mounts: string;
  try {
    mounts = readFileSync('/proc/self/mountinfo', 'utf8');
  } catch {
    return false; // Without /proc the mode alone counts.
  }
  return isReadOnlyMountIn(mounts, folder);
}

/** As the newest mount on the folder in a /proc/PID/mountinfo says; only the folder itself counts: a service's view of all else may be read-only, too. */
export function isReadOnlyMountIn(mountinfo: string, folder: string): boolean {
  const options = mountinfo
    .split('\n')
    .map((line) => line.split(' '))
    .findLast((fields) => fields[4] !== undefined && unescapeOctal(fields[4]) === folder)?.[5];
  return options?.split(',').includes('ro') === true;
}

/** Blanks and backslashes in a mount's path are written as octal numbers. */
function unescapeOctal(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

/**
 * True when somebody but root and the owner may write, as the mode has it. A group's write bit counts even when the group is root's: with an
 * access list on the file, the bit only says that somebody in that list may write. The one group that is nobody else is the one that a
 * user's own account came with, of the same number as the user: with it, distributions let people's files be group-writable by default.
 */
export function othersMayWrite(stat: Pick<Stats, 'mode' | 'uid' | 'gid'>, self = ids()): boolean {
  if ((stat.mode & 0o002) !== 0) return true;
  if ((stat.mode & 0o020) === 0) return false;
  return self.uid === 0 || stat.uid !== self.uid || stat.gid !== self.uid || self.gid !== self.uid;
}

function ids(): { uid: number | undefined; gid: number | undefined } {
  return { uid: process.geteuid?.(), gid: process.getegid?.() };
}

const STICKY = 0o1000;
/** As many as Linux follows. */
const LINKS_MAX = 40;
