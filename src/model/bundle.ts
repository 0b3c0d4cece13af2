import type { TrustDomain } from '@countersign/sdk/identity';

/** A root certificate: DER. */
export interface X509Authority {
  readonly der: Buffer;
  readonly tainted: boolean;
}

/** A public key that JWT-SVIDs are signed with: PKIX DER, epoch seconds. */
export interface JwtAuthority {
  readonly keyId: string;
  readonly publicKeyDer: Buffer;
  readonly expiresAtS: number;
  readonly tainted: boolean;
}

/** Everything that verifies identities of one trust domain. `sequence` grows with each change. @see SPIFFE Trust Domain and Bundle §4 */
export interface Bundle {
  readonly trustDomain: TrustDomain;
  readonly x509Authorities: readonly X509Authority[];
  readonly jwtAuthorities: readonly JwtAuthority[];
  readonly sequence: number;
  readonly refreshHintS: number;
}
