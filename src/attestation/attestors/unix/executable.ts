import { createHash } from 'node:crypto';
import { readlinkSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { codeOf, throwIfAborted } from '../../../std/index.ts';
import { AttestationError } from '../../errors.ts';

/** What a process runs. A part that can't be told for sure is absent: an entry that wants it then does not match. */
export interface Executable {
  readonly path: string | undefined;
  /** Lower-case hex. */
  readonly sha256: string | undefined;
}

/**
 * Path and hash of a process's executable. The hash is of the file that the kernel runs, opened through /proc, whatever lies at its path by
 * now. The path is given only when the process sees the same files as we do: in a mount namespace or root of its own (which any user
 * can make) a path says nothing.
 * @throws AttestationError ERR_ATTEST_WORKLOAD
 */
export async function describeExecutable(pid: number, bytesMax: number, signal: AbortSignal): Promise<Executable> {
  try {
    return { path: executablePath(pid), sha256: await executableHash(pid, bytesMax, signal) };
  } catch (cause) {
    throwIfAborted(signal);
    // Only root, the same user, or CAP_SYS_PTRACE may look at it: the process is then known by user and groups alone.
    if (UNREADABLE.has(codeOf(cause) ?? '')) return { path: undefined, sha256: undefined };
    if (cause instanceof AttestationError) throw cause;
    throw new AttestationError(
      'ERR_ATTEST_WORKLOAD',
      `the executable of process ${pid} can not be read: ${codeOf(cause) ?? 'unknown error'}`,
      { cause },
    );
  }
}

function executablePath(pid: number): string | undefined {
  const path = readlinkSync(`/proc/${pid}/exe`);
  if (path.endsWith(' (deleted)') || !path.startsWith('/')) return undefined;
  if (readlinkSync(`/proc/${pid}/ns/mnt`) !== readlinkSync('/proc/self/ns/mnt')) return undefined;
  const [theirs, ours] = [statSync(`/proc/${pid}/root`, { bigint: true }), statSync('/', { bigint: true })];
  if (theirs.dev !== ours.dev || theirs.ino !== ours.ino) return undefined;
  // Another file may have been moved over the path since: then the path is no longer what runs.
  const [running, there] = [
    statSync(`/proc/${pid}/exe`, { bigint: true }),
    statSync(path, { bigint: true, throwIfNoEntry: false }),
  ];
  return there && there.dev === running.dev && there.ino === running.ino ? path : undefined;
}

async function executableHash(pid: number, bytesMax: number, signal: AbortSignal): Promise<string | undefined> {
  const file = await open(`/proc/${pid}/exe`, 'r');
  try {
    const before = await file.stat({ bigint: true });
    if (!before.isFile() || before.size > BigInt(bytesMax)) return undefined;
    const version = `${before.dev}:${before.ino}:${before.size}:${before.mtimeNs}:${before.ctimeNs}`;
    const known = hashes.get(version);
    if (known !== undefined) return known;
    const hash = createHash('sha256');
    for await (const chunk of file.createReadStream({ autoClose: false, highWaterMark: 1024 * 1024 })) {
      throwIfAborted(signal);
      hash.update(chunk);
    }
    const after = await file.stat({ bigint: true });
    if (after.ctimeNs !== before.ctimeNs || after.size !== before.size) return undefined; // Written to while it was read.
    const sha256 = hash.digest('hex');
    if (hashes.size >= HASHES_KEPT_MAX) hashes.delete(hashes.keys().next().value ?? '');
    hashes.set(version, sha256);
    return sha256;
  } finally {
    await file.close();
  }
}

/** Hash by file identity and change time: writing to a file changes its ctime, which no user can set back. */
const hashes = new Map<string, string>();
const HASHES_KEPT_MAX = 1000;
const UNREADABLE: ReadonlySet<string> = new Set(['EACCES', 'EPERM']);
