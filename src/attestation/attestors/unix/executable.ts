import { createHash } from 'node:crypto';
import { type BigIntStats, closeSync, openSync, readlinkSync } from 'node:fs';
import { type FileHandle, open, statfs } from 'node:fs/promises';
import { codeOf, throwIfAborted } from '../../../std/index.ts';
import { AttestationError } from '../../errors.ts';
import { type FileLook, lookAtFile } from '../../process/file-look.ts';
import { answersByItself, type Mount, mountAt, mountOf, readMounts } from './mounts.ts';

/** What a process runs. A part that can't be told for sure is absent: an entry that wants it then does not match. */
export interface Executable {
  readonly path: string | undefined;
  /** Lower-case hex. */
  readonly sha256: string | undefined;
}

/**
 * Path and hash of a process's executable. The hash is of the file that the kernel runs, opened through /proc, whatever lies at its path by
 * now. The path is given only when the process sees the same files as we do: in a mount namespace or root of its own (which any user
 * can make) a path says nothing. A file on a file system that may never answer (in user space, on the network) has neither, unless
 * its type is among `trustedTypes`: a few of those would hold every thread that reads files.
 * @throws AttestationError ERR_ATTEST_WORKLOAD
 */
export async function describeExecutable(
  pid: number,
  options: { readonly bytesMax: number; readonly trustedTypes: readonly string[] },
  signal: AbortSignal,
): Promise<Executable> {
  try {
    // Pinned first: what is judged, named and read below is this one file, whatever the process executes next. Nobody is asked for that.
    const fd = openSync(`/proc/${pid}/exe`, O_PATH);
    try {
      const file = lookAtFile(`/proc/self/fd/${fd}`);
      if (file === undefined) return UNKNOWN;
      const mounts = readMounts('self');
      if (!answers(file, { pid, mounts, trustedTypes: options.trustedTypes })) return UNKNOWN;
      const path = executablePath(pid, fd, { file, mounts });
      return { path, sha256: await executableHash(fd, options.bytesMax, signal) };
    } finally {
      closeSync(fd);
    }
  } catch (cause) {
    throwIfAborted(signal);
    // Only root, the same user, or CAP_SYS_PTRACE may look at it: the process is then known by user and groups alone.
    if (UNREADABLE.has(codeOf(cause) ?? '')) return UNKNOWN;
    if (cause instanceof AttestationError) throw cause;
    throw new AttestationError(
      'ERR_ATTEST_WORKLOAD',
      `the executable of process ${pid} can not be read: ${codeOf(cause) ?? 'unknown error'}`,
      { cause },
    );
  }
}

function answers(
  file: FileLook,
  { pid, mounts, trustedTypes }: { pid: number; mounts: readonly Mount[]; trustedTypes: readonly string[] },
): boolean {
  const own = mountOf(file, mounts);
  const mount = own ?? mountOf(file, readMounts(pid));
  return answersByItself(mount, own !== undefined) || trustedTypes.includes(mount?.type ?? '');
}

function executablePath(
  pid: number,
  fd: number,
  { file, mounts }: { file: FileLook; mounts: readonly Mount[] },
): string | undefined {
  const path = readlinkSync(`/proc/self/fd/${fd}`);
  // Another file has been moved over it, or it was removed: the path is no longer what runs.
  if (path.endsWith(' (deleted)') || !path.startsWith('/')) return undefined;
  if (readlinkSync(`/proc/${pid}/ns/mnt`) !== readlinkSync('/proc/self/ns/mnt')) return undefined;
  const [theirs, ours] = [lookAtFile(`/proc/${pid}/root`), lookAtFile('/')];
  if (!theirs || !ours || theirs.device !== ours.device || theirs.inode !== ours.inode) return undefined;
  // A mount may have come to lie over the path since; and the path in a mount that was taken away begins at that mount, not at our root.
  const reached = mountAt(path, mounts);
  return reached && (file.mountId === undefined ? reached.device === file.device : reached.id === file.mountId)
    ? path
    : undefined;
}

async function executableHash(fd: number, bytesMax: number, signal: AbortSignal): Promise<string | undefined> {
  const file = await open(`/proc/self/fd/${fd}`, 'r');
  try {
    const before = await file.stat({ bigint: true });
    if (!before.isFile() || before.size > BigInt(bytesMax)) return undefined;
    const version = `${before.dev}:${before.ino}:${before.size}:${before.mtimeNs}:${before.ctimeNs}`;
    const lasting = await keepsItsVersion(file, before);
    const known = lasting ? hashes.get(version) : undefined;
    if (known !== undefined) return known;
    const hash = createHash('sha256');
    for await (const chunk of file.createReadStream({ autoClose: false, highWaterMark: 1024 * 1024 })) {
      throwIfAborted(signal);
      hash.update(chunk);
    }
    const after = await file.stat({ bigint: true });
    if (after.ctimeNs !== before.ctimeNs || after.size !== before.size) return undefined; // Written to while it was read.
    const sha256 = hash.digest('hex');
    if (!lasting) return sha256;
    if (hashes.size >= HASHES_KEPT_MAX) hashes.delete(hashes.keys().next().value ?? '');
    hashes.set(version, sha256);
    return sha256;
  } finally {
    await file.close();
  }
}

/**
 * Whether the version of a file is sure to change with its content. A file of another user may lie where it is not: on tmpfs, writing through
 * a mapping leaves all times as they are, and a file system in user space says what its owner likes. Such a file is read each time.
 */
async function keepsItsVersion(file: FileHandle, { uid, mode }: BigIntStats): Promise<boolean> {
  const trusted = uid === 0n || uid === BigInt(process.getuid?.() ?? 0);
  if (trusted && (mode & 0o022n) === 0n) return true;
  const { type } = await statfs(`/proc/self/fd/${file.fd}`);
  return LASTING_FILE_SYSTEMS.has(type);
}

/** Their change time follows every write, and no user can set it back: ext2 to ext4, XFS, Btrfs, F2FS. @see statfs(2) */
const LASTING_FILE_SYSTEMS: ReadonlySet<number> = new Set([0xef53, 0x58465342, 0x9123683e, 0xf2f52010]);
/** Hash by file identity and change time, of files where that is enough. */
const hashes = new Map<string, string>();
const HASHES_KEPT_MAX = 1000;
const UNREADABLE: ReadonlySet<string> = new Set(['EACCES', 'EPERM']);
const UNKNOWN: Executable = { path: undefined, sha256: undefined };
/** Names a file without opening it; the same number on all of Linux's architectures that Node runs on. Node has no constant for it. */
const O_PATH = 0o10000000;
