/** What `npm pack` makes, installed alone as its user would: no sources, no tools, its Node beside it, and everything works. */
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { createDaemon, type Daemon, run, spawnGuard } from '../support/processes.ts';
import { installPackage, pathOfUsers } from './installed-package.ts';
import { commandIn, mayLack } from './toolchain.ts';

const npm = commandIn([], 'npm');

/** Of the Node that a user of this machine has. */
function majorOfUsers(): number {
  const version = execFileSync('node', ['-p', 'process.versions.node'], {
    encoding: 'utf8',
    env: { PATH: pathOfUsers() },
  });
  return Number(version.split('.')[0]);
}

describe.skipIf(mayLack(npm))('the installed package', () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cs-package-'));
  const installed = path.join(folder, 'prefix/lib/node_modules/countersign');
  const executable = path.join(folder, 'prefix/bin/countersign');
  const home = path.join(folder, 'home');
  const guard = spawnGuard(folder, folder);
  let dev: Daemon | undefined;

  beforeAll(async () => {
    await installPackage(npm ?? '', folder);
  });
  afterAll(async () => {
    await dev?.end('SIGKILL');
    guard.kill();
    fs.rmSync(folder, { recursive: true, force: true });
  });

  const countersign = (...args: string[]) =>
    run(executable, args, { env: { COUNTERSIGN_CONFIG: `${home}/countersign.yaml` } });

  it('has a bundle and a manual page, no sources and no tools, less than 45 MB, and a Node where there is none that will do', () => {
    expect(fs.readdirSync(installed).toSorted()).toEqual([
      'LICENSE',
      'README.md',
      'bin',
      'dist',
      'node_modules',
      'package.json',
    ]);
    expect(fs.existsSync(path.join(folder, 'prefix/share/man/man1/countersign.1'))).toBe(true);
    const packages = fs.readdirSync(path.join(installed, 'node_modules'));
    const isNeeded = majorOfUsers() < 24;
    expect(packages.includes(`node-linux-${process.arch}`)).toBe(isNeeded);
    expect(packages).not.toContain('typescript');
    const files = fs
      .readdirSync(installed, { recursive: true, encoding: 'utf8' })
      .map((name) => path.join(installed, name));
    const beside = files.filter((file) => !file.includes('/node_modules/node-linux-'));
    const bytes = beside
      .map((file) => fs.lstatSync(file))
      .reduce((sum, stat) => sum + (stat.isFile() ? stat.size : 0), 0);
    expect(bytes).toBeLessThan(45e6);
  });

  it('says its version by a Node that will do', async () => {
    const { stdout } = await countersign('--version');
    expect(stdout).toMatch(/^countersign \d+\.\d+\.\d+ on Node (2[4-9]|[3-9]\d)\./);
  });

  it('runs dev, and every kind of command against it', async () => {
    dev = createDaemon({
      ...{ name: 'dev', file: executable, args: ['dev', '--dir', home, '--json'], user: undefined, env: {} },
      ...{ logFile: path.join(folder, 'dev.log'), pidFile: path.join(folder, 'dev.pid') },
    });
    dev.start();
    await eventually('dev runs', () => dev?.logs().includes('"state":"running"') === true);
    const policy = path.join(folder, 'policy.cedar');
    fs.writeFileSync(policy, 'permit(principal, action == Action::"postgres:connect", resource);\n');
    for (const args of [
      ['policy', 'check', policy],
      ['apply', '-f', policy, '--yes'],
      ['entry', 'list'],
      ['node', 'list'],
      ['bundle', 'show'],
      ['ledger', 'tail'],
      ['ledger', 'verify'],
      ['doctor'],
    ])
      expect({ args, ...(await countersign(...args)) }).toMatchObject({ args, code: 0 });
  });
});
