import { readFileSync } from 'node:fs';
import { endianness } from 'node:os';
import { messageOf } from '../../std/index.ts';
import { createOwnership, type Ownership, type Tree } from './ownership.ts';
import { createProcessTable } from './process-table.ts';
import { openSocketDiag } from './socket-diag.ts';
import { type FindPeers, findInTables, type Origin, type PeerSocket } from './socket-table.ts';

/**
 * Whose a connection is: `own`: a process that this one has started, or that those have; `user`: another user's; `stranger`: another process's of
 * this user; `gone`: nobody has it open any more; `unseen`: this machine does not let us tell.
 */
export type Caller =
  | { readonly kind: 'own' | 'stranger' | 'gone' }
  | { readonly kind: 'user'; readonly uid: number }
  | { readonly kind: 'unseen'; readonly problem: string };

/** Tells who is at the other end of connections to a port of 127.0.0.1, in their order. Never throws. */
export type ProveCallers = (origins: readonly Origin[], port: number) => readonly Caller[];

/** What it asks. */
export interface CallerSources {
  /** User of this process. */
  readonly uid: number;
  readonly find: FindPeers;
  readonly ownership: Ownership;
}

/**
 * Creates it. A list of the kernel's is not of one moment: a connection may be missing in it because another one ended meanwhile, and a process may be
 * given a new parent; so whoever is not found is looked for once more.
 */
export function createProveCallers(sources: CallerSources): ProveCallers {
  return (origins, port) => {
    const callers: Caller[] = origins.map(() => ({ kind: 'gone' }));
    try {
      for (let look = 0; look < LOOKS_MAX; look++) {
        const open = [...callers.keys()].filter((index) => ['gone', 'stranger'].includes(callers[index]?.kind ?? ''));
        if (open.length === 0) break;
        const peers = sources.find(
          open.map((index) => origins[index] ?? NOWHERE),
          port,
        );
        const inodes = peers.flatMap((peer) => inodeOf(peer, sources.uid));
        const owned = inodes.length === 0 ? new Set<string>() : sources.ownership.ownedOf(inodes);
        for (const [at, index] of open.entries()) callers[index] = callerOf(peers[at], { owned, uid: sources.uid });
      }
      return callers;
    } catch (error) {
      return origins.map(() => ({ kind: 'unseen', problem: messageOf(error) }));
    }
  };
}

/** The kernel's. */
export function kernelSources(tree: Tree): CallerSources {
  let find: FindPeers | undefined;
  return {
    uid: process.geteuid?.() ?? -1,
    find(origins, port) {
      find ??=
        openSocketDiag(port) ?? findInTables([() => readFileSync('/proc/net/tcp', 'latin1'), tcp6], endianness());
      return find(origins, port);
    },
    ownership: createOwnership({ table: createProcessTable(), tree }),
  };
}

function inodeOf(peer: PeerSocket | undefined, uid: number): string[] {
  return peer?.uid === uid && peer.inode !== undefined ? [peer.inode] : [];
}

function callerOf(peer: PeerSocket | undefined, { owned, uid }: { owned: ReadonlySet<string>; uid: number }): Caller {
  if (peer?.inode === undefined) return { kind: 'gone' };
  if (peer.uid !== uid) return { kind: 'user', uid: peer.uid };
  return { kind: owned.has(peer.inode) ? 'own' : 'stranger' };
}

function tcp6(): string {
  try {
    return readFileSync('/proc/net/tcp6', 'latin1');
  } catch {
    return ''; // A kernel without IPv6.
  }
}

const LOOKS_MAX = 2;
const NOWHERE: Origin = { host: '', port: 0 };
