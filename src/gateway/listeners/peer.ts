import type { TLSSocket } from 'node:tls';
import type { SpiffeId } from '@countersign/sdk/identity';
import { peerChain } from '../../rpc/index.ts';
import { sha256 } from '../../std/index.ts';
import { parseCertificate, verifyX509Svid } from '../../wire/x509/index.ts';
import type { GatewayIdentity } from '../identity.ts';

/** A peer whose SVID was verified. */
export interface Peer {
  readonly identity: SpiffeId;
  /** Leaf first. */
  readonly chainDer: readonly Buffer[];
  /** Of the leaf, in decimal digits. */
  readonly serial: string;
  /** SHA-256 of the leaf's public key, as revocations name it; undefined where it was proven by no certificate. */
  readonly thumbprint: string | undefined;
  readonly address: string | undefined;
  readonly expiresAtS: number;
}

/** Whether it has shown a certificate, whatever that is worth. */
export function showsCertificate(tls: TLSSocket): boolean {
  return peerChain(tls).length > 0;
}

/** Who the peer of that connection is by the bundles of now, or why that can't be told. */
export function verifyPeer(tls: TLSSocket, identity: GatewayIdentity, nowMs: number): Peer | string {
  const chainDer = peerChain(tls);
  if (tls.isSessionReused()) return 'a resumed session shows no certificate';
  const bundles = identity.current()?.bundles;
  const result = verifyX509Svid(chainDer, (trustDomain) => bundles?.get(trustDomain), nowMs);
  if (!result.ok) return result.reason;
  // It was parsed to be verified.
  const { serial, spkiDer } = parseCertificate(chainDer[0] ?? Buffer.alloc(0));
  const thumbprint = sha256(spkiDer).toString('hex');
  return {
    identity: result.id,
    chainDer,
    serial,
    thumbprint,
    address: tls.remoteAddress,
    expiresAtS: result.expiresAtS,
  };
}
