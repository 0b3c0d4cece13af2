/**
 * The feed of revocations: what a server says of those that stand, as its agents and gateways read it.
 *
 * It promises that a state is taken only as a whole and only from a server of the trust domain; that no message of another stream, another store or
 * an earlier time passes for the next one; and that no JWT-SVID passes for a message, nor a message for a JWT-SVID. It must not know where
 * messages come from, what time it is, or what a revocation does.
 */
export { type RevocationUpdate, revocationClaims, revocationFeed, type ToldRevocations } from './format-update.ts';
export {
  type RevocationFeedReason,
  type RevocationFeedResult,
  type VerifyUpdateOptions,
  verifyRevocationUpdate,
} from './verify-update.ts';
