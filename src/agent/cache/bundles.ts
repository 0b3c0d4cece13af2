import type { Bundle } from '../../model/index.ts';
import { parseCertificate } from '../../wire/x509/index.ts';
import type { X509Svid } from './types.ts';

/** True when both bundles verify the same identities. */
export function sameBundle(a: Bundle, b: Bundle): boolean {
  return (
    a.refreshHintS === b.refreshHintS &&
    a.x509Authorities.length === b.x509Authorities.length &&
    a.jwtAuthorities.length === b.jwtAuthorities.length &&
    a.x509Authorities.every((authority, i) => {
      const other = b.x509Authorities[i];
      return other !== undefined && authority.tainted === other.tainted && authority.der.equals(other.der);
    }) &&
    a.jwtAuthorities.every((authority, i) => {
      const other = b.jwtAuthorities[i];
      return (
        other !== undefined &&
        authority.keyId === other.keyId &&
        authority.tainted === other.tainted &&
        authority.expiresAtS === other.expiresAtS &&
        authority.publicKeyDer.equals(other.publicKeyDer)
      );
    })
  );
}

/**
 * True when the chain ends at an authority of the bundle that is not tainted. Decided by key identifiers, not by signatures: it
 * only chooses what to renew, and the chain came from the server that the bundle came from.
 */
export function issuedByTrusted(svid: X509Svid, bundle: Bundle): boolean {
  const top = svid.chainDer.at(-1);
  if (!top) return false;
  const issuer = parseCertificate(top).authorityKeyId?.keyId;
  if (!issuer) return true; // Without an identifier nothing can be said; it will be renewed at half its life.
  return bundle.x509Authorities.some(
    (authority) => !authority.tainted && parseCertificate(authority.der).subjectKeyId?.equals(issuer),
  );
}
