import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { type PeerProcess, readPeer } from './peer-process.ts';
import { userName } from './user-names.ts';

/** Who is at the other end of the operator's socket, by the kernel's word. */
export interface Operator {
  readonly uid: number;
  /** For people: `root (uid 0), logged in as ada (uid 1000)`. The login is what stays through `sudo`; without one it is not named. */
  readonly text: string;
}

/** Asks the kernel who connected; undefined when it does not tell. */
export function readOperator(socket: Socket): Operator | undefined {
  let peer: PeerProcess;
  try {
    peer = readPeer(socket);
  } catch {
    return undefined; // Of another process namespace, or no Linux: the socket itself has let it in.
  }
  try {
    const login = readLogin(peer.pid);
    // It was read by pid, and is about this process only if that was there all along.
    const isKnown = login !== undefined && login !== peer.uid && peer.alive();
    return { uid: peer.uid, text: isKnown ? `${named(peer.uid)}, logged in as ${named(login)}` : named(peer.uid) };
  } finally {
    peer.close();
  }
}

/** The user by whose login the process came about. @see proc_pid_loginuid(5) */
function readLogin(pid: number): number | undefined {
  try {
    const uid = Number(readFileSync(`/proc/${pid}/loginuid`, 'utf8'));
    return Number.isInteger(uid) && uid < NO_LOGIN ? uid : undefined;
  } catch {
    return undefined; // It has ended, or the kernel keeps none.
  }
}

function named(uid: number): string {
  const name = userName(uid);
  return name === undefined ? `uid ${uid}` : `${name} (uid ${uid})`;
}

/** What the kernel shows of who never logged in: -1, without a sign. */
const NO_LOGIN = 0xffff_ffff;
