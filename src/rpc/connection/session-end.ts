import type { Http2Session } from 'node:http2';
import type { Duplex } from 'node:stream';
import type { Clock, Timer } from '../../std/index.ts';

/**
 * Has an HTTP/2 session and its socket end together, whichever goes first; `ended` runs once, when the socket is closed.
 *
 * node:http2 does not see to that. A session that it destroys, as it does by itself on most of what a peer does wrong, keeps its socket until
 * all that was written has left: never, when the peer doesn't read, or left in the middle of a write. Until then it emits nothing, and to
 * destroy it once more does nothing. Destroying the socket always helps.
 */
export function endTogether(options: { session: Http2Session; socket: Duplex; clock: Clock; ended: () => void }): void {
  const { session, socket, clock } = options;
  let cut: Timer | undefined;
  const cutIn = (delayMs: number) => {
    if (!socket.destroyed) cut ??= clock.after(delayMs, () => socket.destroy());
  };
  // The one way that it ends its sessions by, its own reasons included: no event says it in time.
  const { destroy } = session;
  session.destroy = (...reason) => {
    destroy.apply(session, reason);
    cutIn(session.closed ? FLUSH_MS : LAST_WORDS_MS);
  };
  session.once('close', () => socket.destroy());
  session.on('error', letGo);
  // Nobody who speaks HTTP/2 goes on with half a connection. What is on its way to him leaves by itself, if he reads.
  socket.once('end', () => cutIn(LAST_WORDS_MS));
  socket.once('close', () => {
    cut?.cancel();
    session.destroy();
    options.ended();
  });
}

/**
 * Until its stack is read, an error of V8 holds each receiver on it: here the native session, whose settings, where the peer never acknowledged
 * them, hold the session that holds the error. Nothing of such a ring is ever collected.
 */
function letGo(error: Error): void {
  void error.stack;
}

/** For the GOAWAY, and the statuses of calls that were ended with their connection, to be taken by the kernel. */
export const LAST_WORDS_MS = 100;
/** For answers to leave that were given before a session was closed in order: to a peer that reads they need no time, but for a slow line. */
const FLUSH_MS = 5_000;
