import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseTrustDomain, spiffeIdOf } from '@countersign/sdk/identity';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../../../test/support/eventually.ts';
import type { AttestedNode } from '../../model/index.ts';
import {
  createManualClock,
  createSeededRandom,
  createSilentLog,
  createSystemClock,
  type Service,
} from '../../std/index.ts';
import { member as sqlite } from '../../store/engines/sqlite/index.ts';
import type { Store } from '../../store/index.ts';
import { attestationMigrations, createNodes, type Nodes } from '../index.ts';
import type { AttestationTables } from './migrations.ts';
import { rowOf } from './node-rows.ts';

const trustDomain = parseTrustDomain('example.org');
const id = spiffeIdOf(trustDomain, '/spire/agent/x509pop/aa');
const signal = new AbortController().signal;
const clock = createManualClock(1_000_000_000_000);
let folder: string;
let store: Store & Service;
let nodes: Nodes & Service;
const withoutAliases: string[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'nodes-'));
  store = await sqlite.open({ file: join(folder, 'db') }, { clock: createSystemClock(), log: createSilentLog() });
  await store.start(signal);
  await store.migrate(attestationMigrations);
  nodes = create();
  await nodes.start(signal);
});
function create(): Nodes & Service {
  const removeAliases = async (gone: readonly { uri: string }[]) => {
    withoutAliases.push(...gone.map(({ uri }) => uri));
  };
  return createNodes({
    ...{ store, clock, trustDomain, removeAliases },
    random: createSeededRandom('nodes'),
    log: createSilentLog(),
  });
}
afterEach(async () => {
  withoutAliases.length = 0;
  await nodes.stop();
  await store.stop();
  rmSync(folder, { recursive: true, force: true });
});

function node(over: Partial<AttestedNode> = {}): AttestedNode {
  return {
    spiffeId: id,
    attestationType: 'x509pop',
    serial: '1',
    notAfterS: 2_000_000_000,
    newSerial: '',
    newNotAfterS: 0,
    selectors: [{ type: 'x509pop', value: 'subject:cn:a' }],
    reattestable: true,
    agentVersion: '',
    ...over,
  };
}

describe('join tokens', () => {
  it('can be used once', async () => {
    const { token } = await nodes.createJoinToken({ ttlS: 60 });
    expect(await nodes.consumeJoinToken(token)).toEqual({ agentId: undefined });
    expect(await nodes.consumeJoinToken(token)).toBeUndefined();
  });

  it('go to one of many who try at once', async () => {
    const { token } = await nodes.createJoinToken({ ttlS: 60 });
    const results = await Promise.all(Array.from({ length: 20 }, () => nodes.consumeJoinToken(token)));
    expect(results.filter((result) => result !== undefined)).toHaveLength(1);
  });

  it('end with their time', async () => {
    const { token, expiresAtS } = await nodes.createJoinToken({ ttlS: 60 });
    expect(expiresAtS).toBe(1_000_000_060);
    await clock.advance(60_000);
    expect(await nodes.consumeJoinToken(token)).toBeUndefined();
  });

  it('are not in the store as text', async () => {
    const { token } = await nodes.createJoinToken({ ttlS: 60 });
    const rows = await store
      .db<{ attestation_tokens: { token_hash: string } }>()
      .selectFrom('attestation_tokens')
      .selectAll()
      .execute();
    expect(JSON.stringify(rows)).not.toContain(token);
  });

  it('carry the alias they were made with', async () => {
    const agentId = spiffeIdOf(trustDomain, '/rack/1');
    const { token } = await nodes.createJoinToken({ ttlS: 60, agentId });
    expect((await nodes.consumeJoinToken(token))?.agentId?.uri).toBe(agentId.uri);
  });

  it.each([
    { ttlS: 0 },
    { ttlS: 1.5 },
    { ttlS: 40 * 86_400 },
    { ttlS: 60, token: 'a/b' },
    { ttlS: 60, token: '' },
    { ttlS: 60, token: 'ü' },
  ])('are refused with %j', async (request) => {
    await expect(nodes.createJoinToken(request)).rejects.toMatchObject({ code: 'ERR_NODE_REQUEST' });
  });

  it('are refused a second time under one name', async () => {
    await nodes.createJoinToken({ ttlS: 60, token: 'mine' });
    await expect(nodes.createJoinToken({ ttlS: 60, token: 'mine' })).rejects.toThrow('exists already');
  });
});

describe('serial numbers', () => {
  it('hold while current, and while staged; the first use of the staged one ends the old one', async () => {
    await nodes.recordAttestation(node());
    await nodes.stageRenewal(id, '2', 2_000_000_500);
    expect(await nodes.checkSerial(id, '1')).toBe('current');
    expect(await nodes.checkSerial(id, '2')).toBe('promoted');
    expect(await nodes.checkSerial(id, '2')).toBe('current');
    expect(await nodes.checkSerial(id, '1')).toBe('superseded');
    expect(await nodes.find(id)).toMatchObject({ serial: '2', notAfterS: 2_000_000_500, newSerial: '' });
  });

  it('are promoted once when two come at once', async () => {
    await nodes.recordAttestation(node());
    await nodes.stageRenewal(id, '2', 2_000_000_000);
    const states = await Promise.all([nodes.checkSerial(id, '2'), nodes.checkSerial(id, '2')]);
    expect(states.toSorted()).toEqual(['current', 'promoted']);
  });

  it('of an unknown node, and unknown ones of a known node, do not hold', async () => {
    expect(await nodes.checkSerial(id, '1')).toBe('unknown');
    await nodes.recordAttestation(node());
    expect(await nodes.checkSerial(id, '')).toBe('superseded');
    expect(await nodes.checkSerial(id, '3')).toBe('superseded');
  });
});

it('of a certificate whose time is over says so', async () => {
  await nodes.recordAttestation(node({ notAfterS: 1_000_000_100 }));
  clock.step(101_000);
  expect(await nodes.checkSerial(id, '1')).toBe('expired');
  clock.step(-101_000);
});

describe('a banned node', () => {
  it('is shut out, can not renew or attest, until it is removed', async () => {
    await nodes.recordAttestation(node());
    expect(await nodes.ban(id)).toBe(true);
    expect(await nodes.checkSerial(id, '1')).toBe('banned');
    expect(await nodes.stageRenewal(id, '2', 2_000_000_000)).toBe(false);
    expect(await nodes.recordAttestation(node({ serial: '5' }))).toBe(false);
    expect(await nodes.delete(id)).toBe(true);
    expect(await nodes.checkSerial(id, '1')).toBe('unknown');
    expect(await nodes.recordAttestation(node({ serial: '5' }))).toBe(true);
  });
});

describe('the list', () => {
  beforeEach(async () => {
    for (let i = 0; i < 5; i++) {
      const selectors = [
        { type: 't', value: `n:${i}` },
        { type: 't', value: 'all' },
      ];
      await nodes.recordAttestation(
        node({
          spiffeId: spiffeIdOf(trustDomain, `/spire/agent/x/${i}`),
          attestationType: i < 2 ? 'a' : 'b',
          selectors,
          notAfterS: 100 + i,
        }),
      );
    }
    await nodes.ban(spiffeIdOf(trustDomain, '/spire/agent/x/4'));
  });

  it('comes in pages that join to the whole', async () => {
    const seen: string[] = [];
    let pageToken = '';
    do {
      const page = await nodes.list({ pageSize: 2, pageToken });
      seen.push(...page.nodes.map((found) => found.spiffeId.path));
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    expect(seen).toEqual([0, 1, 2, 3, 4].map((i) => `/spire/agent/x/${i}`));
  });

  it.each([
    [{ attestationType: 'a' }, 2],
    [{ banned: true }, 1],
    [{ banned: false }, 4],
    [{ canReattest: false }, 0],
    [{ expiresBeforeS: 102 }, 2],
    [{ selectors: { values: [{ type: 't', value: 'all' }], match: 'superset' as const } }, 5],
    [{ selectors: { values: [{ type: 't', value: 'all' }], match: 'exact' as const } }, 0],
    [
      {
        selectors: {
          values: [
            { type: 't', value: 'n:1' },
            { type: 't', value: 'all' },
            { type: 't', value: 'more' },
          ],
          match: 'subset' as const,
        },
      },
      1,
    ],
    [
      {
        selectors: {
          values: [
            { type: 't', value: 'n:1' },
            { type: 't', value: 'n:2' },
          ],
          match: 'any' as const,
        },
      },
      2,
    ],
  ])('with %j holds %i', async (filter, count) => {
    expect(await nodes.count(filter)).toBe(count);
    expect((await nodes.list({ filter })).nodes).toHaveLength(count);
  });
});

it('keeps the version that an agent tells, up to 255 characters', async () => {
  await nodes.recordAttestation(node());
  await nodes.recordVersion(id, '1.2.3');
  expect((await nodes.find(id))?.agentVersion).toBe('1.2.3');
  await expect(nodes.recordVersion(id, 'x'.repeat(256))).rejects.toMatchObject({ code: 'ERR_NODE_REQUEST' });
});

describe('nodes that left', () => {
  const nowS = () => Math.floor(clock.now() / 1000);
  const longAgoS = () => nowS() - 30 * 86_400 - 1;
  const named = (name: string, over: Partial<AttestedNode> = {}) =>
    node({ spiffeId: spiffeIdOf(trustDomain, `/spire/agent/join_token/${name}`), notAfterS: longAgoS(), ...over });
  const present = async () => (await nodes.list({})).nodes.map(({ spiffeId }) => spiffeId.path.split('/').at(-1));

  it('are forgotten thirty days after their last SVID ended, and not a second before', async () => {
    await nodes.recordAttestation(named('left'));
    await nodes.recordAttestation(named('just', { notAfterS: longAgoS() + 1 }));
    await nodes.recordAttestation(named('renewed'));
    await nodes.stageRenewal(named('renewed').spiffeId, '2', nowS() + 60);
    expect(await nodes.prune()).toBe(1);
    expect(await present()).toEqual(['just', 'renewed']);
    expect(await nodes.checkSerial(named('left').spiffeId, '1')).toBe('unknown');
  });

  it('stay when they were banned: forgotten, they could attest again', async () => {
    await nodes.recordAttestation(named('banned'));
    await nodes.ban(named('banned').spiffeId);
    expect(await nodes.prune()).toBe(0);
    expect(await nodes.recordAttestation(named('banned'))).toBe(false);
  });

  it('take along the alias that attestation made, unless they can give their proof again', async () => {
    await nodes.recordAttestation(named('token', { reattestable: false }));
    await nodes.recordAttestation(named('proof'));
    await nodes.recordAttestation(named('stays', { reattestable: false, notAfterS: nowS() + 60 }));
    await nodes.prune();
    expect(withoutAliases).toEqual([named('token').spiffeId.uri]);
    await nodes.delete(named('stays').spiffeId);
    expect(withoutAliases).toEqual([named('token').spiffeId.uri, named('stays').spiffeId.uri]);
  });

  it('are looked for every hour', async () => {
    await nodes.recordAttestation(named('one'));
    await clock.advance(60_000);
    await eventually('the first look', async () => (await nodes.count()) === 0);
    await nodes.recordAttestation(named('two'));
    await clock.advance(3_600_000);
    await eventually('the next look', async () => (await nodes.count()) === 0);
  });

  it('may be as many as come and go in a year', async () => {
    const many = 20_000;
    const db = store.db<AttestationTables>();
    for (let from = 0; from < many; from += 1000) {
      const rows = Array.from({ length: 1000 }, (_, n) => rowOf(named(`n${from + n}`, { reattestable: false })));
      await db.insertInto('attestation_nodes').values(rows).execute();
    }
    await nodes.recordAttestation(named('here', { notAfterS: nowS() + 60 }));
    await nodes.stop();
    nodes = create();
    await nodes.start(signal);
    expect(await nodes.prune()).toBe(many);
    expect(await present()).toEqual(['here']);
    expect(withoutAliases).toHaveLength(many);
  });
});
