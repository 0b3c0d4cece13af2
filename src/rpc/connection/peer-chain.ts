import type { TLSSocket } from 'node:tls';

/**
 * The certificate chain that the peer presented: DER, leaf first, in the peer's order, unverified; empty when it sent none.
 * Only meaningful with session resumption off: a resumed session carries no chain.
 */
export function peerChain(socket: TLSSocket): readonly Buffer[] {
  const known = chains.get(socket);
  if (known !== undefined) return known;
  const chain: Buffer[] = [];
  let certificate = socket.getPeerX509Certificate();
  while (certificate !== undefined && chain.length < CERTIFICATES_MAX) {
    const der = certificate.raw;
    const previous = chain.at(-1);
    // On the client side OpenSSL's list repeats the leaf.
    if (previous === undefined || !previous.equals(der)) chain.push(der);
    certificate = certificate.issuerCertificate;
  }
  chains.set(socket, chain);
  return chain;
}

/** Node takes the issuers off the connection's own list while it hands them out: whoever asks a second time gets the leaf alone. */
const chains = new WeakMap<TLSSocket, readonly Buffer[]>();

/** More than any real chain; a longer one fails verification for want of its end. */
const CERTIFICATES_MAX = 16;
