import type { SpiffeId, TrustDomain } from '@countersign/sdk/identity';
import type { Selector } from '../../model/index.ts';

/** A registration entry as the agent holds it: what it needs to match, to order and to issue. */
export interface AgentEntry {
  readonly id: string;
  readonly spiffeId: SpiffeId;
  readonly selectors: readonly Selector[];
  readonly federatesWith: readonly TrustDomain[];
  readonly hint: string;
  /** Epoch seconds; another value under the same id means another entry. */
  readonly createdAtS: number;
  readonly revision: number;
  /** False: no X.509-SVID is minted until a workload asks. */
  readonly prefetch: boolean;
  /** True: every JWT-SVID has its own `jti`, so none is cached. */
  readonly uniqueJwt: boolean;
}

/** An X.509-SVID with its private key. It is handed out only while `expiresAtMs` lies ahead. */
export interface X509Svid {
  readonly entryId: string;
  readonly spiffeId: SpiffeId;
  /** Leaf first, roots left out. */
  readonly chainDer: readonly Buffer[];
  /** PKCS#8, not encrypted. */
  readonly keyDer: Buffer;
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
  /** Revision of the entry that it was issued for. */
  readonly revision: number;
}

/** A JWT-SVID as it is cached. */
export interface JwtSvid {
  readonly token: string;
  readonly keyId: string;
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
}
