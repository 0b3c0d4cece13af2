// How large the heap of a role may grow: a share of the memory of the container, or of the machine. Runs on any Node.
import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';

const FLAG = '--max-old-space-size';
const MIB = 1024 * 1024;
/** Buffers, code and stacks lie beside the heap. */
const SHARE = 0.6;
/** Below it no role works. */
const MIB_MIN = 128;
/** A heap that large is collected in pauses that sessions notice; what all roles hold has budgets far below. */
const MIB_MAX = 8192;

/**
 * The flags for Node, none when the limit is somebody else's choice already: of `NODE_OPTIONS` or the command line.
 * `COUNTERSIGN_HEAP_MB` names another limit, in MiB.
 */
export function heapFlags({ env, execArgv, root = '/', total = totalmem() }) {
  const given = `${execArgv.join(' ')} ${env.NODE_OPTIONS ?? ''}`;
  if (/--max[-_]old[-_]space[-_]size/.test(given)) return [];
  const wanted = env.COUNTERSIGN_HEAP_MB;
  if (wanted !== undefined && !/^[1-9]\d{1,6}$/.test(wanted))
    throw new Error(`COUNTERSIGN_HEAP_MB must be a number of MiB from 10 on; it is ${JSON.stringify(wanted)}`);
  if (wanted !== undefined) return [`${FLAG}=${wanted}`];
  const share = Math.floor((memoryBytes(root, total) * SHARE) / MIB);
  return [`${FLAG}=${Math.min(Math.max(share, MIB_MIN), MIB_MAX)}`];
}

/** The least of what the machine has and what any group that this process is in may use; groups lie one within the other. */
function memoryBytes(root, total) {
  let least = total;
  for (const line of readLines(`${root}/proc/self/cgroup`)) {
    const [, controllers = '', path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    const isSecond = controllers === '';
    if (!isSecond && !controllers.split(',').includes('memory')) continue;
    const [base, file] = isSecond ? ['', 'memory.max'] : ['/memory', 'memory.limit_in_bytes'];
    // In a container the path may be that of the host, and its own group lies at the top.
    const steps = path.split('/').filter((step) => step !== '' && step !== '..');
    for (let depth = 0; depth <= steps.length; depth++) {
      const folder = `${root}/sys/fs/cgroup${base}/${steps.slice(0, depth).join('/')}`;
      const limit = Number(readLines(`${folder}/${file}`)[0]);
      if (limit > 0 && limit < least) least = limit;
    }
  }
  return least;
}

function readLines(path) {
  try {
    return readFileSync(path, 'utf8').trim().split('\n');
  } catch {
    return []; // No such group, or a system that has none.
  }
}
