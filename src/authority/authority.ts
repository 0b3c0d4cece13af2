import type { SpiffeId, TrustDomain } from '@countersign/sdk/identity';
import type { Bundle, KeyType } from '../model/index.ts';
import type { Clock, Log, Random } from '../std/index.ts';
import type { Store } from '../store/index.ts';
import type { JsonValue } from '../wire/jose/index.ts';
import type { SubjectKey } from '../wire/x509/index.ts';
import type { Keystore } from './keystore.ts';

/** What {@link createAuthority} needs. */
export interface AuthorityDeps {
  readonly store: Store;
  readonly keystore: Keystore;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly trustDomain: TrustDomain;
  readonly options: AuthorityOptions;
}

export interface AuthorityOptions {
  readonly x509KeyType: KeyType;
  readonly jwtKeyType: KeyType;
  /** Life of a CA certificate and of a JWT signing key. */
  readonly caTtlMs: number;
  /** Life of SVIDs that are asked for with `ttlS` 0. */
  readonly x509SvidTtlMs: number;
  readonly jwtSvidTtlMs: number;
  /** Tells the servers on one store apart: 1–64 of `[a-z0-9-]`, the same after a restart. */
  readonly serverId: string;
  /** The `iss` of JWT-SVIDs; none when absent. */
  readonly jwtIssuer?: string;
  /** Go on where keys, or what the store knew of them, were lost: by order of an operator, once. */
  readonly acceptLoss?: boolean;
}

/** Issues identities of one trust domain, and publishes what verifies them. */
export interface Authority {
  /**
   * Issues an X.509-SVID for a public key. The caller has decided that the holder of the key may be that identity.
   * @throws AuthorityError ERR_AUTHORITY_REQUEST, ERR_AUTHORITY_NOT_READY, ERR_AUTHORITY_SELF_CHECK
   */
  issueX509Svid(request: X509SvidRequest): Promise<IssuedX509Svid>;
  /** Issues many; each has its own result, in the order asked. Yields to other work between them. At most 500. */
  issueX509SvidBatch(
    requests: readonly X509SvidRequest[],
    signal?: AbortSignal,
  ): Promise<readonly ({ readonly svid: IssuedX509Svid } | { readonly error: Error })[]>;
  /** @throws AuthorityError ERR_AUTHORITY_REQUEST, ERR_AUTHORITY_NOT_READY, ERR_AUTHORITY_SELF_CHECK */
  issueJwtSvid(request: JwtSvidRequest): Promise<IssuedJwtSvid>;
  /**
   * Signs what servers say to their own agents and gateways: a JWT of a type of its own, which no verifier takes for a JWT-SVID.
   * @throws AuthorityError ERR_AUTHORITY_NOT_READY; JoseError ERR_JWT
   */
  signStatement(statement: Statement): Promise<string>;
  /** The bundle of the own trust domain: the authorities of every server on this store. @throws AuthorityError ERR_AUTHORITY_NOT_READY before `start` */
  bundle(): Bundle;
  /** Calls `listener` after each change of the own bundle or of a federated one. Returns the way to stop. */
  onBundle(listener: (bundle: Bundle) => void): () => void;
  /** The bundle of a trust domain that this one federates with. */
  federatedBundle(trustDomain: TrustDomain): Bundle | undefined;
  federatedBundles(): readonly Bundle[];
  /**
   * Keeps a foreign bundle, replacing what was known of it; one with a lower sequence than the known is refused.
   * @throws AuthorityError ERR_AUTHORITY_BUNDLE
   */
  setFederatedBundle(bundle: Bundle, signal: AbortSignal): Promise<void>;
  /** Forgets a foreign bundle; false when it was not known. */
  removeFederatedBundle(trustDomain: TrustDomain, signal: AbortSignal): Promise<boolean>;
  /** All authorities of all servers, newest first. */
  authorities(): readonly AuthorityInfo[];
  /** Makes the next key now, as rotation would; the one already prepared is kept when there is one. */
  prepare(kind: AuthorityKind, signal: AbortSignal): Promise<AuthorityInfo>;
  /** Lets the prepared key sign from now on. @throws AuthorityError ERR_AUTHORITY_STATE when none is prepared */
  activate(kind: AuthorityKind, signal: AbortSignal): Promise<AuthorityInfo>;
  /** Marks an old authority as compromised: everyone who holds an SVID of it rotates. @throws ERR_AUTHORITY_NOT_FOUND, ERR_AUTHORITY_STATE */
  taint(authorityId: string, signal: AbortSignal): Promise<void>;
  /** Takes a tainted authority out of the bundle: what it signed verifies no more. @throws ERR_AUTHORITY_NOT_FOUND, ERR_AUTHORITY_STATE */
  revoke(authorityId: string, signal: AbortSignal): Promise<void>;
}

/** What operators hear of an authority that is not well. */
export interface AuthorityHealth {
  /** What the last look at the journal and the keys failed with; undefined after one that did not. */
  problem(): unknown;
  /** Kinds that nothing can be signed with now; none before `start`. */
  unable(): readonly AuthorityKind[];
  /** Authorities that agents know this server by, whose keys were lost and others made in their place, until they expire. */
  lost(): readonly AuthorityInfo[];
}

export interface X509SvidRequest {
  readonly spiffeId: SpiffeId;
  /** EC on P-256 or P-384, or RSA of 2048 to 8192 bits: in PKIX DER, or as a request was parsed to, which saves loading it again. */
  readonly publicKeyDer: Buffer | SubjectKey;
  /** Seconds; 0 = the default. Cut to what the issuer has left. */
  readonly ttlS: number;
  readonly dnsNames: readonly string[];
  readonly signal?: AbortSignal;
}

export interface IssuedX509Svid {
  /** Leaf first; the root is not in it. */
  readonly chainDer: readonly Buffer[];
  /** Decimal. */
  readonly serial: string;
  readonly expiresAtS: number;
}

export interface JwtSvidRequest {
  readonly spiffeId: SpiffeId;
  readonly audience: readonly string[];
  /** Seconds; 0 = the default. Cut to what the key has left. */
  readonly ttlS: number;
}

/** What is signed with a JWT key and is no JWT-SVID. */
export interface Statement {
  /** `typ` of its header: something other than `JWT` and `JOSE`. */
  readonly type: string;
  readonly claims: { readonly [name: string]: JsonValue };
}

export interface IssuedJwtSvid {
  readonly token: string;
  readonly issuedAtS: number;
  readonly expiresAtS: number;
}

export type AuthorityKind = 'x509' | 'jwt';

/** What operators see of one authority. `id` is the subject key id in hex (x509) or the `kid` (jwt). */
export interface AuthorityInfo {
  readonly id: string;
  readonly kind: AuthorityKind;
  readonly serverId: string;
  readonly state: 'prepared' | 'active' | 'old';
  readonly tainted: boolean;
  readonly notBeforeS: number;
  readonly expiresAtS: number;
}
