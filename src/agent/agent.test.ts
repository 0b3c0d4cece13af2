import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PermissionDeniedDetails_Reason as Reason } from '@countersign/sdk/contract/gen/spire/api/types/status_pb.ts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Code, RpcError } from '../rpc/index.ts';
import { encodePem, parseCertificate, splitCertificates } from '../wire/x509/index.ts';
import { createAgent } from './index.ts';
import { createHarness, type Harness, type X509Stream } from './testing/harness.ts';
import { createTestAuthority } from './testing/test-authority.ts';

const WEB = { id: 'e1', path: '/web', selectors: ['unix:uid:1000'] };

let h: Harness;
beforeEach(async () => {
  h = await createHarness();
  h.server.entries.set('e1', WEB);
});
afterEach(() => h.close());

function serialOf(stream: X509Stream, index: number): string {
  const [leaf] = splitCertificates(Buffer.from(stream.messages[index]?.svids[0]?.x509Svid ?? []));
  return leaf ? parseCertificate(leaf).serial : '';
}

async function openStream(): Promise<X509Stream> {
  const stream = h.watchX509(h.connect());
  await h.until(() => stream.messages.length > 0 || stream.ended);
  return stream;
}

describe('the first SVID', () => {
  it('comes with the first sync: a fresh stream waits for no second poll', async () => {
    await h.startAgent();
    const stream = await openStream();
    expect(stream.messages[0]?.svids[0]?.spiffeId).toBe('spiffe://example.org/web');
    expect(h.clock.monotonicMs()).toBeLessThan(3_000);
  });

  it('comes at once for an entry that was made after the last sync, without push', async () => {
    h.server.push = false;
    h.server.entries.clear();
    await h.startAgent();
    await h.until(() => h.agent().counters.syncs === 1);
    h.server.entries.set('e1', WEB);
    const beganMs = h.clock.monotonicMs();
    const stream = await openStream();
    expect(stream.messages).toHaveLength(1);
    expect(h.clock.monotonicMs() - beganMs).toBeLessThan(2_000);
  });
});

describe('push and poll', () => {
  it('shows a change within milliseconds of the push', async () => {
    await h.startAgent();
    const stream = await openStream();
    await h.until(() => (h.server.calls['watch'] ?? 0) >= 1);
    await h.pass(1_000);
    h.server.entries.set('e1', { ...WEB, revision: 1 });
    h.server.changed();
    await h.until(() => stream.messages.length === 2, 2_000);
    expect(serialOf(stream, 1)).not.toBe(serialOf(stream, 0));
  });

  it('polls every five seconds, give or take ten percent, a server that can not push', async () => {
    h.server.push = false;
    await h.startAgent();
    await h.until(() => h.agent().counters.syncs === 1);
    await h.pass(4_000);
    expect(h.agent().counters.syncs).toBe(1);
    await h.until(() => h.agent().counters.syncs === 2, 2_500);
  });

  it('ends a stream whose last identity was taken away, and takes one of several away at once', async () => {
    h.server.entries.set('e2', { ...WEB, id: 'e2', path: '/second', createdAtS: 2 });
    await h.startAgent();
    const stream = await openStream();
    await h.until(() => (h.server.calls['watch'] ?? 0) >= 1);
    expect(stream.messages[0]?.svids).toHaveLength(2);
    h.server.entries.delete('e1');
    h.server.changed();
    await h.until(() => stream.messages.length === 2);
    expect(stream.messages[1]?.svids.map((svid) => svid.spiffeId)).toEqual(['spiffe://example.org/second']);
    h.server.entries.delete('e2');
    h.server.changed();
    await h.until(() => stream.ended);
    expect(stream.error).toMatchObject({ code: Code.PERMISSION_DENIED, message: 'no identity issued' });
  });
});

describe('rotation', () => {
  it('renews a workload SVID at half of its life', async () => {
    h.server.svidTtlS = 100;
    await h.startAgent();
    const stream = await openStream();
    await h.pass(44_000);
    expect(stream.messages).toHaveLength(1);
    await h.until(() => stream.messages.length === 2);
    expect(h.clock.monotonicMs()).toBeLessThan(65_000);
  });

  it('renews what a tainted authority issued, and shows the new bundle', async () => {
    await h.startAgent();
    const stream = await openStream();
    await h.until(() => (h.server.calls['watch'] ?? 0) >= 1);
    const old = h.server.authority;
    const { clock } = h;
    const trustDomain = h.config.trustDomain;
    const random = { bytes: (count: number) => Buffer.alloc(count, 7), fraction: () => 0.5 };
    h.server.authority = createTestAuthority({ clock, random, trustDomain });
    h.server.tainted = [old];
    h.server.changed();
    await h.until(() => serialOf(stream, stream.messages.length - 1) !== serialOf(stream, 0));
    const roots = splitCertificates(Buffer.from(stream.messages.at(-1)?.svids[0]?.bundle ?? []));
    expect(roots.some((root) => root.equals(h.server.authority.rootDer))).toBe(true);
    expect(h.clock.monotonicMs()).toBeLessThan(5_000);
  });

  it('renews the node: by a new proof when that can be repeated, else by RenewAgent', async () => {
    // Long enough that a slow machine answers well within the second half of it, however fast the clock is moved meanwhile.
    h.server.nodeTtlS = 120;
    await h.startAgent();
    // What the agent has, not what the server was asked: that is counted before it answers.
    const attested = () => h.logged('agent.node.attested').length;
    await h.until(() => attested() >= 1);
    await h.pass(50_000);
    await h.until(() => attested() >= 2);
    h.server.reattestable = false;
    await h.pass(50_000);
    await h.until(() => attested() >= 3);
    await h.pass(50_000);
    await h.until(() => h.logged('agent.node.renewed').length >= 1);
    const syncs = h.agent().counters.syncs;
    await h.until(() => h.agent().counters.syncs > syncs);
  });
});

describe('a server that is away', () => {
  it('costs open streams nothing until an SVID expires, which ends them with a reason', async () => {
    h.server.svidTtlS = 60;
    await h.startAgent();
    const stream = await openStream();
    await h.run(h.server.stop());
    await h.pass(50_000);
    expect(stream.ended).toBe(false);
    await h.until(() => stream.ended);
    expect(stream.error).toMatchObject({
      code: Code.UNAVAILABLE,
      message: 'identity expired while the server is away',
    });
    const again = await openStream();
    expect(again.error).toMatchObject({ code: Code.UNAVAILABLE });
  });

  it('or refuses everybody for long is asked again within half a minute, at moments of chance', async () => {
    h.server.attestError = new RpcError(Code.RESOURCE_EXHAUSTED, 'too many at once');
    const agent = await h.startAgent();
    const askedAtMs: number[] = [];
    for (let seen = 0; h.clock.monotonicMs() < 1_800_000; ) {
      await h.pass(500, 500);
      const asked = h.server.calls['attestAgent'] ?? 0;
      if (asked > seen) askedAtMs.push(h.clock.monotonicMs());
      seen = asked;
    }
    const pauses = askedAtMs
      .slice(-40)
      .map((atMs, n, all) => atMs - (all[n - 1] ?? atMs))
      .slice(1);
    expect(Math.max(...pauses)).toBeLessThanOrEqual(31_000);
    expect(Math.max(...pauses)).toBeGreaterThan(22_000);
    expect(Math.min(...pauses)).toBeLessThan(8_000);
    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(500);
    h.server.attestError = undefined;
    const backMs = h.clock.monotonicMs();
    await h.until(() => agent.status().ready);
    expect(h.clock.monotonicMs() - backMs).toBeLessThan(35_000);
  });

  it('is noticed as soon as it is back', async () => {
    await h.startAgent();
    await openStream();
    await h.run(h.server.stop());
    await h.until(() => h.agent().counters.syncFailures > 0);
    await h.pass(300_000, 1000);
    await h.run(h.server.start());
    const beganMs = h.clock.monotonicMs();
    const syncs = h.agent().counters.syncs;
    await h.until(() => h.agent().counters.syncs > syncs);
    expect(h.clock.monotonicMs() - beganMs).toBeLessThan(8_000);
  });

  it('does not keep a restarted agent from serving what it had, nor from noticing what expired', async () => {
    h.server.entries.set('short', { id: 'short', path: '/short', selectors: ['unix:uid:2000'], ttlS: 60 });
    await h.startAgent();
    await openStream();
    await h.run(h.agent().stop());
    await h.run(h.server.stop());
    await h.pass(61_000);
    await h.startAgent();
    const stream = await openStream();
    expect(stream.messages[0]?.svids[0]?.spiffeId).toBe('spiffe://example.org/web');
    h.selectors = ['unix:uid:2000'];
    const expired = await openStream();
    expect(expired.error).toMatchObject({ code: Code.UNAVAILABLE });
    expect(h.server.calls['attestAgent']).toBe(1);
  });

  it('is not mistaken for "no identity": an unknown process hears UNAVAILABLE', async () => {
    await h.startAgent();
    await openStream();
    await h.run(h.server.stop());
    h.selectors = ['unix:uid:3000'];
    const stream = await openStream();
    expect(stream.error).toMatchObject({ code: Code.UNAVAILABLE });
  });

  it('leaves a new agent with an open socket that answers UNAVAILABLE', async () => {
    await h.run(h.server.stop());
    await h.startAgent();
    const stream = await openStream();
    expect(stream.error).toMatchObject({ code: Code.UNAVAILABLE });
    expect(h.agent().status()).toMatchObject({
      ...{ attested: false, ready: false, targets: [], identity: undefined },
      problem: { error: { code: Code.UNAVAILABLE } },
    });
  });
});

describe('a restart', () => {
  it('takes up the sealed identity without attesting again', async () => {
    await h.startAgent();
    await openStream();
    await h.restartAgent();
    await h.until(() => h.agent().counters.syncs === 1);
    expect(h.server.calls['attestAgent']).toBe(1);
    const files = readdirSync(h.config.dataDir).toSorted();
    expect(files).toEqual(['cache.sealed', 'handover.sock', 'node.sealed', 'seal.key']);
    for (const file of files) expect(statSync(join(h.config.dataDir, file)).mode & 0o777).toBe(0o600);
  });

  it('refuses to start over a state file that was edited', async () => {
    await h.startAgent();
    await openStream();
    await h.run(h.agent().stop());
    writeFileSync(join(h.config.dataDir, 'node.sealed'), 'edited', { mode: 0o600 });
    await expect(h.startAgent()).rejects.toMatchObject({ code: 'ERR_AGENT_STATE' });
  });

  it('starts without a cache file that was edited', async () => {
    await h.startAgent();
    await openStream();
    await h.run(h.agent().stop());
    writeFileSync(join(h.config.dataDir, 'cache.sealed'), 'edited', { mode: 0o600 });
    await h.startAgent();
    expect((await openStream()).messages).toHaveLength(1);
  });
});

describe('a node that is refused', () => {
  it('stops and forgets everything when it is banned', async () => {
    await h.startAgent();
    const stream = await openStream();
    h.server.refuse = Reason.AGENT_BANNED;
    h.server.changed();
    await h.until(() => h.fatal.length > 0);
    expect(h.fatal[0]?.code).toBe('ERR_AGENT_BANNED');
    expect(stream.error).toMatchObject({ code: Code.UNAVAILABLE });
    expect(readdirSync(h.config.dataDir)).toEqual(['handover.sock', 'seal.key']);
  });

  it('proves itself again in place when it was evicted and can', async () => {
    await h.startAgent();
    const stream = await openStream();
    h.server.refuse = Reason.AGENT_NOT_ATTESTED;
    h.server.changed();
    await h.until(() => (h.server.calls['attestAgent'] ?? 0) >= 2);
    h.server.refuse = undefined;
    const syncs = h.agent().counters.syncs;
    await h.until(() => h.agent().counters.syncs > syncs);
    expect(h.fatal).toEqual([]);
    expect(stream.ended).toBe(false);
  });

  it('stops when it was evicted and its proof can not be repeated', async () => {
    h.server.reattestable = false;
    await h.startAgent();
    await openStream();
    h.server.refuse = Reason.AGENT_NOT_ATTESTED;
    h.server.changed();
    await h.until(() => h.fatal.length > 0);
    expect(h.fatal[0]).toMatchObject({ code: 'ERR_AGENT_DENIED' });
    expect(h.fatal[0]?.message).toContain('make a new token');
  });

  it('stops when its proof is denied, and tries on when it is only not understood', async () => {
    h.server.attestError = new RpcError(Code.INVALID_ARGUMENT, 'unknown token');
    await h.startAgent();
    await h.until(() => (h.server.calls['attestAgent'] ?? 0) >= 2);
    expect(h.fatal).toEqual([]);
    expect(h.agent().status()).toMatchObject({
      attested: false,
      problem: {
        error: {
          code: 'ERR_AGENT_PROOF',
          message: "the server does not take this node's proof: unknown token",
          entry: { remedy: expect.stringContaining('`countersign node token`') },
        },
      },
    });
    h.server.attestError = new RpcError(Code.PERMISSION_DENIED, 'not you');
    await h.until(() => h.fatal.length > 0);
    expect(h.fatal[0]).toMatchObject({ code: 'ERR_AGENT_DENIED' });
  });

  it('takes a proof that was put right within half a minute, however long it waited, and says seldom that it waits', async () => {
    h.server.attestError = new RpcError(Code.INVALID_ARGUMENT, 'the join token is unknown, used or expired');
    await h.startAgent();
    await h.until(() => h.logged('agent.node.proof_not_taken').length === 1);
    await h.pass(300_000, 1000);
    expect(h.server.calls['attestAgent']).toBeGreaterThan(10);
    expect(h.logged('agent.node.proof_not_taken')).toEqual([
      expect.objectContaining({ remedy: expect.stringContaining('make a new one with `countersign node token`') }),
    ]);
    await h.pass(330_000, 1000);
    expect(h.logged('agent.node.proof_not_taken')).toHaveLength(2);
    h.server.attestError = undefined;
    await h.pass(30_000, 1000);
    await h.until(() => h.agent().status().problem === undefined);
    expect(h.agent().status()).toMatchObject({ attested: true, ready: true });
  });

  it('keeps serving when the bare code says nothing about the node', async () => {
    await h.startAgent();
    const stream = await openStream();
    h.server.serials.length = 0;
    h.server.changed();
    await h.until(() => h.agent().counters.syncFailures > 0);
    await h.pass(10_000);
    expect(h.fatal).toEqual([]);
    expect(stream.ended).toBe(false);
  });
});

describe('the server must prove itself', () => {
  it('by the bootstrap bundle: another authority is not believed', async () => {
    const { clock } = h;
    const random = { bytes: (count: number) => Buffer.alloc(count, 9), fraction: () => 0.5 };
    h.server.authority = createTestAuthority({ clock, random, trustDomain: h.config.trustDomain });
    await h.startAgent();
    await h.until(() => h.agent().counters.syncFailures >= 2);
    expect(h.server.calls['attestAgent']).toBeUndefined();
  });

  it('without a bootstrap bundle by what was pinned on first use', async () => {
    h.config = { ...h.config, bootstrap: { insecure: true } };
    await h.startAgent();
    await openStream();
    await h.run(h.agent().stop());
    const { clock } = h;
    const random = { bytes: (count: number) => Buffer.alloc(count, 9), fraction: () => 0.5 };
    h.server.authority = createTestAuthority({ clock, random, trustDomain: h.config.trustDomain });
    const syncs = h.server.calls['sync'];
    await h.startAgent();
    await h.until(() => h.agent().counters.syncFailures >= 2);
    expect(h.server.calls['sync']).toBe(syncs);
  });
});

describe('a node that was away for longer than its authorities live', () => {
  it('says that the authorities it knows have ended, and when, and what to do; told the present ones it is back', async () => {
    await h.startAgent();
    await openStream();
    await h.run(h.agent().stop());
    h.clock.step(11 * 365 * 86_400_000);
    const { clock } = h;
    const random = { bytes: (count: number) => Buffer.alloc(count, 9), fraction: () => 0.5 };
    h.server.authority = createTestAuthority({ clock, random, trustDomain: h.config.trustDomain });
    await h.startAgent();
    await h.until(() => h.agent().counters.syncFailures >= 1);
    const { problem, attested } = h.agent().status();
    expect(attested).toBe(false);
    expect(problem?.error).toMatchObject({
      message: expect.stringMatching(/authorities that this node knows ended on 2035-.*told the present ones/),
      cause: {
        code: 'ERR_AGENT_SERVER_IDENTITY',
        entry: { remedy: expect.stringContaining('countersign bundle show') },
      },
    });
    expect(h.fatal).toEqual([]);
    await h.run(h.agent().stop());
    h.config = { ...h.config, bootstrap: { bundlePem: encodePem('CERTIFICATE', h.server.authority.rootDer) } };
    await h.startAgent();
    await h.until(() => h.agent().status().attested);
  });
});

describe('many entries', () => {
  it('come by revision, in pages, and only what changed is fetched again', async () => {
    await h.close();
    h = await createHarness({ pageSize: 10 });
    for (let i = 0; i < 35; i++) {
      h.server.entries.set(`e${i}`, { id: `e${i}`, path: `/w${i}`, selectors: [`unix:uid:${i}`] });
    }
    h.selectors = ['unix:uid:34'];
    await h.startAgent();
    const stream = await openStream();
    expect(stream.messages).toHaveLength(1);
    expect(h.server.calls['entriesFetched']).toBe(4);
    await h.until(() => (h.server.calls['watch'] ?? 0) >= 1);
    h.server.entries.set('e34', { id: 'e34', path: '/w34', selectors: ['unix:uid:34'], revision: 1 });
    h.server.entries.delete('e0');
    h.server.changed();
    await h.until(() => stream.messages.length === 2);
    expect(h.server.calls['entriesFetched']).toBe(5);
  });

  it('that can not be used are skipped, and cost the others nothing', async () => {
    h.server.entries.set('bad', { id: 'bad', path: '/bad/../x', selectors: ['unix:uid:1000'] });
    h.server.entries.set('none', { id: 'none', path: '/none', selectors: [] });
    await h.startAgent();
    const stream = await openStream();
    expect(stream.messages[0]?.svids.map((svid) => svid.spiffeId)).toEqual(['spiffe://example.org/web']);
  });
});

it('refuses a config that names attestors which do not exist', () => {
  const deps = {
    clock: h.clock,
    attestors: [],
    protocols: [],
    onFatal: () => {},
    readPeer: () => {
      throw new Error('not called');
    },
  };
  const base = { ...deps, random: { bytes: (n: number) => Buffer.alloc(n), fraction: () => 0 } };
  const log = { debug() {}, info() {}, warn() {}, error() {}, child: () => log };
  expect(() => createAgent({ ...base, log, config: h.config })).toThrowError(
    expect.objectContaining({ code: 'ERR_AGENT_CONFIG' }),
  );
});
