import { url as debuggerUrl } from 'node:inspector';
import koffi from 'koffi';
import { type Log, messageOf } from '../../std/index.ts';

/**
 * Keeps what a role holds in memory out of core files and, unless `attested`, away from other processes of its user: they can neither trace it nor
 * read its memory, environment and descriptors under /proc; root still can. A role whose own program is attested over the Workload API
 * must stay visible to an agent of the same user, which could not tell otherwise what it runs. Lasts until the process ends; a failure
 * is logged, since a role without this protection does what it does all the same.
 * @see PR_SET_DUMPABLE(2const), core(5)
 */
export function hardenProcess({ log, attested }: { log: Log; attested: boolean }): void {
  const open = debuggerUrl();
  // Whoever started it so wanted it so; but any user of the machine may connect there.
  if (open !== undefined) log.warn('app.role.debugger_open', { address: new URL(open).host });
  if (process.platform !== 'linux') return;
  try {
    const libc = koffi.load(null);
    forbidCores(libc);
    if (attested) return;
    const prctl = libc.func('int prctl(int, unsigned long, unsigned long, unsigned long, unsigned long)');
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) !== 0) throw new Error(`prctl failed with errno ${koffi.errno()}`);
  } catch (error) {
    log.warn('app.role.not_shielded', { problem: messageOf(error) });
  }
}

function forbidCores(libc: ReturnType<typeof koffi.load>): void {
  const limits = Buffer.alloc(RLIMIT_BYTES);
  if (libc.func('int getrlimit(int, _Out_ void *)')(RLIMIT_CORE, limits) !== 0)
    throw new Error(`getrlimit failed with errno ${koffi.errno()}`);
  if (limits.readBigUInt64LE(8) < CORE_BYTES_MAX) return; // An operator's hard limit of 0; raising it takes a privilege.
  limits.writeBigUInt64LE(CORE_BYTES_MAX, 0);
  limits.writeBigUInt64LE(CORE_BYTES_MAX, 8);
  if (libc.func('int setrlimit(int, void *)')(RLIMIT_CORE, limits) !== 0)
    throw new Error(`setrlimit failed with errno ${koffi.errno()}`);
}

const PR_SET_DUMPABLE = 4;
const RLIMIT_CORE = 4;
/** struct rlimit: the soft limit, then the hard one. */
const RLIMIT_BYTES = 16;
/** Too small for any core file, and the one value at which the kernel feeds no program with cores either; at 0 it does. */
const CORE_BYTES_MAX = 1n;
