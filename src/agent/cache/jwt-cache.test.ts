import { parseTrustDomain, spiffeIdOf } from '@countersign/sdk/identity';
import { beforeEach, describe, expect, it } from 'vitest';
import { createManualClock, createSeededRandom, createSilentLog, type ManualClock } from '../../std/index.ts';
import { createJwtCache, type JwtCache } from './jwt-cache.ts';
import type { AgentEntry } from './types.ts';

const entry: AgentEntry = {
  id: 'e1',
  spiffeId: spiffeIdOf(parseTrustDomain('example.org'), '/web'),
  selectors: [],
  federatesWith: [],
  hint: '',
  createdAtS: 1,
  revision: 0,
  prefetch: true,
  uniqueJwt: false,
};

describe('the JWT cache', () => {
  let clock: ManualClock;
  let jwts: JwtCache;
  let issued: { audience: readonly string[]; patient: boolean }[];
  let away: boolean;
  const signal = new AbortController().signal;

  beforeEach(() => {
    clock = createManualClock(Date.UTC(2026, 0, 1));
    issued = [];
    away = false;
    jwts = createJwtCache({
      clock,
      random: createSeededRandom('jwt'),
      log: createSilentLog(),
      tokensMax: 3,
      async issue(_entry, audience, patient) {
        issued.push({ audience, patient });
        if (away) throw new Error('connection refused');
        const issuedAtMs = clock.now();
        return { token: `token-${issued.length}`, keyId: 'k1', issuedAtMs, expiresAtMs: issuedAtMs + 300_000 };
      },
      onChange: () => {},
    });
  });

  const fetch = (...audience: string[]) => jwts.fetch(entry, audience, signal).then(({ token }) => token);

  it('gives the same token for the same audiences in any order', async () => {
    expect(await fetch('a', 'b')).toBe('token-1');
    expect(await fetch('b', 'a', 'b')).toBe('token-1');
    expect(await fetch('a')).toBe('token-2');
  });

  it('asks once for callers who come together', async () => {
    expect(await Promise.all([fetch('a'), fetch('a')])).toEqual(['token-1', 'token-1']);
    expect(issued).toHaveLength(1);
  });

  it('refreshes from half of the life on, impatiently', async () => {
    await fetch('a');
    await clock.advance(170_000);
    expect(await fetch('a')).toBe('token-2');
    expect(issued[1]?.patient).toBe(false);
  });

  it('falls back to a token that is still valid, and to nothing once it has expired', async () => {
    await fetch('a');
    away = true;
    await clock.advance(170_000);
    expect(await fetch('a')).toBe('token-1');
    await clock.advance(130_000);
    await expect(fetch('a')).rejects.toThrow('connection refused');
  });

  it('forgets the tokens of a key that verifies no longer', async () => {
    await fetch('a');
    jwts.retain(new Set(['k2']));
    expect(await fetch('a')).toBe('token-2');
  });

  it('does not keep a token that was on its way when its key was recalled', async () => {
    const early = fetch('a');
    jwts.retain(new Set(['k2']));
    await early;
    expect(await fetch('a')).toBe('token-2');
  });

  it('holds no more than it may, the longest unused going first', async () => {
    for (const audience of ['a', 'b', 'c']) await fetch(audience);
    await fetch('a');
    await fetch('d');
    expect(jwts.snapshot()).toHaveLength(3);
    expect(await fetch('a')).toBe('token-1');
    expect(await fetch('b')).toBe('token-5');
  });

  it('caches nothing for an entry whose tokens are each unique', async () => {
    const unique = { ...entry, uniqueJwt: true };
    const tokens = [await jwts.fetch(unique, ['a'], signal), await jwts.fetch(unique, ['a'], signal)];
    expect(tokens.map(({ token }) => token)).toEqual(['token-1', 'token-2']);
    expect(jwts.snapshot()).toEqual([]);
  });
});
