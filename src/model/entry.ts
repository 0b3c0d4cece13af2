import type { SpiffeId, TrustDomain } from '@countersign/sdk/identity';
import type { IdentityAttributes } from './identity-attributes.ts';
import type { Selector } from './selector.ts';

/** A registration entry: a workload under `parentId` that shows all `selectors` is `spiffeId`. Times in epoch seconds, 0 = none. */
export interface Entry {
  readonly id: string;
  readonly spiffeId: SpiffeId;
  readonly parentId: SpiffeId;
  readonly selectors: readonly Selector[];
  readonly x509SvidTtlS: number;
  readonly jwtSvidTtlS: number;
  readonly federatesWith: readonly TrustDomain[];
  readonly admin: boolean;
  readonly downstream: boolean;
  readonly expiresAtS: number;
  readonly dnsNames: readonly string[];
  readonly revisionNumber: number;
  readonly storeSvid: boolean;
  readonly hint: string;
  readonly createdAtS: number;
  /** What policies may know of it; the SPIRE API says nothing of them. */
  readonly attributes: IdentityAttributes;
}
