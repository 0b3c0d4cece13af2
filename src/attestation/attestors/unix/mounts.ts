import { readFileSync } from 'node:fs';
import type { FileLook } from '../../process/file-look.ts';

/** One line of /proc/PID/mountinfo. @see proc_pid_mountinfo(5) */
export interface Mount {
  readonly id: number;
  /** `major:minor` */
  readonly device: string;
  readonly path: string;
  /** Type of the file system, such as `ext4`. */
  readonly type: string;
}

/** The mounts that a process sees, in the order in which they were made. @throws Error of the file system */
export function readMounts(process: number | 'self'): Mount[] {
  return parseMounts(readFileSync(`/proc/${process}/mountinfo`, 'latin1'));
}

/** Reads lines of mountinfo; what is no such line is passed over. */
export function parseMounts(text: string): Mount[] {
  return text.split('\n').flatMap((line): Mount[] => {
    const fields = line.split(' ');
    // Optional fields follow the sixth and end with a dash.
    const type = fields[fields.indexOf('-', 6) + 1];
    const [id, , device, , path] = fields;
    if (!id || !/^\d{1,10}$/.test(id) || !device || !path?.startsWith('/') || !type || !fields.includes('-', 6))
      return [];
    // The kernel writes spaces, tabs, line breaks and backslashes in octal.
    const plain = path.replace(/\\([0-3][0-7]{2})/g, (_, octal: string) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    );
    return [{ id: Number(id), device, path: plain, type }];
  });
}

/** The mount that a file was reached through, or else one of the same device; undefined when it is not among `mounts`. */
export function mountOf({ mountId, device }: FileLook, mounts: readonly Mount[]): Mount | undefined {
  return mounts.find(({ id }) => id === mountId) ?? mounts.find((mount) => mount.device === device);
}

/** The mount that a path without symbolic links leads to: nothing is asked of any file system on the way. */
export function mountAt(path: string, mounts: readonly Mount[]): Mount | undefined {
  let found: Mount | undefined;
  for (const mount of mounts) {
    const holds = mount.path === '/' || path === mount.path || path.startsWith(`${mount.path}/`);
    // Of two at one place the later hides the earlier.
    if (holds && mount.path.length >= (found?.path.length ?? 0)) found = mount;
  }
  return found;
}

/**
 * Whether the kernel itself answers for a file on that mount: file systems in user space, and servers on the network, may never answer.
 * `own`: the mount is in our own mount namespace, where root made it.
 */
export function answersByItself(mount: Mount | undefined, own: boolean): boolean {
  if (mount === undefined) return false;
  return LOCAL_TYPES.has(mount.type) || (own && STACKED_TYPES.has(mount.type));
}

const LOCAL_TYPES: ReadonlySet<string> = new Set([
  ...['ext2', 'ext3', 'ext4', 'xfs', 'btrfs', 'f2fs', 'zfs', 'bcachefs', 'jfs', 'nilfs2', 'reiserfs'],
  ...['tmpfs', 'ramfs', 'rootfs', 'devtmpfs', 'squashfs', 'erofs', 'iso9660', 'udf', 'vfat', 'exfat'],
]);
/** They answer when those below do. Any user can put one on top of a file system of his own, but in a mount namespace of his own only. */
const STACKED_TYPES: ReadonlySet<string> = new Set(['overlay']);
