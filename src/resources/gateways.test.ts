import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openTestStore, type TestStore } from '../../test/support/store.ts';
import { createManualClock, type ManualClock, type Service } from '../std/index.ts';
import { type Resources, resourcesMigrations } from './index.ts';
import type { ResourcesTables } from './migrations.ts';
import { createTestResources, GATEWAY } from './testing/declared.ts';

const signal = new AbortController().signal;
let test: TestStore;
let clock: ManualClock;
let resources: Resources & Service;

beforeEach(async () => {
  clock = createManualClock(1_000_000);
  test = await openTestStore(resourcesMigrations, { clock });
  resources = createTestResources({ store: test.store, clock });
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
    await resources.reportGateway({ spiffeId: GATEWAY, address: 'gw:1', connected: true, state: 'starting' });
    expect(resources.gateways()).toMatchObject([{ connected: true, state: 'starting' }, { connected: true }]);
  });

  it('have a quarter of a minute to come back to a server that has just started', async () => {
    await report('gone:1', true);
    await report('back:1', true);
    await resources.stop();
    await test.reopen();
    resources = createTestResources({ store: test.store, clock }, { seed: 'next' });
    await resources.start(signal);
    const connected = () => resources.gateways().flatMap((one) => (one.connected ? [one.address] : []));
    await clock.advance(5_000);
    await report('back:1', true);
    expect(connected()).toEqual(['back:1', 'gone:1']);
    await clock.advance(9_999);
    expect(connected()).toEqual(['back:1', 'gone:1']);
    await clock.advance(1);
    await expect.poll(connected).toEqual(['back:1']);
  });

  it('have said nothing to a server that has just started', async () => {
    await report('gw:1', true);
    await resources.keepReport(at('gw:1'), { state: 'serving', revision: 1, findings: [FINDING] });
    await resources.stop();
    await test.reopen();
    resources = createTestResources({ store: test.store, clock }, { seed: 'next' });
    await resources.start(signal);
    await clock.advance(15_000);
    await expect.poll(() => resources.gateways()).toMatchObject([{ address: 'gw:1', connected: false }]);
    expect(await resources.reportedGateways()).toMatchObject([{ report: undefined, findingsLeftOut: false }]);
  });

  it('are forgotten a month after they left, when another one comes', async () => {
    await report('old:1', true);
    await report('old:1', false);
    await clock.advance(30 * 86_400_000 + 1);
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
