import { readFileSync } from 'node:fs';

/** What a thread is at. */
export interface ThreadLook {
  /** It waits for a core, for a disk or for who debugs it, or has a core: it is not for itself that it does nothing. */
  readonly isHeldUp: boolean;
  /** What it has had of a core since it began. */
  readonly cpuMs: number;
}

/** Looks at the main thread of a process, on which its event loop is; undefined where the kernel does not tell. @see proc_pid_stat(5) */
export function lookAtThread(pid: number): ThreadLook | undefined {
  try {
    return parseThread(readFileSync(`/proc/${pid}/task/${pid}/stat`, 'latin1'));
  } catch {
    return undefined; // It is gone, or nobody may look.
  }
}

/** Reads a line of `/proc/PID/task/TID/stat`. */
export function parseThread(line: string): ThreadLook | undefined {
  // The name stands in brackets, and may have any in it.
  const [state = '', ...fields] = line.slice(line.lastIndexOf(')') + 2).split(' ');
  const [user, system] = [Number(fields[USER_TIME]), Number(fields[SYSTEM_TIME])];
  if (!/^[A-Za-z]$/.test(state) || !Number.isInteger(user) || !Number.isInteger(system)) return undefined;
  return { isHeldUp: HELD_UP.has(state), cpuMs: (user + system) * TICK_MS };
}

/** Runs or wants to; waits for a disk; is traced. */
const HELD_UP: ReadonlySet<string> = new Set(['R', 'D', 't']);
/** Behind the state. */
const USER_TIME = 10;
const SYSTEM_TIME = 11;
/** The kernel tells times in hundredths of a second, whatever it counts in itself. */
const TICK_MS = 10;
