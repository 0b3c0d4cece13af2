import { hash } from 'node:crypto';
import type { JwtAuthority } from '../../model/index.ts';
import {
  authorityOf,
  type JwtSvid,
  type JwtSvidOptions,
  type JwtSvidResult,
  timeAndAudienceFault,
  verifyJwtSvid,
} from './verify-jwt-svid.ts';

/** Remembers tokens whose signature was verified, so that the same token again costs one hash. */
export interface VerifiedTokenCache {
  /**
   * As {@link verifyJwtSvid}. Time, audience and the presence of the very key that verified the signature are checked on every call:
   * a token dies with its `exp`, and as soon as its key leaves the bundle or is replaced under the same name.
   */
  verify(options: JwtSvidOptions): JwtSvidResult;
  readonly size: number;
}

/** Creates a cache of at most `entriesMax` tokens; when full, the oldest entry goes. Refusals are not kept. */
export function createVerifiedTokenCache(options: { readonly entriesMax: number }): VerifiedTokenCache {
  const entries = new Map<string, { readonly svid: JwtSvid; readonly authority: JwtAuthority }>();
  return {
    verify(request) {
      // The digest is the key, not the token: the cache must not be a store of usable tokens.
      const digest = hash('sha256', request.token, 'binary');
      const known = entries.get(digest);
      if (known) {
        const authority = authorityOf(known.svid, request);
        if (typeof authority !== 'string' && isSameKey(authority, known.authority)) {
          const fault = timeAndAudienceFault(known.svid, request);
          if (!fault) return { ok: true, svid: known.svid, tainted: authority.tainted };
          if (fault === 'expired') entries.delete(digest);
          return { ok: false, reason: fault };
        }
        entries.delete(digest);
      }
      const result = verifyJwtSvid(request);
      if (!result.ok) return result;
      const authority = authorityOf(result.svid, request);
      if (typeof authority !== 'string') {
        const [oldest] = entries.keys();
        if (entries.size >= options.entriesMax && oldest !== undefined) entries.delete(oldest);
        entries.set(digest, { svid: result.svid, authority });
      }
      return result;
    },
    get size() {
      return entries.size;
    },
  };
}

/** Bundles stay the same objects until they change; one that was loaded again is compared by its bytes. */
function isSameKey(one: JwtAuthority, other: JwtAuthority): boolean {
  return one === other || one.publicKeyDer.equals(other.publicKeyDer);
}
