import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import koffi from 'koffi';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { own } from '../../../../test/support/owned.ts';
import { formatSelector } from '../../../model/index.ts';
import { lookAtFile } from '../../process/file-look.ts';
import { parseNames } from '../../process/user-names.ts';
import { member } from './index.ts';

const root = process.getuid?.() === 0;
let folder: string;
const children: ChildProcess[] = [];
const mounted: string[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'unix-'));
});
afterEach(() => {
  for (const child of children.splice(0).toReversed()) child.kill('SIGKILL');
  for (const path of mounted.splice(0)) spawnSync('umount', ['-l', path]);
  rmSync(folder, { recursive: true, force: true });
});

async function start(program: string, args: readonly string[] = ['60']): Promise<number> {
  const child = own(spawn(program, args, { cwd: '/' }));
  children.push(child);
  await once(child, 'spawn');
  return child.pid ?? 0;
}

async function selectorsOf(pid: number, config: unknown = {}): Promise<string[]> {
  const peer = {
    pid,
    uid: 4_000_000_001,
    gid: 0,
    groups: [0, 4_000_000_001],
    executable: () => undefined,
    alive: () => true,
    close() {},
  };
  return (await member.workload.open(config)(peer, new AbortController().signal)).map(formatSelector);
}

describe('the unix attestor', () => {
  it('takes user and groups from the kernel record, not from what the process is now', async () => {
    const selectors = await selectorsOf(await start('/bin/sleep'));
    expect(selectors).toContain('unix:uid:4000000001');
    expect(selectors.filter((text) => text.startsWith('unix:user:'))).toEqual([]);
    expect(selectors).toContain('unix:gid:0');
    expect(selectors).toContain('unix:group:root');
    expect(selectors.filter((text) => text.startsWith('unix:supplementary'))).toEqual([
      'unix:supplementary_gid:0',
      'unix:supplementary_group:root',
      'unix:supplementary_gid:4000000001',
    ]);
  });

  it('gives path and hash of the program', async () => {
    const program = realpathSync('/bin/sleep');
    const selectors = await selectorsOf(await start(program));
    expect(selectors).toContain(`unix:path:${program}`);
    expect(selectors).toContain(`unix:sha256:${createHash('sha256').update(readFileSync(program)).digest('hex')}`);
  });

  it('gives the hash of what runs and no path when another file has taken its place', async () => {
    const program = join(folder, 'tool');
    copyFileSync('/bin/sleep', program);
    const pid = await start(program);
    rmSync(program);
    copyFileSync('/bin/cat', program);
    const selectors = await selectorsOf(pid);
    expect(selectors.filter((text) => text.startsWith('unix:path:'))).toEqual([]);
    expect(selectors).toContain(`unix:sha256:${createHash('sha256').update(readFileSync('/bin/sleep')).digest('hex')}`);
  });

  it.runIf(root && existsSync('/dev/shm'))('hashes anew what its owner can change unseen', async () => {
    const program = `/dev/shm/countersign-test-${process.pid}`;
    try {
      copyFileSync('/bin/sleep', program);
      chmodSync(program, 0o755);
      chownSync(program, 65_534, 65_534);
      const hashNow = () => `unix:sha256:${createHash('sha256').update(readFileSync(program)).digest('hex')}`;
      const before = hashNow();
      expect(await selectorsOf(await start(program))).toContain(before);
      const child = children.at(-1) as ChildProcess; // The one just started.
      child.kill('SIGKILL');
      await once(child, 'exit');
      const { ctimeMs } = statSync(program);
      changeThroughMapping(program);
      expect(statSync(program).ctimeMs).toBe(ctimeMs);
      expect(hashNow()).not.toBe(before);
      expect(await selectorsOf(await start(program))).toContain(hashNow());
    } finally {
      rmSync(program, { force: true });
    }
  });

  it.runIf(root && existsSync('/dev/fuse'))(
    'waits for no file system in user space, and gives neither path nor hash of what lies there',
    async (context) => {
      const files = await mountInUserSpace(folder);
      if (files === undefined) return context.skip('may not mount here');
      const pid = await start(join(folder, 'program'));
      await expect.poll(() => readFileSync(`/proc/${pid}/comm`, 'utf8')).toBe('program\n');
      const before = lookAtFile(`/proc/${pid}/exe`);
      files.server.kill('SIGSTOP');
      expect(lookAtFile(`/proc/${pid}/exe`)).toEqual(before);
      expect(before?.inode).toBe(2n);
      const selectors = await selectorsOf(pid);
      expect(selectors).toContain('unix:uid:4000000001');
      expect(selectors.filter((text) => /path|sha256/.test(text))).toEqual([]);
      files.server.kill('SIGCONT');
      // An operator who says that it can be relied on gets both.
      const relied = await selectorsOf(pid, { fileSystems: ['fuse.test'] });
      expect(relied).toContain(`unix:path:${join(realpathSync(folder), 'program')}`);
      expect(relied.some((text) => text.startsWith('unix:sha256:'))).toBe(true);
      return undefined;
    },
  );

  it.runIf(root && existsSync('/dev/fuse'))(
    'waits for none either that an overlay in a mount namespace of its own hides, which any user can make',
    async (context) => {
      const [lower, other, merged] = ['lower', 'other', 'merged'].map((name) => {
        mkdirSync(join(folder, name));
        return join(folder, name);
      });
      const files = await mountInUserSpace(lower ?? '');
      if (files === undefined) return context.skip('may not mount here');
      const overlay = `mount -t overlay overlay -o lowerdir=${lower}:${other} ${merged}`;
      const pid = await start('unshare', ['--mount', '/bin/sh', '-c', `${overlay} && exec ${merged}/program 60`]);
      await expect.poll(() => readFileSync(`/proc/${pid}/comm`, 'utf8')).toBe('program\n');
      files.server.kill('SIGSTOP');
      expect(lookAtFile(`/proc/${pid}/exe`)).toBeDefined();
      expect((await selectorsOf(pid)).filter((text) => /path|sha256/.test(text))).toEqual([]);
      files.server.kill('SIGCONT');
      return undefined;
    },
  );

  it('gives no hash of a program over the size limit', async () => {
    const selectors = await selectorsOf(await start('/bin/sleep'), { executableBytesMax: 10 });
    expect(selectors.filter((text) => text.startsWith('unix:sha256:'))).toEqual([]);
  });

  it('gives neither when told not to look', async () => {
    const selectors = await selectorsOf(await start('/bin/sleep'), { discoverPath: false });
    expect(selectors.filter((text) => /path|sha256/.test(text))).toEqual([]);
  });

  it.runIf(root)('gives no path to a process in a mount namespace of its own, where any path can be made', async () => {
    const pid = await start('unshare', ['--mount', '/bin/sh', '-c', 'exec sleep 60']);
    await expect.poll(() => readFileSync(`/proc/${pid}/comm`, 'utf8')).toBe('sleep\n');
    const selectors = await selectorsOf(pid);
    expect(selectors.filter((text) => text.startsWith('unix:path:'))).toEqual([]);
    expect(selectors.some((text) => text.startsWith('unix:sha256:'))).toBe(true);
  });

  it.runIf(root)('gives user and groups alone where it may not look at the program', async () => {
    const pid = await start('/bin/sleep');
    process.seteuid?.(12345);
    try {
      const selectors = await selectorsOf(pid);
      expect(selectors).toContain('unix:uid:4000000001');
      expect(selectors.filter((text) => /path|sha256/.test(text))).toEqual([]);
    } finally {
      process.seteuid?.(0);
    }
  });

  it('fails for a process that has ended', async () => {
    const pid = await start('/bin/true', []);
    await once(children[0] as ChildProcess, 'exit'); // The one just started.
    await expect(selectorsOf(pid)).rejects.toMatchObject({ code: 'ERR_ATTEST_WORKLOAD' });
  });

  it('refuses settings that it does not know', () => {
    expect(() => member.workload.open({ discoverPth: true })).toThrow('do not fit');
  });
});

/** Changes the last byte of a file by writing to its memory: on tmpfs no time of the file changes. */
function changeThroughMapping(path: string): void {
  const libc = koffi.load(null);
  const map = libc.func('void *mmap(void *, size_t, int, int, int, long)');
  const bytes = statSync(path).size;
  const [readWrite, shared] = [3, 1];
  const file = openSync(path, 'r+');
  const memory = map(null, bytes, readWrite, shared, file, 0);
  closeSync(file);
  // Read first: the page is mapped then, and the write sets nothing off.
  const last: number = koffi.decode(memory, bytes - 1, 'uint8_t');
  koffi.encode(memory, bytes - 1, 'uint8_t', last ^ 1);
  libc.func('int munmap(void *, size_t)')(memory, bytes);
}

/** Mounts a file system in user space that holds a copy of sleep; undefined where that is not allowed. */
async function mountInUserSpace(on: string): Promise<{ server: ChildProcess } | undefined> {
  const script = join(import.meta.dirname, '../../testing/user-file-system-worker.ts');
  const server = own(
    spawn(process.execPath, [script, on, realpathSync('/bin/sleep')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    }),
  );
  children.unshift(server); // Ended last of all that use it.
  const ready = await Promise.race([once(server.stdout, 'data'), once(server, 'exit')]);
  if (!Buffer.isBuffer(ready[0])) return undefined;
  mounted.push(on);
  // Should something wait for it after all, a test that fails is better than one that no signal can end.
  children.push(own(spawn('sh', ['-c', `sleep 30; kill -CONT ${server.pid}`])));
  return { server };
}

describe('what it reads', () => {
  it('reads names, the first of a number wins, broken lines are left out', () => {
    expect([...parseNames('root:x:0:0:r:/root:/bin/sh\ntoor:x:0:\nbroken\nx:y:z\nweb:x:33:\n')]).toEqual([
      [0, 'root'],
      [33, 'web'],
    ]);
  });
});
