import koffi from 'koffi';
import { type Log, messageOf } from '../../std/index.ts';

/**
 * Has the kernel kill this process when its parent ends, however that does, even while it is busy: nobody would keep its limits, nor stop it. Where
 * that can't be had it is logged; the end of the channel between both ends this process as well, when it comes to look.
 * @see PR_SET_PDEATHSIG(2const)
 */
export function endWithParent({ log, parent }: { log: Log; parent: number }): void {
  if (process.platform === 'linux') {
    try {
      const prctl = koffi.load(null).func('int prctl(int, unsigned long, unsigned long, unsigned long, unsigned long)');
      if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) !== 0) throw new Error(`prctl failed with errno ${koffi.errno()}`);
    } catch (error) {
      log.warn('app.worker.not_tied', { problem: messageOf(error) });
    }
  }
  // It may have ended before that.
  if (process.ppid !== parent) process.exit(PARENT_GONE);
}

/** EX_SOFTWARE: nobody is there to read it. */
export const PARENT_GONE = 70;
const PR_SET_PDEATHSIG = 1;
const SIGKILL = 9;
