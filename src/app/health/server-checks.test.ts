// Goal: what a server lacks is told with what still goes on: a store that is away, keys that were lost, authorities that can't sign, its own identity.
import { afterEach, describe, expect, it } from 'vitest';
import { AuthorityError, type AuthorityInfo, type AuthorityKind } from '../../authority/index.ts';
import { composeSchema, loadPolicies } from '../../policy/index.ts';
import { type LogView, RecordsError, type SinkView } from '../../records/index.ts';
import type { ServersSeen } from '../../resources/index.ts';
import { createManualClock, createPeerClock, type ManualClock, type PeerClock } from '../../std/index.ts';
import type { NewerMigration } from '../../store/index.ts';
import type { ShippingLag } from '../shipping/ship-ledger.ts';
import { startTelling, type Telling } from '../testing/told.ts';
import { createClockCheck } from './clock-check.ts';
import type { ConditionName } from './condition-table.ts';
import { createServerChecks } from './server-checks.ts';

const POLICIES = loadPolicies([], composeSchema([]));
const NO_POLICIES = { revision: 1, isDefault: false, policies: [], digest: undefined };
const START_MS = Date.UTC(2027, 0, 1);
const HOUR_MS = 3_600_000;

let telling: Telling<'server'> | undefined;
afterEach(() => telling?.close());

async function house(): Promise<House> {
  const clock = createManualClock(START_MS);
  const database = createPeerClock(clock);
  const state: State = {
    ...{ logs: [], lag: {}, sinks: [], newer: [], servers: HEARD },
    ...{ ledger: 'enough', store: undefined, check: undefined, access: undefined, unable: [], lost: [] },
    life: { issuedMs: START_MS, expiresMs: START_MS + HOUR_MS },
  };
  telling = await startTelling('server', {
    clock,
    checks: {
      ...createServerChecks({
        clock,
        ledger: {
          state: () => ({
            ...{ failure: undefined, refusal: undefined, roomFailure: undefined, unsignedMs: 0, unsignedEntries: 0 },
            ...{ checkpointFailure: undefined, room: state.ledger },
          }),
        },
        access: {
          current: () => ({ ...NO_POLICIES, problems: state.access === undefined ? [] : [state.access] }),
          compiled: () => ({ builtIn: POLICIES, changeable: state.access === undefined ? POLICIES : undefined }),
        },
        authority: { problem: () => state.check, unable: () => state.unable, lost: () => state.lost },
        identity: { life: () => state.life },
        probe: { problem: () => state.store && { error: state.store, forMs: 5_000 }, newer: () => state.newer },
        resources: { servers: () => ({ held: 1, gone: 0, selfGone: 0, ...state.servers }) },
        records: { logs: () => state.logs, silentMs: ({ heardMs }) => (heardMs === 0 ? 61_500 : undefined) },
        shipping: { lag: () => ({ entries: 0, forMs: 0, problem: undefined, ...state.lag }) },
        sinks: { views: () => state.sinks },
        started: () => true,
      }),
      ...{ room: () => [], descriptors: () => [], 'event-loop': () => [] },
      clock: createClockCheck({ peer: database, peerName: 'the database', synchronised: () => true }),
    },
  });
  const { told } = telling;
  return { clock, database, state, told };
}

const HEARD = { selfGoneForMs: undefined, selfUnheardMs: 2_000 };
const NEWER = { name: '0002-more', release: '7.1.0', hindrance: undefined };
const gone = new AuthorityError('ERR_AUTHORITY_STORE_LOST', 'went back from 7 to 0');
const set = (change: Partial<State>) => (h: House) => {
  Object.assign(h.state, change);
};
const LOST: AuthorityInfo = {
  ...{ id: 'ab12', kind: 'x509', serverId: 'a', state: 'old', tainted: false },
  ...{ notBeforeS: START_MS / 1000, expiresAtS: START_MS / 1000 + 3600 },
};
const BROKEN: readonly (readonly [ConditionName<'server'>, string, (h: House) => void])[] = [
  ['ledger', '200 degraded', set({ ledger: 'none' })],
  ['store', '200 degraded', set({ store: new Error('connection refused') })],
  ['authority', '200 degraded', set({ check: gone })],
  ['authority', '503 failed', set({ unable: ['x509'] })],
  ['presence', '200 degraded', set({ servers: { selfGoneForMs: undefined, selfUnheardMs: 10_000 } })],
  ['presence', '200 warning', set({ servers: { selfGoneForMs: 59_000, selfUnheardMs: 0 } })],
  ['release', '200 warning', set({ newer: [NEWER] })],
  ['release', '200 degraded', set({ newer: [{ ...NEWER, hindrance: 'a newer release has written to more' }] })],
  ['keys', '200 degraded', set({ lost: [LOST] })],
  ['access', '200 degraded', set({ access: 'roles:1:1: error: unexpected end of input' })],
  ['identity', '503 failed', (h) => h.clock.step(2 * HOUR_MS)],
  ['identity', '200 degraded', (h) => h.clock.step(50 * 60_000)],
  ['clock', '200 degraded', (h) => h.database.says(START_MS + HOUR_MS)],
];

describe('each is told at /ready, metric, doctor and log, and no more once it is mended', () => {
  it.each(BROKEN)('%s: %s', async (condition, ready, breakIt) => {
    const h = await house();
    await h.clock.advance(1_000);
    expect(await h.told(condition)).toMatchObject({ ready: '200', metric: [], doctor: [], log: [] });
    breakIt(h);
    await h.clock.advance(40_000);
    const [, severity] = ready.split(' ');
    const told = await h.told(condition);
    expect(told).toMatchObject({ ready, metric: [severity], log: [severity] });
    expect(told.doctor).toEqual([expect.stringMatching(new RegExp(`^(wrong|odd) server ${condition}: `))]);
    expect(told.remedy).not.toBe('');
    Object.assign(h.state, {
      ledger: 'enough',
      store: undefined,
      check: undefined,
      access: undefined,
      unable: [],
      lost: [],
      logs: [],
      lag: {},
      newer: [],
      servers: HEARD,
    });
    Object.assign(h.state, { life: { issuedMs: h.clock.now(), expiresMs: h.clock.now() + HOUR_MS } });
    h.database.says(h.clock.now());
    await h.clock.advance(1_000);
    expect(await h.told(condition)).toMatchObject({ metric: [], doctor: [], log: [severity, 'ok'] });
  });
});

interface House {
  readonly clock: ManualClock;
  readonly database: PeerClock;
  readonly state: State;
  readonly told: Telling<'server'>['told'];
}

interface State {
  logs: LogView[];
  lag: Partial<ShippingLag>;
  sinks: SinkView[];
  newer: NewerMigration[];
  servers: Pick<ServersSeen, 'selfGoneForMs' | 'selfUnheardMs'>;
  ledger: 'enough' | 'none';
  store: Error | undefined;
  check: Error | undefined;
  access: string | undefined;
  unable: AuthorityKind[];
  lost: AuthorityInfo[];
  life: { readonly issuedMs: number; readonly expiresMs: number };
}

/** A log with nothing wrong; `heardMs: 0` is silent. */
function logWith(fields: Partial<LogView>): LogView {
  const named = {
    id: 1,
    origin: 'corp.example/gateway/one',
    generation: 1,
    owner: 'spiffe://corp.example/countersign/gateway',
  };
  const standing = {
    verifierKey: 'k',
    entries: 5,
    checkpoint: undefined,
    heardMs: START_MS,
    ended: false,
    closed: false,
  };
  return { ...named, ...standing, alarm: undefined, ...fields };
}

describe('a ledger of the record', () => {
  it('is told by its name, and what is wrong with it, until an operator closes it', async () => {
    const h = await house();
    const fork = { kind: 'fork', found: 'two histories', sinceMs: START_MS } as const;
    h.state.logs = [
      logWith({ alarm: fork }),
      logWith({ id: 2, origin: 'corp.example/gateway/two', heardMs: 0 }),
      logWith({ id: 3 }),
    ];
    await h.clock.advance(40_000);
    const told = await h.told('record');
    expect(told.found).toBe('corp.example/gateway/one: fork: two histories');
    expect(told.remedy).toContain('record accept');
    // One log is told by one line of `doctor` for each condition; the log has them all.
    expect(told.log).toEqual(['degraded', 'degraded']);
    h.state.logs = h.state.logs.slice(1);
    await h.clock.advance(1_000);
    expect((await h.told('record')).found).toContain('gateway/two: silence: nothing was heard of it for 1m1s');
    h.state.logs = h.state.logs.map((log) => ({ ...log, closed: true }));
    await h.clock.advance(1_000);
    expect(await h.told('record')).toMatchObject({ ready: '200', doctor: [] });
  });
});

describe('the way of the server’s own ledger into the record', () => {
  it.each<[string, Partial<ShippingLag>, number]>([
    ['is not told of while entries wait for less than a minute', { entries: 5, forMs: 59_999 }, 0],
    ['is told of when they wait for longer', { entries: 5, forMs: 60_000 }, 1],
    ['is told of at once when they are refused', { problem: { error: refusedError(), forMs: 0 } }, 1],
  ])('%s', async (_, lag, count) => {
    const h = await house();
    h.state.lag = lag;
    await h.clock.advance(40_000);
    expect((await h.told('shipping')).doctor).toHaveLength(count);
  });
});

describe('a sink of the record', () => {
  const well: SinkView = {
    ...{ name: 'siem', kind: 'webhook', isRunner: true, behind: 0, taken: 9, away: undefined, refused: [] },
  };
  const refused = { log: 2, position: 41, origin: 'corp.example/gateway/one', reason: 'HTTP 400', sinceMs: START_MS };

  it('is told of once it takes nothing for half a minute, and no more when it does', async () => {
    const h = await house();
    h.state.sinks = [{ ...well, behind: 70, away: { reason: 'HTTP 503', sinceMs: START_MS, next: '1/30' } }];
    await h.clock.advance(29_000);
    expect((await h.told('sinks')).doctor).toEqual([]);
    await h.clock.advance(11_000);
    const told = await h.told('sinks');
    expect(told).toMatchObject({ ready: '200 degraded', metric: ['degraded'], log: ['degraded'] });
    expect(told.found).toBe('siem takes nothing: HTTP 503; 70 entries wait from 1/30 on');
    h.state.sinks = [well];
    await h.clock.advance(1_000);
    expect(await h.told('sinks')).toMatchObject({ metric: [], doctor: [], log: ['degraded', 'ok'] });
  });

  it('is told of at once with the entry that it refuses, and what to do about it', async () => {
    const h = await house();
    h.state.sinks = [{ ...well, refused: [refused] }];
    await h.clock.advance(1_000);
    const { found, remedy } = await h.told('sinks');
    expect(found).toContain('siem refuses entry 2/41 of corp.example/gateway/one');
    expect(remedy).toContain("`skip: ['2/41']` under server.sinks.siem");
  });
});

function refusedError(): Error {
  return new RecordsError('ERR_RECORDS_ALARM', 'two histories');
}
