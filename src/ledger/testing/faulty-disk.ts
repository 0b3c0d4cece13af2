import type { LedgerFiles } from '../files.ts';
import { type MemoryDisk, systemError } from './memory-disk.ts';

// One fault at one boundary: every call that changes something on the disk is counted, and the chosen one goes wrong.

/** What can be asked of a disk that changes something. */
export type Call = 'makeDirectory' | 'create' | 'write' | 'sync' | 'syncDirectory' | 'truncate' | 'rename' | 'remove';

/**
 * How it goes wrong. `io`, `full`: an error, and nothing done. `part-io`, `part-full`: half of the bytes are taken, the rest meets the
 * error. `short`: half of the bytes are taken, the rest as well when asked again. `late`: done, and an error all the same. `dead`: this
 * call and all after it fail. `kill`: half of the bytes are taken, then the process is no more.
 */
export type Fault = 'io' | 'full' | 'part-io' | 'part-full' | 'short' | 'late' | 'dead' | 'kill';

/** The faults that a call can meet. */
export const faultsOf: Readonly<Record<Call, readonly Fault[]>> = {
  makeDirectory: ['io', 'full', 'dead', 'kill'],
  create: ['io', 'full', 'late', 'dead', 'kill'],
  write: ['io', 'full', 'part-io', 'part-full', 'short', 'late', 'dead', 'kill'],
  // What a failed sync leaves is the disk's own affair: it takes the pages for clean, whether they are there or not.
  sync: ['io', 'full', 'late', 'dead', 'kill'],
  syncDirectory: ['io', 'late', 'dead', 'kill'],
  truncate: ['io', 'late', 'dead', 'kill'],
  rename: ['io', 'full', 'late', 'dead', 'kill'],
  remove: ['io', 'late', 'dead', 'kill'],
};

/** A disk that fails once (or, `dead` and `kill`, from then on); `calls` are those that were made so far. */
export function createFaultyDisk(
  disk: MemoryDisk,
  plan?: { readonly boundary: number; readonly fault: Fault },
): { readonly files: LedgerFiles; readonly calls: readonly Call[] } {
  const calls: Call[] = [];
  const failsOn = new Set<number>();
  let ended = false;

  /** The fault of this call, if it is the one. */
  const next = (call: Call): Fault | undefined => {
    calls.push(call);
    if (ended) throw systemError('EIO');
    if (calls.length - 1 !== plan?.boundary) return undefined;
    ended = plan.fault === 'dead' || plan.fault === 'kill';
    return plan.fault;
  };
  const around = <T>(call: Call, act: () => T): T => {
    const fault = next(call);
    const result = fault === undefined || fault === 'late' ? act() : undefined;
    if (fault !== undefined) throw systemError(fault === 'full' ? 'ENOSPC' : 'EIO');
    return result as T; // Without a fault, what `act` gave.
  };
  const write = (file: number, from: Buffer, put: (part: Buffer) => number): number => {
    if (failsOn.delete(file)) throw systemError(plan?.fault === 'part-full' ? 'ENOSPC' : 'EIO');
    const fault = next('write');
    const half = () => put(from.subarray(0, Math.max(1, from.length >> 1)));
    switch (fault) {
      case undefined:
        return put(from);
      case 'short':
        return half();
      case 'part-io':
      case 'part-full':
        failsOn.add(file);
        return half();
      case 'kill':
        half();
        throw systemError('EIO');
      case 'late':
        put(from);
        throw systemError('EIO');
      default:
        throw systemError(fault === 'full' ? 'ENOSPC' : 'EIO');
    }
  };
  const files: LedgerFiles = {
    ...disk,
    makeDirectory: (path) => around('makeDirectory', () => disk.makeDirectory(path)),
    open: (path, mode) => (mode === 'create' ? around('create', () => disk.open(path, mode)) : disk.open(path, mode)),
    createBehind: async (path) => around('create', () => disk.open(path, 'create')),
    write: (file, from, position) => write(file, from, (part) => disk.write(file, part, position)),
    async writeBehind(file, from, position) {
      await new Promise((resolve) => setImmediate(resolve));
      return write(file, from, (part) => disk.write(file, part, position));
    },
    async sync(file) {
      const fault = next('sync');
      const { sync } = disk.faults;
      if (fault !== undefined && fault !== 'late') {
        disk.faults.sync = () => {
          throw systemError(fault === 'full' ? 'ENOSPC' : 'EIO');
        };
      }
      try {
        await disk.sync(file);
      } finally {
        if (sync === undefined) delete disk.faults.sync;
        else disk.faults.sync = sync;
      }
      if (fault === 'late') throw systemError('EIO');
    },
    async syncDirectory(path) {
      const fault = next('syncDirectory');
      if (fault === undefined || fault === 'late') await disk.syncDirectory(path);
      if (fault !== undefined) throw systemError('EIO');
    },
    truncate: (file, bytes) => around('truncate', () => disk.truncate(file, bytes)),
    rename: (from, to) => around('rename', () => disk.rename(from, to)),
    remove: (path) => around('remove', () => disk.remove(path)),
  };
  return { files, calls };
}
