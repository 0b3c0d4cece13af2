import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { own } from '../../../test/support/owned.ts';
import { stackUsers } from '../../../test/support/stack-folder.ts';
import { type PeerProcess, readPeer } from './peer-process.ts';

// A real Unix socket, real processes, the real kernel.

const root = process.getuid?.() === 0;
/** Root, in a checkout whose Node other users may run. */
const separate = stackUsers().separate;
let folder: string;
let path: string;
let server: Server;
let children: ChildProcess[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'peer-'));
  path = join(folder, 's');
  children = [];
  server = createServer();
  server.listen(path);
  await once(server, 'listening');
});

afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Starts a process that connects and waits; resolves to it and what the kernel says of it. */
async function connect(
  options: { uid?: number; gid?: number; before?: string; script?: string } = {},
): Promise<{ child: ChildProcess; peer: PeerProcess; socket: Socket }> {
  const { before = '', script = '', ...ids } = options;
  if (root) spawnSync('chmod', ['755', folder]);
  if (root) spawnSync('chmod', ['777', path]);
  const accepted = once(server, 'connection');
  const child = own(
    spawn(
      process.execPath,
      [
        '-e',
        `${before} require('net').connect(${JSON.stringify(path)}, () => { ${script} }); setInterval(() => {}, 1000);`,
      ],
      { ...ids, cwd: '/' },
    ),
  );
  children.push(child);
  const [socket]: Socket[] = await accepted;
  if (!socket) throw new Error('nobody connected');
  return { child, socket, peer: readPeer(socket) };
}

async function end(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

describe('readPeer', () => {
  it('tells the process, user and group that connected', async () => {
    const { child, peer } = await connect(separate ? { uid: 12345, gid: 23456 } : {});
    expect(peer).toMatchObject({
      pid: child.pid,
      uid: separate ? 12345 : process.getuid?.(),
      gid: separate ? 23456 : process.getgid?.(),
    });
    expect(peer.executable()).toBe(process.execPath);
    peer.close();
  });

  it.runIf(root)('tells the groups it had when it connected, however many, and not those it has since', async () => {
    for (const groups of [[], [4, 24], Array.from({ length: 5_000 }, (_, index) => 100_000 + index)]) {
      const { child, peer } = await connect({
        before: `process.setgroups(${JSON.stringify(groups)});`,
        script: `process.setgroups([27]); process.stdout.write('changed');`,
      });
      if (child.stdout) await once(child.stdout, 'data');
      expect(readFileSync(`/proc/${child.pid}/status`, 'latin1')).toMatch(/^Groups:\s*27\s*$/m);
      expect(peer.groups).toEqual(groups);
      peer.close();
    }
  });

  it('sees that the process has ended', async () => {
    const { child, peer } = await connect();
    expect(peer.alive()).toBe(true);
    await end(child);
    expect(peer.alive()).toBe(false);
    peer.close();
  });

  it('sees that the process runs another program than when it connected', async () => {
    const { child, peer } = await connect({
      script: `process.stdin.once('data', () => process.execve('/bin/sleep', ['sleep', '60']))`,
    });
    expect(peer.alive()).toBe(true);
    child.stdin?.write('go');
    await expect.poll(() => readFileSync(`/proc/${child.pid}/comm`, 'utf8')).toBe('sleep\n');
    expect(peer.alive()).toBe(false);
    peer.close();
  });

  it.runIf(root)('takes a program that could not be looked at, and then can be, for another one', async () => {
    const { socket } = await connect();
    process.seteuid?.(12345);
    const peer = readPeer(socket);
    try {
      expect(peer.alive()).toBe(true);
    } finally {
      process.seteuid?.(0);
    }
    expect(peer.alive()).toBe(false);
    peer.close();
  });

  it('takes no signal of its own for the end of the other: a profiler sends thousands', async () => {
    const profiled = ['--cpu-prof', '--cpu-prof-interval=50', `--cpu-prof-dir=${folder}`];
    const watcher = own(spawn(process.execPath, [...profiled, '--input-type=module', '-e', WATCHER, PEER, `${path}2`]));
    children.push(watcher);
    let said = '';
    watcher.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    await once(watcher, 'close');
    expect(said).toBe('alive 40000 of 40000');
  });

  it('is not alive once closed', async () => {
    const { peer } = await connect();
    peer.close();
    peer.close();
    expect(peer.alive()).toBe(false);
  });

  it('refuses a socket that is closed already', async () => {
    const { socket } = await connect();
    socket.destroy();
    await once(socket, 'close');
    expect(() => readPeer(socket)).toThrow('the connection is closed');
  });

  it.runIf(root)('gives nothing to a later process with the same pid', async () => {
    const { heir, peer } = await connectWithHeir();
    expect(readFileSync(`/proc/${heir.pid}/cmdline`, 'latin1')).toContain('sleep');
    expect(peer.alive()).toBe(false);
    heir.kill('SIGKILL');
    peer.close();
  });
});

/** Connects to itself and looks very often whether it is alive. */
const WATCHER = `
  import { createServer, connect } from 'node:net';
  const [, peerModule, path] = process.argv;
  const { readPeer } = await import(peerModule);
  const server = createServer((socket) => {
    const peer = readPeer(socket);
    let alive = 0;
    for (let look = 0; look < 40_000; look++) if (peer.alive()) alive++;
    process.stdout.write('alive ' + alive + ' of 40000', () => process.exit(0));
  });
  server.listen(path, () => connect(path));`;
const PEER = join(import.meta.dirname, 'peer-process.ts');

/** A peer that has ended, and a later process with its pid. Another process of the machine may be quicker and keep the pid: then a new peer is taken. */
async function connectWithHeir() {
  for (let peers = 0; peers < 20; peers++) {
    const { child, peer } = await connect();
    await end(child);
    const heir = takePid(child.pid ?? 0);
    if (heir !== undefined) return { heir, peer };
    peer.close();
  }
  throw new Error('others took the pid of each peer that had ended');
}

/** Starts processes until one has that pid: the kernel counts on from ns_last_pid. */
function takePid(pid: number): ChildProcess | undefined {
  for (let tries = 0; tries < 50; tries++) {
    writeFileSync('/proc/sys/kernel/ns_last_pid', String(pid - 1));
    const heir = own(spawn('sleep', ['60']));
    children.push(heir);
    if (heir.pid === pid) return heir;
    heir.kill('SIGKILL');
  }
  return undefined;
}
