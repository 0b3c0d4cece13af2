import { describe, expect, it } from 'vitest';
import { answersByItself, mountAt, mountOf, parseMounts } from './mounts.ts';

const MOUNTS = parseMounts(
  [
    '27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw',
    '30 27 0:27 / /home/web/with\\040space rw - fuse.sshfs web@host: rw',
    '31 27 0:28 /sub /opt rw master:2 propagate_from:1 - nfs4 host:/opt rw',
    '32 27 0:29 / /opt rw - overlay overlay rw',
    '33 27 0:30 / /optional rw - tmpfs tmpfs rw',
    'no such line',
    '34 27 0:31 / /broken rw',
    '',
  ].join('\n'),
);

describe('mounts', () => {
  it('are read with their id, device, place and type; other lines are passed over', () => {
    expect(MOUNTS.map(({ id }) => id)).toEqual([27, 30, 31, 32, 33]);
    expect(MOUNTS[1]).toEqual({ id: 30, device: '0:27', path: '/home/web/with space', type: 'fuse.sshfs' });
  });

  it.each([
    ['/usr/bin/x', 27],
    ['/home/web/with space/x', 30],
    ['/home/web/with spaces', 27],
    ['/opt/x', 32],
    ['/opt', 32],
    ['/optional/x', 33],
  ])('hold a path: the nearest one, and of two at one place the later: %s', (path, id) => {
    expect(mountAt(path, MOUNTS)?.id).toBe(id);
  });

  it('of a file are found by id, else by device', () => {
    const file = { device: '254:0', inode: 1n };
    expect(mountOf({ ...file, mountId: 33 }, MOUNTS)?.type).toBe('tmpfs');
    expect(mountOf({ ...file, mountId: 999 }, MOUNTS)?.type).toBe('ext4');
    expect(mountOf({ ...file, mountId: undefined }, MOUNTS)?.type).toBe('ext4');
    expect(mountOf({ device: '9:9', inode: 1n, mountId: 999 }, MOUNTS)).toBeUndefined();
  });

  it('answer by themselves where no server and no other process is asked; stacked ones only if root has made them', () => {
    const answering = (own: boolean) => MOUNTS.filter((mount) => answersByItself(mount, own)).map(({ type }) => type);
    expect(answering(true)).toEqual(['ext4', 'overlay', 'tmpfs']);
    expect(answering(false)).toEqual(['ext4', 'tmpfs']);
    expect(answersByItself(undefined, true)).toBe(false);
  });
});
