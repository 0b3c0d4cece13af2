import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../../test/support/eventually.ts';
import { startPostgres, type TestPostgres } from '../../test/support/postgres.ts';
import { createManualClock, createSilentLog, createSystemClock, type ManualClock, type Service } from '../std/index.ts';
import { member as postgresEngine } from '../store/engines/postgres/index.ts';
import { type Resources, resourcesMigrations } from './index.ts';
import { createTestResources, GATEWAY, target, withId } from './testing/declared.ts';

const signal = new AbortController().signal;
/** Its next beat, and its next look at each of what it follows. */
const TIMERS_OF_ONE = 3;
let clock: ManualClock;
beforeEach(() => {
  clock = createManualClock(1_000_000);
});

describe('several servers on one database', () => {
  let postgres: TestPostgres;
  const opened: Service[] = [];
  beforeAll(async () => {
    postgres = await startPostgres();
    process.env['CS_RESOURCES_TEST_URL'] = postgres.url;
  });
  afterEach(async () => {
    for (const service of opened.splice(0).toReversed()) await service.stop();
    await postgres.query('drop schema public cascade; create schema public');
  });
  afterAll(() => postgres.stop());

  async function startServer(seed: string): Promise<Resources & Service> {
    const store = await postgresEngine.open(
      { url: 'env:CS_RESOURCES_TEST_URL' },
      { clock: createSystemClock(), log: createSilentLog() },
    );
    await store.start(signal);
    opened.push(store);
    await store.migrate(resourcesMigrations);
    const created = createTestResources({ store, clock }, { seed });
    await created.start(signal);
    opened.push(created);
    return created;
  }

  /** Lets the servers that live beat once more each, `count` times. */
  async function beats(count: number, live: number): Promise<void> {
    for (let n = 0; n < count; n++) {
      // Whoever has just beaten is seen to have before it waits again: time that passes in between would pass by it.
      await eventually('each waits', () => clock.pending() === live * TIMERS_OF_ONE);
      const [before] = await postgres.query('select max(beats)::int as beats from resources_servers');
      await clock.advance(30_000);
      await eventually('every server has beaten', async () => {
        const [row] = await postgres.query('select count(*)::int as done from resources_servers where beats > $1', [
          before?.['beats'],
        ]);
        return row?.['done'] === live;
      });
    }
  }

  it('push changes to each other and plan one after the other', async () => {
    const [one, two] = await Promise.all([startServer('one'), startServer('two')]);
    const both = Promise.all(
      [one, two].map(
        (server) => new Promise<void>((resolve) => server.onChange(({ revision }) => revision === 10 && resolve())),
      ),
    );
    const plans = await Promise.all(
      Array.from({ length: 10 }, (_, n) => (n % 2 === 0 ? one : two).apply([target('a', { n })], { prune: true })),
    );
    await both;
    expect(plans.flatMap((plan) => (plan.ok ? [plan.revision] : [])).sort((a, b) => a - b)).toEqual([
      1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
    ]);
    expect(one.snapshot()).toEqual(two.snapshot());
  });

  it('never make a set that gateways would refuse, though each is told one half of it at the same moment', async () => {
    const [one, two] = await Promise.all([startServer('one'), startServer('two')]);
    for (const round of Array.from({ length: 5 }, (_, n) => `r${n}`)) {
      const plans = await Promise.all([
        one.apply([withId(`${round}-a`, round)], { prune: false }),
        two.apply([withId(`${round}-b`, round)], { prune: false }),
      ]);
      expect(plans.filter(({ ok }) => ok)).toHaveLength(1);
    }
    expect((await two.list()).policies).toHaveLength(5);
  });

  it('keep a gateway that moved from one to the other connected, though the first sees it leave', async () => {
    const [one, two] = await Promise.all([startServer('one'), startServer('two')]);
    const report = (by: Resources, connected: boolean) =>
      by.reportGateway({ spiffeId: GATEWAY, address: 'gw:1', connected });
    await report(one, true);
    await report(two, true);
    await report(one, false);
    expect(two.gateways()).toMatchObject([{ connected: true }]);
    await report(two, false);
    expect(two.gateways()).toMatchObject([{ connected: false }]);
  });

  it('take the gateways of one that was killed for gone three minutes later, and not those of one that lives', async () => {
    const [killed, lives, looks] = await Promise.all(['killed', 'lives', 'looks'].map(startServer));
    if (!killed || !lives || !looks) throw new Error('three were started');
    const report = (by: Resources, address: string) =>
      by.reportGateway({ spiffeId: GATEWAY, address, connected: true });
    await report(killed, 'ghost:1');
    await report(killed, 'moved:1');
    await report(lives, 'there:1');
    await report(lives, 'moved:1');
    const connected = () =>
      looks
        .gateways()
        .filter((gateway) => gateway.connected)
        .map(({ address }) => address);
    await killed.stop(); // Without reporting that its gateways left: that is what a server does that is killed.
    await beats(5, 2);
    expect(connected()).toEqual(['ghost:1', 'moved:1', 'there:1']);
    await beats(2, 2);
    await eventually('the ghost is gone', () => !connected().includes('ghost:1'));
    expect(connected()).toEqual(['moved:1', 'there:1']);
    expect(await postgres.query('select owner from resources_servers')).toHaveLength(2);
  });

  it('tell what gateways said to any of them, also when one that was only paused has them back', async () => {
    const [paused, looks] = await Promise.all([startServer('paused'), startServer('looks')]);
    await paused.reportGateway({ spiffeId: GATEWAY, address: 'gw:1', connected: true });
    const finding = { condition: 'names', severity: 'warning', what: 'w', found: 'f', remedy: 'r' } as const;
    const said = { state: 'serving', revision: 7, findings: [finding] } as const;
    await paused.keepReport({ spiffeId: GATEWAY, address: 'gw:1' }, said);
    expect(await looks.reportedGateways()).toMatchObject([{ address: 'gw:1', report: said }]);
    await expect(looks.keepReport({ spiffeId: GATEWAY, address: 'gw:1' }, said)).rejects.toMatchObject({
      code: 'ERR_RESOURCES_GATEWAY',
    });
    await postgres.query('update resources_gateways set connected = 0; delete from resources_servers');
    await clock.advance(30_000);
    await eventually('it is told again', async () => (await looks.reportedGateways())[0]?.report?.revision === 7);
    await looks.reportGateway({ spiffeId: GATEWAY, address: 'gw:1', connected: true });
    expect(await looks.reportedGateways()).toMatchObject([{ report: undefined }]);
  });

  it('live on when they were only paused, and find no room for a gateway any more', async () => {
    const paused = await startServer('paused');
    await paused.reportGateway({ spiffeId: GATEWAY, address: 'gw:1', connected: true });
    await paused.reportGateway({ spiffeId: `${GATEWAY}/2`, address: 'gw:2', connected: true });
    await postgres.query(
      `delete from resources_servers; delete from resources_gateways;
       insert into resources_gateways (spiffe_id, address, instance, connected, since_ms, owner)
       select '${GATEWAY}', 'gw:3', n::text, 1, 1, 'other' from generate_series(1, 1000) as n`,
    );
    await clock.advance(30_000);
    await eventually(
      'it lives',
      async () => (await postgres.query('select owner from resources_servers')).length === 1,
    );
    const rows = await postgres.query("select address from resources_gateways where owner <> 'other'");
    expect(rows).toEqual([{ address: 'gw:2' }]);
  });

  it('have their gateways back when they were only paused', async () => {
    const [paused, looks] = await Promise.all([startServer('paused'), startServer('looks')]);
    await paused.reportGateway({ spiffeId: GATEWAY, address: 'gw:1', connected: true });
    // What another server does that has not seen it beat.
    await postgres.query(
      'update resources_gateways set connected = 0; delete from resources_servers; update resources_state set revision = revision + 1',
    );
    await clock.advance(10_000);
    await eventually('the gateway is gone', () => !looks.gateways().some(({ connected }) => connected));
    await clock.advance(20_000);
    await eventually('the gateway is back', () => looks.gateways().some(({ connected }) => connected));
  });
});
