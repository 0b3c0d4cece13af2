import { beforeEach, describe, expect, it } from 'vitest';
import { createLog, createManualClock, type ManualClock } from '../../std/index.ts';
import { conditionsOf, conditionTable, type RoleName } from './condition-table.ts';
import { type Conditions, createConditions, type Found, type HealthChecks, reasonsOf } from './conditions.ts';

// Goal: one table is all that /ready, metric, doctor and log are told by: what is in it shows, with since when, and each change is one line.

const START_MS = Date.UTC(2027, 0, 1);
const quiet = <Role extends RoleName>(role: Role): HealthChecks<Role> =>
  Object.fromEntries(conditionsOf(role).map((name) => [name, () => []])) as never; // One for each.

let clock: ManualClock;
let lines: Record<string, unknown>[];
let store: readonly Found[];
let keys: readonly Found[] | Error;
let conditions: Conditions;

beforeEach(async () => {
  clock = createManualClock(START_MS);
  lines = [];
  store = [];
  keys = [];
  const log = createLog({ level: 'debug', write: (line) => lines.push(JSON.parse(line)) });
  const checks: HealthChecks<'server'> = {
    ...quiet('server'),
    store: () => store,
    keys() {
      if (keys instanceof Error) throw keys;
      return keys;
    },
  };
  conditions = createConditions('server', { clock, log, checks });
  await conditions.start(new AbortController().signal);
});

const AWAY: Found = { severity: 'degraded', key: 'away', found: 'the store does not answer' };

describe('what is wrong', () => {
  it('is told with since when it is so, however often and in whatever words it is told', async () => {
    await clock.advance(5_000);
    store = [AWAY];
    expect(conditions.findings()).toEqual([
      {
        ...{ condition: 'store', what: 'store', severity: 'degraded', found: 'the store does not answer' },
        ...{ remedy: conditionTable.store.remedy, sinceMs: START_MS + 5_000 },
      },
    ]);
    await clock.advance(60_000);
    store = [{ ...AWAY, found: 'the store still does not answer' }];
    expect(conditions.findings()).toMatchObject([{ sinceMs: START_MS + 5_000 }]);
  });

  it('has the time and the remedy that its part knows better', () => {
    store = [{ ...AWAY, sinceMs: 7, remedy: 'Wait.' }];
    expect(conditions.findings()).toMatchObject([{ sinceMs: 7, remedy: 'Wait.' }]);
  });

  it('comes worst first; only what failed is a reason not to be ready', () => {
    store = [AWAY, { severity: 'warning', found: 'slow' }];
    keys = [{ severity: 'failed', found: 'no key' }];
    expect(conditions.findings().map(({ severity }) => severity)).toEqual(['failed', 'degraded', 'warning']);
    expect(reasonsOf(conditions.findings())).toEqual(['no key']);
  });

  it('is not silence when a check fails, and keeps nobody from hearing of the others', () => {
    keys = new TypeError('rows is undefined');
    store = [AWAY];
    expect(conditions.findings()).toMatchObject([{ condition: 'store' }, { condition: 'keys', severity: 'degraded' }]);
  });

  it('is bounded, with how many more there are', () => {
    store = Array.from({ length: 250 }, (_, i): Found => ({ severity: 'degraded', found: `table ${i}` }));
    const findings = conditions.findings();
    expect(findings).toHaveLength(101);
    expect(findings.at(-1)?.found).toContain('150 more');
  });
});

describe('the log', () => {
  const told = () => lines.map(({ level, condition, state }) => `${level} ${condition} ${state}`);

  it('has one line when something comes, changes and goes, though nobody asks', async () => {
    store = [AWAY];
    await clock.advance(10_000);
    store = [{ ...AWAY, severity: 'failed' }];
    await clock.advance(10_000);
    store = [];
    await clock.advance(10_000);
    expect(told()).toEqual(['warn store degraded', 'error store failed', 'info store ok']);
    expect(lines[0]).toMatchObject({ event: 'app.condition.changed', found: AWAY.found, remedy: expect.any(String) });
  });

  it('has what somebody wanted without alarm: a stop that takes its time is no error', async () => {
    const log = createLog({ level: 'debug', write: (line) => lines.push(JSON.parse(line)) });
    let leaving: readonly Found[] = [];
    const checks = { ...quiet('gateway'), leaving: () => leaving };
    const gateway = createConditions('gateway', { clock, log, checks });
    await gateway.start(new AbortController().signal);
    await clock.advance(2_000);
    leaving = [{ severity: 'failed', key: 'left', found: 'the gateway is stopping; it has 1 session' }];
    await clock.advance(2_000);
    expect(told()).toEqual(['info leaving failed']);
    expect(reasonsOf(gateway.findings())).toHaveLength(1);
    await gateway.stop();
  });

  it('says nothing of what a start passes through, and nothing once stopped', async () => {
    store = [{ ...AWAY, severity: 'failed' }];
    await clock.advance(20_000);
    store = [];
    await clock.advance(5_000);
    await conditions.stop();
    store = [AWAY];
    await clock.advance(5_000);
    expect(lines).toEqual([]);
  });
});

it('a start that does not come to an end is told of in the log after half a minute', async () => {
  store = [{ ...AWAY, severity: 'failed' }];
  await clock.advance(31_000);
  expect(lines).toMatchObject([{ condition: 'store', state: 'failed', since: '2027-01-01T00:00:01.000Z' }]);
});

describe('the table', () => {
  it.each<RoleName>([
    'server',
    'agent',
    'gateway',
  ])('says of each condition of a %s what it means and what to do', (role) => {
    for (const name of conditionsOf(role)) {
      const { meaning, effect, remedy } = conditionTable[name];
      for (const text of [meaning, effect, remedy]) expect(text).toMatch(/^[A-Z`].*[.)]$/s);
    }
  });
});
