import { parseSpiffeId, parseTrustDomain, spiffeIdOf } from '@countersign/sdk/identity';
import { beforeEach, describe, expect, it } from 'vitest';
import { createKnownRevocations, type KnownRevocations } from '../../known-revocations/index.ts';
import type { Revocation } from '../../model/index.ts';
import { createManualClock, createSeededRandom, createSilentLog, type ManualClock, sha256 } from '../../std/index.ts';
import { parseCertificate } from '../../wire/x509/index.ts';
import { createJwtCache } from '../cache/jwt-cache.ts';
import { createSvidCache, type SvidCache } from '../cache/svid-cache.ts';
import type { AgentEntry, X509Svid } from '../cache/types.ts';
import { createTestAuthority, type TestAuthority } from '../testing/test-authority.ts';
import { createOpenWorks } from './open-work.ts';
import { createRevoked, type Revoked } from './revoked.ts';

// Goal: who is revoked gets nothing of the agent, nothing of his is kept, and what he has open ends; others notice nothing.

const DOMAIN = parseTrustDomain('example.org');
const NODE = 'spiffe://example.org/spire/agent/join_token/1';
const SELECTORS = [{ type: 'unix', value: 'uid:1' }];

let clock: ManualClock;
let authority: TestAuthority;
let known: KnownRevocations;
let revoked: Revoked;
let cache: SvidCache;
let sequence: number;

beforeEach(() => {
  clock = createManualClock(Date.UTC(2026, 0, 1));
  sequence = 0;
  known = createKnownRevocations({ clock, log: createSilentLog() });
  revoked = createRevoked(known, () => NODE);
  const random = createSeededRandom('revoked');
  authority = createTestAuthority({ clock, random, trustDomain: DOMAIN });
  cache = createSvidCache({
    ...{ clock, random, trustDomain: DOMAIN, svidsMax: 10, onChange() {} },
    ...{ isRevoked: revoked.entry, isKeyRevoked: revoked.svid },
  });
  cache.applyBundles(authority.bundle(1), new Map());
});

function now(...subjects: readonly Revocation['subject'][]) {
  const revocations = subjects.map((subject, index): Revocation => {
    return {
      ...{ id: `r${index}`, subject, mode: 'revoked', allow: [], running: 'end', reason: '', by: 'ann' },
      ...{ sequence: index + 1, atMs: 0 },
    };
  });
  sequence += 10;
  known.take({ incarnation: 'a', sequence, mark: 'm', issuedAtMs: 0, revocations }, clock.monotonicMs());
  cache.dropRevoked();
  cache.publish();
}

function entry(id: string, path: string): AgentEntry {
  return {
    ...{ id, spiffeId: spiffeIdOf(DOMAIN, path), selectors: SELECTORS, federatesWith: [], hint: '', createdAtS: 1 },
    ...{ revision: 0, prefetch: true, uniqueJwt: false },
  };
}

function mint({ id, spiffeId }: AgentEntry): X509Svid {
  const { chainDer, keyDer, expiresAtS } = authority.issueWithKey(spiffeId.path, 3600);
  const times = { issuedAtMs: clock.now(), expiresAtMs: expiresAtS * 1000 };
  return { entryId: id, spiffeId, chainDer, keyDer, revision: 0, ...times };
}

const shown = () => cache.match(SELECTORS).identities.map(({ entry: { id } }) => id);
const due = () => cache.due().map(({ id }) => id);

describe('a revoked entry', () => {
  const [web, batch] = [entry('web', '/web'), entry('batch', '/batch')];
  beforeEach(() => {
    cache.applyEntries([web, batch]);
    for (const one of [web, batch]) cache.put(mint(one));
  });

  it.each<[string, Revocation['subject']]>([
    ['by its identity', { kind: 'identity', spiffeId: 'spiffe://example.org/web' }],
    ['by itself', { kind: 'entry', entryId: 'web', spiffeId: 'spiffe://example.org/web' }],
  ])('%s is shown to nobody, its SVID is not kept and none is asked for, until it is lifted', (_, subject) => {
    now(subject);
    expect([shown(), due()]).toEqual([['batch'], []]);
    expect(cache.svids().map(({ entryId }) => entryId)).toEqual(['batch']);
    cache.put(mint(web)); // It was on its way.
    now();
    expect([cache.match(SELECTORS).matched.map(({ id }) => id), shown(), due()]).toEqual([
      ...[['batch', 'web'], ['batch'], ['web']],
    ]);
  });

  it('is no other entry of its SPIFFE ID', () => {
    const twin = entry('twin', '/web');
    cache.applyEntries([web, twin]);
    cache.put(mint(twin));
    now({ kind: 'entry', entryId: 'web', spiffeId: 'spiffe://example.org/web' });
    expect(shown()).toEqual(['twin']);
  });

  it('wakes those who follow it', async () => {
    const subscription = cache.subscribe(SELECTORS);
    const changed = subscription.changed(subscription.view(), new AbortController().signal);
    now({ kind: 'identity', spiffeId: 'spiffe://example.org/web' });
    await changed;
    expect(subscription.view().matched.map(({ id }) => id)).toEqual(['batch']);
  });

  it('by a label that its identity belongs to is known here too, and for what it is', () => {
    const revocation: Revocation = {
      ...{ id: 'r7', subject: { kind: 'label', name: 'team', value: 'red' }, mode: 'revoked', allow: [] },
      ...{ running: 'end', members: ['spiffe://example.org/web'], reason: '', by: 'ann', sequence: 1, atMs: 0 },
    };
    known.take({ incarnation: 'a', sequence: 1, mark: 'm', issuedAtMs: 0, revocations: [revocation] }, 0);
    cache.dropRevoked();
    expect(shown()).toEqual(['batch']);
    expect(cache.hidden(SELECTORS).map(({ id }) => id)).toEqual(['web']);
    const process = { pid: 7, startTime: '1' };
    expect(revoked.barred(process, cache.hidden(SELECTORS))).toMatchObject({ reason: 'revoked', revocation: 'r7' });
    expect(revoked.barred(process, [batch])).toBeUndefined();
  });

  it('is each of a revoked node', () => {
    now({ kind: 'node', nodeId: NODE });
    expect([shown(), revoked.node()]).toEqual([[], true]);
  });

  it('of which the key alone is revoked gets another one', () => {
    const [leaf = Buffer.alloc(0)] = cache.svids().find(({ entryId }) => entryId === 'web')?.chainDer ?? [];
    now({ kind: 'key', thumbprint: sha256(parseCertificate(leaf).spkiDer).toString('hex') });
    expect([shown(), due()]).toEqual([['batch'], ['web']]);
    cache.put(mint(web));
    expect(shown()).toEqual(['batch', 'web']);
  });
});

it('tokens of a revoked identity are not kept, nor one that was on its way', async () => {
  const answers: ((token: string) => void)[] = [];
  const jwts = createJwtCache({
    ...{ clock, random: createSeededRandom('jwt'), log: createSilentLog(), tokensMax: 10, onChange() {} },
    issue: () =>
      new Promise((resolve) =>
        answers.push((token) =>
          resolve({ token, keyId: 'k', issuedAtMs: clock.now(), expiresAtMs: clock.now() + 300_000 }),
        ),
      ),
  });
  const [web, batch] = [entry('web', '/web'), entry('batch', '/batch')];
  const { signal } = new AbortController();
  const first = [jwts.fetch(web, ['a'], signal), jwts.fetch(batch, ['a'], signal)];
  for (const answer of answers.splice(0)) answer('t');
  await Promise.all(first);
  const late = jwts.fetch(web, ['b'], signal);
  jwts.forget((uri) => uri === web.spiffeId.uri);
  answers[0]?.('late');
  await late;
  expect(jwts.snapshot().map(({ key }) => key)).toEqual([JSON.stringify([batch.spiffeId.uri, 'a'])]);
});

describe('what a revoked process has open', () => {
  it('is ended from here when nobody has ended it in time, and over when it is', async () => {
    const open = createOpenWorks({ clock, graceMs: 500 });
    const ended: string[] = [];
    const process = { pid: 7, startTime: '100' };
    const closed = open.add({ isRevoked: () => revoked.process(process), end: () => void ended.push('seven') });
    open.add({ isRevoked: () => revoked.process({ pid: 7, startTime: '9' }), end: () => void ended.push('other') });
    await open.over();
    now({ kind: 'instance', nodeId: NODE, ...process });
    open.look();
    let isOver = false;
    const over = open.over().then(() => {
      isOver = true;
    });
    await clock.advance(499);
    expect([ended, isOver]).toEqual([[], false]);
    await clock.advance(1);
    expect(ended).toEqual(['seven']);
    closed();
    await over;
    expect(isOver).toBe(true);
  });
});

it('a quarantine leaves identities with their workloads', () => {
  const quarantine: Revocation = {
    ...{ id: 'r', subject: { kind: 'identity', spiffeId: 'spiffe://example.org/web' }, mode: 'quarantined', allow: [] },
    ...{ running: 'end', reason: '', by: 'ann', sequence: 1, atMs: 0 },
  };
  known.take({ incarnation: 'a', sequence: 1, mark: 'm', issuedAtMs: 0, revocations: [quarantine] }, 0);
  expect(revoked.entry({ id: 'web', spiffeId: parseSpiffeId('spiffe://example.org/web') })).toBe(false);
});
