import { closeSync, readFileSync, readlinkSync } from 'node:fs';
import type { Socket } from 'node:net';
import koffi from 'koffi';
import { codeOf, messageOf } from '../../std/index.ts';
import { AttestationError } from '../errors.ts';
import { lookAtFile } from './file-look.ts';

/**
 * The process at the other end of a Unix socket, as the kernel knew it when it connected, pinned by a pidfd: as long as `alive()`
 * is true, `/proc/<pid>` is that process and no other. Whoever holds it closes it.
 */
export interface PeerProcess {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups. */
  readonly groups: readonly number[];
  /** Field 22 of /proc/PID/stat, in ticks since the machine was started: with the pid it names one process. Undefined where nobody could look. */
  readonly startTime?: string | undefined;
  /** Path of the file it runs, as /proc shows it now, for people to read: a path proves nothing. Undefined where we may not look. */
  executable(): string | undefined;
  /** False once the process has ended, even when its pid belongs to another by now, and once it runs another program than at first. */
  alive(): boolean;
  close(): void;
}

/**
 * Asks the kernel who connected. To be called as soon as the socket is accepted.
 * @throws AttestationError ERR_ATTEST_PEER when the kernel won't say, or the process is not visible from here
 */
export function readPeer(socket: Socket): PeerProcess {
  const fd = descriptorOf(socket);
  const credentials = Buffer.alloc(12); // struct ucred: pid, uid, gid, 32 bits each.
  socketOption(fd, SO_PEERCRED, credentials);
  const pid = credentials.readInt32LE(0);
  const uid = credentials.readUInt32LE(4);
  const gid = credentials.readUInt32LE(8);
  // A process outside our pid namespace shows as 0: nothing about it could be attested.
  if (pid <= 0) throw new AttestationError('ERR_ATTEST_PEER', 'the caller is not visible in this process namespace');
  checkProc();
  return pin({ pid, uid, gid, groups: groupsOf(fd) }, openPidfd(fd, pid));
}

/** Where /proc is that of another process namespace (one was made, and /proc not mounted anew), `/proc/<pid>` is another process. */
function checkProc(): void {
  let self = '';
  try {
    self = readlinkSync('/proc/self');
  } catch (cause) {
    throw new AttestationError('ERR_ATTEST_PEER', `/proc can not be read: ${messageOf(cause)}`, { cause });
  }
  if (self === String(process.pid)) return;
  throw new AttestationError('ERR_ATTEST_PEER', '/proc shows the processes of another process namespace than ours');
}

/** Those it had when it connected: in /proc there would be those of whatever it has executed since. */
function groupsOf(fd: number): number[] {
  let out = Buffer.alloc(GROUP_BYTES * GROUPS_USUAL);
  let length = [out.length];
  let failed = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, out, length) !== 0;
  if (failed && koffi.errno() === koffi.os.errno['ERANGE']) {
    out = Buffer.alloc(Math.min(length[0] ?? 0, GROUP_BYTES * GROUPS_MAX)); // The kernel has said how much it takes.
    length = [out.length];
    failed = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, out, length) !== 0;
  }
  if (failed) throw untold();
  return Array.from({ length: (length[0] ?? 0) / GROUP_BYTES }, (_, index) => out.readUInt32LE(index * GROUP_BYTES));
}

function pin(who: Omit<PeerProcess, 'executable' | 'alive' | 'close'>, pidfd: Pidfd): PeerProcess {
  let open = true;
  const program = programOf(who.pid);
  // The program first: that its pid was still its own is only sure when the process has not ended after.
  // One that we may not look at must stay so: else it could be changed for one that is looked at.
  const unchanged = () =>
    programOf(who.pid) === program && (pidfd.startTime === undefined || startTime(who.pid) === pidfd.startTime);
  return {
    ...who,
    startTime: pidfd.startTime ?? startTime(who.pid),
    executable: () => executableOf(who.pid),
    alive: () => open && unchanged() && !hasEnded(pidfd.fd),
    close() {
      if (open) closeSync(pidfd.fd);
      open = false;
    },
  };
}

interface Pidfd {
  readonly fd: number;
  /** Set where the pidfd was opened by number: the start time that must not change. */
  readonly startTime: string | undefined;
}

/**
 * SO_PEERPIDFD (Linux 6.5) gives a handle on the very process that connected. Without it the process is opened by its number, which another
 * could have taken between connect and now; the start time, read before and compared at each use, leaves only that moment.
 */
function openPidfd(fd: number, pid: number): Pidfd {
  const bytes = Buffer.alloc(4);
  try {
    socketOption(fd, SO_PEERPIDFD, bytes);
    return { fd: bytes.readInt32LE(0), startTime: undefined };
  } catch (error) {
    if (!(error instanceof AttestationError) || !SOCKET_OPTION_UNKNOWN.some((code) => codeOf(error.cause) === code))
      throw error;
  }
  const started = startTime(pid);
  const opened = Number(syscall(SYS_PIDFD_OPEN, pid, 0));
  if (opened < 0 || started === undefined) throw new AttestationError('ERR_ATTEST_PEER', `process ${pid} has ended`);
  return { fd: opened, startTime: started };
}

/** A pidfd becomes readable when its process has ended. */
function hasEnded(pidfd: number): boolean {
  const entry = Buffer.alloc(8); // struct pollfd: fd, events, revents.
  entry.writeInt32LE(pidfd, 0);
  entry.writeInt16LE(POLLIN, 4);
  for (let tries = 0; tries < POLL_TRIES_MAX; tries++) {
    const ready = poll(entry, 1, 0);
    // A signal to us (a profiler's, a child's end) says nothing about the other process.
    if (ready === -1 && koffi.errno() === koffi.os.errno['EINTR']) continue;
    return ready !== 0; // Ready, or an error: both mean "not to be relied on".
  }
  return true;
}

/**
 * Which file the process runs. A process that connects, leaves its socket to a child, and then executes a program that others trust would have
 * that program attested and the child served. Undefined where we may not look (another user's process, and we are not root).
 */
function programOf(pid: number): string | undefined {
  const file = lookAtFile(`/proc/${pid}/exe`);
  return file && `${file.device}:${file.inode}`;
}

/** A link is read without asking its file's file system. */
function executableOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/exe`);
  } catch {
    return undefined; // Gone, or another user's.
  }
}

/** Field 22 of /proc/PID/stat; undefined when there is no such process. */
function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]; // The name before it may hold spaces and brackets.
  } catch {
    return undefined; // Gone.
  }
}

function descriptorOf(socket: Socket): number {
  // Node has no public way to a socket's descriptor; `_handle.fd` has been stable since the first releases.
  const handle = (socket as unknown as { _handle?: { fd?: unknown } })._handle;
  if (typeof handle?.fd !== 'number' || handle.fd < 0)
    throw new AttestationError('ERR_ATTEST_PEER', 'the connection is closed');
  return handle.fd;
}

function socketOption(fd: number, option: number, out: Buffer): void {
  const length = [out.length];
  if (getsockopt(fd, SOL_SOCKET, option, out, length) === 0 && length[0] === out.length) return;
  throw untold();
}

/** Why the last call of getsockopt failed. */
function untold(): AttestationError {
  const code = Object.entries(koffi.os.errno).find(([, number]) => number === koffi.errno())?.[0] ?? 'EUNKNOWN';
  return new AttestationError('ERR_ATTEST_PEER', `the kernel does not tell who connected: ${code}`, {
    cause: Object.assign(new Error(code), { code }),
  });
}

function loadLibc() {
  try {
    return koffi.load(null);
  } catch (cause) {
    throw new AttestationError('ERR_ATTEST_PEER', `the C library can not be called: ${messageOf(cause)}`, { cause });
  }
}

const libc = loadLibc();
const getsockopt = libc.func('int getsockopt(int, int, int, _Out_ void *, _Inout_ uint32_t *)');
const poll = libc.func('int poll(_Inout_ void *, unsigned long, int)');
const syscall = libc.func('long syscall(long, int, int)');

const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const SO_PEERGROUPS = 59;
const SO_PEERPIDFD = 77;
const SYS_PIDFD_OPEN = 434;
const GROUP_BYTES = 4;
const GROUPS_USUAL = 64;
/** NGROUPS_MAX of the kernel. */
const GROUPS_MAX = 65_536;
const POLLIN = 1;
/** Signals that interrupt one look after the other so often are not believed. */
const POLL_TRIES_MAX = 1_000;
/** What kernels answer that do not know SO_PEERPIDFD. */
const SOCKET_OPTION_UNKNOWN = ['ENOPROTOOPT', 'EINVAL', 'EOPNOTSUPP'];
