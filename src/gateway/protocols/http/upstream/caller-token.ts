import { createPrivateKey } from 'node:crypto';
import type { SpiffeId } from '@countersign/sdk/identity';
import type { Clock } from '../../../../std/index.ts';
import { signJws } from '../../../../wire/jose/index.ts';
import type { CurrentIdentity, GatewayIdentity } from '../../../identity.ts';

/** Name of the field that tells an upstream who calls; nobody else's of that name goes on. */
export const CALLER_FIELD = 'x-countersign-identity';

/** What tells an upstream, provably, on whose behalf a request comes. */
export interface CallerTokens {
  /**
   * A JWT (RFC 7519) that says it of that identity: `iss` this gateway, `sub` the caller, `aud` the target's name, a minute of life; signed by the gateway's
   * SVID, whose chain stands in the header as `x5c` (RFC 7515 §4.1.6). Undefined while the gateway has no SVID with a key that tokens are signed by.
   */
  of(caller: SpiffeId): string | undefined;
}

/** Creates them for the target of that name. Each is used for half of its life, so that one that is on its way is valid when it comes. */
export function createCallerTokens(deps: {
  readonly target: string;
  readonly identity: Pick<GatewayIdentity, 'current'>;
  readonly clock: Clock;
}): CallerTokens {
  const { target, identity, clock } = deps;
  const known = new Map<string, { readonly token: string; readonly by: CurrentIdentity; readonly fromMs: number }>();
  return {
    of(caller) {
      const by = identity.current();
      if (by === undefined) return undefined;
      const found = known.get(caller.uri);
      const now = clock.monotonicMs();
      if (found?.by === by && now - found.fromMs < LIFE_S * 500) return found.token;
      const token = sign(by, { caller, target, nowS: Math.floor(clock.now() / 1000) });
      if (token === undefined) return undefined;
      if (known.size >= KNOWN_MAX) known.clear();
      known.set(caller.uri, { token, by, fromMs: now });
      return token;
    },
  };
}

function sign(
  by: CurrentIdentity,
  { caller, target, nowS }: { readonly caller: SpiffeId; readonly target: string; readonly nowS: number },
): string | undefined {
  const key = createPrivateKey({ key: by.keyDer, format: 'der', type: 'pkcs8' });
  const algorithm = ALGORITHMS.get(key.asymmetricKeyDetails?.namedCurve ?? key.asymmetricKeyType ?? '');
  if (algorithm === undefined) return undefined;
  const x5c = by.chainDer.map((der) => der.toString('base64'));
  // A token outlives no SVID that it is proven by.
  const exp = Math.min(nowS + LIFE_S, by.expiresAtS);
  const claims = { aud: target, exp, iat: nowS, iss: by.id.uri, sub: caller.uri };
  const input = `${encoded({ alg: algorithm, typ: 'JWT', x5c })}.${encoded(claims)}`;
  const signature = signJws(algorithm, key, Buffer.from(input, 'latin1'));
  return `${input}.${signature.toString('base64url')}`;
}

function encoded(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

const LIFE_S = 60;
/** Callers of one target at a time; more are told anew. */
const KNOWN_MAX = 1_000;
const ALGORITHMS: ReadonlyMap<string, 'ES256' | 'ES384' | 'RS256'> = new Map([
  ['prime256v1', 'ES256'],
  ['secp384r1', 'ES384'],
  ['rsa', 'RS256'],
]);
