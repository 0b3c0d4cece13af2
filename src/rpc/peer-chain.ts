import type { TLSSocket } from 'node:tls';

/**
 * The certificate chain that the peer presented: DER, leaf first, in the peer's order, unverified; empty when it sent none.
 * Only meaningful with session resumption off: a resumed session carries no chain.
 */
export function peerChain(socket: TLSSocket): Buffer[] {
  const chain: Buffer[] = [];
  let certificate = socket.getPeerX509Certificate();
  while (certificate !== undefined && chain.length < CERTIFICATES_MAX) {
    const der = certificate.raw;
    const previous = chain.at(-1);
    // On the client side OpenSSL's list repeats the leaf.
    if (previous === undefined || !previous.equals(der)) chain.push(der);
    certificate = certificate.issuerCertificate;
  }
  return chain;
}

/** More than any real chain; a longer one fails verification for want of its end. */
const CERTIFICATES_MAX = 16;
