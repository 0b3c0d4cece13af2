import { describe, expect, it } from 'vitest';
import { createProveCallers } from './prove-callers.ts';
import { findInTables } from './socket-table.ts';

const line = (port: number, uid: number, inode: string) =>
  `0: 0100007F:${port.toString(16).toUpperCase().padStart(4, '0')} 0100007F:1F90 01 0:0 0:0 0 ${uid} 0 ${inode} 1`;
const origins = (...ports: readonly number[]) => ports.map((port) => ({ host: '127.0.0.1', port }));

/** `tables`: what /proc/net/tcp says at each look, the last one for all after; `owned`: inodes of the tree, likewise. */
function setUp(tables: readonly string[], owned: readonly (readonly string[])[], tcp6 = '') {
  const asked: string[][] = [];
  let looks = 0;
  const at = <T>(list: readonly T[], index: number) => list[Math.min(index, list.length - 1)];
  const prove = createProveCallers({
    uid: 1000,
    find: findInTables([() => at(tables, looks++) ?? '', () => tcp6], 'LE'),
    ownership: {
      ownedOf(inodes) {
        asked.push([...inodes]);
        return new Set(at(owned, asked.length - 1));
      },
    },
  });
  return { asked, looks: () => looks, prove: (...ports: readonly number[]) => prove(origins(...ports), 0x1f90) };
}

describe('a caller', () => {
  it('is our own, a stranger, or another user, whom nobody looks for among processes', () => {
    const { asked, prove } = setUp([[line(1, 1000, '11'), line(2, 1000, '12'), line(3, 0, '13')].join('\n')], [['11']]);
    expect(prove(1, 2, 3)).toEqual([{ kind: 'own' }, { kind: 'stranger' }, { kind: 'user', uid: 0 }]);
    expect(asked).toEqual([['11', '12'], ['12']]);
  });

  it('is gone when nobody has the socket open, or there is none', () => {
    const { asked, prove } = setUp([line(1, 1000, '0')], [[]]);
    expect(prove(1, 2)).toEqual([{ kind: 'gone' }, { kind: 'gone' }]);
    expect(asked).toEqual([]);
  });

  it('is looked for once more: the list may have lacked it, its process may have been between two parents', () => {
    const both = [line(1, 1000, '11'), line(2, 1000, '12')].join('\n');
    const { looks, prove } = setUp([line(1, 1000, '11'), both], [[], ['11', '12']]);
    expect(prove(1, 2)).toEqual([{ kind: 'own' }, { kind: 'own' }]);
    expect(looks()).toBe(2);
  });

  it('is looked for once where that does', () => {
    const { looks, prove } = setUp([line(1, 1000, '11')], [['11']]);
    expect(prove(1)).toEqual([{ kind: 'own' }]);
    expect(looks()).toBe(1);
  });

  it('is looked for in the second table where the first lacks one, and with two sockets of one address is nobody', () => {
    const mapped = (inode: string) => line(1, 1000, inode).replaceAll('0100007F:', '0000000000000000FFFF00000100007F:');
    expect(setUp([''], [['12']], mapped('12')).prove(1)).toEqual([{ kind: 'own' }]);
    const { prove } = setUp([line(1, 1000, '11')], [['11', '12']], mapped('12'));
    expect(prove(1, 2)).toEqual([{ kind: 'gone' }, { kind: 'gone' }]);
  });

  it('can not be told where the kernel does not say, and so is nobody', () => {
    const fail = () => {
      throw new Error("EACCES: permission denied, open '/proc/net/tcp'");
    };
    const ownership = { ownedOf: () => new Set(['11']) };
    const broken = createProveCallers({ uid: 1000, find: fail, ownership });
    expect(broken(origins(1, 2), 0x1f90)).toEqual(
      [1, 2].map(() => ({ kind: 'unseen', problem: expect.stringContaining('EACCES') })),
    );
    const hidden = createProveCallers({
      ...{ uid: 1000, find: findInTables([() => line(1, 1000, '11')], 'LE') },
      ownership: { ownedOf: fail },
    });
    expect(hidden(origins(1), 0x1f90)).toMatchObject([{ kind: 'unseen' }]);
  });
});
