import { closeSync, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** The processes of this machine, as far as they can be looked at. */
export interface ProcessTable {
  /** All that there are, each with its parent: a hint, as both may be others by now. @throws Error where nothing is to be seen */
  list(): readonly { readonly pid: number; readonly parent: number }[];
  /** Holds on to the process that has that number now; undefined where there is none. */
  hold(pid: number): HeldProcess | undefined;
}

/** One process, and never another that has come to its number. */
export interface HeldProcess {
  readonly pid: number;
  /** Undefined once it has ended. */
  parent(): number | undefined;
  /** The inodes of the sockets that it has open, the newest first; none where it can't be looked at. */
  sockets(): Iterable<string>;
  close(): void;
}

/**
 * The table of /proc. A folder there that was opened stays that of the process which it was opened for: what is read in it fails from its end on.
 * Everything is read at once, without giving way to anything else of this process.
 */
export function createProcessTable(): ProcessTable {
  return {
    list() {
      checkProc();
      return readdirSync('/proc').flatMap((name) => {
        const parent = PID.test(name) ? parentIn(`/proc/${name}`) : undefined;
        return parent === undefined ? [] : [{ pid: Number(name), parent }];
      });
    },
    hold(pid) {
      try {
        const fd = openSync(`/proc/${pid}`, 'r');
        const folder = `/proc/self/fd/${fd}`;
        return { pid, parent: () => parentIn(folder), sockets: () => socketsIn(folder), close: () => closeSync(fd) };
      } catch {
        return undefined; // It has ended, or /proc is mounted so that it is hidden.
      }
    },
  };
}

/** Reads the parent in the text of /proc/PID/stat. The name before it may hold anything. */
export function parseParent(stat: string): number | undefined {
  const parent = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1];
  return parent !== undefined && PID.test(parent) ? Number(parent) : undefined;
}

/** Where /proc is that of another process namespace, its numbers are other processes'. */
function checkProc(): void {
  if (readlinkSync('/proc/self') !== String(process.pid))
    throw new Error('/proc shows the processes of another process namespace than ours');
}

function parentIn(folder: string): number | undefined {
  try {
    return parseParent(readFileSync(`${folder}/stat`, 'latin1'));
  } catch {
    return undefined; // It has ended.
  }
}

/** A new socket most often has the highest number. */
function* socketsIn(folder: string): Iterable<string> {
  for (const fd of descriptorsIn(folder).toReversed()) {
    const inode = SOCKET.exec(linkOf(`${folder}/fd/${fd}`) ?? '')?.[1];
    if (inode !== undefined) yield inode;
  }
}

function descriptorsIn(folder: string): string[] {
  try {
    return readdirSync(`${folder}/fd`);
  } catch {
    return []; // It has ended, or keeps itself from being looked at, as what has gained rights by its program does.
  }
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined; // Closed meanwhile.
  }
}

const PID = /^\d{1,10}$/;
const SOCKET = /^socket:\[(\d{1,20})\]$/;
