import type { AuthorityOptions } from './authority.ts';
import { AuthorityError } from './errors.ts';

/**
 * Checks lifetimes and the server's id. An SVID lives at most a sixth of its authority, or rotation would cut SVIDs short.
 * @throws AuthorityError ERR_AUTHORITY_OPTIONS
 */
export function checkOptions(options: AuthorityOptions): void {
  const { caTtlMs, x509SvidTtlMs, jwtSvidTtlMs, serverId } = options;
  if (!(caTtlMs >= CA_TTL_MS_MIN && caTtlMs <= CA_TTL_MS_MAX)) {
    throw new AuthorityError(
      'ERR_AUTHORITY_OPTIONS',
      `the life of an authority is 10 minutes to 10 years, not ${caTtlMs} ms`,
    );
  }
  for (const [name, ttlMs] of Object.entries({ x509SvidTtlMs, jwtSvidTtlMs })) {
    if (!(ttlMs >= SVID_TTL_MS_MIN && ttlMs <= caTtlMs / 6)) {
      throw new AuthorityError(
        'ERR_AUTHORITY_OPTIONS',
        `${name} is 10 seconds to a sixth of the authority's life (${Math.floor(caTtlMs / 6)} ms), not ${ttlMs} ms`,
      );
    }
  }
  if (!/^[a-z0-9-]{1,64}$/.test(serverId)) {
    throw new AuthorityError('ERR_AUTHORITY_OPTIONS', 'a server id is 1 to 64 of a-z, 0-9 and dash');
  }
}

/** Rotation is looked at every ten seconds: a sixth of this is ten such looks. */
const CA_TTL_MS_MIN = 10 * 60_000;
const CA_TTL_MS_MAX = 10 * 365 * 86_400_000;
const SVID_TTL_MS_MIN = 10_000;
