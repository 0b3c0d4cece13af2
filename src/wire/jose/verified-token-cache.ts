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
  const entries = new Map<string, Entry>();
  return {
    verify(request) {
      const { token } = request;
      const dot =
        token[token.length - ES256_CHARACTERS - 1] === '.'
          ? token.length - ES256_CHARACTERS - 1
          : token.lastIndexOf('.');
      // Found by a digest of the signature: the cache must not be a store of usable tokens. Hashing all of it costs twice as much.
      const digest = hash('sha256', token.slice(dot + 1), 'binary');
      const known = entries.get(digest);
      if (known !== undefined && token.slice(0, dot) === known.signed) {
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
        entries.set(digest, { signed: copyOf(token.slice(0, dot)), svid: result.svid, authority });
      }
      return result;
    },
    get size() {
      return entries.size;
    },
  };
}

interface Entry {
  /** The token up to its signature, which is no secret: header and claims. */
  readonly signed: string;
  readonly svid: JwtSvid;
  readonly authority: JwtAuthority;
}

/** A part of a string may be kept as a view of the whole: of a token that would be all of it. */
function copyOf(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}

/** Bundles stay the same objects until they change; one that was loaded again is compared by its bytes. */
function isSameKey(one: JwtAuthority, other: JwtAuthority): boolean {
  return one === other || one.publicKeyDer.equals(other.publicKeyDer);
}

/** Length of an ES256 signature in base64url, which most tokens have: to look there first is a sixteenth of what a lookup costs. */
const ES256_CHARACTERS = 86;
