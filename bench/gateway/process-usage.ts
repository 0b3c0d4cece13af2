/** What a process costs, as Linux counts it in /proc: CPU of all its threads, and memory. Needs no help of the process. */
import * as fs from 'node:fs';

/** CPU time that all threads of the process have used so far, in microseconds. */
export function cpuUs(pid: number): number {
  let total = 0;
  for (const thread of fs.readdirSync(`/proc/${pid}/task`)) {
    // utime and stime of /proc/PID/stat are the same figure, rounded to hundredths of a second: too coarse for short windows.
    const text = fs.readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8');
    total += Number(text.split(' ')[0]) / 1000;
  }
  return total;
}

/** Resident memory now, in bytes. */
export function residentBytes(pid: number): number {
  return statusBytes(pid, 'VmRSS');
}

/** Most resident memory since {@link forgetPeak}, in bytes. */
export function peakBytes(pid: number): number {
  return statusBytes(pid, 'VmHWM');
}

/** From now on {@link peakBytes} begins anew. */
export function forgetPeak(pid: number): void {
  fs.writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

function statusBytes(pid: number, key: string): number {
  const line = fs.readFileSync(`/proc/${pid}/status`, 'utf8').match(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm'));
  if (!line) throw new Error(`/proc/${pid}/status has no ${key}`);
  return Number(line[1]) * 1024;
}
