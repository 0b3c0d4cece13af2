import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { expect, it } from 'vitest';
import { eventually } from '../../../../../test/support/eventually.ts';

// In a process of its own: the fault that it looks for stands its process still, and has it grow until there is no more memory.
it('a client that leaves answers behind, of which one has ended before its request, costs its connection alone', async () => {
  const program = `${import.meta.dirname}/../testing/left-behind.ts`;
  const child = spawn(process.execPath, [program], { stdio: 'inherit' });
  try {
    await eventually('it ends', () => child.exitCode !== null || residentKb(child.pid) > RESIDENT_KB_MAX);
    expect(child.exitCode).toBe(0);
  } finally {
    child.kill('SIGKILL');
  }
});

function residentKb(pid: number | undefined): number {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0);
  } catch {
    return 0; // It has ended.
  }
}

const RESIDENT_KB_MAX = 700_000;
