/** Places where a secret could come to lie: files of folders, what the kernel shows of processes, what core dumps leave. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { codeOf } from '../../../src/std/index.ts';
import type { Watch } from './watch.ts';

/** Looks at all files below a folder, and at their names. `skip` leaves out folders and files by their path. */
export function lookBelow(watch: Watch, folder: string, skip: (file: string) => boolean = () => false): void {
  for (const entry of entriesOf(folder)) {
    const file = path.join(folder, entry.name);
    if (skip(file)) continue;
    watch.look(`the name of ${folder}/…`, entry.name);
    if (entry.isDirectory()) lookBelow(watch, file, skip);
    else if (entry.isFile()) watch.lookFile(file);
    else if (entry.isSymbolicLink()) lookAtLink(watch, file);
  }
}

/** Looks at the arguments and the environment of processes and of all their descendants. One that has ended is passed over. */
export function lookAtProcesses(watch: Watch, pids: readonly number[]): void {
  const children = childrenOf();
  const all = new Set(pids.filter((pid) => pid > 0));
  for (const pid of all) for (const child of children.get(pid) ?? []) all.add(child);
  for (const pid of all)
    for (const what of ['cmdline', 'environ', 'comm']) lookAtProcess(watch, `/proc/${pid}/${what}`);
}

function lookAtProcess(watch: Watch, file: string): void {
  try {
    watch.lookFile(file);
  } catch (error) {
    // The roles shield their environment from their own user; what the kernel hides from us, it hides from everyone but root.
    if (codeOf(error) !== 'EACCES' || process.getuid?.() === 0) throw error;
  }
}

/** Looks at core dumps and diagnostic reports in a folder that processes work in. */
export function lookAtDumps(watch: Watch, folder: string): void {
  for (const entry of entriesOf(folder))
    if (entry.isFile() && DUMPS.test(entry.name)) watch.lookFile(path.join(folder, entry.name));
}

function entriesOf(folder: string): readonly fs.Dirent[] {
  try {
    return fs.readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    // Removed since its name was read: nothing is left to look at.
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  }
}

function lookAtLink(watch: Watch, file: string): void {
  try {
    watch.look(file, fs.readlinkSync(file));
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return; // Removed meanwhile.
    throw error;
  }
}

/** Process → its children, of all processes of this machine. */
function childrenOf(): Map<number, number[]> {
  const children = new Map<number, number[]>();
  for (const name of fs.readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const parent = parentOf(name);
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  return children;
}

function parentOf(pid: string): number | undefined {
  try {
    // The name in parentheses may hold anything; state and parent follow the last one.
    return Number(/^ \S+ (\d+)/.exec(fs.readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/^.*\)/s, ''))?.[1]);
  } catch {
    return undefined; // It has ended.
  }
}

const DUMPS = /^(?:core(?:\.\d+)?|vgcore\.\d+|report\..*\.json|Heap\..*\.heapsnapshot)$/;
