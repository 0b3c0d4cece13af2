import { createServer, type Server, type Socket } from 'node:net';
import { BACKLOG, createStrangers, sourceOfAddress, type Turns } from '../../rpc/index.ts';
import { type Clock, messageOf } from '../../std/index.ts';
import { GatewayError } from '../errors.ts';
import { closeInTime, LAST_WORDS_MS } from './close-in-time.ts';

/** The listening sockets of a gateway, and every connection that came through them. */
export interface SocketListeners {
  /** Opens a door: each connection is given to `accept`, paused. @throws GatewayError ERR_GATEWAY_LISTEN */
  open(where: { readonly host: string; readonly port: number }, accept: Accept): Promise<Server>;
  /** Ends every connection that is still there when last words have had their time. */
  end(): void;
}

/** Serves one connection to its end. Calls `known` when it is a session's from then on, by which it is counted. */
export type Accept = (socket: Socket, known: () => void) => Promise<void>;

export interface SocketListenersDeps {
  readonly clock: Clock;
  /** Connections of all doors, authenticated or not; beyond it new ones are closed at once. */
  readonly connectionsMax: number;
  /** Connections that are no session's yet; beyond it the one that waits longest is closed of the address that has most, since an honest one is known in no time. */
  readonly newcomersMax: number;
  /** Others of this user listen at the same doors, and the system gives each connection to one of them. */
  readonly isShared?: boolean;
  /** Hears of each connection that comes. */
  readonly turns: Pick<Turns, 'came'>;
  /** Hears of each connection that was closed or refused here. */
  refused(why: 'crowded' | 'failed', detail: { readonly remote: string | undefined; readonly reason: string }): void;
}

/** Creates them. Closing a door is its server's `close`; connections end by themselves. */
export function createSocketListeners(deps: SocketListenersDeps): SocketListeners {
  /** Those that had to make room; they were counted as that. */
  const crowdedOut = new WeakSet<Socket>();
  const newcomers = createStrangers({
    max: deps.newcomersMax,
    perSourceMax: deps.newcomersMax,
    crowdedOut(socket) {
      deps.refused('crowded', { remote: socket.remoteAddress, reason: 'others came and it had not said who it is' });
      crowdedOut.add(socket);
      socket.destroy();
    },
  });
  const connections = new Set<Socket>();
  const take = (socket: Socket, accept: Accept) => {
    deps.turns.came();
    socket.on('error', () => {}); // Whoever serves it hears of 'close'.
    const { remoteAddress: remote } = socket;
    if (connections.size >= deps.connectionsMax) {
      deps.refused('crowded', { remote, reason: 'there are as many connections as there may be' });
      socket.destroy();
      return;
    }
    connections.add(socket);
    newcomers.begin(socket, sourceOfAddress(remote ?? ''));
    socket.once('close', () => connections.delete(socket));
    accept(socket, () => newcomers.known(socket)).then(
      () => closeInTime(socket, deps.clock), // Its end was sent.
      (error) => {
        if (!crowdedOut.has(socket)) deps.refused('failed', { remote, reason: messageOf(error) });
        socket.destroy();
      },
    );
  };
  return {
    end: () =>
      void deps.clock.after(LAST_WORDS_MS, () => {
        for (const socket of connections) socket.destroy();
      }),
    open: (where, accept) =>
      new Promise((resolve, reject) => {
        // A client that has ended its side may still be owed an answer; each connection is ended by whoever serves it.
        const server = createServer(SOCKETS, (socket) => take(socket, accept));
        const failed = (cause: Error) =>
          reject(
            new GatewayError(
              'ERR_GATEWAY_LISTEN',
              `can't listen on ${where.host} port ${where.port}: ${cause.message}`,
              { cause },
            ),
          );
        server.on('error', failed);
        server.listen({ ...where, backlog: BACKLOG, reusePort: deps.isShared === true }, () => {
          // One connection could not be accepted, for want of descriptors say: no reason to end the process and all sessions with it.
          server.on('error', (error) => deps.refused('crowded', { remote: undefined, reason: messageOf(error) }));
          resolve(server);
        });
      }),
  };
}

/** The port a door has; 0 when it is closed. */
export function portOf(server: Pick<Server, 'address'>): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** A peer that vanished without a word is found out after this and some. */
const KEEP_ALIVE_MS = 60_000;
const SOCKETS = {
  noDelay: true,
  keepAlive: true,
  keepAliveInitialDelay: KEEP_ALIVE_MS,
  pauseOnConnect: true,
  allowHalfOpen: true,
  // Nothing is read ahead of who is to read it: an end that came before its TLS began would never be heard of.
  highWaterMark: 1,
} as const;
