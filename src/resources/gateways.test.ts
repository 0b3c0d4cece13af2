import { sql } from 'kysely';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openTestStore, type TestStore } from '../../test/support/store.ts';
import type { GatewayState } from '../model/index.ts';
import { createManualClock, createSilentLog, type LogFields, type ManualClock, type Service } from '../std/index.ts';
import { storeMigrations } from '../store/index.ts';
import { type Resources, resourcesMigrations } from './index.ts';
import type { ResourcesTables } from './migrations.ts';
import { createTestResources, GATEWAY } from './testing/declared.ts';

const signal = new AbortController().signal;
let test: TestStore;
let clock: ManualClock;
let resources: Resources & Service;
let logged: string[];

beforeEach(async () => {
  clock = createManualClock(1_000_000);
  test = await openTestStore([...resourcesMigrations, ...storeMigrations], { clock });
  logged = [];
  const warn = (event: string, fields: LogFields = {}) =>
    void logged.push(`${event} ${fields['address']} ${fields['others']}`);
  resources = createTestResources({ store: test.store, clock }, { log: { ...createSilentLog(), warn } });
  await resources.start(signal);
});
afterEach(async () => {
  await resources.stop();
  await test.close();
});

describe('gateways', () => {
  const report = (address: string, connected: boolean, by: Resources = resources) =>
    by.reportGateway({ spiffeId: GATEWAY, address, connected });

  it('are known with their address and since when they are there or gone', async () => {
    await report('gw2:7000', true);
    await clock.advance(5);
    await report('gw1:7000', true);
    await clock.advance(5);
    await report('gw2:7000', false);
    expect(resources.gateways()).toEqual([
      { spiffeId: GATEWAY, address: 'gw1:7000', connected: true, state: 'serving', sinceMs: 1_000_005 },
      { spiffeId: GATEWAY, address: 'gw2:7000', connected: false, state: 'serving', sinceMs: 1_000_010 },
    ]);
    expect(await resources.forgetGateway(GATEWAY, 'gw2:7000')).toBe(true);
    expect(await resources.forgetGateway(GATEWAY, 'gw2:7000')).toBe(false);
    expect(resources.gateways()).toHaveLength(1);
  });

  it('stay connected when they connect again before the old connection is seen to end', async () => {
    let told = 0;
    resources.onGateways(() => told++);
    await report('gw:1', true);
    await report('gw:1', true);
    await report('gw:1', false);
    expect(resources.gateways()).toMatchObject([{ connected: true }]);
    await report('gw:1', false);
    expect(resources.gateways()).toMatchObject([{ connected: false }]);
    expect(told).toBe(2);
  });

  it('end in the state that was reported last, however many reports come at once', async () => {
    await Promise.all([report('gw:1', true), report('gw:1', false), report('gw:1', true), report('gw:1', false)]);
    expect(resources.gateways().filter((gateway) => gateway.connected)).toEqual([]);
  });

  it('are told of in the state that they say, or serve', async () => {
    let told = 0;
    resources.onGateways(() => told++);
    const say = (state: 'starting' | 'serving' | 'leaving', revision = 1) =>
      resources.keepReport(at('gw:1'), { revision, findings: [], state });
    await resources.reportGateway({ spiffeId: GATEWAY, address: 'gw:1', connected: true, state: 'starting' });
    await report('gw:2', true);
    const states = () => resources.gateways().map(({ state }) => state);
    expect(states()).toEqual(['starting', 'serving']);
    await say('starting', 2);
    expect(told).toBe(2);
    for (const state of ['serving', 'leaving'] as const) {
      await say(state);
      await say(state, 3);
      expect(states()).toEqual([state, 'serving']);
    }
    expect(told).toBe(4);
    expect(await resources.reportedGateways()).toMatchObject([{ state: 'leaving' }, { state: 'serving' }]);
    await report('gw:1', false);
    expect(resources.gateways()).toMatchObject([{ connected: false, state: 'serving' }, { connected: true }]);
    await clock.advance(10_000);
    await resources.reportGateway({ spiffeId: GATEWAY, address: 'gw:1', connected: true, state: 'starting' });
    expect(resources.gateways()).toMatchObject([{ connected: true, state: 'starting' }, { connected: true }]);
  });

  it('that flip their state are told of at their own pace, the last state always, and no other one waits for it', async () => {
    let told = 0;
    await report('gw:1', true);
    await report('gw:2', true);
    resources.onGateways(() => told++);
    const flips: Promise<void>[] = [];
    for (let n = 1; n <= 50; n++) {
      const state = n % 2 === 0 ? 'serving' : 'leaving';
      flips.push(resources.keepReport(at('gw:1'), { revision: n, findings: [], state }));
      await clock.advance(199);
    }
    const last = resources.keepReport(at('gw:1'), { revision: 51, findings: [], state: 'leaving' }).catch(String);
    await resources.keepReport(at('gw:2'), { revision: 1, findings: [], state: 'leaving' });
    expect(resources.gateways()[1]).toMatchObject({ state: 'leaving' });
    await clock.advance(2_500);
    await Promise.all(flips);
    expect(await last).toContain('50 reports within 10 s');
    expect(resources.gateways()[0]).toMatchObject({ state: 'leaving' });
    expect(told).toBeLessThan(12);
  });

  it('that come and go again and again are told of at their own pace, and as they are at last', async () => {
    let told = 0;
    resources.onGateways(() => told++);
    const flips: Promise<void>[] = [];
    for (let n = 0; n < 51; n++) {
      flips.push(report('gw:1', n % 2 === 0));
      await clock.advance(200);
    }
    await clock.advance(2_500);
    await Promise.all(flips);
    expect(resources.gateways()).toMatchObject([{ connected: true }]);
    expect(told).toBeLessThan(12);
  });

  it('that could not be written as gone when they left are so as soon as they can be', async () => {
    await report('gw:1', true);
    const { db } = test.store;
    await sql`alter table resources_gateways rename to away`.execute(db());
    await expect(report('gw:1', false)).rejects.toThrow();
    await sql`alter table away rename to resources_gateways`.execute(db());
    expect(resources.gateways()).toMatchObject([{ connected: true }]);
    await clock.advance(5_000);
    await expect.poll(() => resources.gateways()).toMatchObject([{ connected: false }]);
  });

  /** Time passes, and whatever a second brought is done before the next. */
  const pass = async (seconds: number) => {
    for (let n = 0; n < seconds; n++) {
      await clock.advance(1_000);
      // The next renewal waits again, and nothing of the store's is under way.
      await expect.poll(() => clock.pending()).toBe(1);
    }
  };
  const restart = async () => {
    await resources.stop();
    await test.reopen();
    resources = createTestResources({ store: test.store, clock }, { seed: 'next' });
    await resources.start(signal);
  };

  it('have eight seconds to come back to a server that has just started, and are gone within fifteen', async () => {
    await report('gone:1', true);
    await report('back:1', true);
    await restart();
    const connected = () => resources.gateways().flatMap((one) => (one.connected ? [one.address] : []));
    await pass(5);
    await report('back:1', true);
    await pass(3);
    expect(connected()).toEqual(['back:1', 'gone:1']);
    await pass(7);
    expect(connected()).toEqual(['back:1']);
  });

  it('have said nothing to a server that has just started', async () => {
    await report('gw:1', true);
    await resources.keepReport(at('gw:1'), { state: 'serving', revision: 1, findings: [FINDING] });
    await restart();
    await pass(15);
    expect(resources.gateways()).toMatchObject([{ address: 'gw:1', connected: false }]);
    expect(await resources.reportedGateways()).toMatchObject([{ report: undefined, findingsLeftOut: false }]);
  });

  it('are forgotten a month after they left, when another one comes', async () => {
    await report('old:1', true);
    await report('old:1', false);
    clock.step(30 * 86_400_000 + 1);
    await report('new:1', true);
    expect(resources.gateways().map((gateway) => gateway.address)).toEqual(['new:1']);
  });

  it('find room however many left at other addresses before them, those going first that left first', async () => {
    const rows = Array.from({ length: 10_000 }, (_, n) => ({
      ...{ spiffe_id: GATEWAY, address: `gw${n}:1`, connected: n < 5 ? 1 : 0, since_ms: 1_000_000 - n, owner: 'x' },
    }));
    for (let start = 0; start < rows.length; start += 1000)
      await test.store
        .db<ResourcesTables>()
        .insertInto('resources_gateways')
        .values(rows.slice(start, start + 1000))
        .execute();
    await report('new:1', true);
    const present = resources.gateways().map(({ address }) => address);
    expect(present).toContain('new:1');
    expect(present).toHaveLength(9901);
    expect(present).not.toContain('gw9999:1');
    expect(present).toEqual(expect.arrayContaining(['gw0:1', 'gw4:1', 'gw5:1', 'gw9899:1']));
  });

  describe('that share an address, or claim to', () => {
    const be = (instance: string, connected: boolean, state: GatewayState = 'serving', address = 'gw:1') =>
      resources.reportGateway({ spiffeId: GATEWAY, address, instance, connected, state });
    const say = (instance: string, state: GatewayState, revision = 1, address = 'gw:1') =>
      resources.keepReport({ spiffeId: GATEWAY, address, instance }, { revision, findings: [], state });
    const view = () => resources.gateways().map(({ address, connected, state }) => `${address} ${connected} ${state}`);

    it('serve there as long as one of them serves, whatever another one says', async () => {
      await be('a', true);
      await be('b', true, 'leaving');
      expect(view()).toEqual(['gw:1 true serving']);
      await say('b', 'starting');
      expect(view()).toEqual(['gw:1 true serving']);
      await say('a', 'leaving');
      expect(view()).toEqual(['gw:1 true starting']);
      await say('b', 'serving');
      expect(view()).toEqual(['gw:1 true serving']);
      await be('b', false);
      expect(view()).toEqual(['gw:1 true leaving']);
      await be('a', false);
      expect(view()).toEqual(['gw:1 false serving']);
    });

    it('may not speak for one another', async () => {
      await be('a', true);
      for (const stranger of ['b', ''])
        await expect(say(stranger, 'leaving')).rejects.toMatchObject({ code: 'ERR_RESOURCES_GATEWAY' });
      await be('', true);
      await say('', 'leaving');
      expect(view()).toEqual(['gw:1 true serving']);
    });

    it('are listed one by one with what each has said, and those that are gone as the one that left last', async () => {
      await be('a', true);
      await be('b', true);
      await say('a', 'serving', 7);
      await say('b', 'leaving', 8);
      expect((await resources.reportedGateways()).map(({ state, report: said }) => [state, said?.revision])).toEqual([
        ['serving', 7],
        ['leaving', 8],
      ]);
      for (const instance of ['b', 'a', 'c']) {
        await be(instance, false);
        await clock.advance(1);
      }
      expect(await resources.reportedGateways()).toMatchObject([{ connected: false, sinceMs: 1_000_001 }]);
      await be('d', true, 'starting');
      expect(await resources.reportedGateways()).toMatchObject([{ connected: true, state: 'starting' }]);
      expect(await resources.forgetGateway(GATEWAY, 'gw:1')).toBe(true);
      expect(await resources.reportedGateways()).toEqual([]);
    });

    it('are named in the log when one comes beside another of its SPIFFE ID, once each', async () => {
      await be('a', true);
      await be('a', true);
      expect(logged).toEqual([]);
      await be('b', true, 'serving', 'gw:2');
      await be('b', true, 'serving', 'gw:2');
      expect(logged).toEqual(['resources.gateway.identity_shared gw:2 1']);
      await be('c', false);
      await resources.reportGateway({ spiffeId: `${GATEWAY}/3`, address: 'gw:3', instance: 'c', connected: true });
      expect(logged).toHaveLength(1);
    });

    it('are a thousand at most, and those of other identities do not wait for them', async () => {
      const rows = Array.from({ length: 1_000 }, (_, n) => ({
        ...{ spiffe_id: GATEWAY, address: 'gw:1', instance: `i${n}`, connected: 1, since_ms: 1, owner: 'x' },
      }));
      await test.store.db<ResourcesTables>().insertInto('resources_gateways').values(rows).execute();
      await expect(be('more', true)).rejects.toMatchObject({ code: 'ERR_RESOURCES_LIMIT' });
      await resources.reportGateway({ spiffeId: `${GATEWAY}/2`, address: 'gw:2', connected: true });
      expect(view()).toContain('gw:2 true serving');
    });

    it('are written of at a pace of their own together, and those of other identities do not wait for them', async () => {
      let told = 0;
      resources.onGateways(() => told++);
      const crowd = Array.from({ length: 900 }, (_, n) => be(`i${n}`, true));
      await resources.reportGateway({ spiffeId: `${GATEWAY}/2`, address: 'gw:2', connected: true });
      expect(view()).toContain('gw:2 true serving');
      expect(told).toBeLessThan(300);
      await clock.advance(60_000);
      await Promise.all(crowd);
      expect((await resources.reportedGateways()).filter(({ connected }) => connected)).toHaveLength(901);
    });

    it('are there again after a restart of the server, as they say then', async () => {
      await be('a', true);
      await be('b', true, 'leaving');
      await resources.stop();
      await test.reopen();
      resources = createTestResources({ store: test.store, clock }, { seed: 'next' });
      await resources.start(signal);
      await be('b', true, 'leaving');
      expect(view()).toEqual(['gw:1 true serving']);
      await be('a', true, 'starting');
      expect(view()).toEqual(['gw:1 true starting']);
      await be('b', false);
      await be('a', false);
      expect(view()).toEqual(['gw:1 false serving']);
    });
  });

  it('of a store that knew no instances are there', async () => {
    const old = await openTestStore(resourcesMigrations.slice(0, 4), { clock });
    const row = { address: 'gw:1', connected: 1, since_ms: 5, owner: 'x', reported: 3, findings: '[]' };
    await old.store
      .db<ResourcesTables>()
      .insertInto('resources_gateways')
      .values({ ...row, spiffe_id: GATEWAY })
      .execute();
    await old.store.migrate(resourcesMigrations);
    const rows = await old.store.db<ResourcesTables>().selectFrom('resources_gateways').selectAll().execute();
    expect(rows).toEqual([{ ...row, spiffe_id: GATEWAY, instance: '', state: 'serving' }]);
    await old.close();
  });

  const FINDING = {
    condition: 'masks',
    severity: 'degraded',
    what: 'target shop',
    found: 'no ssn',
    remedy: 'Mend.',
  } as const;
  const at = (address: string) => ({ spiffeId: GATEWAY, address });
  const said = async () =>
    (await resources.reportedGateways()).map(
      ({ address, report }) => `${address} ${report?.revision} ${report?.findings.length}`,
    );

  it('are listed with what they said last, until they are gone or connect anew', async () => {
    await report('gw:1', true);
    expect(await said()).toEqual(['gw:1 undefined undefined']);
    await resources.keepReport(at('gw:1'), { state: 'serving', revision: 1, findings: [FINDING] });
    await resources.keepReport(at('gw:1'), { state: 'serving', revision: 2, findings: [FINDING, FINDING] });
    expect(await said()).toEqual(['gw:1 2 2']);
    await report('gw:1', false);
    expect(await said()).toEqual(['gw:1 undefined undefined']);
    await report('gw:1', true);
    expect(await said()).toEqual(['gw:1 undefined undefined']);
    await resources.keepReport(at('gw:1'), { state: 'serving', revision: 2, findings: [] });
    expect(await said()).toEqual(['gw:1 2 0']);
  });

  it('say what they have to say to the server that they watch, and nobody hears of it but who asks', async () => {
    await report('gw:1', true);
    let told = 0;
    resources.onGateways(() => told++);
    await resources.keepReport(at('gw:1'), { state: 'serving', revision: 1, findings: [FINDING] });
    expect(told).toBe(0);
    await expect(
      resources.keepReport(at('gw:2'), { state: 'serving', revision: 1, findings: [] }),
    ).rejects.toMatchObject({
      code: 'ERR_RESOURCES_GATEWAY',
    });
    await report('gw:1', false);
    await expect(
      resources.keepReport(at('gw:1'), { state: 'serving', revision: 1, findings: [] }),
    ).rejects.toMatchObject({
      code: 'ERR_RESOURCES_GATEWAY',
    });
  });

  it('may report fifty times in ten seconds, and no other one pays for it', async () => {
    await report('gw:1', true);
    await report('gw:2', true);
    for (let revision = 1; revision <= 50; revision++)
      await resources.keepReport(at('gw:1'), { state: 'serving', revision, findings: [] });
    const more = () => resources.keepReport(at('gw:1'), { state: 'serving', revision: 51, findings: [] });
    await expect(more()).rejects.toMatchObject({ code: 'ERR_RESOURCES_REPORTS' });
    await resources.keepReport(at('gw:2'), { state: 'serving', revision: 1, findings: [] });
    await clock.advance(10_000);
    await more();
    expect(await said()).toEqual(['gw:1 51 0', 'gw:2 1 0']);
  });

  it('may all have something to say: of a hundred it is told, of the others that there is something', async () => {
    const long = { ...FINDING, found: 'x'.repeat(1000) };
    for (let n = 100; n < 202; n++) {
      await report(`gw${n}:1`, true);
      await resources.keepReport(at(`gw${n}:1`), { state: 'serving', revision: 1, findings: n === 100 ? [] : [long] });
    }
    const listed = await resources.reportedGateways();
    expect(listed.filter((one) => one.report?.findings.length === 1)).toHaveLength(100);
    expect(listed.filter((one) => one.findingsLeftOut).map(({ address }) => address)).toEqual(['gw201:1']);
  });

  it.each([
    'gw',
    'gw:0',
    'gw:65536',
    'user@gw:1',
    'http://gw:1',
    'gw :1',
    '[::1:1',
    ':1',
  ])('may not advertise %s', async (address) => {
    await expect(report(address, true)).rejects.toMatchObject({ code: 'ERR_RESOURCES_ADDRESS' });
  });

  it.each(['gw.example:65535', '10.0.0.1:1', '[::1]:7000'])('may advertise %s', async (address) => {
    await report(address, true);
    expect(resources.gateways()).toMatchObject([{ address }]);
  });
});
