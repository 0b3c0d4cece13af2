import type { PeerClock } from '../../../std/index.ts';
import { parseCertificate } from '../certificates/certificate.ts';

/**
 * Takes from the certificate by which a server could not prove itself in time what it says of the server's clock: one that is not valid yet was made
 * by a clock that is ahead, and one that has expired is shown by a clock that is behind, since servers renew theirs at half its life.
 */
export function noteSvidTimes(chainDer: readonly Buffer[], peer: Pick<PeerClock, 'isBeyond'>): void {
  const [leafDer] = chainDer;
  if (leafDer === undefined) return;
  try {
    const { notBeforeS, notAfterS } = parseCertificate(leafDer);
    peer.isBeyond(notBeforeS * 1000, 'not-before');
    peer.isBeyond(notAfterS * 1000, 'not-after');
  } catch {
    // Whoever refused it says why; of clocks it says nothing.
  }
}
