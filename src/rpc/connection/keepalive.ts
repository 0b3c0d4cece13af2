import type { Http2Session } from 'node:http2';
import type { Socket } from 'node:net';
import type { Clock, Timer } from '../../std/index.ts';

/** How a connection is watched: a ping `intervalMs` after the last answer, which counts as unanswered when nothing came for `timeoutMs`. */
export interface PingPace {
  readonly intervalMs: number;
  readonly timeoutMs: number;
}

/** The watch over a peer. */
export interface KeepAlive extends Timer {
  /** From now on at that pace. */
  hasten(pace: PingPace): void;
}

/**
 * Pings the peer until it is cancelled and calls `dead` when it does not answer: a host that vanished sends no goodbye. Any byte that comes after the
 * ping is as good as its answer, which may wait behind a long message; and where this process was held up itself, what came meanwhile is read before
 * the peer counts as silent.
 */
export function keepAlive(
  options: {
    session: Http2Session;
    socket: Pick<Socket, 'bytesRead'>;
    clock: Pick<Clock, 'after'>;
    dead: () => void;
  } & PingPace,
): KeepAlive {
  const { session, socket, clock } = options;
  let pace: PingPace = options;
  let timer: Timer | undefined;
  let isAsking = false;
  const ping = () => {
    if (session.destroyed) return; // One that only closes is pinged still: calls of a peer that is gone would keep it.
    isAsking = true;
    wait();
    session.ping((error) => {
      timer?.cancel();
      isAsking = false;
      if (error === null) pause();
    });
  };
  const pause = () => {
    if (!session.destroyed) timer = clock.after(pace.intervalMs, ping);
  };
  const wait = () => {
    const { bytesRead } = socket;
    timer = clock.after(pace.timeoutMs, () => {
      // After whatever the kernel holds for this process by now.
      timer = clock.after(0, () => {
        timer = clock.after(0, () => {
          if (socket.bytesRead === bytesRead) options.dead();
          else if (!session.destroyed) wait(); // It is heard; its answer is still to come.
        });
      });
    });
  };
  pause();
  return {
    cancel: () => timer?.cancel(),
    hasten(next) {
      pace = next;
      if (isAsking) return;
      timer?.cancel();
      pause();
    },
  };
}
