/** Whether processes have dealt with all that has reached them: the kernel makes a thread runnable at once when something comes that it waits for. */
import * as fs from 'node:fs';

/** The processes of a group, in no order. */
export function processesOf(group: number): number[] {
  return fs
    .readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(statOf(`/proc/${name}/stat`)?.[GROUP]) === group)
    .map(Number);
}

/** True when each thread of the process sleeps, and when it has ended. */
export function isAtRest(pid: number): boolean {
  let threads: string[];
  try {
    threads = fs.readdirSync(`/proc/${pid}/task`);
  } catch {
    return true;
  }
  return threads.every((thread) => ['S', 'Z', undefined].includes(statOf(`/proc/${pid}/task/${thread}/stat`)?.[STATE]));
}

/** The fields behind the name, which may have anything in it. @see proc_pid_stat(5) */
function statOf(file: string): string[] | undefined {
  try {
    const text = fs.readFileSync(file, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined; // It has ended meanwhile.
  }
}

const STATE = 0;
const GROUP = 2;
