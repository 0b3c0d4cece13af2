import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { own } from '../../../test/support/owned.ts';
import { createProcessTable, parseParent } from './process-table.ts';

describe('the parent of a process', () => {
  it.each([
    ['4711 (node) S 42 4711 4711 0', 42],
    ['4711 (a) R 1 (b c) S 42 4711', 42],
    ['4711 () S 0 0', 0],
  ])('is read from %j', (stat, parent) => {
    expect(parseParent(stat)).toBe(parent);
  });

  it.each([
    '',
    '4711 (node',
    '4711 (node) S',
    '4711 (node) S x',
    '4711 (node) S -1 2',
  ])('is not read from %j', (stat) => {
    expect(parseParent(stat)).toBeUndefined();
  });
});

describe('the processes of this machine', () => {
  const table = createProcessTable();

  it('are listed with their parents', () => {
    expect(table.list()).toContainEqual({ pid: process.pid, parent: process.ppid });
  });

  it('one that is held tells its parent and sockets, and nothing once it has ended', async () => {
    const child = own(spawn('sleep', ['600'], { stdio: 'pipe' })); // Node's pipes are sockets.
    const [held, ours] = [table.hold(child.pid ?? 0), table.hold(process.pid)];
    expect(held?.parent()).toBe(process.pid);
    const sockets = new Set(held?.sockets());
    expect(sockets.size).toBe(3);
    expect([...(ours?.sockets() ?? [])].filter((inode) => sockets.has(inode))).toEqual([]);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(held?.parent()).toBeUndefined();
    expect([...(held?.sockets() ?? [])]).toEqual([]);
    expect(table.hold(child.pid ?? 0)).toBeUndefined();
    for (const one of [held, ours]) one?.close();
  });
});
