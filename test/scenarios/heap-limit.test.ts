import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';

// Goal: the heap of a role is as large as the container, or the machine, has room for, unless somebody says otherwise.

const root = join(import.meta.dirname, '../..');
const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** The flags on a machine of 16 GiB with these files. */
function flagsOn(files: Readonly<Record<string, string>>, env: Record<string, string> = {}, execArgv: string[] = []) {
  const machine = mkdtempSync(join(tmpdir(), 'cs-machine-'));
  folders.push(machine);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(machine, name)), { recursive: true });
    writeFileSync(join(machine, name), `${text}\n`);
  }
  const facts = JSON.stringify({ env, execArgv, root: machine, total: 16 * 2 ** 30 });
  const script = `import { heapFlags } from ${JSON.stringify(join(root, 'bin/heap-limit.js'))};
    process.stdout.write(JSON.stringify(heapFlags(${facts})));`;
  const flags: unknown = JSON.parse(
    execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' }),
  );
  return flags;
}

const gib = 2 ** 30;

describe('the limit of the heap', () => {
  it.each([
    ['a machine without groups', {}, 8192],
    ['a container of its own', { 'proc/self/cgroup': '0::/', 'sys/fs/cgroup/memory.max': `${gib}` }, 614],
    ['a container without a limit', { 'proc/self/cgroup': '0::/', 'sys/fs/cgroup/memory.max': 'max' }, 8192],
    [
      'a service in a slice that has less than it',
      {
        'proc/self/cgroup': '0::/system.slice/countersign.service',
        'sys/fs/cgroup/system.slice/memory.max': `${2 * gib}`,
        'sys/fs/cgroup/system.slice/countersign.service/memory.max': `${4 * gib}`,
      },
      1228,
    ],
    [
      'an older container, seen from within',
      { 'proc/self/cgroup': '4:memory:/docker/abc', 'sys/fs/cgroup/memory/memory.limit_in_bytes': `${gib / 2}` },
      307,
    ],
    [
      'an older container without a limit',
      { 'proc/self/cgroup': '4:cpu,memory:/', 'sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712' },
      8192,
    ],
    ['a container too small', { 'proc/self/cgroup': '0::/', 'sys/fs/cgroup/memory.max': `${64 * 2 ** 20}` }, 128],
  ])('follows %s', (_, files, mib) => {
    expect(flagsOn(files)).toEqual([`--max-old-space-size=${mib}`]);
  });

  it('is what the operator says', () => {
    expect(flagsOn({}, { COUNTERSIGN_HEAP_MB: '700' })).toEqual(['--max-old-space-size=700']);
    expect(flagsOn({}, { NODE_OPTIONS: '--max-old-space-size=700' })).toEqual([]);
    expect(flagsOn({}, {}, ['--max-old-space-size=700'])).toEqual([]);
  });

  it('that makes no sense is refused', () => {
    const { status, stderr } = spawnSync(process.execPath, [join(root, 'bin/countersign.js'), 'gateway'], {
      encoding: 'utf8',
      env: { ...process.env, COUNTERSIGN_HEAP_MB: '1G' },
    });
    expect([status, stderr]).toEqual([78, expect.stringContaining('COUNTERSIGN_HEAP_MB must be a number of MiB')]);
  });

  it('that is no number is told as JSON to whoever asks for that', () => {
    const { status, stderr } = spawnSync(process.execPath, [join(root, 'bin/countersign.js'), 'server', '--json'], {
      encoding: 'utf8',
      env: { ...process.env, COUNTERSIGN_HEAP_MB: '1G' },
    });
    const message = expect.stringContaining('COUNTERSIGN_HEAP_MB must be a number of MiB');
    expect([status, JSON.parse(stderr)]).toEqual([78, { error: { code: 'ERR_APP_CONFIG', message } }]);
  });

  it('is that of the process that serves, under the number that was started', () => {
    const probe = `data:text/javascript,${encodeURIComponent(
      "process.on('exit', () => process.stdout.write(process.pid + ' ' + process.execArgv.join(' ')))",
    )}`;
    const { pid, stdout } = spawnSync(
      process.execPath,
      ['--import', probe, join(root, 'bin/countersign.js'), 'gateway', '--config', '/nonexistent'],
      { encoding: 'utf8', env: { ...process.env, COUNTERSIGN_HEAP_MB: '333' } },
    );
    expect(stdout).toMatch(new RegExp(`${pid} --max-old-space-size=333 --max-semi-space-size=16 --expose-gc`));
  });
});
