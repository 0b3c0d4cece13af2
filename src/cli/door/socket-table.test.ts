import { describe, expect, it } from 'vitest';
import { findPeers, originKey } from './socket-table.ts';

const HEAD =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode                                                     ';
/** A line as the kernel writes it. */
function line(from: string, to: string, { uid = 1000, inode = '4711', state = '01' } = {}): string {
  return `   0: ${from} ${to} ${state} 00000000:00000000 00:00000000 00000000 ${String(uid).padStart(5)}        0 ${inode} 1 000000008d2e7667 20 4 30 10 -1`;
}
const table = (...lines: readonly string[]) => [HEAD, ...lines, ''].join('\n');
const DOOR = 0x1f90;
const keyOf = (host: string, port: number) => originKey({ host, port }, 'LE') ?? 'none';

describe('the other ends of connections to a port of 127.0.0.1', () => {
  it('are found by their own address, with user and inode', () => {
    const text = table(
      line('0100007F:1F90', '00000000:0000', { state: '0A' }), // The one that listens.
      line('0100007F:1F90', '0100007F:A3B4', { inode: '1' }), // Our end.
      line('0100007F:A3B4', '0100007F:1F90', { uid: 33, inode: '4294967297' }),
      line('0200007F:00FF', '0100007F:1F90', { inode: '5' }),
      line('0100007F:A3B4', '0100007F:1F91', { inode: '6' }), // To another port.
      line('0100007F:A3B5', '0200007F:1F90', { inode: '7' }), // To another address.
    );
    expect([...findPeers(text, DOOR, 'LE')]).toEqual([
      [keyOf('127.0.0.1', 0xa3b4), { uid: 33, inode: '4294967297' }],
      [keyOf('127.0.0.2', 255), { uid: 1000, inode: '5' }],
    ]);
  });

  it('are found where their program uses IPv6 for IPv4, as Java does, and not where the address is of IPv6', () => {
    const text = table(
      line('0000000000000000FFFF00000100007F:A3B4', '0000000000000000FFFF00000100007F:1F90', { inode: '5' }),
      line('00000000000000000000000001000000:A3B5', '00000000000000000000000001000000:1F90', { inode: '6' }),
      line('00000000000000000000000001000000:A3B6', '0000000000000000FFFF00000100007F:1F90', { inode: '7' }),
      line('000000000000000000000000:0100007F', '0000000000000000000000000100007F:1F90', { inode: '8' }),
    );
    expect([...findPeers(text, DOOR, 'LE')]).toEqual([[keyOf('127.0.0.1', 0xa3b4), { uid: 1000, inode: '5' }]]);
  });

  it('are found on a machine with the other order of bytes', () => {
    const text = table(
      line('7F000001:A3B4', '7F000001:1F90', { inode: '5' }),
      line('00000000000000000000FFFF7F000001:A3B5', '00000000000000000000FFFF7F000001:1F90', { inode: '6' }),
    );
    const keys = [0xa3b4, 0xa3b5].map((port) => originKey({ host: '127.0.0.1', port }, 'BE'));
    expect([...findPeers(text, DOOR, 'BE').keys()]).toEqual(keys);
    expect(findPeers(text, DOOR, 'LE').size).toBe(0);
  });

  it('have no inode when nobody has them open, and belong to nobody when they are there twice', () => {
    const closed = line('0100007F:A3B4', '0100007F:1F90', { inode: '0', state: '06' });
    expect([...findPeers(table(closed), DOOR, 'LE').values()]).toEqual([{ uid: 1000, inode: undefined }]);
    const twice = ['5', '6', '7'].map((inode) => line('0100007F:A3B4', '0100007F:1F90', { inode }));
    expect([...findPeers(table(...twice), DOOR, 'LE').values()]).toEqual([{ uid: -1, inode: undefined }]);
  });

  it.each([
    ['', 'nothing'],
    ['0100007F:A3B4 0100007F:1F90 ', 'too few fields'],
    [line('0100007F:A3B4', '0100007F:1F90', { inode: '-5' }), 'an inode that is no number'],
    [line('0100007F:A3B', '0100007F:1F90'), 'an address cut short'],
  ])('are not taken from other lines: %s (%s)', (text) => {
    expect(findPeers(table(text), DOOR, 'LE').size).toBe(0);
  });

  it.each(['', '::1', '::ffff:127.0.0.1', 'localhost', '127.0.0'])('no key has %j', (host) => {
    expect(originKey({ host, port: 1 }, 'LE')).toBeUndefined();
  });
});
