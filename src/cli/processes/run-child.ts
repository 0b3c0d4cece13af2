import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { codeOf, messageOf } from '../../std/index.ts';
import { exitCodes, UsageError } from '../command.ts';

/** A program that was started. */
export interface StartedChild {
  /** Undefined where it could not be. */
  readonly pid: number | undefined;
  /** Resolves to its exit code (128 + n after signal n). @throws UsageError when it could not be started */
  readonly ended: Promise<number>;
}

/** Runs a program as {@link startChild} does, to its end. */
export function runChild(name: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  return startChild(name, args, env).ended;
}

/** Starts a program that gets the terminal; signals reach it by itself or are handed on. */
export function startChild(name: string, args: readonly string[], env: NodeJS.ProcessEnv): StartedChild {
  const child = spawn(name, args, { stdio: 'inherit', env });
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT'] as const) process.on(signal, () => child.kill(signal));
  const ended = new Promise<number>((resolve, reject) => {
    child.on('error', (error) =>
      reject(
        codeOf(error) === 'ENOENT'
          ? new UsageError(`there is no ${name} on this machine; install it first`, { cause: error })
          : new UsageError(`${name} can not be run: ${messageOf(error)}`, { cause: error }),
      ),
    );
    child.once('exit', (code, signal) =>
      resolve(code ?? (signal ? 128 + constants.signals[signal] : exitCodes.internal)),
    );
  });
  return { pid: child.pid, ended };
}
