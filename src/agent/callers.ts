import type { Socket } from 'node:net';
import type { PeerProcess } from '../attestation/index.ts';
import type { Selector } from '../model/index.ts';
import {
  type Clock,
  createLimiter,
  type Limiter,
  type Log,
  messageOf,
  raceAbort,
  timeoutSignal,
} from '../std/index.ts';
import type { Counters } from './counters.ts';
import { AgentError } from './errors.ts';
import type { OpenWorks } from './revoked/open-work.ts';

/** A workload attestor ready for use: what it can prove of a process. */
export interface OpenAttestor {
  readonly id: string;
  readonly attest: (process: PeerProcess, signal: AbortSignal) => Promise<readonly Selector[]>;
}

/** The process behind one connection. */
export interface Caller {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
  /** When it was started, as the kernel says; undefined where nobody could look. */
  readonly startTime?: string | undefined;
  /** What it runs, for people to read. */
  executable(): string | undefined;
  /** Its user had some connections already. */
  readonly isOneOfMany: boolean;
  /**
   * What the process is, attested once per connection, and only while it is alive.
   * @throws AgentError ERR_AGENT_CALLER, ERR_AGENT_BUSY
   */
  selectors(signal: AbortSignal): Promise<readonly Selector[]>;
  /** The same without waiting: undefined as long as nobody has asked for it. @throws AgentError ERR_AGENT_CALLER */
  known(): readonly Selector[] | undefined;
  /**
   * Looks at the process once in a turn of the event loop, however many answers the turn sends on the connection.
   * @throws AgentError ERR_AGENT_CALLER when it has ended: whoever holds the connection now is another.
   */
  assertAlive(): void;
  /** Lets go of the process and ends an attestation under way. */
  close(): void;
}

/** Tells who connects. */
export interface Callers {
  /**
   * Takes the process behind a socket just accepted. The caller of this closes the {@link Caller} with the connection.
   * @throws AgentError ERR_AGENT_CALLER, ERR_AGENT_BUSY (over the connections of one uid)
   */
  accept(socket: Socket): Caller;
}

export function createCallers(deps: {
  clock: Clock;
  /** Callers choose what is written here, and how often: to be a sampled one. */
  log: Log;
  counters: Counters;
  readPeer: (socket: Socket) => PeerProcess;
  attestors: readonly OpenAttestor[];
  /** Processes that get nothing; their connections are put among those. */
  isRevoked?: ((process: Pick<PeerProcess, 'pid' | 'startTime'>) => boolean) | undefined;
  open?: Pick<OpenWorks, 'add'> | undefined;
  /** Calls back when this turn of the event loop is over. */
  endOfTurn?: (run: () => void) => void;
}): Callers {
  const { clock, log, counters } = deps;
  const turn = countTurns(deps.endOfTurn ?? setImmediate);
  const connectionsByUid = new Map<number, number>();
  let connections = 0;
  const full = () => new AgentError('ERR_AGENT_BUSY', `over ${ATTESTATIONS_WAITING_MAX} processes wait to be attested`);
  const limits = { waitersMax: ATTESTATIONS_WAITING_MAX, full };
  const everybody = createLimiter({ ...limits, runningMax: ATTESTATIONS_AT_ONCE });
  const gatesByUid = new Map<number, Limiter>();
  /** First the user's own gate, so that whoever waits for the others of his user does not stand in the way of another user. */
  const inTurn = async <T>(uid: number, work: () => Promise<T>, signal: AbortSignal): Promise<T> => {
    const own = gatesByUid.get(uid) ?? createLimiter({ ...limits, runningMax: ATTESTATIONS_PER_UID });
    gatesByUid.set(uid, own);
    try {
      return await own.run(() => everybody.run(work, signal), signal);
    } finally {
      if (own.running === 0 && own.waiting === 0) gatesByUid.delete(uid);
    }
  };

  const attest = async (process: PeerProcess, signal: AbortSignal): Promise<readonly Selector[]> => {
    const limit = timeoutSignal(clock, ATTESTATION_MS_MAX, signal);
    const within = limit.signal;
    try {
      const proven = await Promise.all(
        deps.attestors.map(async ({ id, attest }) => {
          try {
            return await raceAbort(attest(process, within), within);
          } catch (error) {
            if (within.aborted) throw error;
            // Fewer selectors match fewer entries, so one attestor's failure can take identities away but never give one.
            log.warn('agent.caller.attestor_failed', { attestor: id, pid: process.pid, problem: messageOf(error) });
            return undefined;
          }
        }),
      );
      if (proven.every((selectors) => selectors === undefined)) throw new Error('no attestor could tell what it is');
      // Only now: facts were read by pid, and they are about this process only if it was there all along.
      if (!process.alive()) throw new Error('the process ended while it was attested');
      counters.callersAttested++;
      return proven.flatMap((selectors) => selectors ?? []);
    } catch (error) {
      counters.callersRefused++;
      if (error instanceof AgentError) throw error;
      const problem = limit.isOver ? `not attested within ${ATTESTATION_MS_MAX} ms` : messageOf(error);
      throw new AgentError('ERR_AGENT_CALLER', `pid ${process.pid}: ${problem}`, { cause: error });
    } finally {
      limit.cancel();
    }
  };

  return {
    accept(socket) {
      const process = readPeer(deps.readPeer, socket);
      const open = connectionsByUid.get(process.uid) ?? 0;
      // Whoever holds many keeps them; but the second half of all places is for those who have few.
      const uidMax = connections < CONNECTIONS_MANY ? CONNECTIONS_PER_UID_MAX : CONNECTIONS_PER_UID_CROWDED_MAX;
      if (open >= uidMax) {
        process.close();
        counters.callersRefused++;
        throw new AgentError('ERR_AGENT_BUSY', `uid ${process.uid} has ${open} connections already`);
      }
      connectionsByUid.set(process.uid, open + 1);
      connections++;
      const over = deps.open?.add({ isRevoked: () => deps.isRevoked?.(process) === true, end: () => socket.destroy() });
      return openCaller(process, {
        isRevoked: () => deps.isRevoked?.(process) === true,
        isOneOfMany: open >= CONNECTIONS_FEW,
        turn,
        attest: (signal) => inTurn(process.uid, () => attest(process, signal), signal),
        onClose() {
          countDown(connectionsByUid, process.uid);
          connections--;
          over?.();
        },
      });
    },
  };
}

function openCaller(
  process: PeerProcess,
  deps: {
    isOneOfMany: boolean;
    isRevoked: () => boolean;
    turn: () => number;
    attest: (signal: AbortSignal) => Promise<readonly Selector[]>;
    onClose: () => void;
  },
): Caller {
  const gone = new AbortController();
  let attested: Promise<readonly Selector[]> | undefined;
  let proven: readonly Selector[] | undefined;
  let aliveInTurn: number | undefined;
  const assertAlive = () => {
    const turn = deps.turn();
    if (!gone.signal.aborted && (aliveInTurn === turn || process.alive())) {
      aliveInTurn = turn;
      return;
    }
    throw new AgentError('ERR_AGENT_CALLER', `pid ${process.pid} has ended`);
  };
  return {
    pid: process.pid,
    uid: process.uid,
    gid: process.gid,
    startTime: process.startTime,
    executable: process.executable,
    isOneOfMany: deps.isOneOfMany,
    async selectors(signal) {
      assertAlive();
      attested ??= deps.attest(gone.signal).catch((error: unknown) => {
        attested = undefined; // The next call on this connection may have more luck.
        throw error;
      });
      attested.catch(() => {}); // Whoever waits hears of it; when all have given up, nobody needs to.
      const selectors = await raceAbort(attested, signal);
      assertAlive();
      proven = selectors;
      return deps.isRevoked() ? NOTHING_SHOWN : selectors;
    },
    known() {
      assertAlive();
      return proven !== undefined && deps.isRevoked() ? NOTHING_SHOWN : proven;
    },
    assertAlive,
    close() {
      if (gone.signal.aborted) return;
      gone.abort();
      deps.onClose();
      process.close();
    },
  };
}

/**
 * The number of the turn that the event loop is in. What the kernel says of a process is as old as that at most: requests that it sent before
 * it ended may lie in the socket for as long.
 */
function countTurns(endOfTurn: (run: () => void) => void): () => number {
  let turn = 0;
  let counting = false;
  return () => {
    if (!counting) {
      counting = true;
      endOfTurn(() => {
        counting = false;
        turn++;
      });
    }
    return turn;
  };
}

function readPeer(read: (socket: Socket) => PeerProcess, socket: Socket): PeerProcess {
  try {
    return read(socket);
  } catch (cause) {
    throw new AgentError('ERR_AGENT_CALLER', `the calling process can not be told: ${messageOf(cause)}`, { cause });
  }
}

/** Takes one off the count under `key`, dropping a count of zero. */
export function countDown<K>(counts: Map<K, number>, key: K): void {
  const left = (counts.get(key) ?? 1) - 1;
  if (left > 0) counts.set(key, left);
  else counts.delete(key);
}

/** By which no entry is found: whoever is revoked is told that it has no identity. */
const NOTHING_SHOWN: readonly Selector[] = [];
/** One slow attestor (a container runtime that hangs) must leave room for others. */
const ATTESTATIONS_AT_ONCE = 64;
/** One user's processes with huge executables must not be all that the agent reads. */
const ATTESTATIONS_PER_UID = 4;
const ATTESTATIONS_WAITING_MAX = 4_096;
const ATTESTATION_MS_MAX = 10_000;
/** What a user's first ones send is served as it comes, which costs less. */
const CONNECTIONS_FEW = 2;
/** Each holds a descriptor and a pidfd; a node's descriptors must outlast one uid's. */
const CONNECTIONS_PER_UID_MAX = 2_048;
/** Half of what the Workload API's socket takes: two users can have that many, and a user can be many (subordinate ids). */
const CONNECTIONS_MANY = 4_096;
const CONNECTIONS_PER_UID_CROWDED_MAX = 64;
