import { readFileSync } from 'node:fs';

/**
 * Whether that number is the one by which the kernel names every user (or group) that has none in our user namespace: it is nobody in
 * particular, and not the user `nobody`, who has the same number.
 * @see user_namespaces(7)
 */
export function isUnmapped(kind: 'uid' | 'gid', id: number): boolean {
  if (id !== Number(readFileSync(`/proc/sys/kernel/overflow${kind}`, 'latin1'))) return false;
  return !coversAll(readFileSync(`/proc/self/${kind}_map`, 'latin1'));
}

/** Whether a uid_map or gid_map gives everybody a number, as in the first user namespace. */
export function coversAll(map: string): boolean {
  const counts = map.split('\n').map((line) => Number(line.trim().split(/\s+/)[2] ?? 0));
  return counts.reduce((sum, count) => sum + count, 0) === ID_COUNT;
}

/** All numbers of 32 bits but the last, which means "no change". */
const ID_COUNT = 0xffff_ffff;
