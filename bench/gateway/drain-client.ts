/** Runs the bulk client against a subject and counts what that costs the processes between it and the database. */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Bed, Subject } from './bed.ts';
import type { DrainJob, DrainReport } from './drain.ts';
import { cpuUs } from './process-usage.ts';

export interface DrainRun extends DrainReport {
  readonly megabytesPerSecond: number;
  /** CPU in all of it, by role. */
  readonly cpuUs: Readonly<Record<string, number>>;
}

type Work = DrainJob extends infer Job ? (Job extends DrainJob ? Omit<Job, 'door'> : never) : never;

/** Runs one job; `whenReady` is called when everything is prepared, and the work begins when it is done. */
export async function drain(
  bed: Bed,
  subject: Subject,
  work: Work,
  whenReady: () => Promise<void> = () => Promise.resolve(),
): Promise<DrainRun> {
  const user = bed.stack.users.web;
  const job = JSON.stringify({ ...work, door: subject.door });
  const child = fork(DRAIN, [job], { ...(user === undefined ? {} : { uid: user, gid: user }), cwd: '/', execArgv: [] });
  try {
    await nextMessage(child);
    await whenReady();
    const processes = Object.entries(subject.processes());
    const before = processes.map(([, pid]) => cpuUs(pid));
    child.send('go');
    const report = (await nextMessage(child)) as DrainReport; // What drain.ts sends second.
    const used = processes.map(([, pid], i) => cpuUs(pid) - (before[i] ?? 0));
    return {
      ...report,
      megabytesPerSecond: report.bytes / 1000 / report.ms,
      cpuUs: Object.fromEntries(processes.map(([role], i) => [role, used[i] ?? 0])),
    };
  } finally {
    child.kill('SIGKILL');
  }
}

function nextMessage(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null) => reject(new Error(`the bulk client ended with ${code}`));
    child.once('exit', onExit);
    child.once('message', (message) => {
      child.off('exit', onExit);
      resolve(message);
    });
  });
}

const DRAIN = fileURLToPath(new URL('./drain.ts', import.meta.url));
