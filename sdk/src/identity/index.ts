/**
 * SPIFFE identities: trust domains and SPIFFE IDs as opaque parsed values.
 *
 * It promises that whoever holds a `SpiffeId` or `TrustDomain` holds a valid one: both are made only here, by a hand-written
 * parser that never normalises (a URL parser would). It knows nothing of certificates, tokens or sockets.
 */
export { errorTable, IdentityError } from './errors.ts';
export {
  formatSpiffeId,
  parseSpiffeId,
  parseTrustDomain,
  type SpiffeId,
  spiffeIdOf,
  type TrustDomain,
} from './spiffe-id.ts';
