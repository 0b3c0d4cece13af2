/** Commands that wait or take long, as processes of their own: nothing but that keeps them alive, and a signal ends them. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { own } from '../support/owned.ts';

const EXECUTABLE = join(import.meta.dirname, '../../bin/countersign.js');
const folder = mkdtempSync(join(tmpdir(), 'cs-wait-'));
const home = join(folder, 'home');
const children: ChildProcess[] = [];

function start(args: readonly string[]) {
  const child = own(spawn(process.execPath, [EXECUTABLE, ...args], { stdio: ['ignore', 'pipe', 'pipe'] }));
  children.push(child);
  const seen = { text: '' };
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (seen.text += chunk));
  return { child, seen };
}

async function end(child: ChildProcess): Promise<number | null> {
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  const [code]: [number | null] = (await exited) as [number | null]; // The event's own arguments.
  return code;
}

beforeAll(async () => {
  const { seen } = start(['dev', '--dir', home, '--json']);
  await eventually('dev runs', () => seen.text.includes('"running"'));
});
afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

describe('a command that waits', () => {
  it('ledger tail --follow shows what comes, until it is stopped', async () => {
    const config = join(home, 'countersign.yaml');
    const { child, seen } = start(['--config', config, 'ledger', 'tail', '--of', 'server', '--lines', '1', '--follow']);
    // Whichever it is: the gateway's log may be bound after all that operators did.
    await eventually('the newest entry', () => /^ +\d+ {2}\d\d:\d\d:\d\d /m.test(seen.text));
    const before = seen.text.split('\n').length;
    expect(spawnSync(process.execPath, [EXECUTABLE, '--config', config, 'node', 'token']).status).toBe(0);
    await eventually(
      'the entry that came',
      () => seen.text.split('\n').length > before && seen.text.includes('CreateJoinToken'),
    );
    expect(child.exitCode).toBeNull();
    expect(await end(child)).toBe(0);
  });

  it('svid fetch --watch without an agent says that it waits, and goes on waiting', async () => {
    const { child, seen } = start([
      'svid',
      'fetch',
      '--dir',
      join(folder, 'svid'),
      '--watch',
      '--workload-api',
      join(folder, 'nobody.sock'),
    ]);
    await eventually('the notice', () => seen.text.includes('still waiting for an identity'));
    expect(child.exitCode).toBeNull();
    expect(await end(child)).toBe(0);
  });
});

describe('a command that was stopped before it was done', () => {
  it('ends with the code of the signal, and says so', async () => {
    const { child, seen } = start([
      'svid',
      'fetch',
      '--dir',
      join(folder, 'svid'),
      '--timeout',
      '1h',
      '--workload-api',
      join(folder, 'nobody.sock'),
    ]);
    await eventually('the notice', () => seen.text.includes('still waiting for an identity'));
    expect(await end(child)).toBe(128 + 15);
    expect(seen.text).toContain('stopped by SIGTERM before it was done');
  });
});
