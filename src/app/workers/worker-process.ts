import { type ChildProcess, spawn } from 'node:child_process';
import type { Channel, ToParent, ToWorker } from './messages.ts';
import { lookAtThread, type ThreadLook } from './thread-look.ts';

/** A worker as its parent has it. */
export interface WorkerProcess extends Channel<ToWorker, ToParent> {
  readonly pid: number | undefined;
  /** Calls once, when it is gone, with how in words. */
  ended(listener: (how: string) => void): void;
  /** What it is at, as the kernel tells. */
  look(): ThreadLook | undefined;
  /** Ends it, whatever it is at. */
  kill(): void;
}

/**
 * Starts this command once more as a worker, with this process's output and environment, and a channel that the kernel closes when either of both
 * ends. `number` and `of` are for people who look at processes; what it is it hears by the channel.
 */
export function startWorker({ number, of }: { number: number; of: number }): WorkerProcess {
  const { execPath, execArgv, argv, env } = process;
  const child = spawn(execPath, [...workerFlags(execArgv, of), ...argv.slice(1)], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: { ...env, [WORKER]: `${number}/${of}` },
  });
  return {
    pid: child.pid,
    ...channelTo(child),
    ended(listener) {
      child.on('error', ({ message }) => listener(`it could not be started: ${message}`));
      child.once('exit', (code, signal) => {
        listener(signal === null ? `it ended with exit code ${code}` : `it was ended by ${signal}`);
      });
    },
    look: () => (child.pid === undefined ? undefined : lookAtThread(child.pid)),
    kill: () => void child.kill('SIGKILL'),
  };
}

/** The flags of a worker's Node: the limit of the heap is that of all of them together. */
export function workerFlags(execArgv: readonly string[], of: number): readonly string[] {
  return execArgv.map((flag) => {
    const [, name, mib] = /^(--max[-_]old[-_]space[-_]size)=(\d+)$/.exec(flag) ?? [];
    return name === undefined ? flag : `${name}=${Math.max(HEAP_MIB_MIN, Math.floor(Number(mib) / of))}`;
  });
}

function channelTo(child: ChildProcess): Channel<ToWorker, ToParent> {
  return {
    // One that ends meanwhile is told of by its end.
    send: (message) => void (child.connected && child.send(message, () => {})),
    // Only this program, started above, has the other end.
    hear: (listener) => void child.on('message', (message) => listener(message as ToParent)),
  };
}

/** In the environment of a worker. */
export const WORKER = 'COUNTERSIGN_WORKER';
/** Below it none works: as in bin/heap-limit.js. */
const HEAP_MIB_MIN = 128;
