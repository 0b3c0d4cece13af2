import { parseTrustDomain, spiffeIdOf } from '@countersign/sdk/identity';
import { beforeEach, describe, expect, it } from 'vitest';
import { createManualClock, createSeededRandom, type ManualClock } from '../../std/index.ts';
import { createTestAuthority, type TestAuthority } from '../testing/test-authority.ts';
import { createSvidCache, type SvidCache } from './svid-cache.ts';
import type { AgentEntry, X509Svid } from './types.ts';

const trustDomain = parseTrustDomain('example.org');
const uid = (n: number) => [{ type: 'unix', value: `uid:${n}` }];

describe('the SVID cache', () => {
  let clock: ManualClock;
  let authority: TestAuthority;
  let cache: SvidCache;
  let changes: number;

  beforeEach(() => {
    clock = createManualClock(Date.UTC(2026, 0, 1));
    const random = createSeededRandom('cache');
    authority = createTestAuthority({ clock, random, trustDomain });
    changes = 0;
    cache = createSvidCache({ clock, random, trustDomain, svidsMax: 3, onChange: () => changes++ });
    cache.applyBundles(authority.bundle(1), new Map());
  });

  function entry(n: number, rest: Partial<AgentEntry> = {}): AgentEntry {
    return {
      id: `e${n}`,
      spiffeId: spiffeIdOf(trustDomain, `/w${n}`),
      selectors: uid(n),
      federatesWith: [],
      hint: '',
      createdAtS: n,
      revision: 0,
      prefetch: true,
      uniqueJwt: false,
      ...rest,
    };
  }

  function mint(of: AgentEntry, ttlS = 3600, by = authority): X509Svid {
    const { chainDer, keyDer, expiresAtS } = by.issueWithKey(of.spiffeId.path, ttlS);
    const times = { issuedAtMs: clock.now(), expiresAtMs: expiresAtS * 1000 };
    return { entryId: of.id, spiffeId: of.spiffeId, chainDer, keyDer, revision: of.revision, ...times };
  }

  const dueIds = () => cache.due().map(({ id }) => id);

  it('is not ready before it was filled, so that nobody is told "no identity" too early', () => {
    expect(cache.ready()).toBe(false);
    cache.applyEntries([]);
    expect(cache.ready()).toBe(true);
    cache.clear();
    expect(cache.ready()).toBe(false);
  });

  it('mints ahead of need only while there is room, and always for subscribers, first', () => {
    const entries = [1, 2, 3, 4, 5].map((n) => entry(n));
    cache.applyEntries(entries);
    expect(dueIds()).toHaveLength(3);
    const subscription = cache.subscribe(uid(1));
    expect(dueIds()[0]).toBe('e1');
    subscription.close();
  });

  it('never evicts what somebody is subscribed to, and otherwise the longest unused', () => {
    const entries = [1, 2, 3, 4, 5].map((n) => entry(n));
    cache.applyEntries(entries);
    const subscription = cache.subscribe(uid(1));
    for (const each of entries) cache.put(mint(each));
    cache.match(uid(4));
    cache.publish();
    expect(cache.svids().map(({ entryId }) => entryId)).toEqual(expect.arrayContaining(['e1', 'e4']));
    expect(cache.svids()).toHaveLength(3);
    subscription.close();
  });

  it('does not mint what it has evicted all over again', () => {
    const entries = [1, 2, 3, 4].map((n) => entry(n));
    cache.applyEntries(entries);
    for (const each of entries) cache.put(mint(each));
    cache.publish();
    expect(dueIds()).toEqual([]);
  });

  it('renews at half of the life, ten percent of that sooner or later', async () => {
    const one = entry(1);
    cache.applyEntries([one]);
    cache.put(mint(one, 1000));
    await clock.advance(449_000);
    expect(dueIds()).toEqual([]);
    await clock.advance(102_000);
    expect(dueIds()).toEqual(['e1']);
  });

  it('never shows an expired SVID, also when the clock was only set forward', () => {
    const one = entry(1);
    cache.applyEntries([one]);
    cache.put(mint(one, 60));
    const subscription = cache.subscribe(uid(1));
    expect(subscription.view().identities).toHaveLength(1);
    clock.step(60_000);
    expect(subscription.view().identities).toEqual([]);
    expect(cache.match(uid(1)).identities).toEqual([]);
    expect(cache.svids()).toEqual([]);
  });

  it('keeps the SVID of a changed entry until the new one is here, but drops it when the identity is another', () => {
    cache.applyEntries([entry(1)]);
    cache.put(mint(entry(1)));
    cache.applyEntries([entry(1, { revision: 1 })]);
    expect(cache.match(uid(1)).identities).toHaveLength(1);
    expect(dueIds()).toEqual(['e1']);
    cache.applyEntries([entry(1, { revision: 2, spiffeId: spiffeIdOf(trustDomain, '/other') })]);
    expect(cache.match(uid(1)).identities).toEqual([]);
  });

  it('takes an entry with another creation time for another entry', () => {
    cache.applyEntries([entry(1)]);
    cache.put(mint(entry(1)));
    cache.applyEntries([entry(1, { createdAtS: 99 })]);
    expect(cache.svids()).toEqual([]);
  });

  it('renews at once an SVID that was issued for an older revision while the entry changed', () => {
    cache.applyEntries([entry(1, { revision: 1 })]);
    cache.put(mint(entry(1, { revision: 0 })));
    expect(dueIds()).toEqual(['e1']);
  });

  it('drops an SVID that comes for an entry that has gone meanwhile', () => {
    cache.applyEntries([]);
    cache.put(mint(entry(1)));
    expect(cache.svids()).toEqual([]);
  });

  it('renews at once what a tainted authority has issued, and nothing else', () => {
    const fresh = createTestAuthority({ clock, random: createSeededRandom('fresh'), trustDomain });
    cache.applyEntries([entry(1), entry(2)]);
    cache.put(mint(entry(1)));
    cache.put(mint(entry(2), 3600, fresh));
    const both = {
      ...fresh.bundle(2),
      x509Authorities: [authority.bundle(2, true), fresh.bundle(2)].flatMap((b) => b.x509Authorities),
    };
    cache.applyBundles(both, new Map());
    expect(dueIds()).toEqual(['e1']);
  });

  it('pauses after a refusal, longer each time', async () => {
    cache.applyEntries([entry(1)]);
    cache.refused('e1');
    expect(dueIds()).toEqual([]);
    await clock.advance(6_000);
    expect(dueIds()).toEqual(['e1']);
    cache.refused('e1');
    await clock.advance(6_000);
    expect(dueIds()).toEqual([]);
  });

  it('wakes a subscriber when its view changes, and only then', async () => {
    cache.applyEntries([entry(1), entry(2)]);
    const subscription = cache.subscribe(uid(1));
    let woken = 0;
    void subscription.changed(subscription.view(), new AbortController().signal).then(() => woken++);
    cache.put(mint(entry(2)));
    cache.publish();
    await clock.advance(0);
    expect(woken).toBe(0);
    cache.put(mint(entry(1)));
    cache.publish();
    await clock.advance(0);
    expect(woken).toBe(1);
  });

  it('shows the own bundle first, then those of federated domains, and lets no foreign bundle stand in for the own', () => {
    const other = parseTrustDomain('other.org');
    const foreign = { ...authority.bundle(1), trustDomain: other };
    const impostor = { ...authority.bundle(7), x509Authorities: [] };
    cache.applyEntries([entry(1, { federatesWith: [other, trustDomain] })]);
    cache.applyBundles(
      authority.bundle(2),
      new Map([
        [other, foreign],
        [trustDomain, impostor],
      ]),
    );
    expect(cache.match(uid(1)).bundles.map((bundle) => bundle.trustDomain)).toEqual([trustDomain, other]);
    expect(cache.bundle(trustDomain)?.x509Authorities).toHaveLength(1);
  });

  it('says that it changed only when it did', () => {
    cache.applyEntries([entry(1)]);
    const before = changes;
    cache.applyEntries([...cache.entries().values()]);
    cache.applyBundles(authority.bundle(1), new Map());
    expect(changes).toBe(before);
  });
});
