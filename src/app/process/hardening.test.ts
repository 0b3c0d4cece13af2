import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, describe, expect, it } from 'vitest';
import { own } from '../../../test/support/owned.ts';

// Real processes: what a role does for its memory can only be seen from outside.

const root = process.getuid?.() === 0;
const USER = 54_321;
const EXECUTABLE = join(import.meta.dirname, '../../../bin/countersign.js');
const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

/** A process that hardened itself, under another user where this one may do that; what it wrote as log lines. */
async function start(attested: boolean, options: readonly string[] = []): Promise<{ pid: number; events: string[] }> {
  const script = `
    import { hardenProcess } from ${JSON.stringify(join(import.meta.dirname, 'hardening.ts'))};
    const events = [];
    hardenProcess({ log: { warn: (event) => events.push(event) }, attested: ${attested} });
    console.log(JSON.stringify(events));
    setInterval(() => {}, 1000);`;
  const child = own(
    spawn(process.execPath, [...options, '--input-type=module', '-e', script], {
      ...(root ? { uid: USER, gid: USER } : {}),
      stdio: ['ignore', 'pipe', 'ignore'],
    }),
  );
  children.push(child);
  const [line]: unknown[] = await once(createInterface(child.stdout), 'line');
  return { pid: child.pid ?? 0, events: JSON.parse(String(line)) };
}

function othersMayEnter(folder: string): boolean {
  const parent = dirname(folder);
  return (statSync(folder).mode & 0o005) === 0o005 && (parent === folder || othersMayEnter(parent));
}

/** Whether a process of the same user may do that. */
function neighbourMay(act: () => void): boolean {
  if (root) process.setegid?.(USER);
  if (root) process.seteuid?.(USER);
  try {
    act();
    return true;
  } catch {
    return false;
  } finally {
    if (root) process.seteuid?.(0);
    if (root) process.setegid?.(0);
  }
}

/** As root the neighbour needs another user than root, who must be able to run what lies here. */
const canSee = process.platform === 'linux' && (!root || othersMayEnter(import.meta.dirname));

describe.runIf(canSee)('a hardened process', () => {
  it('can be read by no neighbour of its user, and belongs to root as far as /proc goes', async () => {
    const { pid, events } = await start(false);
    expect(events).toEqual([]);
    expect(neighbourMay(() => closeSync(openSync(`/proc/${pid}/mem`, 'r')))).toBe(false);
    expect(neighbourMay(() => readFileSync(`/proc/${pid}/environ`))).toBe(false);
    expect(neighbourMay(() => readlinkSync(`/proc/${pid}/fd/0`))).toBe(false);
    expect(statSync(`/proc/${pid}/environ`).uid).toBe(0);
  });

  it('leaves no core', async () => {
    for (const attested of [true, false]) {
      const { pid } = await start(attested);
      expect(readFileSync(`/proc/${pid}/limits`, 'latin1')).toMatch(/^Max core file size +[01] +[01] /m);
    }
  });

  it('still shows its program to an agent of its user where it is attested', async () => {
    const { pid } = await start(true);
    expect(neighbourMay(() => readlinkSync(`/proc/${pid}/exe`))).toBe(true);
    expect(neighbourMay(() => readFileSync(`/proc/${pid}/environ`))).toBe(true); // So the test above can fail.
  });

  it('says that a debugger is open', async () => {
    const { events } = await start(true, ['--inspect=127.0.0.1:0']);
    expect(events).toEqual(['app.role.debugger_open']);
  });
});

describe('the executable', () => {
  it('opens no debugger for a signal, and hardens the roles it runs', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'hardening-'));
    try {
      const child = own(
        spawn(process.execPath, [EXECUTABLE, 'dev', '--dir', join(folder, 'dev'), '--json'], {
          cwd: folder,
        }),
      );
      children.push(child);
      let errors = '';
      child.stderr.on('data', (chunk: Buffer) => {
        errors += chunk.toString();
      });
      await Promise.race([once(createInterface(child.stdout), 'line'), once(child, 'exit')]);
      expect(child.exitCode, errors).toBe(null);
      expect(readFileSync(`/proc/${child.pid}/limits`, 'latin1')).toMatch(/^Max core file size +[01] +[01] /m);
      child.kill('SIGUSR1');
      child.kill('SIGTERM');
      expect(await once(child, 'close')).toEqual([0, null]);
      // On a busy machine it says that it is still starting, or that it waited for a processor.
      const isOfBusyMachine = (line: string) => /"condition":"(starting|event-loop)"/.test(line);
      expect(errors.split('\n').filter((line) => line !== '' && !isOfBusyMachine(line))).toEqual([]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
