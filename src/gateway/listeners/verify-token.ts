import type { SpiffeId } from '@countersign/sdk/identity';
import type { Clock } from '../../std/index.ts';
import { createVerifiedTokenCache, JWT_LEEWAY_S, type JwtSvidReason } from '../../wire/jose/index.ts';
import type { GatewayIdentity } from '../identity.ts';

/** Who a JWT-SVID says that its bearer is; it was verified. */
export interface Bearer {
  readonly identity: SpiffeId;
  /** Of the authority that has signed it. */
  readonly keyId: string;
  /** When it stops to count, clocks that differ taken in: epoch seconds. */
  readonly expiresAtS: number;
}

/** Verifies tokens by the bundles of now. */
export interface TokenVerifier {
  /** Whose that token is for that audience, or why it proves nothing: a sentence that does not repeat it. */
  verify(token: string, audience: string): Bearer | string;
}

/**
 * Creates it. What costs little is looked at first; the signature of a token that was good is verified once as long as its key stays in the
 * bundle, and nothing is kept of others. Without bundles nothing is good, nor without an identity: whoever has none any more is not told of
 * keys that were withdrawn.
 */
export function createTokenVerifier(deps: {
  readonly clock: Clock;
  readonly identity: Pick<GatewayIdentity, 'current' | 'jwtAuthorities'>;
}): TokenVerifier {
  const { clock, identity } = deps;
  const cache = createVerifiedTokenCache({ entriesMax: TOKENS_KEPT_MAX });
  return {
    verify(token, audience) {
      if (token.length > TOKEN_CHARACTERS_MAX) return `the token is longer than ${TOKEN_CHARACTERS_MAX} characters`;
      const nowMs = clock.now();
      const authorities = (trustDomain: SpiffeId['trustDomain']) =>
        identity.current() === undefined ? undefined : identity.jwtAuthorities?.(trustDomain);
      const result = cache.verify({ token, audience, authorities, nowMs });
      if (!result.ok) return SENTENCES[result.reason];
      const { id, audience: audiences, expiresAtS, keyId } = result.svid;
      // Each of them could use it here: whoever gets it there would be whoever it was issued to.
      if (audiences.length > 1) return 'the token is for more than one audience; it must be for this target alone';
      if (expiresAtS - nowMs / 1000 > LIFE_S_MAX) return `the token is good for more than ${LIFE_S_MAX / 3_600} hours`;
      return { identity: id, keyId, expiresAtS: expiresAtS + JWT_LEEWAY_S };
    },
  };
}

const SENTENCES: Readonly<Record<JwtSvidReason, string>> = {
  malformed: 'it is no JWT-SVID',
  'bad-subject': 'it is no JWT-SVID: its subject is no SPIFFE ID of a workload',
  'bad-claims': 'it is no JWT-SVID: aud or exp is missing, or a time is none',
  'unknown-trust-domain': 'its trust domain is not trusted here',
  'unknown-key': 'no authority of its trust domain has the key that it names',
  'key-expired': 'the key that it names has expired',
  'algorithm-mismatch': 'its algorithm is not that of the key that it names',
  'bad-signature': 'its signature is wrong',
  expired: 'the token has expired',
  'not-yet-valid': 'the token is not valid yet',
  'wrong-audience': 'the token is for another audience',
};
/** With the largest of them 8 MB. Only tokens that are good are kept. */
const TOKENS_KEPT_MAX = 1_000;
/** JWT-SVIDs have some 600. */
const TOKEN_CHARACTERS_MAX = 8_192;
/** Agents fetch new ones every few minutes; what is good for days is a password. */
const LIFE_S_MAX = 24 * 3_600;
