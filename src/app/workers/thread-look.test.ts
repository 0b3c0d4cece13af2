import { type ChildProcess, spawn } from 'node:child_process';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from '../../../test/support/eventually.ts';
import { lookAtThread, parseThread } from './thread-look.ts';

// Goal: of a process that says nothing the kernel tells whether it could.

let child: ChildProcess | undefined;
afterEach(() => void child?.kill('SIGKILL'));

function start(code: string): number {
  child = spawn(process.execPath, ['-e', code], { stdio: 'ignore' });
  if (child.pid === undefined) throw new Error('it could not be started');
  return child.pid;
}

describe.runIf(process.platform === 'linux')('a process', () => {
  it('that turns in a circle is held up by nothing but itself: what it gets of a core grows', async () => {
    const pid = start('for (;;);');
    await eventually('it has had a core', () => {
      const seen = lookAtThread(pid);
      return seen?.isHeldUp === true && seen.cpuMs > 300;
    });
  });

  it('that is stopped, or has nothing to do, could do something', async () => {
    const pid = start('setInterval(() => {}, 1e6)');
    await eventually('it waits', () => lookAtThread(pid)?.isHeldUp === false);
    child?.kill('SIGSTOP');
    await eventually('it is stopped', () => lookAtThread(pid)?.isHeldUp === false);
  });

  it('that is not there tells nothing', () => {
    expect(lookAtThread(2 ** 30)).toBeUndefined();
  });
});

describe('a line of stat', () => {
  const line = (state: string, name = 'node') =>
    `7 (${name}) ${state} 1 7 7 0 -1 4194304 101 0 0 0 250 30 0 0 20 0 1 0 5 6`;

  it.each([
    ['R', true],
    ['D', true],
    ['t', true],
    ['S', false],
    ['T', false],
    ['I', false],
  ])('with %s says whether it is held up: %s', (state, isHeldUp) => {
    expect(parseThread(line(state))).toEqual({ isHeldUp, cpuMs: 2_800 });
  });

  it('is read whatever the process calls itself', () => {
    expect(parseThread(line('S', 'a) R 1 2 (b'))).toEqual({ isHeldUp: false, cpuMs: 2_800 });
  });

  it.each(['', '7 (node) S', '7 (node)', line('?'), line('S').replace('250', 'x')])('is none: %j', (text) => {
    expect(parseThread(text)).toBeUndefined();
  });
});
