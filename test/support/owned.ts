/** Processes that must not outlive the test process that started them, however it ended, and the mark by which one that did is found. */
import { type ChildProcess, spawn } from 'node:child_process';
import * as net from 'node:net';

/** The variable that every process of a test run has in its environment; its value names the run. */
export const RUN_MARK = 'CS_TEST_RUN';

/** For children whose environment is not the test's own. */
export function runMark(): Readonly<Record<string, string>> {
  const run = process.env[RUN_MARK];
  return run === undefined ? {} : { [RUN_MARK]: run };
}

/** Sees to it that the child is killed when this process ends before it, be it by SIGKILL. Returns the child. */
export function own<T extends ChildProcess>(child: T): T {
  const { pid } = child;
  if (pid === undefined) return child;
  const warden = wardenOf(process);
  warden.stdin?.write(`+ ${pid}\n`);
  child.once('exit', () => warden.stdin?.write(`- ${pid}\n`));
  return child;
}

/** A shell that reads who lives, until its input ends with the process that writes it, and then kills who is left. One for each process. */
function wardenOf(owner: NodeJS.Process): ChildProcess {
  const known = wardens.get(owner);
  if (known) return known;
  const warden = spawn('/bin/sh', ['-c', WARDEN], { cwd: '/', detached: true, stdio: ['pipe', 'ignore', 'ignore'] });
  warden.unref();
  warden.on('error', () => {});
  warden.stdin.on('error', () => {});
  if (warden.stdin instanceof net.Socket) warden.stdin.unref();
  wardens.set(owner, warden);
  return warden;
}

const wardens = new WeakMap<NodeJS.Process, ChildProcess>();
const WARDEN = `
live=" "
while read -r sign pid; do
  case "$sign" in
    +) live="$live$pid " ;;
    -) live="\${live%% $pid *} \${live#* $pid }" ;;
  esac
done
for pid in $live; do kill -9 "$pid" 2>/dev/null; done`;
