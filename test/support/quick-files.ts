/**
 * For vitest's globalSetup: the files of a test run lie in memory where the machine has room for that. A run writes 18 GB, into many small
 * files, and there are disks where each new file takes a millisecond of the processor. Who sets TMPDIR is obeyed.
 */
import { spawn, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as net from 'node:net';
import * as os from 'node:os';
import * as path from 'node:path';

/** The variable that names the temporary folder of before: what is kept from one run to the next lies there. */
const STEADY = 'CS_TEST_STEADY_TMPDIR';

export function setup(): () => void {
  if (process.env['TMPDIR'] !== undefined || !hasRoom()) return () => {};
  process.env[STEADY] = os.tmpdir();
  const folder = fs.mkdtempSync(path.join(MEMORY, 'cs-tests-'));
  // Tests have users of their own, who go through to folders of theirs.
  fs.chmodSync(folder, 0o755);
  const guard = spawnGuard(folder);
  if (!runsPrograms(folder)) {
    guard.end();
    return () => {};
  }
  process.env['TMPDIR'] = folder;
  return () => guard.end();
}

/** Where to put what later runs use again. */
export function steadyFolder(): string {
  return process.env[STEADY] ?? os.tmpdir();
}

/** The temporary folder that is this run's alone; undefined where it has none. */
export function runFolder(): string | undefined {
  return process.env[STEADY] === undefined ? undefined : process.env['TMPDIR'];
}

function hasRoom(): boolean {
  try {
    const { type, bavail, bsize } = fs.statfsSync(MEMORY);
    const available = Number(/^MemAvailable: +(\d+) kB$/m.exec(fs.readFileSync('/proc/meminfo', 'utf8'))?.[1]) * 1024;
    fs.accessSync(MEMORY, fs.constants.W_OK);
    return type === TMPFS && bavail * bsize >= FREE_BYTES_MIN && available >= AVAILABLE_BYTES_MIN;
  } catch {
    return false; // There is no such thing here.
  }
}

/** Some containers forbid it there; tests write scripts. */
function runsPrograms(folder: string): boolean {
  const script = path.join(folder, 'runs');
  fs.writeFileSync(script, '#!/bin/sh\n', { mode: 0o755 });
  const { status } = spawnSync(script);
  fs.rmSync(script);
  return status === 0;
}

/** A shell that removes the folder when it is told to, or when this process is gone, however it ended. */
function spawnGuard(folder: string): { end(): void } {
  const guard = spawn('/bin/sh', ['-c', 'read -r _; rm -rf "$1"', 'guard', folder], {
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  guard.on('error', () => {});
  guard.stdin.on('error', () => {});
  guard.unref();
  if (guard.stdin instanceof net.Socket) guard.stdin.unref();
  return {
    end() {
      fs.rmSync(folder, { recursive: true, force: true });
      guard.stdin.end();
    },
  };
}

const MEMORY = '/dev/shm';
/** Of the kernel's `linux/magic.h`. */
const TMPFS = 0x01021994;
/** Chosen with room to spare; what four workers have at most was not measured. */
const FREE_BYTES_MIN = 4 * 2 ** 30;
/** Beside what the processes of tests take. */
const AVAILABLE_BYTES_MIN = 8 * 2 ** 30;
