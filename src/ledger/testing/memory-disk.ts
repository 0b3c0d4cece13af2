import { dirname } from 'node:path';
import type { Random } from '../../std/index.ts';
import type { LedgerFiles } from '../files.ts';

// A disk in memory that fails and loses power on demand. It forgets whatever a real one may forget, and nothing else.

/** What is to go wrong. */
export interface DiskFaults {
  /** Called before a write; may throw, or say how many bytes are taken. */
  write?: (path: string, bytes: number) => number | undefined;
  /** Called before a sync; when it throws, the pages are clean from then on though the disk never took them. */
  sync?: (path: string) => void;
  /** Called before a read. */
  read?: (path: string) => void;
  /** Bytes that all files together may have. */
  bytesMax?: number;
}

/** The disk, and how to pull its plug. */
export interface MemoryDisk extends LedgerFiles {
  readonly faults: DiskFaults;
  /** The disk after power comes back: of each page not synced the old or the new content, as chance decides. Pages of 512 bytes unless told. */
  losePower(random: Random, pageBytes?: number): MemoryDisk;
  /** The disk as the next process finds it: everything written is there, locks and open files are gone. */
  nextProcess(): MemoryDisk;
  /** Paths of the files that this process has open. */
  openFiles(): readonly string[];
}

interface Inode {
  live: Buffer;
  /** What the disk has. */
  durable: Buffer;
  dirty: Set<number>;
}

type Names = Map<string, Inode>;

/** Creates an empty disk. */
export function createMemoryDisk(): MemoryDisk {
  return createDisk(new Map(), new Map());
}

function createDisk(names: Names, durableNames: Names): MemoryDisk {
  const locks = new Set<string>();
  const faults: DiskFaults = {};
  return {
    faults,
    ...contentOf(names, faults),
    makeDirectory: () => {},
    list(directory) {
      const inside = [...names.keys()].filter((path) => path.startsWith(`${directory}/`));
      return [...new Set(inside.map((path) => path.slice(directory.length + 1).split('/', 1)[0] ?? ''))].sort();
    },
    async syncDirectory(path) {
      await turn();
      for (const name of durableNames.keys()) if (dirname(name) === path && !names.has(name)) durableNames.delete(name);
      for (const [name, inode] of names) if (dirname(name) === path) durableNames.set(name, inode);
    },
    rename(from, to) {
      const inode = names.get(from);
      if (!inode) throw systemError('ENOENT');
      names.delete(from);
      names.set(to, inode);
    },
    remove: (path) => void names.delete(path),
    lock(path) {
      if (locks.has(path)) return undefined;
      locks.add(path);
      return () => void locks.delete(path);
    },
    losePower(random, pageBytes = PAGE_BYTES) {
      const after: Names = new Map();
      const ratio = pageBytes / PAGE_BYTES;
      for (const name of new Set([...durableNames.keys(), ...names.keys()])) {
        const inode = random.fraction() < 0.5 ? durableNames.get(name) : (names.get(name) ?? durableNames.get(name));
        if (!inode) continue;
        const large = new Set(
          [...inode.dirty].map((page) => Math.floor(page / ratio)).filter(() => random.fraction() < 0.5),
        );
        const kept = withPages(inode, new Set([...inode.dirty].filter((page) => large.has(Math.floor(page / ratio)))));
        after.set(name, { live: kept, durable: Buffer.from(kept), dirty: new Set() });
      }
      return createDisk(after, new Map(after));
    },
    nextProcess: () => createDisk(names, durableNames),
  };
}

/** Everything that goes by an open file. */
function contentOf(names: Names, faults: DiskFaults) {
  const open = new Map<number, { inode: Inode; path: string }>();
  const inodeOf = (file: number) => {
    const found = open.get(file);
    if (!found) throw systemError('EBADF');
    return found;
  };
  let nextFile = 3;
  const write = (file: number, from: Buffer, position: number) => {
    const { inode, path } = inodeOf(file);
    const taken = from.subarray(0, faults.write?.(path, from.length) ?? from.length);
    extend(names, inode, position + taken.length, faults.bytesMax);
    taken.copy(inode.live, position);
    const end = position + taken.length;
    for (let page = Math.floor(position / PAGE_BYTES); page * PAGE_BYTES < end; page++) inode.dirty.add(page);
    return taken.length;
  };
  return {
    write,
    openFiles: () => [...open.values()].map(({ path }) => path),
    open(path: string, mode: 'read' | 'update' | 'create') {
      const found = names.get(path);
      if (mode === 'create' && found) throw systemError('EEXIST');
      if (mode !== 'create' && !found) throw systemError('ENOENT');
      const inode = found ?? { live: Buffer.alloc(0), durable: Buffer.alloc(0), dirty: new Set<number>() };
      names.set(path, inode);
      open.set(nextFile, { inode, path });
      return nextFile++;
    },
    async createBehind(path: string) {
      await turn();
      return this.open(path, 'create');
    },
    close(file: number) {
      inodeOf(file);
      open.delete(file);
    },
    size: (file: number) => inodeOf(file).inode.live.length,
    read(file: number, into: Buffer, position: number) {
      const { inode, path } = inodeOf(file);
      faults.read?.(path);
      return position < inode.live.length ? inode.live.copy(into, 0, position) : 0;
    },
    async writeBehind(file: number, from: Buffer, position: number) {
      await turn();
      return write(file, from, position);
    },
    async sync(file: number) {
      const { inode, path } = inodeOf(file);
      const asked = new Set(inode.dirty);
      await turn();
      try {
        faults.sync?.(path);
      } catch (error) {
        inode.dirty.clear();
        throw error;
      }
      inode.durable = withPages(inode, asked);
      for (const page of asked) inode.dirty.delete(page);
    },
    truncate(file: number, bytes: number) {
      const { inode } = inodeOf(file);
      inode.live = Buffer.from(inode.live.subarray(0, bytes));
      inode.durable = Buffer.from(inode.durable.subarray(0, bytes));
      for (const page of inode.dirty) if (page * PAGE_BYTES >= bytes) inode.dirty.delete(page);
    },
  };
}

function extend(names: Names, inode: Inode, end: number, bytesMax = Number.POSITIVE_INFINITY): void {
  const missing = end - inode.live.length;
  if (missing <= 0) return;
  const used = [...new Set(names.values())].reduce((sum, each) => sum + each.live.length, 0);
  if (used + missing > bytesMax) throw systemError('ENOSPC');
  inode.live = Buffer.concat([inode.live, Buffer.alloc(missing)]);
}

/** What the disk has once those pages of the live content are on it. */
function withPages(inode: Inode, pages: ReadonlySet<number>): Buffer {
  const end = Math.max(
    inode.durable.length,
    ...[...pages].map((page) => Math.min(inode.live.length, (page + 1) * PAGE_BYTES)),
  );
  const bytes = Buffer.alloc(end);
  inode.durable.copy(bytes);
  for (const page of pages) inode.live.copy(bytes, page * PAGE_BYTES, page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
  return bytes;
}

/** An error as the system gives it. */
export function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: the disk says no`), { code });
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Smaller than a page of memory, so that small logs tear in many places. */
const PAGE_BYTES = 512;
