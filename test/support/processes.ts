/** Processes of a test: programs run to their end under another user, and roles that are started, killed and started again. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import * as fs from 'node:fs';
import * as net from 'node:net';
import * as path from 'node:path';
import { own, runMark } from './owned.ts';

/** Who runs a process; undefined = the test's own user. */
export type User = number | undefined;

export interface Finished {
  /** Exit code; 128 when a signal ended it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly user?: User;
  /** Added to a small environment of its own: nothing of the test's comes through but PATH. */
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string | Buffer;
  /** Killed after this time: two minutes. */
  readonly withinMs?: number;
  /** Hears of the process as soon as it runs. */
  readonly started?: (child: ChildProcess) => void;
}

/** Runs a program to its end. */
export function run(file: string, args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      ...userOf(options.user),
      cwd: '/',
      env: { ...BASE_ENV, ...runMark(), ...options.env },
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: options.withinMs ?? 120_000,
      killSignal: 'SIGKILL',
    });
    own(child);
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.once('error', reject);
    child.once('close', (code) => resolve({ code: code ?? 128, stdout, stderr }));
    child.stdin.on('error', () => {}); // A program that does not read its input ends all the same.
    child.stdin.end(options.stdin ?? '');
    options.started?.(child);
  });
}

/** A process that stays, writing to a log file. */
export interface Daemon {
  /** Starts it; nothing when it runs. */
  start(): void;
  /** Sends the signal and resolves to the exit code (128 + n after signal n) once it is gone; 0 when none runs. */
  end(signal: 'SIGTERM' | 'SIGINT' | 'SIGKILL'): Promise<number>;
  /** Sends the signal and does not wait. */
  signal(signal: NodeJS.Signals): void;
  /** Of the running process; 0 when none runs. */
  readonly pid: number;
  /** Exit code of the last process, undefined while one runs. */
  readonly exitCode: number | undefined;
  /** All that any of its processes wrote. */
  logs(): string;
  /** What the one that was started last wrote. */
  runLogs(): string;
}

/** Creates a daemon. `guarded` writes its pid where {@link spawnGuard} looks. */
export function createDaemon(options: {
  name: string;
  file: string;
  args: readonly string[];
  user: User;
  env: Readonly<Record<string, string>>;
  logFile: string;
  pidFile: string;
}): Daemon {
  let child: ChildProcess | undefined;
  let exitCode: number | undefined;
  let exited: Promise<number> = Promise.resolve(0);
  let runAt = 0;
  fs.writeFileSync(options.logFile, '');
  return {
    start() {
      if (child) return;
      const log = fs.openSync(options.logFile, 'a');
      runAt = fs.fstatSync(log).size;
      const started = spawn(options.file, options.args, {
        ...userOf(options.user),
        cwd: '/',
        env: { ...BASE_ENV, ...runMark(), ...options.env },
        stdio: ['ignore', log, log],
      });
      own(started);
      fs.closeSync(log);
      child = started;
      exitCode = undefined;
      fs.writeFileSync(options.pidFile, String(started.pid ?? ''));
      exited = new Promise((resolve) => {
        started.once('error', () => resolve(127));
        started.once('exit', (code, signal) => {
          if (child === started) child = undefined;
          exitCode = code ?? 128 + (signal === 'SIGKILL' ? 9 : 15);
          fs.rmSync(options.pidFile, { force: true });
          resolve(exitCode);
        });
      });
    },
    async end(signal) {
      if (!child) return exitCode ?? 0;
      child.kill(signal);
      return exited;
    },
    signal: (signal) => void child?.kill(signal),
    get pid() {
      return child?.pid ?? 0;
    },
    get exitCode() {
      return exitCode;
    },
    logs: () => fs.readFileSync(options.logFile, 'utf8'),
    runLogs: () => fs.readFileSync(options.logFile).subarray(runAt).toString('utf8'),
  };
}

/** A shell that outlives this process however it ends, then kills the processes whose pids lie in `pidFolder` and removes `folder`. */
export function spawnGuard(folder: string, pidFolder: string): ChildProcess {
  const script = `read -r _; for f in "$2"/*; do pid=$(cat "$f" 2>/dev/null) && kill -9 "$pid" 2>/dev/null; done; rm -rf "$1"`;
  const guard = spawn('/bin/sh', ['-c', script, 'guard', folder, pidFolder], {
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  guard.unref();
  if (guard.stdin instanceof net.Socket) guard.stdin.unref();
  return guard;
}

/**
 * As many TCP ports as asked for, all different, that nothing listens on. They lie below those that the system gives to outgoing
 * connections, so none is taken by chance until the test's process binds it, or while that process is restarted; and nobody else who
 * asks here, in whatever process, is given one of them as long as this process runs.
 */
export async function freePorts(count: number): Promise<number[]> {
  const found: number[] = [];
  while (found.length < count) {
    const port = randomInt(PORT_MIN, PORT_MAX);
    if ((await isReserved(port)) && (await isFree(port))) found.push(port);
  }
  return found;
}

/** Takes a name that the kernel gives to one process at a time, and takes back when that ends. */
function isReserved(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const name = net.createServer();
    name.once('error', () => resolve(false));
    name.listen(`\0countersign-test-port-${port}`, () => resolve(true)).unref();
  });
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = net.createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}

/** True when every user may enter each folder up to this one: else other users can't run what lies there. */
export function othersMayEnter(folder: string): boolean {
  const parent = path.dirname(folder);
  return (fs.statSync(folder).mode & 0o005) === 0o005 && (parent === folder || othersMayEnter(parent));
}

function userOf(user: User): { uid?: number; gid?: number } {
  return user === undefined ? {} : { uid: user, gid: user };
}

const PORT_MIN = 12_000;
/** Linux gives 32768 and up to outgoing connections. */
const PORT_MAX = 32_000;
const BASE_ENV: Readonly<Record<string, string>> = {
  PATH: process.env['PATH'] ?? '/usr/bin:/bin',
  LANG: 'C.UTF-8',
  HOME: '/nonexistent',
};
