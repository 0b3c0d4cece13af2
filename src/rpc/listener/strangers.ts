import type { Socket } from 'node:net';

/**
 * The connections of which nobody knows yet whose they are, by the source they come from: from their first byte, through the TLS handshake,
 * until somebody vouches for their caller. Each costs its peer next to nothing and the server a signature and some hundred kilobytes. Beyond
 * its share, a source's oldest makes room for its newest, since an honest one is known in no time. Were newcomers refused instead, one who
 * holds connections open would shut out all who share an address with it.
 */
export interface Strangers {
  /** The socket is one from now on. It is forgotten once it closes. */
  begin(socket: Socket, source: string): void;
  /** That peer is known; takes either of the sockets that a TLS connection has, since both have the same addresses. False when it was already. */
  known(peer: Pick<Socket, 'remoteAddress' | 'remotePort' | 'localPort'>): boolean;
}

/** Creates an empty set. `crowdedOut` hears of each socket that has to make room, and destroys it. */
export function createStrangers(deps: {
  max: number;
  perSourceMax: number;
  crowdedOut: (socket: Socket, source: string) => void;
}): Strangers {
  const bySource = new Map<string, Map<string, Socket>>();
  const sources = new Map<string, string>();
  const forget = (peer: string): boolean => {
    const source = sources.get(peer);
    if (source === undefined) return false;
    sources.delete(peer);
    const its = bySource.get(source);
    its?.delete(peer);
    if (its?.size === 0) bySource.delete(source);
    return true;
  };
  const makeRoom = (source: string) => {
    for (const [oldest, socket] of bySource.get(source) ?? []) {
      forget(oldest);
      deps.crowdedOut(socket, source);
      return;
    }
  };
  const mostOf = (): string => {
    let [most, size] = ['', 0];
    for (const [source, its] of bySource) if (its.size > size) [most, size] = [source, its.size];
    return most;
  };
  return {
    begin(socket, source) {
      if ((bySource.get(source)?.size ?? 0) >= deps.perSourceMax) makeRoom(source);
      else if (sources.size >= deps.max) makeRoom(mostOf());
      const peer = peerOf(socket);
      const its = bySource.get(source) ?? new Map<string, Socket>();
      bySource.set(source, its.set(peer, socket));
      sources.set(peer, source);
      socket.once('close', () => {
        // The address may be another connection's by now.
        if (bySource.get(source)?.get(peer) === socket) forget(peer);
      });
    },
    known: (peer) => forget(peerOf(peer)),
  };
}

/** No two connections have the same, also of several doors. */
function peerOf({ remoteAddress, remotePort, localPort }: Parameters<Strangers['known']>[0]): string {
  return `${remoteAddress} ${remotePort} ${localPort}`;
}
