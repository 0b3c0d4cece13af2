import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { constants } from 'node:os';
import { type Clock, type Log, sleep } from '../../std/index.ts';

/** What this process was started as. */
export interface OwnStart {
  readonly execPath: string;
  readonly execArgv: readonly string[];
  /** With the program and the script in front. */
  readonly argv: readonly string[];
}

/** How a process that was started has ended. */
export interface Ended {
  readonly exitCode: number;
  /** In words. */
  readonly how: string;
}

/**
 * Starts this command once more, with the program as it is on disk now, beside this process: it lives on without it, and has its
 * environment and output.
 */
export function startBeside(
  args: readonly string[],
  own: OwnStart = process,
): { ended: Promise<Ended>; child: ChildProcess } {
  const child = spawn(own.execPath, argumentsOf(args, own), {
    detached: true,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const ended = new Promise<Ended>((resolve) => {
    child.on('error', ({ message }) => resolve({ exitCode: 127, how: `it could not be started: ${message}` }));
    child.once('exit', (code, signal) =>
      resolve(
        signal === null
          ? { exitCode: code ?? 0, how: `it ended with exit code ${code}` }
          : { exitCode: 128 + constants.signals[signal], how: `it was ended by ${signal}` },
      ),
    );
  });
  return { ended, child };
}

/** Starts a successor at each SIGHUP, where that is what the signal asks for. `isReplaced`: one serves by now. Returns what takes that back. */
export function succeedOnHangup(deps: {
  log: Log;
  isReplaced: () => boolean;
  pid?: number;
  isInTerminal?: boolean;
  start?: () => { ended: Promise<Ended> };
}): () => void {
  const { log, pid = process.pid, isInTerminal = hasTerminal() } = deps;
  // There it says that the terminal is gone, and ends this process as it always did.
  if (isInTerminal) return () => {};
  const start = deps.start ?? (() => startBeside([...withoutFlags(process.argv.slice(2)), '--replace']));
  let isStarting = false;
  const onHangup = () => {
    if (pid === 1) {
      const next = 'start the new one beside it, with --replace and the same folders, then end this one';
      return log.error('agent.successor.not_started', { problem: 'the container ends with this process', next });
    }
    if (isStarting) return log.warn('agent.successor.not_started', { problem: 'one is starting' });
    isStarting = true;
    log.info('agent.successor.started');
    void start().ended.then(({ how }) => {
      isStarting = false;
      // What comes of one that has taken over is its own affair.
      if (!deps.isReplaced()) log.error('agent.successor.failed', { problem: how, next: 'this agent goes on' });
    });
  };
  process.on('SIGHUP', onHangup);
  return () => void process.off('SIGHUP', onHangup);
}

/** Starts this command in the background. Resolves to its process when that serves, which `serving` tells, or has ended. */
export async function startDetached(deps: {
  clock: Clock;
  signal: AbortSignal;
  serving: () => Promise<number | undefined>;
}): Promise<{ serving: number } | Ended> {
  const { ended, child } = startBeside(withoutFlags(process.argv.slice(2), ['--detach']));
  const stop = () => void child.kill('SIGTERM');
  deps.signal.addEventListener('abort', stop, { once: true });
  let outcome: Ended | undefined;
  void ended.then((how) => {
    outcome = how;
  });
  const never = new AbortController().signal;
  for (;;) {
    await sleep(deps.clock, LOOK_MS, never);
    if (outcome !== undefined) return outcome;
    const serving = await deps.serving();
    if (serving === undefined || serving !== child.pid) continue;
    child.unref();
    return { serving };
  }
}

function argumentsOf(args: readonly string[], { execArgv, argv }: OwnStart): string[] {
  // What bin/countersign.js puts in front for a role ends so; it is worked out anew.
  const flags = execArgv.slice(execArgv.indexOf('--expose-gc') + 1);
  return [...flags, argv[1] ?? '', ...args];
}

function withoutFlags(args: readonly string[], flags: readonly string[] = ['--detach', '--replace']): string[] {
  return args.filter((word) => !flags.includes(word));
}

function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r'));
    return true;
  } catch {
    return false;
  }
}

const LOOK_MS = 100;
