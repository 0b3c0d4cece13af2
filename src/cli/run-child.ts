import type { ChildProcess } from 'node:child_process';
import { codeOf, messageOf } from '../std/index.ts';
import { exitCodes, UsageError } from './command.ts';

/** Waits for a child that has the terminal; signals reach it by itself or are handed on. Resolves to its exit code (128 + n after signal n). */
export function runChild(child: ChildProcess, name: string): Promise<number> {
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT'] as const) process.on(signal, () => child.kill(signal));
  return new Promise((resolve, reject) => {
    child.once('error', (error) =>
      reject(
        codeOf(error) === 'ENOENT'
          ? new UsageError(`there is no ${name} on this machine; install it first`, { cause: error })
          : new UsageError(`${name} can not be run: ${messageOf(error)}`, { cause: error }),
      ),
    );
    child.once('exit', (code, signal) =>
      resolve(code ?? (signal ? 128 + (SIGNAL_NUMBERS[signal] ?? 0) : exitCodes.internal)),
    );
  });
}

const SIGNAL_NUMBERS: Readonly<Record<string, number>> = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGKILL: 9, SIGTERM: 15 };
