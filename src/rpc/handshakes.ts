import type { Socket } from 'node:net';

/**
 * The TLS handshakes under way, by the source they come from. A handshake costs its peer next to nothing and the server a signature and
 * some ten kilobytes, and nobody is known before it is done: beyond its share, a source's oldest makes room for its newest, since an honest
 * one is done in no time. Were newcomers refused instead, one who holds handshakes open would shut out all who share an address with it.
 */
export interface Handshakes {
  /** The socket begins one. It is forgotten once it closes. */
  begin(socket: Socket, source: string): void;
  /** The one of that peer is done; takes either of the sockets that a TLS connection has, since both have the peer's address. */
  done(peer: Pick<Socket, 'remoteAddress' | 'remotePort'>): void;
}

/** Creates an empty set. `crowdedOut` hears of each socket that has to make room, and destroys it. */
export function createHandshakes(deps: {
  perSourceMax: number;
  crowdedOut: (socket: Socket, source: string) => void;
}): Handshakes {
  const bySource = new Map<string, Map<string, Socket>>();
  const sources = new Map<string, string>();
  const forget = (peer: string) => {
    const source = sources.get(peer);
    if (source === undefined) return;
    sources.delete(peer);
    const handshakes = bySource.get(source);
    handshakes?.delete(peer);
    if (handshakes?.size === 0) bySource.delete(source);
  };
  return {
    begin(socket, source) {
      const peer = peerOf(socket);
      const handshakes = bySource.get(source) ?? new Map<string, Socket>();
      if (handshakes.size >= deps.perSourceMax) {
        for (const [slowest, its] of handshakes) {
          forget(slowest);
          deps.crowdedOut(its, source);
          break;
        }
      }
      bySource.set(source, handshakes.set(peer, socket));
      sources.set(peer, source);
      socket.once('close', () => {
        // The address may be another connection's by now.
        if (bySource.get(source)?.get(peer) === socket) forget(peer);
      });
    },
    done: (peer) => forget(peerOf(peer)),
  };
}

/** No two connections of one listener have the same. */
function peerOf({ remoteAddress, remotePort }: Pick<Socket, 'remoteAddress' | 'remotePort'>): string {
  return `${remoteAddress} ${remotePort}`;
}
