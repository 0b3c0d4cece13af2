/**
 * JOSE: JWTs, JWT-SVIDs and key sets.
 *
 * It promises that a token is read in one way only, that the algorithm is the key's and never the token's choice, and that a token it
 * calls valid was signed by a key that the trust domain publishes at this moment. It must not know where tokens or bundles come from, or
 * what time it is.
 */
export type { JsonValue } from '../json/index.ts';
export { algorithmForKeyType, isSigningAlgorithm, keyFits, signJws } from './algorithms.ts';
export { errorTable, JoseError } from './errors.ts';
export { encodeJwks, jwkToPublicKey, parseJwks, publicKeyToJwk } from './jwks.ts';
export { type ParsedJwt, parseJwt, signJwt } from './jwt.ts';
export { createVerifiedTokenCache, type VerifiedTokenCache } from './verified-token-cache.ts';
export {
  JWT_LEEWAY_S,
  type JwtSvid,
  type JwtSvidOptions,
  type JwtSvidReason,
  type JwtSvidResult,
  verifyJwtSvid,
} from './verify-jwt-svid.ts';
export { type StatementReason, type StatementResult, verifyStatement } from './verify-statement.ts';
