import type { TLSSocket } from 'node:tls';
import type { SpiffeId } from '@countersign/sdk/identity';
import { peerChain } from '../rpc/index.ts';
import { verifyX509Svid } from '../wire/x509/index.ts';
import type { GatewayIdentity } from './identity.ts';

/** A peer whose SVID was verified. */
export interface Peer {
  readonly identity: SpiffeId;
  /** Leaf first. */
  readonly chainDer: readonly Buffer[];
  readonly expiresAtS: number;
}

/** Who the peer of that connection is by the bundles of now, or why that can't be told. */
export function verifyPeer(tls: TLSSocket, identity: GatewayIdentity, nowMs: number): Peer | string {
  const chainDer = peerChain(tls);
  if (tls.isSessionReused()) return 'a resumed session shows no certificate';
  const bundles = identity.current()?.bundles;
  const result = verifyX509Svid(chainDer, (trustDomain) => bundles?.get(trustDomain), nowMs);
  if (!result.ok) return result.reason;
  return { identity: result.id, chainDer, expiresAtS: result.expiresAtS };
}
