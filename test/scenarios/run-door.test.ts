/**
 * `countersign run` with an address for clients that can't use a target's socket: a real command, its real processes and those of others, and what
 * the kernel says of them. The agent's socket is a server that answers with what it was asked.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import * as net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { own } from '../support/owned.ts';
import { type Finished, run } from '../support/processes.ts';

const executable = join(import.meta.dirname, '../../bin/countersign.js');
const isRoot = process.getuid?.() === 0;
const SOCKET_FILE = '.s.PGSQL.5432';
/**
 * A client that says a word, ends its half, and prints what comes back. In its environment may be `HOST` and `PORT`; `TOP`: it waits until that process
 * is its parent; `LATE`: until that process has ended.
 */
const CLIENT = `
  const { HOST, PORT, TOP, LATE, COUNTERSIGN_JDBC_URL } = process.env;
  const isThere = (pid) => { try { return process.kill(pid, 0); } catch { return false; } };
  const begin = () => {
    if ((TOP && process.ppid !== Number(TOP)) || (LATE && isThere(Number(LATE)))) return setTimeout(begin, 20);
    const port = Number(PORT ?? /:(\\d+)\\/$/.exec(COUNTERSIGN_JDBC_URL)[1]);
    const client = require('node:net').connect({ host: HOST ?? '127.0.0.1', port, allowHalfOpen: true });
    client.on('error', (error) => { console.log(error.code); process.exit(3); });
    client.end('hello');
    client.pipe(process.stdout);
  };
  begin();
`;
const PRINT_PORT = String.raw`echo "$COUNTERSIGN_JDBC_URL" | sed -E 's|.*:([0-9]+)/|\1|'`;

let folder: string;
let server: net.Server;
const open = new Set<net.Socket>();
const children: ReturnType<typeof spawn>[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'door-'));
  mkdirSync(join(folder, 'shop'));
  server = net.createServer({ allowHalfOpen: true }, (socket) => {
    open.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => open.delete(socket));
    socket.pipe(socket);
  });
  server.listen(join(folder, 'shop', SOCKET_FILE));
  await once(server, 'listening');
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGTERM');
    await once(child, 'exit');
  }
  await eventually('nothing is left open at the agent', () => open.size === 0);
});
afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

const words = (command: readonly string[]) => [executable, 'run', '--targets-dir', folder, 'shop', '--', ...command];
const runCommand = (...command: readonly string[]) => run(process.execPath, words(command), { env: { CLIENT } });
const runClient = (env: Readonly<Record<string, string>> = {}) =>
  run(process.execPath, words([process.execPath, '-e', CLIENT]), { env });
const node = `"${process.execPath}" -e "$CLIENT"`;

/** Starts a process that the test ends by SIGTERM. */
function start(file: string, ...args: readonly string[]) {
  const child = own(spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, CLIENT } }));
  children.push(child);
  let [out, said] = ['', ''];
  child.stdout.on('data', (text) => {
    out += text;
  });
  child.stderr.on('data', (text) => {
    said += text;
  });
  return { child, out: () => out, said: () => said };
}

/** A command that prints its port and stays. */
async function startIdle(script = `${PRINT_PORT}; exec sleep 600`) {
  const started = start(process.execPath, ...words(['sh', '-c', script]));
  return { ...started, port: await eventually('it prints its port', () => /^(\d+)\n/.exec(started.out())?.[1]) };
}
const asStranger = (port: string, user?: number): Promise<Finished> =>
  run(process.execPath, ['-e', CLIENT], { user, env: { PORT: port } });

describe('the command', () => {
  it('comes by the target through an address of this machine, and its exit code is its own', async () => {
    expect(await runClient()).toEqual({ code: 0, stdout: 'hello', stderr: '' });
    expect(await runCommand('sh', '-c', 'exit 7')).toEqual({ code: 7, stdout: '', stderr: '' });
    expect((await runCommand('sh', '-c', 'kill -TERM $$')).code).toBe(143);
    expect(await runCommand('no-such-program')).toMatchObject({
      code: 64,
      stderr: expect.stringContaining('there is no no-such-program'),
    });
  });

  it('also with sockets of IPv6, as Java has them', async () => {
    expect(await runClient({ HOST: '::ffff:127.0.0.1' })).toEqual({ code: 0, stdout: 'hello', stderr: '' });
  });

  it('and what it starts: children, theirs, and those that let go of their parents', async () => {
    expect(await runCommand('sh', '-c', `sh -c '${node}; true'; true`)).toMatchObject({ stdout: 'hello', stderr: '' });
    const orphan = `export TOP=$PPID; (${node} > "$0" &); while [ ! -s "$0" ]; do sleep 0.05; done; cat "$0"`;
    expect(await runCommand('sh', '-c', orphan, join(folder, 'said'))).toMatchObject({ stdout: 'hello', stderr: '' });
  });

  it('whose grandchildren end has no dead processes left beside it', async () => {
    const { child } = await startIdle(`${PRINT_PORT}; for n in 1 2 3 4 5; do (sleep 0.1 &); done; exec sleep 600`);
    await eventually(
      'only the command is left',
      () =>
        childrenOf(child.pid ?? 0)
          .join()
          .replace(/ +/g, ' ') === 'sleep S',
    );
  });

  it('has 200 connections at once', async () => {
    const script = `
      const net = require('node:net');
      const port = Number(/:(\\d+)\\/$/.exec(process.env.COUNTERSIGN_JDBC_URL)[1]);
      let answered = 0;
      const clients = Array.from({ length: 200 }, (_, index) => {
        const client = net.connect({ host: '127.0.0.1', port, allowHalfOpen: true });
        let said = '';
        client.on('data', (text) => {
          said += text;
          if (said === 'a' && ++answered === 200) for (const [n, one] of clients.entries()) one.end('b' + n); // All are open.
        });
        client.on('end', () => { if (said !== 'ab' + index) process.exitCode = 3; });
        client.on('error', () => process.exit(4));
        client.write('a');
        return client;
      });
    `;
    expect(await runCommand(process.execPath, '-e', script)).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  it('and what it said last before it ended comes to the target', async () => {
    const heard: string[] = [];
    const listen = (socket: net.Socket) => socket.on('data', (text) => heard.push(String(text)));
    server.on('connection', listen);
    try {
      const script = `
        const port = Number(/:(\\d+)\\/$/.exec(process.env.COUNTERSIGN_JDBC_URL)[1]);
        const client = require('node:net').connect(port, '127.0.0.1', () => client.write('first'));
        client.once('data', () => client.write('last', () => process.exit(0)));
      `;
      expect((await runCommand(process.execPath, '-e', script)).code).toBe(0);
      await eventually('it is heard', () => heard.join('') === 'firstlast');
    } finally {
      server.off('connection', listen);
    }
  });
});

describe('whoever the command did not start', () => {
  it('is reset, of the same user too, and told once in ten seconds', async () => {
    const { port, said } = await startIdle();
    for (let times = 0; times < 3; times++)
      expect(await asStranger(port)).toMatchObject({ code: 3, stdout: 'ECONNRESET\n' });
    await eventually('it is told', () => said().includes('\n'));
    expect(said()).toMatch(
      /^countersign: refused a connection to 127.0.0.1:\d+ by a process that the command did not start.*\n$/,
    );
    expect(open.size).toBe(0);
  });

  it.runIf(isRoot)('is reset when it is another user', async () => {
    const { port, said } = await startIdle();
    expect(await asStranger(port, 12_345)).toMatchObject({ code: 3, stdout: 'ECONNRESET\n' });
    await eventually('it is told', () => said().includes('by another user (uid 12345)'));
  });

  it.runIf(isRoot)('is reset when the command started it as another user', async () => {
    const { port, said } = await startIdle(
      `${PRINT_PORT}; setpriv --reuid 12345 --clear-groups ${node}; exec sleep 600`,
    );
    expect(port).toMatch(/\d/);
    await eventually('it is told', () => said().includes('by another user (uid 12345)'));
  });

  it('is reset when it was there before, as a child of what became `countersign run`', async () => {
    const file = join(folder, 'port');
    const script = `(while [ ! -s "$0" ]; do sleep 0.05; done; PORT=$(cat "$0") ${node}) & exec "$@"`;
    const command = `${PRINT_PORT} > "$0.new"; mv "$0.new" "$0"; ${node}; exec sleep 600`;
    const { out } = start('sh', '-c', script, file, process.execPath, ...words(['sh', '-c', command, file]));
    await eventually('both have their answer', () => out().includes('hello') && out().includes('ECONNRESET'));
  });

  it('is reset by the port of another command', async () => {
    const { port } = await startIdle();
    expect(await runClient({ PORT: port })).toMatchObject({ code: 3, stdout: 'ECONNRESET\n' });
  });
});

describe('when the command ends', () => {
  it('the address is closed, also to what it has left behind', async () => {
    const file = join(folder, 'late');
    const script = `export LATE=$PPID; (${node} > "$0" 2>&1 &); exit 5`;
    expect((await runCommand('sh', '-c', script, file)).code).toBe(5);
    await eventually('it has tried', () => readFileSync(file, 'utf8') === 'ECONNREFUSED\n');
  });

  it('signals reach it as ever', async () => {
    const { child } = await startIdle(`trap 'exit 9' TERM; ${PRINT_PORT}; while :; do sleep 0.05; done`);
    child.kill('SIGTERM');
    const [code] = await once(child, 'exit');
    expect(code).toBe(9);
  });
});

/** Names and states of a process's children. */
function childrenOf(pid: number): string[] {
  return spawnSync('ps', ['--ppid', String(pid), '-o', 'comm=,state='], { encoding: 'utf8' })
    .stdout.trim()
    .split('\n');
}
