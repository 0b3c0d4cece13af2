/**
 * The authority: CA and signing keys, issuing SVIDs, trust bundles, rotation, taint and revocation, federated bundles; keystores.
 *
 * It promises that what it issues is verified by the bundle it publishes and never outlives its issuer, and that a private key never
 * leaves its keystore. It must not know who may have which identity: its callers have decided that.
 *
 * Its folders:
 * - `issuing/` SVIDs of one active key
 * - `bundles/` what is published: own and foreign authorities, and the issuers that follow
 * - `rotation/` an authority's life, step by step
 * - `keystores/` one folder a member
 */
export type {
  Authority,
  AuthorityDeps,
  AuthorityHealth,
  AuthorityInfo,
  AuthorityKind,
  AuthorityOptions,
  IssuedJwtSvid,
  IssuedX509Svid,
  JwtSvidRequest,
  X509SvidRequest,
} from './authority.ts';
export { createAuthority } from './create-authority.ts';
export { AuthorityError, errorTable } from './errors.ts';
export { authorityMigrations } from './journal.ts';
export type { Keystore, KeystoreDeps, KeystoreMember, SigningKey } from './keystore.ts';
