import type { JwtAuthority } from '../../model/index.ts';
import type { JsonValue } from '../json/index.ts';
import { keyFits, verifyFitting } from './algorithms.ts';
import { JoseError } from './errors.ts';
import { type ParsedJwt, parseJwt } from './jwt.ts';
import { JWT_LEEWAY_S, keyOf, withKeyId } from './verify-jwt-svid.ts';

/** Why a statement is not one of the trust domain. */
export type StatementReason =
  | 'malformed'
  | 'unknown-key'
  | 'key-expired'
  | 'tainted-key'
  | 'algorithm-mismatch'
  | 'bad-signature';

export type StatementResult =
  | { readonly ok: true; readonly claims: { readonly [name: string]: JsonValue } }
  | { readonly ok: false; readonly reason: StatementReason };

/**
 * Verifies what servers of a trust domain say to their own agents and gateways: a JWT of that very type, signed by a key that the trust domain
 * publishes and that is not under recall. What the claims say is for the caller to look at. Never throws for what the token says.
 * @see RFC 8725 §3.11
 */
export function verifyStatement(options: {
  readonly token: string;
  readonly type: string;
  readonly authorities: readonly JwtAuthority[];
  readonly nowMs: number;
}): StatementResult {
  const parsed = parsedOr(options.token, options.type);
  if (parsed === undefined) return { ok: false, reason: 'malformed' };
  const authority = withKeyId(options.authorities, parsed.keyId);
  if (authority === undefined) return { ok: false, reason: 'unknown-key' };
  if (authority.expiresAtS > 0 && Math.floor(options.nowMs / 1000) >= authority.expiresAtS + JWT_LEEWAY_S)
    return { ok: false, reason: 'key-expired' };
  if (authority.tainted) return { ok: false, reason: 'tainted-key' };
  const key = keyOf(authority);
  if (key === undefined || !keyFits(parsed.algorithm, key)) return { ok: false, reason: 'algorithm-mismatch' };
  return verifyFitting(parsed.algorithm, { key, input: parsed.signingInput, signature: parsed.signature })
    ? { ok: true, claims: parsed.claims }
    : { ok: false, reason: 'bad-signature' };
}

function parsedOr(token: string, type: string): ParsedJwt | undefined {
  try {
    return parseJwt(token, type);
  } catch (error) {
    // What is no token is an answer to the verifier's question.
    if (error instanceof JoseError) return undefined;
    throw error;
  }
}
