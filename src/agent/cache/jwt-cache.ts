import { type Clock, type Log, messageOf, type Random, raceAbort } from '../../std/index.ts';
import { halfLifeMs } from '../backoff.ts';
import type { AgentEntry, JwtSvid } from './types.ts';

/** JWT-SVIDs by SPIFFE ID and audiences. */
export interface JwtCache {
  /**
   * A token that has not expired: from the cache in the first half of its life, else freshly issued; when the server can't be
   * asked, the cached one as long as it is valid. Rejects as `issue` did when there is none.
   */
  fetch(entry: AgentEntry, audience: readonly string[], signal: AbortSignal): Promise<JwtSvid>;
  /** What `fetch` would give at once: a cached token in the first half of its life. */
  fresh(entry: AgentEntry, audience: readonly string[]): JwtSvid | undefined;
  /** Forgets tokens whose key verifies no longer (tainted or gone from the bundle). */
  retain(keyIds: ReadonlySet<string>): void;
  /** Forgets the tokens of those identities, and what is on its way. */
  forget(isRevoked: (spiffeId: string) => boolean): void;
  /** What may be kept for a restart. */
  snapshot(): { readonly key: string; readonly svid: JwtSvid }[];
  restore(key: string, svid: JwtSvid): void;
  clear(): void;
}

/** Creates a {@link JwtCache} of at most `tokensMax` tokens, the least recently used going first. */
export function createJwtCache(deps: {
  clock: Clock;
  random: Random;
  log: Log;
  tokensMax: number;
  /** Asks the server; `patient` is false when a valid token is at hand, so a short wait will do. */
  issue: (entry: AgentEntry, audience: readonly string[], patient: boolean) => Promise<JwtSvid>;
  onChange: () => void;
}): JwtCache {
  const { clock } = deps;
  const tokens = new Map<string, { svid: JwtSvid; refreshAtMs: number }>();
  const underWay = new Map<string, Promise<JwtSvid>>();
  let epoch = 0;

  const keep = (key: string, svid: JwtSvid): void => {
    tokens.delete(key);
    tokens.set(key, { svid, refreshAtMs: halfLifeMs(deps.random, svid.issuedAtMs, svid.expiresAtMs) });
    for (const oldest of tokens.keys()) {
      if (tokens.size <= deps.tokensMax) break;
      tokens.delete(oldest);
    }
  };

  const issueOnce = (key: string, entry: AgentEntry, audience: readonly string[], patient: boolean) => {
    const running = underWay.get(key);
    if (running) return running;
    const startedIn = epoch;
    const work = deps
      .issue(entry, audience, patient)
      .then((svid) => {
        // A key found tainted, or a node banned, while this was on its way: the answer is not kept.
        if (epoch === startedIn) keep(key, svid);
        deps.onChange();
        return svid;
      })
      .finally(() => underWay.delete(key));
    work.catch(() => {}); // Whoever waits hears of it; when all have given up, nobody needs to.
    underWay.set(key, work);
    return work;
  };

  /** A token that has not expired, which is then the most recently used. */
  const use = (key: string) => {
    const cached = tokens.get(key);
    if (cached === undefined || clock.now() >= cached.svid.expiresAtMs) return undefined;
    tokens.delete(key);
    tokens.set(key, cached);
    return cached;
  };
  const isFresh = ({ refreshAtMs }: { refreshAtMs: number }) => clock.now() < refreshAtMs;

  return {
    fresh(entry, audience) {
      if (entry.uniqueJwt) return undefined;
      const cached = use(cacheKey(entry, audience));
      return cached && isFresh(cached) ? cached.svid : undefined;
    },
    async fetch(entry, audience, signal) {
      const key = cacheKey(entry, audience);
      if (entry.uniqueJwt) return raceAbort(deps.issue(entry, audience, true), signal);
      const cached = use(key);
      if (cached && isFresh(cached)) return cached.svid;
      const usable = cached !== undefined;
      try {
        return await raceAbort(issueOnce(key, entry, audience, !usable), signal);
      } catch (error) {
        const still = tokens.get(key);
        if (signal.aborted || !still || clock.now() >= still.svid.expiresAtMs) throw error;
        deps.log.warn('agent.jwt.refresh_failed', { spiffeId: entry.spiffeId.uri, problem: messageOf(error) });
        return still.svid;
      }
    },
    retain(keyIds) {
      epoch++;
      for (const [key, { svid }] of tokens) if (!keyIds.has(svid.keyId)) tokens.delete(key);
    },
    forget(isRevoked) {
      epoch++;
      for (const key of tokens.keys()) if (isRevoked(spiffeIdOf(key))) tokens.delete(key);
      deps.onChange();
    },
    snapshot: () =>
      [...tokens].filter(([, { svid }]) => clock.now() < svid.expiresAtMs).map(([key, { svid }]) => ({ key, svid })),
    restore: keep,
    clear() {
      tokens.clear();
      epoch++;
    },
  };
}

/** SPIFFE ID and audiences, whatever order they were asked in. */
function cacheKey(entry: AgentEntry, audience: readonly string[]): string {
  const names = audience.length === 1 ? audience : [...new Set(audience)].toSorted();
  return JSON.stringify([entry.spiffeId.uri, ...names]);
}

function spiffeIdOf(key: string): string {
  const [uri] = JSON.parse(key) as [string]; // As made above.
  return uri;
}
