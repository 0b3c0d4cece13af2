import { createPublicKey, type KeyObject } from 'node:crypto';
import { IdentityError, parseSpiffeId, type SpiffeId, type TrustDomain } from '@countersign/sdk/identity';
import type { JwtAuthority } from '../../model/index.ts';
import type { JsonValue } from '../json/index.ts';
import { keyFits, verifyFitting } from './algorithms.ts';
import { JoseError } from './errors.ts';
import { type ParsedJwt, parseJwt } from './jwt.ts';

/** Why a token is no valid JWT-SVID for the audience. */
export type JwtSvidReason =
  | 'malformed'
  | 'bad-subject'
  | 'bad-claims'
  | 'unknown-trust-domain'
  | 'unknown-key'
  | 'key-expired'
  | 'algorithm-mismatch'
  | 'bad-signature'
  | 'expired'
  | 'not-yet-valid'
  | 'wrong-audience';

/** `tainted` says that the signing key is under recall; as with X.509 it still verifies, and the caller may refuse. */
export type JwtSvidResult =
  | { readonly ok: true; readonly svid: JwtSvid; readonly tainted: boolean }
  | { readonly ok: false; readonly reason: JwtSvidReason };

/** A verified JWT-SVID. Times in epoch seconds. */
export interface JwtSvid {
  readonly id: SpiffeId;
  readonly audience: readonly string[];
  readonly expiresAtS: number;
  readonly notBeforeS: number | undefined;
  readonly issuedAtS: number | undefined;
  readonly keyId: string;
  readonly claims: { readonly [name: string]: JsonValue };
}

export interface JwtSvidOptions {
  readonly token: string;
  /** One of the token's audiences must be this. */
  readonly audience: string;
  readonly authorities: (trustDomain: TrustDomain) => readonly JwtAuthority[] | undefined;
  readonly nowMs: number;
}

/**
 * Verifies a JWT-SVID for one audience. Never throws for what the token says.
 * @see JWT-SVID §3, §5
 */
export function verifyJwtSvid(options: JwtSvidOptions): JwtSvidResult {
  const parsed = parseToken(options.token);
  if (!parsed) return { ok: false, reason: 'malformed' };
  const svid = readClaims(parsed);
  if (typeof svid === 'string') return { ok: false, reason: svid };
  const authority = authorityOf(svid, options);
  if (typeof authority === 'string') return { ok: false, reason: authority };
  const fault = timeAndAudienceFault(svid, options);
  if (fault) return { ok: false, reason: fault };
  const key = keyOf(authority);
  if (!key || !keyFits(parsed.algorithm, key)) return { ok: false, reason: 'algorithm-mismatch' };
  if (!verifyFitting(parsed.algorithm, { key, input: parsed.signingInput, signature: parsed.signature })) {
    return { ok: false, reason: 'bad-signature' };
  }
  return { ok: true, svid, tainted: authority.tainted };
}

/** The authority that a token claims to be signed by, as far as it is trusted at this moment. */
export function authorityOf(
  svid: JwtSvid,
  options: Pick<JwtSvidOptions, 'authorities' | 'nowMs'>,
): JwtAuthority | JwtSvidReason {
  const authorities = options.authorities(svid.id.trustDomain);
  if (!authorities) return 'unknown-trust-domain';
  const authority = withKeyId(authorities, svid.keyId);
  if (!authority) return 'unknown-key';
  // Bundles read from a JWKS carry no expiry: 0.
  if (authority.expiresAtS > 0 && Math.floor(options.nowMs / 1000) >= authority.expiresAtS + JWT_LEEWAY_S)
    return 'key-expired';
  return authority;
}

/** A loop, since this is a tenth of what a remembered token costs. */
export function withKeyId(authorities: readonly JwtAuthority[], keyId: string): JwtAuthority | undefined {
  for (const authority of authorities) if (authority.keyId === keyId) return authority;
  return undefined;
}

/** What changes from one use of a token to the next: time and audience. */
export function timeAndAudienceFault(
  svid: JwtSvid,
  options: Pick<JwtSvidOptions, 'audience' | 'nowMs'>,
): JwtSvidReason | undefined {
  const nowS = Math.floor(options.nowMs / 1000);
  if (nowS >= svid.expiresAtS + JWT_LEEWAY_S) return 'expired';
  if (svid.notBeforeS !== undefined && nowS < svid.notBeforeS - JWT_LEEWAY_S) return 'not-yet-valid';
  // Issued in the future: by a clock that runs ahead, so that its end comes too late as well, or by nobody.
  if (svid.issuedAtS !== undefined && nowS < svid.issuedAtS - JWT_LEEWAY_S) return 'not-yet-valid';
  return svid.audience.includes(options.audience) ? undefined : 'wrong-audience';
}

/** Clocks of two machines may differ by this much, as for certificates, which begin ten seconds early. */
export const JWT_LEEWAY_S = 10;

function readClaims(parsed: ParsedJwt): JwtSvid | JwtSvidReason {
  const { sub, aud, exp, iat, nbf } = parsed.claims;
  const id = typeof sub === 'string' ? parseId(sub) : undefined;
  if (!id || id.path === '') return 'bad-subject';
  const audience = typeof aud === 'string' ? [aud] : aud;
  if (!isTextList(audience) || audience.length === 0 || audience.length > AUDIENCES_MAX || audience.includes('')) {
    return 'bad-claims';
  }
  if (!isTime(exp) || (iat !== undefined && !isTime(iat)) || (nbf !== undefined && !isTime(nbf))) return 'bad-claims';
  return { id, audience, expiresAtS: exp, notBeforeS: nbf, issuedAtS: iat, keyId: parsed.keyId, claims: parsed.claims };
}

function isTextList(value: JsonValue | undefined): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

function isTime(value: JsonValue | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= TIME_MAX_S;
}

function parseToken(token: string): ParsedJwt | undefined {
  try {
    return parseJwt(token);
  } catch (error) {
    // What is no token is an answer to the verifier's question.
    if (error instanceof JoseError) return undefined;
    throw error;
  }
}

function parseId(text: string): SpiffeId | undefined {
  try {
    return parseSpiffeId(text);
  } catch (error) {
    if (error instanceof IdentityError) return undefined;
    throw error;
  }
}

/** Loading a key costs as much as half a verification, so it is loaded once as long as its bundle is in use. */
export function keyOf(authority: JwtAuthority): KeyObject | undefined {
  const known = loadedKeys.get(authority);
  if (known?.der.equals(authority.publicKeyDer)) return known.key;
  try {
    const key = createPublicKey({ key: authority.publicKeyDer, format: 'der', type: 'spki' });
    loadedKeys.set(authority, { der: Buffer.from(authority.publicKeyDer), key });
    return key;
  } catch {
    // A bundle with an unreadable key: it verifies nothing, and the answer is a refusal.
    return undefined;
  }
}

/** What the very bytes of an authority load to: it remembers, and changes no answer. */
const loadedKeys = new WeakMap<JwtAuthority, { readonly der: Buffer; readonly key: KeyObject }>();
/** 9999-12-31T23:59:59Z, as for certificates: what lies behind is no date everywhere. */
const TIME_MAX_S = 253_402_300_799;
/** Each is compared; real tokens have one or two. */
const AUDIENCES_MAX = 64;
