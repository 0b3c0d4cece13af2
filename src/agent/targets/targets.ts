import { rmdir } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import type { LocalProtocol, TargetView } from '../../model/index.ts';
import { openUnixListener, type UnixListener } from '../../rpc/index.ts';
import { type Clock, type Log, messageOf, raceAbort, type TimeLimit, timeoutSignal } from '../../std/index.ts';
import { prepareSocketFolder } from '../socket-path.ts';
import type { UnixListeners } from '../unix-listeners.ts';
import { removeHosts, writeHosts } from './hosts-file.ts';

/** The local sockets of targets: one folder each, holding the socket where a client of the protocol looks for it. */
export interface TargetSockets {
  /** Has sockets for exactly these targets; sessions of a target that went away go on. Resolves when done. */
  apply(targets: readonly TargetView[]): Promise<void>;
  /** The names offered now. */
  names(): string[];
  /** Once all that was asked for is done. */
  settled(): Promise<void>;
  /** Offers as it does now, and nothing else any more; resolves when the last session has ended, or after `withinMs`, or the signal aborts. */
  outlast(withinMs: number, signal: AbortSignal): Promise<void>;
  /** Removes all sockets, and ends each session when its client has been answered; after ten seconds all that are left. */
  close(): Promise<void>;
}

/**
 * Creates {@link TargetSockets}. `serve` takes over each connection, and resolves when it is done with it; when its `drain` aborts, it
 * should be done as soon as it can without cutting an answer off.
 */
export function createTargetSockets(deps: {
  targetsDir: string;
  /** Targets of these are offered, and no others. */
  protocols: readonly LocalProtocol[];
  clock: Clock;
  log: Log;
  doors: UnixListeners;
  serve: (
    socket: Socket,
    session: { readonly target: () => TargetView; readonly protocol: LocalProtocol; readonly drain: AbortSignal },
  ) => Promise<void>;
}): TargetSockets {
  const { log } = deps;
  const protocols = new Map(deps.protocols.map((protocol) => [protocol.id, protocol]));
  const offered = new Map<string, Offered>();
  let queue: Promise<void> = Promise.resolve();
  let [closed, isLeft] = [false, false];
  const drain = new AbortController();
  const serving = new Set<Promise<void>>();

  const take = (socket: Socket, item: Offered) => {
    const { target } = item;
    const served = deps
      .serve(socket, { target: () => item.target, protocol: item.protocol, drain: drain.signal })
      .catch((error: unknown) =>
        log.error('agent.target.session_failed', { target: target.name, problem: messageOf(error) }),
      )
      .finally(() => {
        socket.destroy();
        serving.delete(served);
      });
    serving.add(served);
  };

  const applyNow = async (targets: readonly TargetView[]): Promise<void> => {
    if (closed) return;
    const wanted = new Map<string, { target: TargetView; protocol: LocalProtocol }>();
    for (const target of targets) {
      const protocol = protocols.get(target.protocol);
      if (!protocol || !TARGET_NAME.test(target.name)) {
        log.warn('agent.target.skipped', { target: target.name.slice(0, 64), protocol: target.protocol.slice(0, 64) });
      } else if (wanted.size < TARGETS_MAX) wanted.set(target.name, { target, protocol });
    }
    for (const [name, item] of offered) {
      if (wanted.get(name)?.target.protocol === item.target.protocol) continue;
      offered.delete(name);
      await withdraw(item, deps.doors);
      log.info('agent.target.withdrawn', { target: name });
    }
    for (const [name, { target, protocol }] of wanted) {
      if (closed) return; // It closed while a door was opened.
      const present = offered.get(name);
      try {
        if (present) {
          present.target = target; // Later sessions see its gateways as they are now.
          await writeHosts(present.folder, target.hosts ?? []);
          continue;
        }
        offered.set(name, await offer(target, { ...deps, protocol, take }));
        log.info('agent.target.offered', { target: name });
      } catch (error) {
        // One unusable path must not take the other targets away; it is tried again with the next update.
        log.error('agent.target.not_offered', { target: name, problem: messageOf(error) });
      }
    }
  };

  return {
    apply(targets) {
      queue = queue.then(() => applyNow(targets));
      return queue;
    },
    names: () => [...offered.keys()],
    settled: () => queue,
    async outlast(withinMs, signal) {
      closed = true;
      isLeft = true; // Listeners and folders are a successor's.
      await queue;
      await untilEmpty(serving, timeoutSignal(deps.clock, withinMs, signal));
    },
    async close() {
      closed = true;
      // First the doors: whoever comes now must find the next agent, not one that goes. And in the same turn of the event loop the sessions: one
      // that was made in between would wait for an answer that nobody may ever give.
      const withdrawn = isLeft ? [] : [...offered.values()];
      for (const { door } of withdrawn) deps.doors.close(door);
      drain.abort();
      await queue;
      for (const item of withdrawn) await withdraw(item, deps.doors);
      await untilEmpty(serving, timeoutSignal(deps.clock, TARGETS_DRAIN_MS));
      if (serving.size > 0) log.warn('agent.target.sessions_cut', { sessions: serving.size });
      for (const { sockets } of offered.values()) for (const socket of sockets) socket.destroy();
      offered.clear();
    },
  };
}

/** Waits for what is in there, and what comes in meanwhile, as long as the limit lets it. */
async function untilEmpty(serving: ReadonlySet<Promise<void>>, limit: TimeLimit): Promise<void> {
  try {
    while (serving.size > 0) await raceAbort(Promise.all(serving), limit.signal);
  } catch {
    // Some are left.
  } finally {
    limit.cancel();
  }
}

interface Offered {
  target: TargetView;
  readonly protocol: LocalProtocol;
  readonly folder: string;
  readonly door: UnixListener;
  readonly sockets: Set<Socket>;
}

/** Opens the door of one target; `take` gets each connection. */
async function offer(
  target: TargetView,
  options: {
    protocol: LocalProtocol;
    targetsDir: string;
    doors: UnixListeners;
    take: (socket: Socket, item: Offered) => void;
  },
): Promise<Offered> {
  const { protocol, doors } = options;
  const folder = join(options.targetsDir, target.name);
  await prepareSocketFolder(folder);
  await writeHosts(folder, target.hosts ?? []);
  const sockets = new Set<Socket>();
  const accept = (socket: Socket) => {
    if (sockets.size >= SESSIONS_PER_TARGET_MAX) return void socket.destroy();
    sockets.add(socket);
    socket.on('error', () => {}); // Whoever waits on the socket hears of it too; without a listener it would end the process.
    socket.once('close', () => sockets.delete(socket));
    options.take(socket, item);
  };
  const door = await openUnixListener({
    path: join(folder, protocol.socketFile),
    // Anyone may connect: what counts is who the process is, not what files it may open.
    mode: 0o777,
    createServer() {
      const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, accept);
      // A connection that can't be accepted, for want of descriptors say, is no reason to end the process.
      return server.on('error', () => {});
    },
  });
  const item: Offered = { target, protocol, folder, door, sockets };
  await doors.place(door).catch((error: unknown) => {
    door.close();
    throw error;
  });
  return item;
}

async function withdraw({ door, folder }: Offered, doors: UnixListeners): Promise<void> {
  doors.close(door);
  await removeHosts(folder);
  await rmdir(folder).catch(() => {}); // Left alone when somebody put something into it.
}

/** How long `close` waits for answers that are on their way: as the gateway does by default. */
export const TARGETS_DRAIN_MS = 10_000;
/** One path segment that is the same in every tool: no separators, no leading dot, no spaces. */
const TARGET_NAME = /^[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?$/;
/** A node needs a handful; each is a folder and a listener. */
const TARGETS_MAX = 1_000;
/** A pool of a busy service has some hundreds; each session is two descriptors. */
const SESSIONS_PER_TARGET_MAX = 4_096;
