import { Worker } from 'node:worker_threads';
import { type BenchContext, type BenchResult, interleave, median, medianRatio, result, timed } from '../harness.ts';

/** The same work in one worker thread and in two at once. */
export async function measureWorkers(context: BenchContext): Promise<readonly BenchResult[]> {
  const workers = await Promise.all([startWorker(), startWorker()]);
  const count = context.quick ? 8 : 2000;
  try {
    const samples = await interleave(context.rounds, {
      one: () => timed(async () => (await workers[0].issue(count)) ?? 0),
      two: () =>
        timed(async () => {
          const done = await Promise.all(workers.map((worker) => worker.issue(count)));
          return done.reduce((sum, each) => sum + each, 0);
        }),
    });
    return [
      result({
        ...{ case: 'workers', subject: 'two workers', unit: 'SVIDs/s', value: 1e6 / median(samples.two.wallUs) },
        ...{ peer: 'one worker', peerValue: 1e6 / median(samples.one.wallUs) },
        ...{ ratio: medianRatio(samples.one.wallUs, samples.two.wallUs), goal: '>= 1.7' },
      }),
    ];
  } finally {
    await Promise.all(workers.map((worker) => worker.stop()));
  }
}

interface IssuingWorker {
  /** Issues that many; resolves to their number. */
  issue(count: number): Promise<number>;
  stop(): Promise<unknown>;
}

async function startWorker(): Promise<IssuingWorker> {
  const worker = new Worker(new URL('./issue-worker.ts', import.meta.url));
  const answer = () =>
    new Promise<number>((resolve, reject) => {
      worker.once('error', reject);
      worker.once('message', (count) => {
        worker.off('error', reject);
        resolve(Number(count));
      });
    });
  await answer();
  return {
    issue(count) {
      const done = answer();
      worker.postMessage(count);
      return done;
    },
    stop: () => worker.terminate(),
  };
}
