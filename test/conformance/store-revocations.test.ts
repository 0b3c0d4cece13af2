/**
 * What revocations promise over each engine that is registered, with two servers on one database where it can be shared: one order of states, nothing handed
 * out that was signed after a revocation was committed anywhere, and the same word on where it is in effect from each.
 */
import { parseTrustDomain } from '@countersign/sdk/identity';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Revocation, RevocationState } from '../../src/model/index.ts';
import { createPersons, endSignInsOf, type Person, personsMigrations } from '../../src/persons/index.ts';
import { createRegistration, identitiesLabelled, registrationMigrations } from '../../src/registration/index.ts';
import {
  admitPerson,
  createLabelMembers,
  createRevocationFeed,
  createRevocations,
  createVerifierCounts,
  createVerifiers,
  type RevocationRequest,
  type RevocationStream,
  type RevocationTables,
  revocationLaterMigrations,
  revocationMigrations,
  type WatchingVerifier,
} from '../../src/revocation/index.ts';
import {
  codeOf,
  createSeededRandom,
  createSilentLog,
  createSystemClock,
  type Service,
  startAll,
  stopAll,
} from '../../src/std/index.ts';
import { storeEngines } from '../../src/store/engines/registry.generated.ts';
import type { Store } from '../../src/store/index.ts';
import { type Database, type Databases, openDatabases, openStore } from './store-databases.ts';

const signal = new AbortController().signal;
const WEB = 'spiffe://example.org/web';
const NODE = 'spiffe://example.org/spire/agent/x/1';
const revoke = (over: Partial<RevocationRequest> = {}): RevocationRequest => ({
  ...{ subject: { kind: 'identity', spiffeId: WEB }, mode: 'revoked', allow: [], running: 'end', reason: 'leaked' },
  ...over,
});
const quarantine = (over: Partial<RevocationRequest> = {}) => revoke({ mode: 'quarantined', ...over });
const gateway = (over: Partial<WatchingVerifier> = {}): WatchingVerifier => ({
  ...{ kind: 'gateway', spiffeId: 'spiffe://example.org/countersign/gateway/a', address: 'a:7443', instance: 'i1' },
  ...{ freshForMs: 60_000, thenRefuses: true, ...over },
});
const MIGRATIONS = [
  ...personsMigrations,
  ...registrationMigrations,
  ...revocationMigrations,
  ...revocationLaterMigrations,
];
const ISSUER = 'https://id.example.org';
const RULES = { lifetimeMs: 3_600_000, idleMs: 3_600_000, from: 'address' } as const;
const NONCE = Buffer.alloc(16);
const NOTHING = { incarnation: '', sequence: 0, mark: '' };
const WATCH = { state: NOTHING, stream: '', key: 'k' };

const labelled = (id: string, spiffeId: string, labels: Record<string, string>) => ({
  ...{ id, spiffeId, parentId: NODE, selectors: [{ type: 'unix', value: `uid:${id}` }], attributes: { labels } },
});

function refusalOf(act: () => void): unknown {
  try {
    act();
    return undefined;
  } catch (error) {
    return codeOf(error);
  }
}

describe.each(storeEngines.map(({ id }) => id))('revocations on %s', (engine) => {
  let databases: Databases;
  let database: Database;
  let stores: (Store & Service)[];
  let services: Service[];
  let nodes: { spiffeId: string; expiresAtS: number }[];
  let lifeMs: number;
  let aheadMs: number;
  beforeAll(async () => {
    databases = await openDatabases(engine);
  });
  afterAll(() => databases.close());
  beforeEach(async () => {
    database = await databases.createDatabase();
    [stores, services, nodes, lifeMs, aheadMs] = [[], [], [], 3_600_000, 0];
  });
  afterEach(async () => {
    await stopAll(services);
    await stopAll(stores);
    await database.remove();
  });

  /** One server: of an engine that is one process's alone, another one over the same store. */
  async function openServer(name: string) {
    const [first] = stores;
    const store = first?.isShared === false ? first : await openStore(engine, database, MIGRATIONS);
    if (store !== first) stores.push(store);
    const clock = { ...createSystemClock(), now: () => Date.now() + aheadMs };
    const base = { store, clock, random: createSeededRandom(name), log: createSilentLog() };
    const lifeMsMax = () => lifeMs;
    const members = createLabelMembers({ ...base, lifeMsMax });
    const registration = createRegistration({
      ...{ ...base, trustDomain: parseTrustDomain('example.org'), knowsTrustDomain: () => false },
      written: (trx, entries, effects) =>
        members.join(
          trx,
          entries.map(({ spiffeId, attributes }) => ({ spiffeId: spiffeId.uri, labels: attributes.labels })),
          effects,
        ),
    });
    const known = { nodes: async () => nodes, gateways: async () => [] };
    const revocations = createRevocations({
      ...base,
      known,
      lifeMsMax,
      labelled: identitiesLabelled,
      endSignIns: endSignInsOf,
    });
    const verifiers = createVerifiers({ ...base, server: name });
    const sign = async ({ claims }: { claims: object }) => JSON.stringify(claims);
    const feed = createRevocationFeed({ ...base, source: revocations, verifiers, sign, trustDomain: 'example.org' });
    const persons = createPersons({ ...base, issuer: ISSUER, admit: admitPerson }, { rules: RULES, oidc: undefined });
    services.push(registration, revocations, verifiers);
    await startAll([registration, revocations, verifiers], signal);
    return { store, persons, registration, revocations, verifiers, feed };
  }
  type Server = Awaited<ReturnType<typeof openServer>>;

  /** A verifier that watches until it is told to leave. */
  async function watch(
    { feed }: Pick<Server, 'feed'>,
    verifier: WatchingVerifier,
    { known = NOTHING, nonce = NONCE, format = 1, key = 'k' } = {},
  ) {
    let leave = () => {};
    const over = new Promise<void>((resolve) => {
      leave = resolve;
    });
    let ended: Promise<void> | undefined;
    const stream = await new Promise<RevocationStream>((resolve, reject) => {
      ended = feed.during({ verifier, nonce, known, draining: signal, format, key }, async (given) => {
        resolve(given);
        await over;
      });
      ended.catch(reject);
    });
    const next = async () => {
      const { statement, body } = await stream.next();
      const claims: Pick<RevocationState, 'incarnation' | 'sequence' | 'mark'> = JSON.parse(statement);
      return { claims, body: JSON.parse(Buffer.from(body).toString()) as Record<string, Revocation[]> };
    };
    const stop = async () => {
      leave();
      await ended;
    };
    return { next, stop };
  }

  it('rise by one with each that comes and each that is lifted, whichever server does it', async () => {
    const [one, two] = [await openServer('one'), await openServer('two')];
    const added = await Promise.all(
      [one, two, one, two].map(({ revocations }, n) =>
        revocations.add(quarantine({ subject: { kind: 'identity', spiffeId: `${WEB}/${n}` } }), 'admin'),
      ),
    );
    expect(added.map(({ sequence }) => sequence).toSorted()).toEqual([1, 2, 3, 4]);
    await one.revocations.lift(added[1]?.id ?? '');
    const last = await two.revocations.add(revoke(), 'unix:uid:0');
    expect(last).toMatchObject({ sequence: 6, by: 'unix:uid:0', mode: 'revoked' });
    expect(await one.revocations.list()).toEqual(await two.revocations.list());
    expect((await two.revocations.list()).map(({ sequence }) => sequence).at(-1)).toBe(6);
    expect(await two.revocations.list()).toHaveLength(4);
  });

  it('stop what is signed at the very next signature of every server, and not what was looked at before', async () => {
    const [one, two] = [await openServer('one'), await openServer('two')];
    await one.registration.batchCreate([labelled('e1', WEB, { team: 'red' })]);
    const web = [{ spiffeId: WEB, entryId: 'e1', nodeId: NODE }];
    for (const [n, subject] of [
      { kind: 'identity', spiffeId: WEB } as const,
      { kind: 'entry', entryId: 'e1', spiffeId: WEB } as const,
      { kind: 'node', nodeId: NODE } as const,
      { kind: 'label', name: 'team', value: 'red' } as const,
    ].entries()) {
      const [by, other] = n % 2 === 0 ? [one, two] : [two, one];
      expect(await other.revocations.checkSigned(web)).toEqual([undefined]);
      lifeMs = 0;
      const { id } = await by.revocations.add(revoke({ subject }), 'admin');
      expect(await other.revocations.checkSigned([...web, { spiffeId: `${WEB}/x` }])).toMatchObject([
        { code: 'ERR_REVOCATION_REVOKED' },
        undefined,
      ]);
      await by.revocations.lift(id);
    }
  });

  it('let no signature out that is under way while one is committed and looks afterwards', async () => {
    const [one, two] = [await openServer('one'), await openServer('two')];
    const facts = [{ spiffeId: WEB }];
    let isCommitted = false;
    const adding = one.revocations.add(revoke(), 'admin').then(() => {
      isCommitted = true;
    });
    const outcomes: { wasCommitted: boolean; isRefused: boolean }[] = [];
    while (outcomes.filter(({ wasCommitted }) => wasCommitted).length < 5) {
      const wasCommitted = isCommitted;
      const all = await Promise.all(Array.from({ length: 4 }, () => two.revocations.checkSigned(facts)));
      for (const [refusal] of all) outcomes.push({ wasCommitted, isRefused: refusal !== undefined });
    }
    await adding;
    expect(outcomes.filter(({ wasCommitted, isRefused }) => wasCommitted && !isRefused)).toEqual([]);
  });

  it('keep a quarantine from nobody who signs, and refuse an operator who is quarantined', async () => {
    const { revocations } = await openServer('one');
    await revocations.add(quarantine(), 'admin');
    expect(await revocations.checkSigned([{ spiffeId: WEB }])).toEqual([undefined]);
    revocations.refuseUse({ spiffeId: WEB });
    expect(() => revocations.refuseUse({ spiffeId: WEB }, 'operating')).toThrow('it is revoked');
  });

  it('are there once for a subject and a mode', async () => {
    const { revocations } = await openServer('one');
    await revocations.add(quarantine(), 'admin');
    await revocations.add(revoke(), 'admin');
    await expect(revocations.add(revoke(), 'other')).rejects.toMatchObject({ code: 'ERR_REVOCATION_EXISTS' });
    expect((await revocations.list()).map(({ sequence }) => sequence)).toEqual([1, 2]);
  });

  it('are made stricter in one change, which nobody gets in between, and never looser', async () => {
    const server = await openServer('one');
    const { revocations } = server;
    const [select, insert] = ['postgres:select', 'postgres:insert'];
    const first = await revocations.add(quarantine({ allow: [select, insert], running: 'keep' }), 'admin');
    const { next, stop } = await watch(server, gateway());
    await next();
    const looser = [
      quarantine({ allow: [select, insert], running: 'keep' }),
      quarantine({ allow: [select, 'postgres:delete'] }),
    ];
    for (const one of looser)
      await expect(revocations.add(one, 'admin')).rejects.toMatchObject({ code: 'ERR_REVOCATION_EXISTS' });
    const second = await revocations.add(quarantine({ allow: [select], running: 'keep' }), 'admin');
    const third = await revocations.add(quarantine({ allow: [select] }), 'admin');
    expect([second.replaced, third.replaced]).toEqual([first.id, second.id]);
    await expect(revocations.add(quarantine({ allow: [], running: 'keep' }), 'admin')).rejects.toThrow(
      'lets pass less',
    );
    expect((await revocations.list()).map(({ id }) => id)).toEqual([third.id]);
    expect((await next()).body).toMatchObject({ added: [{ id: third.id }], lifted: [first.id] });
    await stop();
  });

  it('are lifted when what was issued before is over, and a quarantine at once', async () => {
    const { revocations } = await openServer('one');
    const { id } = await revocations.add(revoke(), 'admin');
    await expect(revocations.lift(id)).rejects.toMatchObject({ code: 'ERR_REVOCATION_LIVES' });
    const { id: other } = await revocations.add(quarantine(), 'admin');
    await revocations.lift(other);
    await expect(revocations.lift(other)).rejects.toMatchObject({ code: 'ERR_REVOCATION_UNKNOWN' });
    expect((await revocations.list()).map((one) => one.id)).toEqual([id]);
  });

  it('refuse a malformed one, and keep nothing of it', async () => {
    const { revocations } = await openServer('one');
    await expect(revocations.add(revoke({ reason: 'a\nb' }), 'admin')).rejects.toMatchObject({
      code: 'ERR_REVOCATION_REQUEST',
    });
    const own = { kind: 'identity', spiffeId: 'spiffe://example.org/spire/server' } as const;
    await expect(revocations.add(revoke({ subject: own }), 'admin')).rejects.toThrow("is the servers' own");
    const entry = { kind: 'entry', entryId: 'e1', spiffeId: own.spiffeId } as const;
    await expect(revocations.add(revoke({ subject: entry }), 'admin')).rejects.toThrow("is the servers' own");
    expect(await revocations.list()).toEqual([]);
    expect((await revocations.add(revoke(), 'admin')).sequence).toBe(1);
  });

  it('refuse an alias in the place of a node, which would hold for nobody', async () => {
    const { revocations } = await openServer('one');
    const nodeId = 'spiffe://example.org/rack/1';
    for (const subject of [
      { kind: 'node', nodeId },
      { kind: 'instance', nodeId, pid: 7, startTime: '1' },
    ] as const)
      await expect(revocations.add(revoke({ subject }), 'admin')).rejects.toThrow("no node's own SPIFFE ID");
    expect(await revocations.list()).toEqual([]);
  });

  it('hold for a workload whose path ends as that of the servers', async () => {
    const { revocations } = await openServer('one');
    const spiffeId = 'spiffe://example.org/web/spire/server';
    await revocations.add(revoke({ subject: { kind: 'identity', spiffeId } }), 'admin');
    expect(await revocations.checkSigned([{ spiffeId }])).toMatchObject([{ code: 'ERR_REVOCATION_REVOKED' }]);
  });

  it('are told whole first, then by what has changed, then that nothing has', async () => {
    const [one, two] = [await openServer('one'), await openServer('two')];
    const first = await one.revocations.add(quarantine(), 'admin');
    const { next, stop } = await watch(two, gateway());
    expect((await next()).body).toMatchObject({ revocations: [{ id: first.id }] });
    const second = await one.revocations.add(revoke(), 'admin');
    await one.revocations.lift(first.id);
    expect(await next()).toMatchObject({
      claims: { sequence: 3, kind: 'delta', fromSequence: 1, count: 1 },
      body: { added: [{ id: second.id }], lifted: [first.id] },
    });
    expect((await next()).body).toEqual({ added: [], lifted: [] });
    await stop();
  });

  it('are in effect where a verifier has said so at any server, with the time that it took', async () => {
    const [one, two] = [await openServer('one'), await openServer('two')];
    const a = await watch(one, gateway());
    const b = await watch(two, gateway({ address: 'b:7443' }));
    const added = await one.revocations.add(revoke(), 'admin');
    const effect = one.revocations.effect(added.id, { waitMs: 10_000, signal });
    for (const [{ next }, server, address] of [
      [a, two, 'a:7443'],
      [b, one, 'b:7443'],
    ] as const) {
      const { claims } = await next();
      await server.feed.acknowledge(gateway({ address }), claims, NONCE);
    }
    const { verifiers } = await effect;
    expect(verifiers).toMatchObject([
      { address: 'a:7443', state: 'in-effect', afterMs: expect.any(Number) },
      { address: 'b:7443', state: 'in-effect', afterMs: expect.any(Number) },
    ]);
    expect(await two.revocations.effect(added.id, { waitMs: 0, signal })).toEqual(await effect);
    await Promise.all([a.stop(), b.stop()]);
  });

  it('name who does not answer, who is away and who never followed, with the end by itself', async () => {
    const { revocations, feed, verifiers: kept } = await openServer('one');
    nodes = [{ spiffeId: NODE, expiresAtS: 4_000_000_000 }];
    const silent = await watch({ revocations, feed, verifiers: kept } as Server, gateway());
    const away = await watch({ revocations, feed, verifiers: kept } as Server, gateway({ address: 'b:7443' }));
    await away.stop();
    const stale = await watch({ revocations, feed } as Server, gateway({ address: 'c:7443', freshForMs: 1 }));
    await stale.stop();
    const lax = { address: 'd:7443', freshForMs: 0, thenRefuses: false };
    await (await watch({ revocations, feed } as Server, gateway(lax))).stop();
    const { id, latestExpiryMs } = await revocations.add(revoke(), 'admin');
    aheadMs = 1;
    const { verifiers } = await revocations.effect(id, { waitMs: 0, signal });
    expect(verifiers).toMatchObject([
      { kind: 'agent', spiffeId: NODE, state: 'unreachable', endsMs: latestExpiryMs },
      { address: 'b:7443', state: 'unreachable', endsMs: expect.any(Number) },
      { address: 'd:7443', state: 'unreachable', endsMs: latestExpiryMs },
      { address: 'a:7443', state: 'waiting', endsMs: expect.any(Number) },
      { address: 'c:7443', state: 'refusing' },
    ]);
    const endsMs = verifiers[1]?.endsMs ?? 0;
    expect(endsMs).toBeLessThan(latestExpiryMs);
    const quarantined = await revocations.add(quarantine(), 'admin');
    const { verifiers: then } = await revocations.effect(quarantined.id, { waitMs: 0, signal });
    expect(then.find(({ address }) => address === 'd:7443')).toMatchObject({ endsMs: undefined });
    await silent.stop();
  });

  it('are finished after a server was killed in between: the rows stand, and whoever has said so since is known', async () => {
    const one = await openServer('one');
    const added = await one.revocations.add(revoke(), 'admin');
    // Nothing of the first is stopped: it is as if it were gone.
    const two = await openServer('two');
    expect(await two.revocations.checkSigned([{ spiffeId: WEB }])).toMatchObject([{ code: 'ERR_REVOCATION_REVOKED' }]);
    const { next, stop } = await watch(two, gateway());
    const { claims } = await next();
    expect(await two.revocations.effect(added.id, { waitMs: 0, signal })).toMatchObject({
      verifiers: [{ state: 'waiting' }],
    });
    await two.feed.acknowledge(gateway(), claims, NONCE);
    expect(await two.revocations.effect(added.id, { waitMs: 0, signal })).toMatchObject({
      verifiers: [{ state: 'in-effect' }],
    });
    await stop();
  });

  it('take no older word for a newer one, and none of a process that has begun anew', async () => {
    const { revocations, feed } = await openServer('one');
    const server = { revocations, feed } as Server;
    const first = await revocations.add(revoke(), 'admin');
    const a = await watch(server, gateway());
    const { claims } = await a.next();
    await feed.acknowledge(gateway(), claims, NONCE);
    await feed.acknowledge(gateway(), { ...claims, sequence: 0 }, NONCE);
    const stateOf = async () => (await revocations.effect(first.id, { waitMs: 0, signal })).verifiers[0]?.state;
    expect(await stateOf()).toBe('in-effect');
    const anew = await watch(server, gateway());
    expect(await stateOf()).toBe('waiting');
    // The old stream's end is not the end of the new one.
    await a.stop();
    expect(await stateOf()).toBe('waiting');
    await anew.stop();
    expect(await stateOf()).toBe('unreachable');
  });

  it('are not in effect by the word of one who says that it has more than there is', async () => {
    const { revocations, feed } = await openServer('one');
    const a = await watch({ revocations, feed } as Server, gateway());
    const { claims } = await a.next();
    await feed.acknowledge(gateway(), { ...claims, sequence: 1_000 }, NONCE);
    await feed.acknowledge(gateway(), { incarnation: 'f'.repeat(32), sequence: 1, mark: '0'.repeat(32) }, NONCE);
    const { id } = await revocations.add(revoke(), 'admin');
    expect((await revocations.effect(id, { waitMs: 0, signal })).verifiers).toMatchObject([{ state: 'waiting' }]);
    await a.stop();
  });

  describe('of a label', () => {
    const RED = { kind: 'label', name: 'team', value: 'red' } as const;
    const REVOKED = [{ code: 'ERR_REVOCATION_REVOKED' }];
    const signed = ({ revocations }: Server, spiffeId = WEB) => revocations.checkSigned([{ spiffeId }]);

    it.each<[string, (server: Server) => Promise<unknown>]>([
      [
        'lost the label',
        ({ registration }) => registration.batchUpdate([{ id: 'e1', entry: { attributes: { labels: {} } } }]),
      ],
      ['was deleted', ({ registration }) => registration.batchDelete(['e1'])],
    ])('hold for an identity whose entry %s since, at servers and at verifiers, until they are lifted', async (_, act) => {
      const [one, two] = [await openServer('one'), await openServer('two')];
      await one.registration.batchCreate([labelled('e1', WEB, { team: 'red' })]);
      lifeMs = 0;
      const { id } = await two.revocations.add(revoke({ subject: RED }), 'admin');
      await act(one);
      expect([await signed(one), await signed(two)]).toMatchObject([REVOKED, REVOKED]);
      const { next, stop } = await watch(one, gateway());
      expect((await next()).body).toMatchObject({ revocations: [{ id, members: [WEB] }] });
      await stop();
      await one.revocations.lift(id);
      expect([await signed(one), await signed(two)]).toEqual([[undefined], [undefined]]);
    });

    it('hold for an identity of which one entry has it and another has not', async () => {
      const one = await openServer('one');
      await one.registration.batchCreate([labelled('e1', WEB, { team: 'red' }), labelled('e2', WEB, { team: 'blue' })]);
      const { members } = await one.revocations.add(revoke({ subject: RED }), 'admin');
      expect(members).toEqual([WEB]);
    });

    it('hold from the commit of an entry that gets it, by whichever server, and are not in effect before that is', async () => {
      const [one, two] = [await openServer('one'), await openServer('two')];
      const { id, latestExpiryMs } = await one.revocations.add(revoke({ subject: RED }), 'admin');
      const { next, stop } = await watch(one, gateway());
      await one.feed.acknowledge(gateway(), (await next()).claims, NONCE);
      const stateOf = async () => (await two.revocations.effect(id, { waitMs: 0, signal })).verifiers[0]?.state;
      expect(await stateOf()).toBe('in-effect');
      lifeMs = 7_200_000;
      await two.registration.batchCreate([
        labelled('e1', WEB, { team: 'red' }),
        labelled('e2', `${WEB}/b`, { team: 'RED' }),
      ]);
      expect([await signed(one), await stateOf()]).toMatchObject([REVOKED, 'waiting']);
      expect(await signed(one, `${WEB}/b`)).toEqual([undefined]);
      const { body, claims } = await next();
      expect(body).toEqual({ added: [], lifted: [], joined: [{ id, members: [WEB] }] });
      await one.feed.acknowledge(gateway(), claims, NONCE);
      expect(await stateOf()).toBe('in-effect');
      // What was issued before it joined lives longer than what was issued before the revocation.
      expect((await one.revocations.list())[0]?.latestExpiryMs).toBeGreaterThan(latestExpiryMs);
      await stop();
    });

    it('hold for one of two that come at once, whichever is first', async () => {
      const [one, two] = [await openServer('one'), await openServer('two')];
      for (const value of ['a', 'b', 'c', 'd']) {
        const subject = { ...RED, value };
        await Promise.all([
          one.revocations.add(revoke({ subject }), 'admin'),
          two.registration.batchCreate([labelled(value, `${WEB}/${value}`, { team: value })]),
        ]);
        expect(await signed(two, `${WEB}/${value}`)).toMatchObject(REVOKED);
      }
    });

    it('hold for entries that a server of before had labelled, once another one starts', async () => {
      const one = await openServer('one');
      const { id } = await one.revocations.add(revoke({ subject: RED }), 'admin');
      await one.registration.batchCreate([labelled('e1', WEB, { team: 'red' })]);
      await one.store.db<RevocationTables>().deleteFrom('revocation_members').execute();
      const two = await openServer('two');
      expect((await two.revocations.list())[0]).toMatchObject({ id, members: [WEB] });
    });

    it('are told to a verifier of before as it can read them', async () => {
      const one = await openServer('one');
      const { next, stop } = await watch(one, gateway(), { format: 0 });
      await next();
      await one.revocations.add(revoke({ subject: RED }), 'admin');
      expect(Object.keys((await next()).body)).toEqual(['added', 'lifted']);
      await one.registration.batchCreate([labelled('e1', WEB, { team: 'red' })]);
      expect((await next()).body).toEqual({ added: [], lifted: [] });
      await stop();
    });

    it('keep who has lost it since in a stricter quarantine that comes in the place of another', async () => {
      const one = await openServer('one');
      await one.registration.batchCreate([labelled('e1', WEB, { team: 'red' })]);
      await one.revocations.add(quarantine({ subject: RED, allow: ['postgres:select'] }), 'admin');
      await one.registration.batchDelete(['e1']);
      expect((await one.revocations.add(quarantine({ subject: RED }), 'admin')).members).toEqual([WEB]);
    });

    it('refuse an entry when all that stands would be too much to tell', async () => {
      const one = await openServer('one');
      await one.revocations.add(revoke({ subject: RED }), 'admin');
      const db = one.store.db<RevocationTables>();
      for (let n = 0; n < 1_100; n += 100) {
        const rows = Array.from({ length: 100 }, (_, at) => `${n + at}${'x'.repeat(1_950)}`);
        await db
          .insertInto('revocation_members')
          .values(rows.map((spiffe_id) => ({ revocation: 'x', sequence: 1, spiffe_id })))
          .execute();
      }
      const made = one.registration.batchCreate([labelled('e1', WEB, { team: 'red' })]);
      await expect(made).rejects.toMatchObject({ code: 'ERR_REVOCATION_LIMIT' });
      expect(await one.registration.get('e1')).toBeUndefined();
    });
  });

  it('of a person end their sign-ins everywhere for good, and let them in nowhere until they are lifted', async () => {
    const [one, two] = [await openServer('one'), await openServer('two')];
    const [ann, bob] = ['ann', 'bob'].map((subject) => ({
      issuer: ISSUER,
      subject,
      email: undefined,
      groups: [],
      byLink: false,
    }));
    if (ann === undefined || bob === undefined) throw new Error('there are two');
    const from = { kind: 'browser', address: '127.0.0.1', isUse: false } as const;
    const signIn = ({ persons }: Server, person: Person) =>
      persons.signIns.begin({ person, kind: 'browser', address: from.address });
    const [hers, his] = [await signIn(one, ann), await signIn(one, bob)];
    const watching = await watch(one, gateway());
    await watching.next();
    const { issuer, subject } = ann;
    const added = await two.revocations.add(revoke({ subject: { kind: 'person', issuer, subject } }), 'admin');
    for (const { persons, revocations } of [one, two]) {
      expect(await persons.signIns.find(hers.secret, from)).toMatchObject({ ok: false, reason: 'unknown' });
      expect(await persons.signIns.find(his.secret, from)).toMatchObject({ ok: true });
      await expect.poll(() => refusalOf(() => revocations.refuseUse({ person: ann }))).toBe('ERR_REVOCATION_REVOKED');
      revocations.refuseUse({ person: bob });
    }
    for (const server of [one, two])
      await expect(signIn(server, ann)).rejects.toMatchObject({ code: 'ERR_REVOCATION_REVOKED' });
    // Verifiers have nothing of people, and are not waited for.
    expect((await watching.next()).body).toEqual({ added: [], lifted: [] });
    expect((await one.revocations.effect(added.id, { waitMs: 10_000, signal })).verifiers).toEqual([]);
    await one.revocations.lift(added.id);
    expect(await one.persons.signIns.find(hers.secret, from)).toMatchObject({ ok: false });
    await signIn(two, ann);
    await watching.stop();
  });

  it('of a person hold for one who signs in at that moment', async () => {
    const [one, two] = [await openServer('one'), await openServer('two')];
    for (const subject of ['a', 'b', 'c', 'd']) {
      const person = { issuer: ISSUER, subject, email: undefined, groups: [], byLink: false };
      const begun = one.persons.signIns.begin({ person, kind: 'browser', address: '127.0.0.1' }).catch(() => undefined);
      await two.revocations.add(revoke({ subject: { kind: 'person', issuer: ISSUER, subject } }), 'admin');
      await begun;
    }
    expect(await one.persons.signIns.list()).toEqual([]);
  });

  it('are not in effect by a word of another stream, nor of a state with that number that this store never had', async () => {
    const server = await openServer('one');
    const { id } = await server.revocations.add(revoke(), 'admin');
    const { next, stop } = await watch(server, gateway());
    const { claims } = await next();
    await server.feed.acknowledge(gateway(), claims, Buffer.alloc(16, 1));
    await server.feed.acknowledge(gateway(), claims, Buffer.alloc(0));
    await server.feed.acknowledge(gateway(), { ...claims, mark: 'f'.repeat(32) }, NONCE);
    const stateOf = async () => (await server.revocations.effect(id, { waitMs: 0, signal })).verifiers[0]?.state;
    expect(await stateOf()).toBe('waiting');
    await server.feed.acknowledge(gateway(), claims, NONCE);
    expect(await stateOf()).toBe('in-effect');
    await stop();
  });

  it('are counted where they are not in effect yet', async () => {
    const server = await openServer('one');
    const [told, away] = [await watch(server, gateway()), await watch(server, gateway({ instance: 'i2' }))];
    await away.stop();
    await server.revocations.add(revoke(), 'admin');
    const countsOf = async () => {
      const counting = createVerifierCounts({
        store: server.store,
        clock: createSystemClock(),
        log: createSilentLog(),
      });
      await counting.start(signal);
      await counting.stop();
      return counting.counts();
    };
    expect(await countsOf()).toEqual({ behind: 1, away: 1 });
    await server.feed.acknowledge(gateway(), (await told.next()).claims, NONCE);
    expect(await countsOf()).toEqual({ behind: 0, away: 1 });
    await told.stop();
  });

  it('wake whoever waits once for a word, however often it is repeated', async () => {
    const server = await openServer('one');
    await server.revocations.add(revoke(), 'admin');
    const { next, stop } = await watch(server, gateway());
    const { claims } = await next();
    let woken = 0;
    const unsubscribe = server.store.subscribe('revocation.acknowledged', () => void woken++);
    for (let n = 0; n < 5; n++) await server.feed.acknowledge(gateway(), claims, NONCE);
    await stop(); // What it says comes behind all of them.
    await expect.poll(() => woken).toBe(2);
    unsubscribe();
  });

  it('are told to sixty-four processes with one public key and no more', async () => {
    const { verifiers } = await openServer('one');
    const joins = Array.from({ length: 65 }, (_, n) => verifiers.joined(gateway({ instance: `i${n}` }), WATCH));
    const settled = await Promise.allSettled(joins);
    expect(settled.filter(({ status }) => status === 'rejected')).toHaveLength(1);
    await verifiers.joined(gateway({ instance: 'j' }), { ...WATCH, key: 'other' });
  });

  it('are told to one verifier on eight streams and no more, until one of them is over', async () => {
    const server = await openServer('one');
    const [first, ...others] = await Promise.all(Array.from({ length: 8 }, () => watch(server, gateway())));
    await expect(watch(server, gateway())).rejects.toMatchObject({ code: 'ERR_REVOCATION_LIMIT' });
    await (await watch(server, gateway({ instance: 'i2' }))).stop();
    await first?.stop();
    others.push(await watch(server, gateway()));
    await Promise.all(others.map(({ stop }) => stop()));
  });

  it('are told to a thousand processes of one gateway and no more, and the others beside it are not refused', async () => {
    const { verifiers } = await openServer('one');
    const joins = Array.from({ length: 1_001 }, (_, n) =>
      verifiers.joined(gateway({ instance: `i${n}` }), { ...WATCH, key: `k${n % 20}` }),
    );
    const other = verifiers.joined(gateway({ spiffeId: 'spiffe://example.org/countersign/gateway/b' }), WATCH);
    const settled = await Promise.allSettled(joins);
    expect(settled.filter(({ status }) => status === 'rejected')).toMatchObject([
      { reason: { code: 'ERR_REVOCATION_LIMIT' } },
    ]);
    await other;
  });

  it('are not told to a verifier that has what the store has not, until an operator says so', async () => {
    const server = await openServer('one');
    await server.revocations.add(revoke(), 'admin');
    const a = await watch(server, gateway());
    const { claims } = await a.next();
    await a.stop();
    await (await watch(server, gateway(), { known: claims })).stop();
    const wrong = [
      { ...claims, mark: 'f'.repeat(32) },
      { ...claims, sequence: 2, mark: 'f'.repeat(32) },
      { ...claims, incarnation: 'f'.repeat(32) },
    ];
    for (const known of wrong)
      await expect(watch(server, gateway(), { known })).rejects.toMatchObject({ code: 'ERR_REVOCATION_PUT_BACK' });
    expect(server.feed.unknownStates()).toMatchObject([{ spiffeId: gateway().spiffeId, sequence: claims.sequence }]);
    await server.revocations.restart();
    const b = await watch(server, gateway(), { known: { ...claims, sequence: 9, mark: 'f'.repeat(32) } });
    expect((await b.next()).claims).toMatchObject({ follows: [claims.incarnation], sequence: 2, kind: 'full' });
    expect(server.feed.unknownStates()).toEqual([]);
    await b.stop();
  });

  it('end a stream whose store was put back beneath it and has gone on since, rather than lift what it lacks', async () => {
    const server = await openServer('one');
    const { id: lost } = await server.revocations.add(revoke(), 'admin');
    const stream = await watch(server, gateway());
    await stream.next();
    const db = server.store.db<{
      revocation_standing: { id: string };
      revocation_changes: object;
      revocation_state: { sequence: number; mark: string };
    }>();
    await db.deleteFrom('revocation_standing').where('id', '=', lost).execute();
    await db.deleteFrom('revocation_changes').execute();
    await db.updateTable('revocation_state').set({ sequence: 0, mark: '' }).execute();
    const { id } = await server.revocations.add(quarantine(), 'admin');
    await server.revocations.lift(id);
    await expect(stream.next()).rejects.toMatchObject({ code: 'ERR_REVOCATION_PUT_BACK' });
    await stream.stop();
  });

  it('hand nothing out, and say nothing of freshness, while the store can not be read', async () => {
    const server = await openServer('one');
    const { next, stop } = await watch(server, gateway());
    await next();
    await server.store.db().schema.alterTable('revocation_state').renameTo('revocation_away').execute();
    await expect(server.revocations.checkSigned([{ spiffeId: WEB }])).rejects.toThrow('revocation_state');
    await expect(next()).rejects.toThrow('revocation_state');
    await server.store.db().schema.alterTable('revocation_away').renameTo('revocation_state').execute();
    expect(await server.revocations.checkSigned([{ spiffeId: WEB }])).toEqual([undefined]);
    expect((await next()).claims).toMatchObject({ count: 1 });
    await stop();
  });
});
