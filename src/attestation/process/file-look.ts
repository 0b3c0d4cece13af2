import koffi from 'koffi';

/** Which file it is, as the kernel knows it without asking the file system. */
export interface FileLook {
  /** Device number, `major:minor`. */
  readonly device: string;
  readonly inode: bigint;
  /** The mount through which it was reached, as in /proc/PID/mountinfo; undefined before Linux 5.8. */
  readonly mountId: number | undefined;
}

/**
 * Looks at the file at `path`. It never waits for the file's file system: any user can have one made that never answers, in user space, and
 * run a program from it, and a plain stat(2) of that would stop this whole process.
 * Undefined when there is none, or it is not ours to look at.
 */
export function lookAtFile(path: string): FileLook | undefined {
  const out = Buffer.alloc(STATX_BYTES);
  if (statx(path, out) !== 0) return undefined;
  const mask = out.readUInt32LE(0);
  if ((mask & STATX_INO) === 0) return undefined;
  return {
    device: `${out.readUInt32LE(136)}:${out.readUInt32LE(140)}`,
    inode: out.readBigUInt64LE(32),
    mountId: (mask & STATX_MNT_ID) === 0 ? undefined : Number(out.readBigUInt64LE(144)),
  };
}

/** Bound when it is first called: the tools of an operator run where there is no such function. */
function bindStatx() {
  let bound: ReturnType<typeof bind> | undefined;
  const bind = () => koffi.load(null).func('int statx(int, const char *, int, unsigned int, _Out_ void *)');
  return (path: string, out: Buffer): number => {
    bound ??= bind();
    return bound(AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_INO | STATX_MNT_ID, out);
  };
}

const AT_FDCWD = -100;
/** What the kernel remembers is enough: device and inode of a file in use do not change. */
const AT_STATX_DONT_SYNC = 0x4000;
const STATX_INO = 0x100;
const STATX_MNT_ID = 0x1000;
/** struct statx. */
const STATX_BYTES = 256;
const statx = bindStatx();
