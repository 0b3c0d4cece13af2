/** Node's own HTTP and nothing else, as a peer: how much of a request is the platform's, whoever writes the proxy. */
import * as path from 'node:path';
import { ownFile, type Peer, type PeerWay, startPeer } from './peer.ts';

export function startBareNode({ folder, user, port, upstreamPort, tls, authorization }: PeerWay): Promise<Peer> {
  const text = JSON.stringify({ port, upstreamPort, tls, authorization, log: path.join(folder, 'access.log') });
  const file = ownFile(folder, user, { name: 'bare-node.json', text });
  const program = path.join(import.meta.dirname, 'bare-node-proxy.mjs');
  return startPeer({ name: 'bare node', file: process.execPath, args: [program, file], user, port });
}
