import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Load, LoadJob } from './load.ts';

/** The process that asks. It stays, so that its code is compiled once for all subjects. */
export interface LoadClient {
  /** @throws Error when a connection breaks, or an answer is none */
  run(job: LoadJob): Promise<Load>;
  stop(): void;
}

export function startLoadClient(): LoadClient {
  const child = fork(LOAD, [], { execArgv: [] });
  const kill = () => void child.kill('SIGKILL');
  process.once('exit', kill);
  return {
    run: (job) =>
      new Promise((resolve, reject) => {
        const ended = (code: number | null) => reject(new Error(`load.ts ended with ${code}`));
        child.once('exit', ended);
        child.once('message', (done: Load | { readonly error: string }) => {
          child.off('exit', ended);
          if ('error' in done) reject(new Error(done.error));
          else resolve(done);
        });
        child.send(job);
      }),
    stop() {
      kill();
      process.off('exit', kill);
    },
  };
}

const LOAD = fileURLToPath(new URL('./load.ts', import.meta.url));
