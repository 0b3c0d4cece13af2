import type { HeldProcess, ProcessTable } from './process-table.ts';

/** Processes that are told by whom they descend from. */
export interface Tree {
  /** The number of this process: it is alive while it asks. */
  readonly self: number;
  /** Whether one of this process's children, with all that descend from it, belongs to it. */
  isTop(pid: number): boolean;
}

/** Tells whether sockets are open in processes of a tree. */
export interface Ownership {
  /** Those of the inodes that are. @throws Error where the processes of this machine can't be seen */
  ownedOf(inodes: readonly string[]): ReadonlySet<string>;
}

/** Creates one. Nothing is taken over from one question to the next, but where to look first. */
export function createOwnership(deps: { readonly table: ProcessTable; readonly tree: Tree }): Ownership {
  const { table, tree } = deps;
  let looksFirst: readonly number[] = [];
  return {
    ownedOf(inodes) {
      const missing = new Set(inodes);
      const owners = new Set<number>();
      const lookAt = (pids: readonly number[]) => {
        for (const pid of pids) {
          if (missing.size === 0) return;
          const owned = ownedBy(pid, { missing, table, tree });
          for (const inode of owned) missing.delete(inode);
          if (owned.length > 0) owners.add(pid);
        }
      };
      lookAt(looksFirst);
      if (missing.size > 0) lookAt(descendantsIn(table.list(), tree.self));
      if (owners.size > 0)
        looksFirst = [...owners, ...looksFirst.filter((pid) => !owners.has(pid))].slice(0, FIRST_MAX);
      return new Set(inodes.filter((inode) => !missing.has(inode)));
    },
  };
}

function ownedBy(
  pid: number,
  { missing, table, tree }: { missing: ReadonlySet<string>; table: ProcessTable; tree: Tree },
): readonly string[] {
  const held = table.hold(pid);
  if (held === undefined) return [];
  try {
    const open: string[] = [];
    for (const inode of held.sockets()) {
      if (missing.has(inode)) open.push(inode);
      if (open.length === missing.size) break;
    }
    // In this order: a process can leave a tree, by losing its parent, and never enter one.
    return open.length > 0 && descends(held, { table, tree }) ? open : [];
  } finally {
    held.close();
  }
}

/**
 * Goes up from parent to parent. A number that a process has for its parent before and after that number was held on to was its parent's
 * meanwhile: the parent of a process only changes by its end.
 */
function descends(from: HeldProcess, { table, tree }: { table: ProcessTable; tree: Tree }): boolean {
  const held: HeldProcess[] = [];
  try {
    let at = from;
    while (held.length < GENERATIONS_MAX) {
      const parent = at.parent();
      if (parent === undefined) return false;
      if (parent === tree.self) return tree.isTop(at.pid);
      const above = parent > 1 ? table.hold(parent) : undefined;
      if (above === undefined) return false;
      held.push(above);
      if (at.parent() !== parent) return false;
      at = above;
    }
    return false;
  } finally {
    for (const one of held) one.close();
  }
}

function descendantsIn(list: readonly { readonly pid: number; readonly parent: number }[], self: number): number[] {
  const children = new Map<number, number[]>();
  for (const { pid, parent } of list) {
    const siblings = children.get(parent);
    if (siblings === undefined) children.set(parent, [pid]);
    else siblings.push(pid);
  }
  // What was read while processes came and went may go round.
  const found = new Set<number>([self]);
  for (const pid of found) for (const child of children.get(pid) ?? []) found.add(child);
  found.delete(self);
  return [...found];
}

/** So many processes have opened connections lately, and are looked at before all are listed. */
const FIRST_MAX = 16;
/** A tree of processes that is deeper was made to be. Each takes a descriptor while it is gone through. */
const GENERATIONS_MAX = 256;
