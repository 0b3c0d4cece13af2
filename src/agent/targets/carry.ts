import type { Duplex } from 'node:stream';
import type { LocalSession } from '../../model/index.ts';

/** How a session is asked to end early without cutting an answer off. */
export interface Farewell {
  /** Aborts when sessions should end. */
  readonly signal: AbortSignal;
  /** Says where the session may be ended. */
  readonly session: LocalSession;
  /** What the client is told when it has its answers. */
  readonly words: () => Buffer;
  /** What it is told when the gateway has gone without a word, where that may be said. */
  readonly lost: () => Buffer;
}

/**
 * Carries bytes both ways until both sides have ended: a slow reader slows the writer down, one side's end is passed on while the
 * other may still speak, and an error on one side ends both. Takes over both streams.
 *
 * When the farewell's signal aborts, the session ends behind an answer: once the client waits for nothing, nothing more of what it
 * sends is passed on. Where a protocol's follower can't tell whether that was the answer to all it had sent, the gateway can: it is told that the client
 * ends, answers what it has of it, and ends the link. Behind that the client gets its words. What it sent meanwhile reached nobody, so it can be sent again.
 *
 * A gateway that is killed says nothing; where the client would take it for one, it is told so. Once the gateway is gone, the client has been given all
 * there was, and is let go.
 */
export function carry(client: Duplex, link: Duplex, farewell: Farewell): Promise<void> {
  // What is gone already tells nobody so again.
  if (client.destroyed || link.destroyed) {
    client.destroy();
    link.destroy();
    return Promise.resolve();
  }
  return new Promise((resolve) => {
    let open = 2;
    let leaving = false;
    const { session } = farewell;
    const closed = () => {
      if (--open > 0) return;
      farewell.signal.removeEventListener('abort', leaveWhenAnswered);
      resolve();
    };
    for (const [from, to] of [
      [client, link],
      [link, client],
    ] as const) {
      from.on('error', () => {
        if (from === client) to.destroy(); // Of the link, 'close' tells.
      });
      from.once('close', () => {
        // A close without an end before it cut something off; the other side must not take it for a proper end.
        if (!from.readableEnded && !(from === link && sayLost())) to.destroy();
        else if (from === link) letGo();
        closed();
      });
    }
    const sayLost = () => {
      const isHeard = !client.readableEnded && session.place() !== 'amid';
      if (isHeard) client.end(farewell.lost(), () => client.destroy());
      return isHeard;
    };
    /** What it still sends is for nobody. Taken by nobody either, it would hold up one that only sends, which then never looks for the last words. */
    const letGo = () => {
      client.resume();
      if (client.writableFinished) client.destroy();
      else client.once('finish', () => client.destroy());
    };
    client.pipe(link);
    link.pipe(client, { end: false });
    link.once('end', () => {
      if (leaving) client.end(farewell.words(), () => client.destroy());
      else if (!sayLost()) client.end();
    });
    const leaveWhenAnswered = () => {
      if (leaving || !farewell.signal.aborted || session.place() !== 'rest') return;
      leaving = true;
      client.unpipe(link).resume();
      link.end();
    };
    client.on('data', (chunk: Buffer) => session.saw('client', chunk));
    // After `pipe`, so that the client has been given the chunk.
    link.on('data', (chunk: Buffer) => {
      session.saw('gateway', chunk);
      leaveWhenAnswered();
    });
    farewell.signal.addEventListener('abort', leaveWhenAnswered, { once: true });
  });
}
