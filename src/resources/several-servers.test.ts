import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../../test/support/eventually.ts';
import { startPostgres, type TestPostgres } from '../../test/support/postgres.ts';
import { type ToldClock, tellClock } from '../../test/support/postgres-clock.ts';
import { createManualClock, createSilentLog, createSystemClock, type ManualClock, type Service } from '../std/index.ts';
import { member as postgresEngine } from '../store/engines/postgres/index.ts';
import { type Store, storeMigrations } from '../store/index.ts';
import { type Resources, resourcesMigrations } from './index.ts';
import { createTestResources, GATEWAY, target, withId } from './testing/declared.ts';

const signal = new AbortController().signal;
const START_MS = 1_000_000;
/** Its next renewal, and its next look at each of what it follows. */
const TIMERS_OF_ONE = 3;
const GATEWAY_2 = `${GATEWAY}/2`;

describe('several servers on one database', () => {
  let postgres: TestPostgres;
  let databaseClock: ToldClock;
  const opened: Service[] = [];
  beforeAll(async () => {
    postgres = await startPostgres();
    process.env['CS_RESOURCES_TEST_URL'] = postgres.url;
  });
  beforeEach(async () => {
    databaseClock = await tellClock(postgres, START_MS);
  });
  afterEach(async () => {
    for (const service of opened.splice(0).toReversed()) await service.stop();
    await postgres.query('drop schema public cascade; create schema public');
  });
  afterAll(() => postgres.stop());

  interface TestServer extends Resources, Service {
    /** Its own: one that is paused has one that stands still. */
    readonly clock: ManualClock;
    report(address: string, connected: boolean, spiffeId?: string): Promise<void>;
    connected(): readonly string[];
    /** From then on, until it is called again, it hears of nothing; its clock stands still while nobody moves it. */
    toggle(): void;
  }

  async function startServer(seed: string): Promise<TestServer> {
    const clock = createManualClock(START_MS);
    const store = await postgresEngine.open(
      { url: 'env:CS_RESOURCES_TEST_URL' },
      { clock: createSystemClock(), log: createSilentLog() },
    );
    await store.start(signal);
    opened.push(store);
    await store.migrate([...resourcesMigrations, ...storeMigrations]);
    let held: (() => void)[] | undefined;
    const subscribe: Store['subscribe'] = (topic, listener) =>
      store.subscribe(topic, (payload) => (held ? void held.push(() => listener(payload)) : listener(payload)));
    const created = createTestResources({ store: { ...store, subscribe }, clock }, { seed });
    await created.start(signal);
    opened.push(created);
    return {
      ...created,
      clock,
      report: (address, connected, spiffeId = GATEWAY) => created.reportGateway({ spiffeId, address, connected }),
      connected: () => created.gateways().flatMap((one) => (one.connected ? [one.address] : [])),
      toggle() {
        const heard = held ?? [];
        held = held ? undefined : [];
        for (const hear of heard) hear();
      },
    };
  }

  /** Time passes at the database and for those servers, second by second. */
  async function pass(seconds: number, ...servers: readonly TestServer[]): Promise<void> {
    for (let n = 0; n < seconds; n++) {
      await databaseClock.pass(1_000);
      for (const { clock } of servers) await clock.advance(1_000);
      for (const { clock } of servers) await settled(clock);
    }
  }

  /** Whatever its timers began is done. */
  const settled = (clock: ManualClock) => eventually('it waits', () => clock.pending() === TIMERS_OF_ONE);

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
    await one.report('gw:1', true);
    await two.report('gw:1', true);
    await one.report('gw:1', false);
    expect(two.connected()).toEqual(['gw:1']);
    await two.report('gw:1', false);
    expect(two.connected()).toEqual([]);
  });

  it('take the gateways of one that was killed for gone within fifteen seconds, and not those of one that lives', async () => {
    const [killed, lives, looks] = [await startServer('k'), await startServer('l'), await startServer('looks')];
    await killed.report('ghost:1', true);
    await killed.report('moved:1', true);
    await lives.report('there:1', true);
    await lives.report('moved:1', true);
    await pass(20, killed, lives, looks);
    expect(looks.connected()).toEqual(['ghost:1', 'moved:1', 'there:1']);
    await killed.stop(); // Without reporting that its gateways left: that is what a server does that is killed.
    await pass(7, lives, looks);
    expect(looks.connected()).toEqual(['ghost:1', 'moved:1', 'there:1']);
    await pass(8, lives, looks);
    await eventually('the ghost is gone', () => !looks.connected().includes('ghost:1'));
    expect(looks.connected()).toEqual(['moved:1', 'there:1']);
    expect(await postgres.query('select name from store_leases')).toHaveLength(2);
    expect(await postgres.query('select owner from resources_servers')).toHaveLength(2);
    expect(lives.servers().gone + looks.servers().gone).toBe(1);
    expect(looks.servers()).toMatchObject({ held: 2, selfGone: 0 });
  });

  it('take nobody for gone after they stood still themselves, nor when the clock of the database jumps', async () => {
    const [one, two] = [await startServer('one'), await startServer('two')];
    await one.report('gw:1', true);
    await two.report('gw:2', true);
    await pass(20, one, two);
    // A host that both run on was suspended: the first to wake finds the other's time over.
    await databaseClock.pass(60_000);
    await one.clock.advance(60_000);
    await settled(one.clock);
    await pass(5, one);
    expect(one.connected()).toEqual(['gw:1', 'gw:2']);
    await two.clock.advance(65_000);
    await settled(two.clock);
    await pass(20, one, two);
    await databaseClock.pass(3_600_000);
    await pass(20, one, two);
    await databaseClock.pass(-3_600_000);
    await pass(20, one, two);
    expect([one.connected(), two.connected()]).toEqual([
      ['gw:1', 'gw:2'],
      ['gw:1', 'gw:2'],
    ]);
  });

  it('find one gone whose database went back an hour while it died', async () => {
    const [killed, looks] = [await startServer('killed'), await startServer('looks')];
    await killed.report('ghost:1', true);
    await pass(20, killed, looks);
    await killed.stop();
    await databaseClock.pass(-3_600_000);
    await pass(30, looks);
    await eventually('the ghost is gone', () => !looks.connected().includes('ghost:1'));
  });

  describe('of which one was paused, and was taken for gone', () => {
    let paused: TestServer;
    let looks: TestServer;
    const resume = async () => {
      paused.toggle();
      await paused.clock.advance(3_000);
      await settled(paused.clock);
    };
    beforeEach(async () => {
      [paused, looks] = [await startServer('paused'), await startServer('looks')];
      await pass(20, paused, looks);
      await paused.report('stays:1', true);
      await paused.report('moves:1', true, GATEWAY_2);
      paused.toggle();
      await pass(15, looks);
      await eventually('they are gone', () => looks.connected().length === 0);
    });

    it('has those back that are still with it', async () => {
      await resume();
      await eventually('they are back', () => looks.connected().length === 2);
      expect(paused.servers().selfGone).toBe(1);
    });

    it('claims none that is with another by now, and writes none of those as gone', async () => {
      await looks.report('moves:1', true, GATEWAY_2);
      await resume();
      await eventually('the other is back', () => looks.connected().includes('stays:1'));
      await paused.report('moves:1', false, GATEWAY_2);
      expect(looks.connected()).toEqual(['stays:1', 'moves:1']);
      await looks.report('moves:1', false, GATEWAY_2);
      expect(looks.connected()).toEqual(['stays:1']);
    });

    it('says nothing more of the state of one that is with another', async () => {
      await looks.report('moves:1', true, GATEWAY_2);
      await resume();
      const gateway = { spiffeId: GATEWAY_2, address: 'moves:1' };
      await paused.keepReport(gateway, { state: 'leaving', revision: 1, findings: [] });
      expect(looks.gateways()).toMatchObject([{ address: 'stays:1' }, { address: 'moves:1', state: 'serving' }]);
      await looks.keepReport(gateway, { state: 'leaving', revision: 1, findings: [] });
      expect(looks.gateways()).toMatchObject([{ address: 'stays:1' }, { address: 'moves:1', state: 'leaving' }]);
    });

    it('writes nothing before it is there again: what comes to it first is not lost with it', async () => {
      await paused.report('new:1', true);
      expect(await postgres.query('select name from store_leases')).toHaveLength(2);
      await eventually('all are back', () => looks.connected().length === 3);
      await pass(20, paused, looks);
      expect(looks.connected()).toEqual(['new:1', 'stays:1', 'moves:1']);
    });

    it('lives on, and finds no room for a gateway any more', async () => {
      await postgres.query(
        `delete from resources_gateways;
         insert into resources_gateways (spiffe_id, address, instance, connected, since_ms, owner)
         select '${GATEWAY}', 'gw:3', n::text, 1, 1, 'other' from generate_series(1, 1000) as n`,
      );
      await resume();
      const rows = await postgres.query("select address from resources_gateways where owner <> 'other'");
      expect(rows).toEqual([{ address: 'moves:1' }]);
    });
  });

  it('have a gateway connected that came to one of them before the other had written that it was there', async () => {
    const [late, now] = [await startServer('late'), await startServer('now')];
    await now.report('gw:1', true);
    await late.report('gw:1', true); // It was held up: the gateway has left it already.
    await late.report('gw:1', false);
    await eventually('it is there', () => now.connected().length === 1);
    await eventually('the other has heard', () => late.connected().length === 1);
    await now.report('gw:1', false);
    expect(now.connected()).toEqual([]);
  });

  it('tell what gateways said to any of them', async () => {
    const [hears, looks] = [await startServer('hears'), await startServer('looks')];
    await hears.report('gw:1', true);
    const finding = { condition: 'names', severity: 'warning', what: 'w', found: 'f', remedy: 'r' } as const;
    const said = { state: 'serving', revision: 7, findings: [finding] } as const;
    await hears.keepReport({ spiffeId: GATEWAY, address: 'gw:1' }, said);
    expect(await looks.reportedGateways()).toMatchObject([{ address: 'gw:1', report: said }]);
    await expect(looks.keepReport({ spiffeId: GATEWAY, address: 'gw:1' }, said)).rejects.toMatchObject({
      code: 'ERR_RESOURCES_GATEWAY',
    });
    await looks.report('gw:1', true);
    expect(await looks.reportedGateways()).toMatchObject([{ report: undefined }]);
  });

  describe('beside one of a version that knows no leases', () => {
    const beatsOf = async (owner: string) =>
      (await postgres.query('select beats::int from resources_servers where owner = $1', [owner]))[0]?.['beats'];
    const beat = () => postgres.query("update resources_servers set beats = beats + 1 where owner = 'older'");
    let newer: TestServer;
    beforeEach(async () => {
      newer = await startServer('newer');
      await postgres.query(
        `insert into resources_servers (owner, beats) values ('older', 0);
         insert into resources_gateways (spiffe_id, address, instance, connected, since_ms, owner)
         values ('${GATEWAY}', 'gw:1', '', 1, 1, 'older');
         update resources_state set revision = revision + 1`,
      );
    });

    it('take it for gone when its beats have stood still for three minutes, and not before', async () => {
      for (let n = 0; n < 8; n++) {
        await beat();
        await pass(30, newer);
      }
      expect(newer.connected()).toEqual(['gw:1']);
      await pass(120, newer);
      expect(newer.connected()).toEqual(['gw:1']);
      await pass(90, newer);
      expect(newer.connected()).toEqual([]);
    });

    it('count beats for it, and come back when it takes them for gone all the same', async () => {
      await newer.report('gw:2', true);
      await pass(95, newer);
      const [own] = await postgres.query("select owner, beats::int from resources_servers where owner <> 'older'");
      expect(own?.['beats']).toBeGreaterThanOrEqual(3);
      await postgres.query(
        `delete from resources_servers where owner <> 'older';
         update resources_gateways set connected = 0 where address = 'gw:2';
         update resources_state set revision = revision + 1`,
      );
      await beat();
      await pass(40, newer);
      expect(newer.connected()).toContain('gw:2');
      expect(await beatsOf(`${own?.['owner']}`)).toBeGreaterThanOrEqual(0);
    });
  });
});
