/** A machine of its own with systemd: a copy of this one's files, users, processes and network, all of them gone with it. */
import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { eventually } from '../../support/eventually.ts';
import { own } from '../../support/owned.ts';
import { type Finished, run } from '../../support/processes.ts';
import { commandIn } from '../toolchain.ts';

export interface Machine extends AsyncDisposable {
  /** Runs a script of bash as root, in a folder of root's. Stops at the first command that fails. */
  shell(script: string, stdin?: string): Promise<Finished>;
  /** The same, and throws what was printed when it fails. */
  sure(script: string, stdin?: string): Promise<string>;
}

/** Why there can be no such machine here; undefined where there can. */
export function lackForMachine(): string | undefined {
  if (process.getuid?.() !== 0) return 'not root';
  if (!fs.existsSync(SYSTEMD)) return 'no systemd';
  if (!CGROUPS.some((folder) => fs.existsSync(folder))) return 'no control groups for systemd';
  return commandIn([], 'unshare') && commandIn([], 'nsenter') ? undefined : 'no unshare or nsenter';
}

/** Starts one that sees the folder `shared` as /mnt. */
export async function startMachine(shared: string): Promise<Machine> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cs-machine-'));
  const groups = CGROUPS.filter((group) => fs.existsSync(group)).map((group) =>
    path.join(group, path.basename(folder)),
  );
  for (const group of groups) fs.mkdirSync(group);
  const enter = groups.map((group) => `echo $$ > ${group}/cgroup.procs`).join('; ');
  const spaces = ['--fork', '--kill-child', '--pid', '--mount', '--ipc', '--uts', '--net', '--cgroup'];
  const boot = ['sh', path.join(import.meta.dirname, 'boot.sh'), folder, shared];
  const log = fs.openSync(path.join(folder, 'log'), 'w');
  const outer = spawn('sh', ['-c', `${enter}; exec "$@"`, 'sh', 'unshare', ...spaces, ...boot], {
    ...{ cwd: '/', stdio: ['ignore', log, log] },
  });
  own(outer);
  const gone = new Promise<void>((resolve) => outer.once('exit', () => resolve()));
  // A bash whose input is a socket takes itself for one at the end of a network, and reads the user's own settings.
  const bash = ['bash', '--norc', '--noprofile', '-c'];
  const shell = (script: string, stdin = '') =>
    run(
      'nsenter',
      ['-t', String(firstOf(outer.pid)), '--all', '--wdns=/', ...bash, `set -euo pipefail; cd; ${script}`],
      { env: { PATH, HOME: '/root' }, stdin },
    );
  const machine: Machine = {
    shell,
    async sure(script, stdin) {
      const { code, stdout, stderr } = await shell(script, stdin);
      if (code !== 0) throw new Error(`${script}\nended with ${code}:\n${stdout}${stderr}`);
      return stdout;
    },
    async [Symbol.asyncDispose]() {
      outer.kill('SIGKILL');
      await gone;
      for (const group of groups) await eventually('its processes are gone', () => removed(group));
      fs.rmSync(folder, { recursive: true });
    },
  };
  try {
    await eventually('the machine runs', async () => {
      if (outer.exitCode !== null) return true;
      return (await shell('systemctl is-system-running')).stdout.trim() === 'running';
    });
    if (outer.exitCode !== null) throw new Error(`no machine: ${fs.readFileSync(path.join(folder, 'log'), 'utf8')}`);
  } catch (error) {
    await machine[Symbol.asyncDispose]();
    throw error;
  }
  return machine;
}

/** The first process of the machine: the one child of what made its namespaces. */
function firstOf(pid: number | undefined): number {
  const children = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  if (!/^\d+$/.test(children)) throw new Error('it has no first process yet');
  return Number(children);
}

/** Removes a control group with all below it; false while a process is in one of them. */
function removed(group: string): boolean {
  const below = fs.readdirSync(group, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  for (const { name } of below) if (!removed(path.join(group, name))) return false;
  try {
    fs.rmdirSync(group);
    return true;
  } catch {
    return false;
  }
}

const SYSTEMD = '/lib/systemd/systemd';
/** Where systemd keeps its groups: of the first kind, of the second beside it, or of the second alone. */
const CGROUPS = fs.existsSync('/sys/fs/cgroup/cgroup.procs')
  ? ['/sys/fs/cgroup']
  : ['/sys/fs/cgroup/systemd', '/sys/fs/cgroup/unified'];
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
