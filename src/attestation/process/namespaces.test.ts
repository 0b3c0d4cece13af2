import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { own } from '../../../test/support/owned.ts';
import { stackUsers } from '../../../test/support/stack-folder.ts';

// Goal: where agent and caller do not see the same users and processes, nobody is taken for somebody else. Real namespaces.

const WORKER = join(import.meta.dirname, '../testing/peer-worker.ts');
const UNSHARE = '/usr/bin/unshare';
const canUnshare =
  process.getuid?.() === 0 && spawnSync(UNSHARE, ['--user', '--map-root-user', '--pid', '--fork', 'true']).status === 0;
/** Its processes end with it. */
const OWN_PROCESSES = ['--pid', '--fork', '--kill-child'];
let folder: string;
let path: string;
const children: ChildProcess[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'namespaces-'));
  chmodSync(folder, 0o755);
  path = join(folder, 's');
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

/** Who connects in the namespaces that `connect` is started with, as told by an agent in those of `agent`. */
async function told(agent: readonly string[], connect: readonly string[] = [], uid = 0): Promise<unknown> {
  const lines = start([...agent, process.execPath, WORKER, path]);
  expect(await lines.next()).toMatchObject({ value: '"ready"' });
  const client = ['-e', `require('net').connect(${JSON.stringify(path)}).on('close', () => {})`];
  start([...connect, process.execPath, ...client], uid);
  return JSON.parse(String((await lines.next()).value));
}

function start([file = '', ...args]: readonly string[], uid = 0): AsyncIterator<string> {
  const child = own(spawn(file, args, { cwd: '/', uid, gid: uid, stdio: ['ignore', 'pipe', 'ignore'] }));
  children.push(child);
  return createInterface(child.stdout)[Symbol.asyncIterator]();
}

describe.runIf(canUnshare)('an agent in namespaces of its own', () => {
  it('knows the users that it has numbers for', async () => {
    const selectors = expect.arrayContaining(['unix:uid:0', 'unix:gid:0']);
    expect(await told([UNSHARE, '--user', '--map-root-user'])).toEqual({ selectors });
  });

  it.runIf(stackUsers().separate)(
    'takes no user without a number there for nobody, who is a user like others',
    async () => {
      expect(await told([UNSHARE, '--user', '--map-root-user'], [], 12_345)).toEqual({
        refused: 'the user of the caller has no number in this user namespace',
      });
      rmSync(path);
      const selectors = expect.arrayContaining(['unix:uid:65534', 'unix:gid:65534']);
      expect(await told([], [], 65_534)).toEqual({ selectors });
    },
  );

  it('does not see callers outside its process namespace', async () => {
    expect(await told([UNSHARE, ...OWN_PROCESSES, '--mount-proc'])).toEqual({
      refused: 'the caller is not visible in this process namespace',
    });
  });

  it('reads nothing in the /proc of another process namespace, where a number is another process', async () => {
    const lines = start([UNSHARE, ...OWN_PROCESSES, process.execPath, '-e', BOTH, WORKER, path]);
    expect(await lines.next()).toMatchObject({ value: '"ready"' });
    expect(JSON.parse(String((await lines.next()).value))).toEqual({
      refused: '/proc shows the processes of another process namespace than ours',
    });
  });
});

describe.runIf(canUnshare)('a caller in namespaces of its own', () => {
  it.each([
    ['--user', '--ipc'],
    ['--user', '--map-root-user'],
    OWN_PROCESSES,
    ['--net', '--uts'],
    ['--mount', '--cgroup'],
  ])('is the user that the agent knows: %s %s', async (...options) => {
    expect(await told([], [UNSHARE, ...options])).toEqual({ selectors: expect.arrayContaining(['unix:uid:0']) });
  });
});

/** Starts the worker, then connects to it, both in the namespaces of this. */
const BOTH = `
  const [worker, path] = process.argv.slice(1);
  const child = require('child_process').spawn(process.execPath, [worker, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  child.stdout.pipe(process.stdout);
  child.stdout.once('data', () => require('net').connect(path));`;
