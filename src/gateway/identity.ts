import type { SpiffeId, TrustDomain } from '@countersign/sdk/identity';
import type { JwtAuthority, X509Authority } from '../model/index.ts';

/** The gateway's own identity and the bundles that verify others: what the Workload API gives it. */
export interface GatewayIdentity {
  /** Undefined before the first SVID, and when the last one expired. */
  current(): CurrentIdentity | undefined;
  /** Resolves once there is an SVID. */
  ready(signal: AbortSignal): Promise<void>;
  /** What tokens of that trust domain are signed by now; undefined, or no such function: none is trusted. */
  jwtAuthorities?(trustDomain: TrustDomain): readonly JwtAuthority[] | undefined;
  /** Calls after each change of SVID or bundles; returns how to stop. */
  onChange(listener: () => void): () => void;
}

export interface CurrentIdentity {
  readonly id: SpiffeId;
  /** Leaf first. */
  readonly chainDer: readonly Buffer[];
  /** PKCS#8. */
  readonly keyDer: Buffer;
  readonly bundles: ReadonlyMap<TrustDomain, readonly X509Authority[]>;
  readonly expiresAtS: number;
}
