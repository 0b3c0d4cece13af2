import type { Http2Session } from 'node:http2';
import type { Clock, Timer } from '../../std/index.ts';

/**
 * Pings the peer every `intervalMs` until it is cancelled and calls `dead` when an answer takes longer than `timeoutMs`: a host that
 * vanished sends no goodbye.
 */
export function keepAlive(options: {
  session: Http2Session;
  clock: Pick<Clock, 'after'>;
  intervalMs: number;
  timeoutMs: number;
  dead: () => void;
}): Timer {
  const { session, clock } = options;
  let timer: Timer | undefined;
  const ping = () => {
    if (session.destroyed) return; // One that only closes is pinged still: calls of a peer that is gone would keep it.
    timer = clock.after(options.timeoutMs, options.dead);
    session.ping((error) => {
      timer?.cancel();
      if (error === null && !session.destroyed) timer = clock.after(options.intervalMs, ping);
    });
  };
  timer = clock.after(options.intervalMs, ping);
  return { cancel: () => timer?.cancel() };
}
