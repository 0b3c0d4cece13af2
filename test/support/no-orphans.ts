/** For vitest's globalSetup: the run is a failure when a process that it started is still there at its end; such are named, and killed. */
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { RUN_MARK } from './owned.ts';
import { runFolder } from './quick-files.ts';

export function setup(): () => Promise<void> {
  const run = randomBytes(8).toString('hex');
  // Of a run that a test has begun, the folder is that of the whole: others work there too, the one that began it among them.
  const folder = process.env[RUN_MARK] === undefined ? runFolder() : undefined;
  process.env[RUN_MARK] = run;
  return () => expectNone(run, { runner: process.pid, folder });
}

/**
 * A process is of the run by its environment, or as one that works below `folder`: those of PostgreSQL write their titles over theirs.
 *
 * @throws Error naming each process of that run that does not end by itself in time
 */
export async function expectNone(
  run: string,
  options: { withinMs?: number; runner?: number; folder?: string | undefined } = {},
): Promise<void> {
  const { withinMs = WITHIN_MS, runner, folder } = options;
  const deadline = performance.now() + withinMs;
  let left = processesOf(run, runner, folder);
  for (; left.length > 0 && performance.now() < deadline; left = processesOf(run, runner, folder)) await pause(100);
  if (left.length === 0) return;
  for (const { pid } of left) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It ended after all, or belongs to another user: it was named, and that is what counts.
    }
  }
  const names = left.map(({ pid, parent, command }) => `  ${pid} (child of ${parent}): ${command}`);
  throw new Error(
    `processes that tests started were still there ${withinMs} ms after the last test:\n${names.join('\n')}`,
  );
}

interface Found {
  readonly pid: number;
  readonly parent: string;
  readonly command: string;
}

/** Without the runner's own children, which are its to end. */
function processesOf(run: string, runner: number | undefined, folder: string | undefined): Found[] {
  const found: Found[] = [];
  for (const name of fs.readdirSync('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue;
    try {
      const isMarked = fs.readFileSync(`/proc/${name}/environ`).includes(`${RUN_MARK}=${run}\0`);
      if (!isMarked && (folder === undefined || !fs.readlinkSync(`/proc/${name}/cwd`).startsWith(`${folder}/`)))
        continue;
      const command = fs.readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
      const parent = /^PPid:\t(\d+)$/m.exec(fs.readFileSync(`/proc/${name}/status`, 'utf8'))?.[1] ?? '?';
      // One that has ended and was not waited for has no command.
      if (command !== '' && parent !== String(runner)) found.push({ pid: Number(name), parent, command });
    } catch {
      // It ended meanwhile, or is another user's.
    }
  }
  return found;
}

/** Guards of killed tests clean up for a second or two, on a slow machine longer. */
const WITHIN_MS = 30_000;
