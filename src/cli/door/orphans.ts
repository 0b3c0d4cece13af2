import { readdirSync, readFileSync } from 'node:fs';
import koffi from 'koffi';

/** What keeps a tree of processes together. */
export interface Orphans {
  /** Lets go of those that have ended, whenever one does, until called again. `own`: the child that Node itself waits for. */
  reapBeside(own: number): () => void;
}

/**
 * Has the kernel give this process, and nobody further up, the descendants whose parent ends: what a daemon starts itself as. So all that this one's
 * child has started stays below this process, and can be told by that. Undefined where it can't be had, and where this process has children already,
 * of whoever it was before it became this program: theirs would come to it as well.
 * @see PR_SET_CHILD_SUBREAPER(2const)
 */
export function adoptOrphans(): Orphans | undefined {
  try {
    if (hasChildren()) return undefined;
    const libc = koffi.load(null);
    const prctl = libc.func('int prctl(int, unsigned long, unsigned long, unsigned long, unsigned long)');
    const waitid = libc.func('int waitid(int, unsigned int, _Out_ void *, int)');
    const waitpid = libc.func('int waitpid(int, void *, int)');
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) !== 0) return undefined;
    /** The number of a child that has ended, and stays to be waited for; 0 for none. */
    const ended = () => {
      const info = Buffer.alloc(SIGINFO_BYTES);
      return waitid(P_ALL, 0, info, WEXITED | WNOHANG | WNOWAIT) === 0 ? info.readInt32LE(SI_PID) : 0;
    };
    return {
      reapBeside(own) {
        const reap = () => {
          for (let pid = ended(); pid > 0 && pid !== own; pid = ended())
            if (waitpid(pid, null, WNOHANG) !== pid) return;
        };
        process.on('SIGCHLD', reap);
        reap(); // One may have ended before anybody listened.
        return () => void process.off('SIGCHLD', reap);
      },
    };
  } catch {
    return undefined; // A kernel that does not list children, or a machine on which the C library can't be called.
  }
}

/** @throws Error where the kernel does not say */
function hasChildren(): boolean {
  const tasks = readdirSync('/proc/self/task');
  return tasks.some((task) => readFileSync(`/proc/self/task/${task}/children`, 'latin1').trim() !== '');
}

const PR_SET_CHILD_SUBREAPER = 36;
const P_ALL = 0;
const WNOHANG = 1;
const WEXITED = 4;
const WNOWAIT = 0x0100_0000;
const SIGINFO_BYTES = 128;
/** Behind four numbers of 32 bits on all 64-bit architectures. */
const SI_PID = 16;
