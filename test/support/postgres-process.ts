/** Starts, ends and cleans up the postmaster of a test. */
import { type ChildProcess, spawn } from 'node:child_process';
import * as fs from 'node:fs';
import * as net from 'node:net';
import * as path from 'node:path';
import { own } from './owned.ts';
import { type Owner, spawnIdentity } from './postgres-cluster.ts';

export interface ClusterProcess {
  /** Starts the postmaster on that port; resolves once it accepts connections. */
  start(port: number): Promise<void>;
  /** Sends the signal to the postmaster and waits for its end; nothing when none runs. */
  end(signal: 'SIGINT' | 'SIGKILL'): Promise<void>;
  /** Ends the postmaster and removes all its files. */
  destroy(): Promise<void>;
  port(): number;
  pid(): number;
  logs(): string;
}

/** The process of one cluster. The files below `folder` are removed when this process exits, in whatever way. */
export function createClusterProcess(options: {
  owner: Owner;
  folder: string;
  dataDir: string;
  socketDir: string;
  bin: string;
  args: readonly string[];
}): ClusterProcess {
  const { owner, folder, dataDir, socketDir, bin, args } = options;
  let child: ChildProcess | undefined;
  let usedPort = 0;
  let logText = '';
  const guard = spawnGuard(folder, dataDir);
  const removeFiles = () => fs.rmSync(folder, { recursive: true, force: true });
  const onExit = () => {
    child?.kill('SIGKILL');
    removeFiles();
  };
  process.once('exit', onExit);

  const end = async (signal: 'SIGINT' | 'SIGKILL') => {
    const running = child;
    if (!running) return;
    // `close` comes when the last of its children, which share its standard error, is gone too: only then is the data free.
    const exited = new Promise<void>((resolve) => running.once('close', () => resolve()));
    running.ref();
    if (running.stderr instanceof net.Socket) running.stderr.ref();
    running.kill(signal);
    await exited;
  };

  const start = (port: number) =>
    new Promise<void>((resolve, reject) => {
      usedPort = port;
      const fixed = ['-D', dataDir, '-k', socketDir, '-p', String(port), '-h', '127.0.0.1'];
      const started = spawn(path.join(bin, 'postgres'), [...fixed, ...SERVER_ARGS, ...args], {
        ...spawnIdentity(owner),
        cwd: '/',
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      own(started);
      child = started;
      let recent = '';
      let ready = false;
      started.once('error', reject);
      started.once('exit', (code, signal) => {
        if (child === started) child = undefined;
        reject(new Error(`postgres ended (${code ?? signal}):\n${recent}`));
      });
      started.stderr.setEncoding('utf8');
      started.stderr.on('data', (text: string) => {
        recent = (recent + text).slice(-LOG_CHARS_MAX);
        logText = (logText + text).slice(-LOG_CHARS_MAX);
        if (ready || !recent.includes('database system is ready to accept connections')) return;
        ready = true;
        // From here on neither may keep a finished test process alive.
        started.unref();
        if (started.stderr instanceof net.Socket) started.stderr.unref();
        resolve();
      });
    });

  return {
    start,
    end,
    async destroy() {
      await end('SIGINT');
      process.off('exit', onExit);
      removeFiles();
      guard.kill('SIGKILL');
    },
    port: () => usedPort,
    pid: () => child?.pid ?? 0,
    logs: () => logText,
  };
}

/** A shell that waits for the end of its input, which is the end of this process however it came, and then ends the postmaster and removes the files. */
function spawnGuard(folder: string, dataDir: string): ChildProcess {
  const script =
    'read -r _; pid=$(head -n 1 "$2/postmaster.pid" 2>/dev/null) && kill -QUIT "$pid" 2>/dev/null; rm -rf "$1"; sleep 1; rm -rf "$1"';
  const guard = spawn('/bin/sh', ['-c', script, 'guard', folder, dataDir], {
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  guard.unref();
  if (guard.stdin instanceof net.Socket) guard.stdin.unref();
  return guard;
}

const LOG_CHARS_MAX = 65_536;
/** Small and quick; a test that measures durability sets fsync itself. */
const SERVER_ARGS = [
  '-c',
  'fsync=off',
  '-c',
  'shared_buffers=16MB',
  '-c',
  'max_connections=100',
  '-c',
  'log_min_messages=warning',
  '-c',
  'timezone=UTC',
];
