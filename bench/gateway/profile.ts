/** A CPU profile of the gateway's main thread while it works, through Node's own inspector. */
import * as fs from 'node:fs';
import { eventually } from '../../test/support/eventually.ts';
import type { BenchContext } from '../harness.ts';
import type { Bed, SubjectName } from './bed.ts';

/** Does the work of a case; when it is the gateway's and `BENCH_PROFILE` is set, with a profile of the gateway. */
export function profiledGateway<T>(
  bed: Bed,
  of: { readonly name: string; readonly subject: SubjectName; readonly context: BenchContext },
  work: () => Promise<T>,
): Promise<T> {
  const prefix = process.env['BENCH_PROFILE'];
  if (of.subject !== 'gateway' || prefix === undefined) return work();
  const options = { file: `${prefix}.${of.name}.cpuprofile`, say: of.context.say };
  return profiled(bed.stack.roles.gateway.pid, options, work);
}

/** Profiles process `pid` while `work` runs, writes a `.cpuprofile` to `file` and says which functions took most. */
async function profiled<T>(
  pid: number,
  options: { file: string; say: (text: string) => void },
  work: () => Promise<T>,
): Promise<T> {
  process.kill(pid, 'SIGUSR1'); // Opens the inspector on 127.0.0.1:9229; a second time nothing happens.
  const url = await eventually('the inspector answers', async () => {
    const targets: unknown = await (await fetch('http://127.0.0.1:9229/json/list')).json();
    const [first] = Array.isArray(targets) ? (targets as { webSocketDebuggerUrl?: string }[]) : []; // Node's inspector answers so.
    return first?.webSocketDebuggerUrl;
  });
  const socket = new WebSocket(url);
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve);
    socket.addEventListener('error', reject);
  });
  let count = 0;
  const call = (method: string, params: object = {}) =>
    new Promise<unknown>((resolve, reject) => {
      const id = ++count;
      socket.addEventListener('message', ({ data }) => {
        const answer = JSON.parse(String(data)) as { id?: number; result?: unknown; error?: unknown };
        if (answer.id !== id) return;
        if (answer.error === undefined) resolve(answer.result);
        else reject(new Error(`${method}: ${JSON.stringify(answer.error)}`));
      });
      socket.send(JSON.stringify({ id, method, params }));
    });
  await call('Profiler.enable');
  await call('Profiler.setSamplingInterval', { interval: INTERVAL_US });
  await call('Profiler.start');
  try {
    return await work();
  } finally {
    const { profile } = (await call('Profiler.stop')) as { profile: Profile };
    fs.writeFileSync(options.file, JSON.stringify(profile));
    options.say(`${options.file}\n${busiest(profile)}`);
    socket.close();
  }
}

/** What we read of a profile in the format of the Chrome DevTools Protocol. */
interface Profile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

/** Share of the time that each function took itself, the most first. */
function busiest({ nodes, samples, timeDeltas }: Profile): string {
  const names = new Map(
    nodes.map(({ id, callFrame }) => {
      const place = callFrame.url.split('/').slice(-3).join('/');
      return [id, `${callFrame.functionName || '(anonymous)'} ${place}:${callFrame.lineNumber + 1}`];
    }),
  );
  const took = new Map<string, number>();
  for (const [at, id] of samples.entries()) {
    const name = names.get(id) ?? '';
    took.set(name, (took.get(name) ?? 0) + (timeDeltas[at] ?? 0));
  }
  const total = timeDeltas.reduce((sum, us) => sum + us, 0);
  return [...took]
    .toSorted(([, a], [, b]) => b - a)
    .slice(0, FUNCTIONS_SHOWN)
    .map(([name, us]) => `${((us / total) * 100).toFixed(1).padStart(6)} %  ${name}`)
    .join('\n');
}

const INTERVAL_US = 200;
const FUNCTIONS_SHOWN = 30;
