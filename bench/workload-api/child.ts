import { type ChildProcess, fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A server in a process of its own. */
export interface BenchServer {
  readonly socketPath: string;
  /** Its user and system time so far. */
  cpuUs(): Promise<number>;
  /** Its resident memory after a garbage collection, bytes. */
  memoryBytes(): Promise<number>;
  /** Has it send something new on every stream. */
  update(): Promise<number>;
  stop(): Promise<void>;
}

/** Starts one of the programs beside this file. */
export async function startBenchServer(name: keyof typeof programs): Promise<BenchServer> {
  const folder = mkdtempSync(join(tmpdir(), 'cs-bench-wl-'));
  const socketPath = join(folder, 'api.sock');
  const profile = process.env['BENCH_PROFILE'];
  const child = fork(programs[name], [socketPath], {
    execArgv: ['--expose-gc', ...(profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`])],
  });
  await answerOf(child);
  const ask = async (question: Question) => {
    const answer = answerOf(child);
    child.send(question);
    return answer;
  };
  return {
    socketPath,
    cpuUs: () => ask('cpu'),
    memoryBytes: () => ask('memory'),
    update: () => ask('update'),
    async stop() {
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.send('stop' satisfies Question);
      await gone;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The other side: answers the bench until it says stop. */
export function serveBench(server: { update: () => void }): void {
  process.on('disconnect', () => process.exit(0));
  process.on('message', (question: Question) => {
    switch (question) {
      case 'cpu': {
        const { user, system } = process.cpuUsage();
        process.send?.(user + system);
        break;
      }
      case 'memory':
        globalThis.gc?.();
        process.send?.(process.memoryUsage.rss());
        break;
      case 'update':
        server.update();
        process.send?.(0);
        break;
      case 'stop':
        return process.exit(0);
      default:
        question satisfies never;
    }
  });
  process.send?.(0);
}

const programs = {
  ours: new URL('./ours.ts', import.meta.url),
  'grpc-js': new URL('./grpc-js.ts', import.meta.url),
};

type Question = 'cpu' | 'memory' | 'update' | 'stop';

function answerOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    const gone = (code: number | null) => reject(new Error(`the server ended with ${code}`));
    child.once('exit', gone);
    child.once('message', (value) => {
      child.off('exit', gone);
      resolve(Number(value));
    });
  });
}
