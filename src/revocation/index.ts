/**
 * What is revoked and quarantined: kept, told to agents and gateways, and known to be in effect there.
 *
 * It promises: a state of all that stand rises by one with each change, over all servers; nothing is handed out that was signed after a revocation of
 * it was committed, by any server; every verifier that there is gets the states in their order, signed, and never one of a store that was put back unless
 * an operator says so; and it is told of each verifier whether it has said that a revocation is in effect there, or when it ends there by
 * itself. It must not know what verifiers do with it, or who may ask.
 */

export { admitPerson } from './changes.ts';
export { endpoints, type RevocationEndpointNeeds } from './endpoints.ts';
export { errorTable, RevocationError } from './errors.ts';
export { createRevocationFeed, type RevocationFeed, type RevocationStream, type UnknownState } from './feed.ts';
export {
  createLabelMembers,
  type FindLabelled,
  type LabelledIdentity,
  type LabelMembers,
  type LabelMembersDeps,
} from './label-members.ts';
export { type RevocationTables, revocationLaterMigrations, revocationMigrations } from './migrations.ts';
export { createRevocations, type RevocationsDeps, type StandingSource } from './revocations.ts';
export type {
  KnownVerifiers,
  RevocationEffect,
  RevocationRequest,
  Revocations,
  StandingRevocation,
  Verifier,
  VerifierEffect,
  WatchingVerifier,
} from './types.ts';
export { createVerifierCounts, type VerifierCounts } from './verifier-counts.ts';
export { createVerifiers, type Verifiers } from './verifiers.ts';
