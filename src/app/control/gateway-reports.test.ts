import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { GatewayReport } from '../../model/index.ts';
import { createLog, createManualClock, type ManualClock } from '../../std/index.ts';
import type { Finding } from '../health/conditions.ts';
import { createGatewayReports, type GatewayReports } from './gateway-reports.ts';

// Goal: the server knows soon what a gateway has taken and what is wrong with it, and is not asked to keep more than changes.

let clock: ManualClock;
let reports: GatewayReports;
let findings: readonly Finding[];
let sent: GatewayReport[];
let logged: string[];
let fails: Error | undefined;
/** Looks at targets that are not over. */
let looks: PromiseWithResolvers<void>[];
let looksTake: boolean;
let informed: boolean;
/** Holds reports up on their way. */
let sending: Promise<void> | undefined;

beforeEach(async () => {
  clock = createManualClock(0);
  findings = [];
  sent = [];
  logged = [];
  looks = [];
  looksTake = false;
  informed = true;
  sending = undefined;
  fails = undefined;
  reports = createGatewayReports({
    clock,
    log: createLog({ level: 'info', write: (line) => logged.push(line) }),
    conditions: { findings: () => findings },
    informed: () => informed,
    async look(signal) {
      if (!looksTake) return;
      const look = Promise.withResolvers<void>();
      signal.addEventListener('abort', () => look.resolve());
      looks.push(look);
      await look.promise;
    },
    async send(report) {
      await sending;
      if (fails !== undefined) throw fails;
      return sent.push(report);
    },
  });
  await reports.start(new AbortController().signal);
});
afterEach(() => reports.stop());

const mask: Finding = {
  ...{ condition: 'masks', severity: 'degraded', what: 'target shop', found: 'no ssn', remedy: 'Mend.', sinceMs: 0 },
};
const pass = (byMs: number) => clock.advance(byMs);
const settle = () => pass(0);
async function take(revision: number) {
  reports.taken(revision);
  await settle();
}
const revisions = () => sent.map(({ revision }) => revision);

describe('a gateway that took an update', () => {
  it('says so at once, with what is wrong with it and nothing else', async () => {
    findings = [mask, { ...mask, condition: 'room' }];
    await take(3);
    const { condition, severity, what, found, remedy } = mask;
    const told = { condition, severity, what, found, remedy };
    expect(sent).toEqual([{ revision: 3, findings: [told], state: 'serving' }]);
  });

  it('says nothing before it has taken one', async () => {
    findings = [mask];
    await pass(60_000);
    expect(sent).toEqual([]);
  });

  it('says so once its targets were looked at, with what was found there', async () => {
    looksTake = true;
    await take(3);
    expect(sent).toEqual([]);
    findings = [mask];
    looks[0]?.resolve();
    await settle();
    expect(sent).toMatchObject([{ revision: 3, findings: [{ found: 'no ssn' }] }]);
  });

  it('does not wait for a target that hangs', async () => {
    looksTake = true;
    await take(3);
    await pass(2_999);
    expect(sent).toEqual([]);
    await pass(1);
    expect(revisions()).toEqual([3]);
  });

  it('says of updates that come fast that they came, and not faster than thrice a second', async () => {
    for (let revision = 1; revision <= 10; revision++) await take(revision);
    await pass(1_000);
    expect(revisions()).toEqual([1, 10]);
  });

  it('says it again when the same update comes once more, as it does with each stream', async () => {
    await take(3);
    await pass(300);
    await take(3);
    expect(revisions()).toEqual([3, 3]);
  });
});

describe('a gateway that goes on', () => {
  it('says within a second or so what has changed, and nothing while nothing has', async () => {
    await take(3);
    await pass(60_000);
    expect(sent).toHaveLength(1);
    findings = [mask];
    await pass(1_500);
    findings = [{ ...mask, sinceMs: 9 }];
    await pass(60_000);
    findings = [];
    await pass(1_500);
    expect(sent.map((report) => report.findings.length)).toEqual([0, 1, 0]);
  });

  it('looks again at a target that was away when the update came', async () => {
    looksTake = true;
    await take(3);
    looks[0]?.resolve();
    await settle();
    await pass(1_500);
    findings = [mask];
    looks[1]?.resolve();
    await settle();
    expect(sent.map((report) => report.findings.length)).toEqual([0, 1]);
  });

  it('tries again what failed, ever more seldom, and logs it once', async () => {
    fails = new Error('UNIMPLEMENTED');
    await take(3);
    await pass(3_600_000);
    expect(logged.filter((line) => line.includes('app.report.failed'))).toHaveLength(1);
    fails = undefined;
    await pass(61_000);
    expect(revisions()).toEqual([3]);
  });

  it('says a new thing at once, though an old one could not be said', async () => {
    fails = new Error('UNIMPLEMENTED');
    await take(3);
    await pass(3_600_000);
    fails = undefined;
    await take(4);
    expect(revisions()).toEqual([4]);
  });
});

describe('how far a gateway is', () => {
  const states = () => sent.map(({ state }) => state);

  it('is told: it serves once it has taken an update as a whole, and has looked at its targets', async () => {
    expect(reports.state()).toBe('starting');
    informed = false;
    await take(1);
    informed = true;
    looksTake = true;
    await pass(300);
    await take(2);
    expect([reports.state(), reports.announced(), states()]).toEqual(['starting', false, ['starting']]);
    looks[0]?.resolve();
    await settle();
    expect([reports.state(), reports.announced(), states()]).toEqual(['serving', true, ['starting', 'serving']]);
    informed = false;
    await pass(10_000);
    expect(reports.state()).toBe('serving');
  });

  it('is told at once when it leaves, soon after another report as well, and how many others serve is the answer', async () => {
    await take(1);
    const left = reports.leave();
    await settle();
    expect([await left, states()]).toEqual([2, ['serving', 'leaving']]);
  });

  it('is told at once when it leaves in the middle of a look', async () => {
    looksTake = true;
    await take(1);
    expect(looks).toHaveLength(1);
    const left = reports.leave();
    await settle();
    expect([await left, states()[0]]).toEqual([1, 'leaving']);
  });

  it('is told in order: a report that is on its way does not make it serve again', async () => {
    const way = Promise.withResolvers<void>();
    sending = way.promise;
    await take(1);
    const left = reports.leave();
    await settle();
    way.resolve();
    await settle();
    expect([await left, states()]).toEqual([2, ['serving', 'leaving']]);
    await take(2);
    await pass(300);
    expect(states().at(-1)).toBe('leaving');
  });

  it('has been said also where the server did not hear it', async () => {
    const way = Promise.withResolvers<void>();
    sending = way.promise;
    fails = new Error('UNIMPLEMENTED');
    await take(1);
    expect([reports.state(), reports.announced()]).toEqual(['serving', false]);
    way.resolve();
    await settle();
    expect(reports.announced()).toBe(true);
  });

  it('is not waited for when the server is away', async () => {
    await take(1);
    fails = new Error('UNAVAILABLE');
    const left = reports.leave();
    await settle();
    expect(await left).toBeUndefined();
  });

  it('is nobody’s concern before it has taken an update', async () => {
    expect(await reports.leave()).toBeUndefined();
    expect(sent).toEqual([]);
  });
});

describe('a gateway that stops', () => {
  it('stops at once, whatever it is about to do', async () => {
    await take(3);
    await reports.stop();
    expect(clock.pending()).toBe(0);
  });

  it('does not wait for a look, and says nothing more', async () => {
    looksTake = true;
    await take(3);
    await reports.stop();
    await pass(60_000);
    expect([sent.length, clock.pending()]).toEqual([0, 0]);
  });
});

describe('a report', () => {
  it('has the worst of a great many findings, and says how many there are more', async () => {
    findings = Array.from({ length: 50 }, (_, n) => ({ ...mask, found: `no ${n}` }));
    await take(3);
    expect(sent[0]?.findings.map(({ found }) => found)).toEqual([
      ...Array.from({ length: 19 }, (_, n) => `no ${n}`),
      '31 more things are wrong',
    ]);
  });

  it('has short texts of one line, whatever was found', async () => {
    findings = [{ ...mask, what: 'x'.repeat(999), found: `a\n\u001b[2J${'y'.repeat(9_999)}` }];
    await take(3);
    const [finding] = sent[0]?.findings ?? [];
    expect([finding?.what.length, finding?.found.length]).toEqual([200, 1000]);
    expect(finding?.found).toMatch(/^a \[2Jy+…$/);
  });
});
