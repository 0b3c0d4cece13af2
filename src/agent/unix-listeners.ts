import { dirname } from 'node:path';
import { RpcSetupError, type UnixListener } from '../rpc/index.ts';
import { type Clock, type Log, messageOf, sleep } from '../std/index.ts';
import { prepareSocketFolder } from './socket-path.ts';

/** All doors of an agent. Those of another agent that lets go are taken together. */
export interface UnixListeners {
  /** Puts a door in place: at once where nobody listens, or with `takeAll` where the other agent does. @throws RpcSetupError */
  place(door: UnixListener): Promise<void>;
  /** Closes one. */
  close(door: UnixListener): void;
  closeAll(): void;
  /** Where they are. */
  paths(): readonly string[];
  /** Puts those in place that the other agent has: in one step each. From then on it has none. @throws RpcSetupError */
  takeAll(): void;
  /** The same when it is no more. @throws RpcSetupError */
  placeAll(): Promise<void>;
  /** Takes back those that another has taken. */
  retakeAll(): Promise<void>;
  /** Gives all up; resolves when nobody comes any more who had found one before, or the signal aborts. */
  fadeAll(signal: AbortSignal): Promise<void>;
}

/** Creates them; `taken`: the paths of another agent that may hand over; undefined: there is none. */
export function createUnixListeners(deps: {
  clock: Clock;
  log: Log;
  taken: readonly string[] | undefined;
}): UnixListeners {
  const { clock, log } = deps;
  const taken = new Set(deps.taken);
  const place = (door: UnixListener) => (deps.taken === undefined ? door.place() : placeInTime(door, clock));
  const doors = new Set<UnixListener>();
  const waiting = new Set<UnixListener>();
  return {
    async place(door) {
      if (taken.has(door.path)) waiting.add(door);
      else await place(door);
      doors.add(door);
    },
    close(door) {
      doors.delete(door);
      waiting.delete(door);
      door.close();
    },
    closeAll() {
      for (const door of doors) door.close();
      doors.clear();
    },
    paths: () => [...doors].map(({ path }) => path),
    takeAll() {
      for (const door of waiting) door.replace();
      waiting.clear();
      taken.clear();
    },
    async placeAll() {
      for (const door of waiting) await place(door);
      waiting.clear();
      taken.clear();
    },
    async retakeAll() {
      for (const door of doors) {
        // One that can't be had back must not keep the others away.
        await retake(door).catch((error: unknown) => {
          log.error('agent.handover.door_lost', { path: door.path, problem: messageOf(error) });
        });
      }
    },
    async fadeAll(signal) {
      await Promise.all([...doors].map((door) => door.fade(clock, signal)));
      doors.clear();
    },
  };
}

/** One that is killed closes its sockets one after the other: that the first is closed is no reason to give up for the next. */
async function placeInTime(door: UnixListener, clock: Clock): Promise<void> {
  for (let leftMs = CLOSING_MS_MAX; ; leftMs -= LOOK_MS) {
    try {
      return await door.place();
    } catch (error) {
      if (!isBusy(error) || leftMs <= 0) throw error;
      await sleep(clock, LOOK_MS, NEVER);
    }
  }
}

/** Whether it says that another process listens there. */
export function isBusy(error: unknown): boolean {
  return error instanceof RpcSetupError && error.code === 'ERR_RPC_SOCKET_BUSY';
}

/** The folder goes with the last socket in it. */
async function retake(door: UnixListener): Promise<void> {
  await prepareSocketFolder(dirname(door.path));
  await door.retake();
}

const CLOSING_MS_MAX = 2_000;
const LOOK_MS = 50;
const NEVER = new AbortController().signal;
