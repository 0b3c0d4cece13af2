import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';

// The executable under a Node older than the one it needs. Such a Node is looked for on this machine; without one there is nothing to show.

const root = join(import.meta.dirname, '../..');
const olderNode = (process.env['PATH'] ?? '')
  .split(delimiter)
  .concat('/usr/bin', '/usr/local/bin')
  .map((folder) => join(folder, 'node'))
  .find((path) => {
    const { stdout, status } = spawnSync(path, ['-p', 'process.versions.node'], { encoding: 'utf8' });
    return status === 0 && Number(stdout.split('.')[0]) < 24;
  });
const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

describe.skipIf(olderNode === undefined)('started by an older Node (skipped where this machine has none)', () => {
  it('the executable runs itself again under the packaged one, with arguments and exit code', () => {
    const run = (args: readonly string[]) =>
      spawnSync(olderNode ?? '', [join(root, 'bin/countersign.js'), ...args], { encoding: 'utf8' });
    expect(run(['--help']).stdout).toContain('Every server-to-server call verified');
    expect(run(['ledger', 'show']).status).toBe(64);
  });

  it.each([
    'SIGKILL',
    'SIGTERM',
  ] as const)('what it runs ends when the one that was started ends by %s', async (signal) => {
    const folder = mkdtempSync(join(tmpdir(), 'bin-'));
    folders.push(folder);
    const launcher = spawn(olderNode ?? '', [join(root, 'bin/countersign.js'), 'dev', '--dir', folder], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const said: string[] = [];
    for (const stream of [launcher.stdout, launcher.stderr]) stream.on('data', (text) => said.push(String(text)));
    // Both ends of its output are closed once the one that it started has ended too.
    const closed = new Promise((resolve) => launcher.once('close', resolve));
    await expect.poll(() => said.join('')).toContain('running in one process');
    launcher.kill(signal);
    await closed;
  });

  it('it says what to install where there is no packaged one', () => {
    const folder = mkdtempSync(join(tmpdir(), 'bin-'));
    folders.push(folder);
    cpSync(join(root, 'bin'), join(folder, 'bin'), { recursive: true });
    cpSync(join(root, 'package.json'), join(folder, 'package.json'));
    const { status, stderr } = spawnSync(olderNode ?? '', [join(folder, 'bin/countersign.js'), 'dev'], {
      encoding: 'utf8',
    });
    expect(status).toBe(69);
    expect(stderr).toMatch(/needs Node 24 or later; this is \d+/);
    expect(stderr).toContain('npm install node-linux-');
  });
});

it('every npm script runs under the Node that came with the packages', () => {
  const version = execFileSync('npm', ['run', '-s', 'countersign', '--', '--version'], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  expect(version).toMatch(/^countersign \d+\.\d+\.\d+ on Node (2[4-9]|[3-9]\d)\./);
});
