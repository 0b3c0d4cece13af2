import { describe, expect, it } from 'vitest';
import { createOwnership } from './ownership.ts';
import type { ProcessTable } from './process-table.ts';

interface Row {
  parent: number;
  sockets?: readonly string[];
}
const SELF = 100;
const CHILD = 200;

/** A machine with init, a shell, this process, its child and what the test adds. `looked`: what was done with which process. */
function setUp(added: Readonly<Record<number, Row>> = {}, isTop = (pid: number): boolean => pid === CHILD) {
  const rows = new Map<number, Row>();
  for (const [pid, row] of Object.entries({ 1: { parent: 0 }, 50: { parent: 1 }, ...added }))
    rows.set(Number(pid), row);
  rows.set(SELF, { parent: 50, sockets: ['ours'] });
  rows.set(CHILD, rows.get(CHILD) ?? { parent: SELF });
  let held = 0;
  const looked: string[] = [];
  const hooks = { held: (_pid: number) => {} };
  const table: ProcessTable = {
    list() {
      looked.push('list');
      return [...rows].map(([pid, { parent }]) => ({ pid, parent }));
    },
    hold(pid) {
      const row = rows.get(pid);
      if (row === undefined) return undefined;
      looked.push(`hold ${pid}`);
      held++;
      hooks.held(pid);
      // A process that was held stays itself, whoever has its number by now.
      const alive = () => rows.get(pid) === row;
      return {
        pid,
        parent: () => (alive() ? row.parent : undefined),
        sockets: () => (alive() ? (row.sockets ?? []) : []),
        close: () => void held--,
      };
    },
  };
  const ownership = createOwnership({ table, tree: { self: SELF, isTop } });
  const owned = (...inodes: readonly string[]) => {
    const found = [...ownership.ownedOf(inodes)];
    expect(held).toBe(0);
    return found;
  };
  return { rows, hooks, looked, owned };
}

describe('a socket belongs to the tree', () => {
  it('when the child has it, or what the child has started, at any depth', () => {
    const { owned } = setUp({
      [CHILD]: { parent: SELF, sockets: ['a'] },
      201: { parent: CHILD, sockets: ['x', 'b'] },
      202: { parent: 201, sockets: ['c', 'y'] },
    });
    expect(owned('a', 'b', 'c')).toEqual(['a', 'b', 'c']);
  });

  it('not when its process is beside the tree, above it, or this one itself, or nobody has it', () => {
    const { owned } = setUp({ 50: { parent: 1, sockets: ['a'] }, 60: { parent: 50, sockets: ['b'] } });
    expect(owned('a', 'b', 'ours', 'none')).toEqual([]);
  });

  it('not when it is below a child that this process had before', () => {
    const added = { 110: { parent: SELF, sockets: ['a'] }, 111: { parent: 110, sockets: ['b'] } };
    expect(setUp(added).owned('a', 'b')).toEqual([]);
    expect(setUp(added, () => true).owned('a', 'b')).toEqual(['a', 'b']);
  });

  it('also when another one has it besides', () => {
    const { owned } = setUp({ 60: { parent: 50, sockets: ['a'] }, 201: { parent: CHILD, sockets: ['a'] } });
    expect(owned('a')).toEqual(['a']);
  });

  it('not when its process has let go of its parents', () => {
    const { rows, owned } = setUp({ 201: { parent: CHILD, sockets: ['a'] } });
    expect(owned('a')).toEqual(['a']);
    rows.set(201, { parent: 1, sockets: ['a'] });
    expect(owned('a')).toEqual([]);
  });
});

describe('while it is looked at', () => {
  it('a process that takes the number of one of the tree is not taken for it', () => {
    const { rows, hooks, owned } = setUp({ 201: { parent: CHILD } });
    rows.set(300, { parent: 1, sockets: ['a'] });
    // It was listed as 201; by the time it is looked at, another one has that number.
    hooks.held = (pid) => {
      if (pid === 201) rows.set(201, { parent: 1, sockets: ['a'] });
    };
    expect(owned('a')).toEqual([]);
    expect(owned('a')).toEqual([]);
  });

  it('one whose parent ends, and whose parent number comes to one of the tree, is not taken for its child', () => {
    const stranger: Row = { parent: 60, sockets: ['a'] };
    const { rows, hooks, owned } = setUp({ 60: { parent: 1 }, 300: stranger });
    rows.set(201, { parent: CHILD, sockets: ['a'] });
    expect(owned('a')).toEqual(['a']);
    rows.delete(201);
    rows.set(201, stranger); // Listed first from now on.
    stranger.parent = 60;
    hooks.held = (pid) => {
      if (pid !== 60) return;
      rows.set(60, { parent: CHILD });
      stranger.parent = 1;
    };
    expect(owned('a')).toEqual([]);
  });

  it('numbers that go round end', () => {
    const { owned } = setUp({ [CHILD]: { parent: SELF }, 201: { parent: 202, sockets: ['a'] }, 202: { parent: 201 } });
    expect(owned('a')).toEqual([]);
  });
});

describe('what it costs', () => {
  it('the process that was found last is asked first, and proven anew', () => {
    const { looked, owned } = setUp({ 201: { parent: CHILD, sockets: ['b', 'a'] }, 202: { parent: CHILD } });
    owned('a');
    looked.length = 0;
    expect(owned('b')).toEqual(['b']);
    expect(looked).toEqual(['hold 201', 'hold 200']);
  });

  it('one list does for any number of sockets', () => {
    const sockets = Array.from({ length: 200 }, (_, index) => String(index));
    const { looked, owned } = setUp({ 201: { parent: CHILD, sockets } });
    expect(owned(...sockets)).toEqual(sockets);
    expect(looked.filter((what) => what === 'list')).toHaveLength(1);
    expect(looked.length).toBeLessThan(6);
  });

  it('a tree of any depth is not gone through for ever', () => {
    const deep = Object.fromEntries(
      Array.from({ length: 300 }, (_, index) => [1001 + index, { parent: 1000 + index }]),
    );
    const { owned } = setUp({
      ...deep,
      1000: { parent: CHILD },
      1200: { parent: 1199, sockets: ['a'] },
      1300: { parent: 1299, sockets: ['b'] },
    });
    expect(owned('a', 'b')).toEqual(['a']);
  });
});
