import { parseSpiffeId } from '@countersign/sdk/identity';
import { describe, expect, it } from 'vitest';
import {
  type Decision,
  judgedBy,
  type LedgerEvent,
  noObligations,
  parseIdentityAttributes,
} from '../../model/index.ts';
import { composeSchema, loadPolicies } from '../../policy/index.ts';
import { createListeners, createManualClock, createSilentLog } from '../../std/index.ts';
import { policySchema } from '../protocols/postgres/sql/policy-schema.ts';
import { createRecorder } from '../recording/recorder.ts';
import { createTestLedger } from '../testing/test-ledger.ts';
import { createActivity } from './activity.ts';
import { createCurrentPolicies, createSessionPolicy } from './current-policies.ts';
import { createGate, type SessionOrigin, type SessionQuestions } from './gate.ts';
import { createQuotas } from './quotas.ts';

// Goal: a session's first entry says whose it is, where it comes from and by what it was allowed, whatever its client says of itself.

const resource = { type: 'Lines::Target', id: 'db', attributes: {}, parents: [] };
const connect = { action: 'lines:connect', resource, context: {} };
const allowed: Decision = {
  allow: true,
  policies: ['in'],
  obligations: noObligations,
};
const ORIGIN: SessionOrigin = {
  door: 'direct',
  peer: '10.0.0.7',
  certificate: { serial: '123456789012345678901234567890', expiresMs: 1_800_000_000_000 },
};

/** The first entry of a session that is opened so. */
async function opening(
  asked: Partial<SessionQuestions>,
  options: { origin?: SessionOrigin; decide?: (action: string) => Decision } = {},
): Promise<LedgerEvent | undefined> {
  const ledger = createTestLedger();
  const gate = createGate({
    clock: createManualClock(0),
    log: createSilentLog(),
    origin: options.origin ?? ORIGIN,
    policy: {
      policySet: { digest: 'd', revision: 4, timeMs: 5 },
      decide: options.decide ?? (() => allowed),
      onChange: () => () => {},
    },
    ledger: ledger.session,
    recorder: createRecorder(undefined),
    quotas: createQuotas(createManualClock(0)),
    holder: { identity: 'spiffe://example.org/app', target: 'db' },
    activity: createActivity(),
    signal: new AbortController().signal,
    end() {},
  });
  await gate.open({ connect, detail: {}, ...asked });
  return ledger.events[0];
}

describe('the opening of a session', () => {
  it('says where it comes from and what was asked; what only the protocol knows stands under its name', async () => {
    const event = await opening({ client: { application: 'psql' }, detail: { place: 'shop', door: 'mine' } });
    expect(event).toMatchObject({ kind: 'session-open', action: 'lines:connect' });
    expect(event?.detail).toEqual({
      ...ORIGIN,
      client: { application: 'psql' },
      lines: { place: 'shop', door: 'mine' },
      policies: ['in'],
      policySet: { digest: 'd', revision: 4, timeMs: 5 },
      questions: [{ action: 'lines:connect', context: {}, resource }],
    });
  });

  it('says which process it is, when the agent does', async () => {
    const caller = { entry: 'e1', node: 'n1', process: { pid: 7, uid: 1000, selectors: ['unix:uid:1000'] } };
    expect((await opening({}, { origin: { ...ORIGIN, caller } }))?.detail['caller']).toEqual(caller);
    expect((await opening({}))?.detail).not.toHaveProperty('caller');
  });

  it.each([
    ['a line of its own', 'psql\n     5  04:25:44  outcome', 'psql\ufffd     5  04:25:44  outcome'],
    ['what turns a line around', 'a\u202eb\u0000\u001b[2J', 'a\ufffdb\ufffd\ufffd[2J'],
    ['half a letter', 'a\ud83d', 'a\ufffd'],
    ['more than a name', 'x'.repeat(5_000), 'x'.repeat(128)],
  ])('has no room for %s in what the client calls itself', async (_, application, shown) => {
    expect((await opening({ client: { application } }))?.detail['client']).toEqual({ application: shown });
  });

  it('that is denied says the same, all that was asked, and who refused which', async () => {
    const also = [{ question: { ...connect, action: 'lines:set' }, detail: { setting: 'tenant' } }];
    const decide = (action: string): Decision =>
      action === 'lines:set' ? { allow: false, reason: 'forbidden', policies: ['no-set'] } : allowed;
    const event = await opening({ also, detail: { place: 'shop' } }, { decide });
    expect(event).toMatchObject({ kind: 'denial', action: 'lines:connect' });
    expect(event?.detail).toMatchObject({
      ...ORIGIN,
      ...{ policies: ['no-set'], reason: 'forbidden', lines: { place: 'shop', setting: 'tenant' } },
      questions: [
        { action: 'lines:connect', policies: ['in'] },
        { action: 'lines:set', decision: 'forbidden' },
      ],
    });
  });
});

describe('sessions that policy limits', () => {
  const limited: Decision = {
    ...allowed,
    obligations: { ...noObligations, limits: { sessions: 2 }, quotas: [{ policy: 'in', unit: 'sessions', most: 2 }] },
  };
  const quotas = createQuotas(createManualClock(0));
  const ledger = createTestLedger();
  const gateOf = (identity: string) =>
    createGate({
      ...{ clock: createManualClock(0), log: createSilentLog(), origin: ORIGIN, ledger: ledger.session },
      policy: { policySet: undefined, decide: () => limited, onChange: () => () => {} },
      ...{
        recorder: createRecorder(undefined),
        quotas,
        holder: { identity, target: 'db' },
        activity: createActivity(),
      },
      signal: new AbortController().signal,
      end() {},
    });
  const enter = async (identity = 'web') => {
    const gate = gateOf(identity);
    return { gate, opening: await gate.open({ connect, detail: { place: 'shop' } }) };
  };

  it('are refused beyond that with an entry that says so, until one closes; others are not counted with them', async () => {
    const [first] = [await enter(), await enter()];
    const third = await enter();
    expect(third.opening).toMatchObject({ ok: false, limit: { policy: 'in', unit: 'sessions', most: 2 } });
    expect(ledger.events.at(-1)).toMatchObject({
      kind: 'denial',
      action: 'lines:connect',
      detail: {
        limit: { unit: 'sessions', most: 2 },
        policies: ['in'],
        reason: 'over-limit',
        lines: { place: 'shop' },
      },
    });
    expect((await enter('job')).opening.ok).toBe(true);
    third.gate.close(); // It never was one.
    expect((await enter()).opening.ok).toBe(false);
    first.gate.close();
    expect((await enter()).opening.ok).toBe(true);
  });

  it('do not count when the ledger does not take their opening', async () => {
    ledger.failure = new Error('full');
    for (let i = 0; i < 5; i++) expect((await enter('late')).opening).toHaveProperty('unrecorded');
    ledger.failure = undefined;
    expect((await enter('late')).opening.ok).toBe(true);
  });
});

describe('policies that change while others are asked for a place', () => {
  it.each([
    ['are asked anew', allowed, { ok: true }],
    ['refuse what they no longer allow', { allow: false, reason: 'no-permit', policies: [] } as const, { ok: false }],
  ])('%s', async (_, next, expected) => {
    const [listeners, ledger] = [createListeners(), createTestLedger()];
    let decision: Decision = allowed;
    const entered: string[] = [];
    const left: string[] = [];
    const gate = createGate({
      ...{ clock: createManualClock(0), log: createSilentLog(), origin: ORIGIN, ledger: ledger.session },
      policy: { policySet: undefined, decide: () => decision, onChange: listeners.add },
      quotas: {
        take: () => undefined,
        async enter({ identity }) {
          entered.push(identity);
          if (entered.length === 1) {
            decision = next;
            listeners.tell();
          }
          return { leave: () => void left.push(identity) };
        },
      },
      ...{ recorder: createRecorder(undefined), holder: { identity: 'web', target: 'db' }, activity: createActivity() },
      signal: new AbortController().signal,
      end() {},
    });
    expect(await gate.open({ connect, detail: {} })).toMatchObject(expected);
    expect(ledger.events.map(({ kind }) => kind)).toEqual([expected.ok ? 'session-open' : 'denial']);
    gate.close();
    expect(left).toEqual(entered);
    expect(listeners.size).toBe(0);
  });
});

describe('an identity that becomes another one in its session', () => {
  const id = parseSpiffeId('spiffe://example.org/app');
  const schema = composeSchema([policySchema]);
  const database = { type: 'Postgres::Database', id: 'db/app', attributes: { target: 'db', name: 'app' }, parents: [] };
  const question = { action: 'postgres:connect', resource: database, context: {} };
  const ofTeam = (team: string) =>
    new Map([[id.uri, parseIdentityAttributes({ owner: 'ops', labels: team === '' ? {} : { team } })]]);

  it('is told by the first entry judged so, and loses the session when policy no longer allows it', async () => {
    const current = createCurrentPolicies(createManualClock(0));
    const text = 'permit(principal, action, resource) when { principal.hasTag("team") };';
    current.applyPrincipals({ whole: true, changes: ofTeam('red') });
    current.replace(loadPolicies([{ name: 'p', text }], schema));
    const policy = createSessionPolicy(current, id);
    const ledger = createTestLedger();
    const ended: string[] = [];
    const gate = createGate({
      ...{ clock: createManualClock(0), log: createSilentLog(), origin: ORIGIN, ledger: ledger.session, policy },
      ...{ recorder: createRecorder(schema), quotas: createQuotas(createManualClock(0)) },
      holder: { identity: id.uri, target: 'db' },
      activity: createActivity(),
      signal: new AbortController().signal,
      end: ({ code }) => void ended.push(code),
    });
    expect(await gate.open({ connect: question, detail: {} })).toEqual({ ok: true });
    const pipeline = gate.pipeline({
      forward() {},
      deliver() {},
      resume() {},
      stop() {},
      fail() {},
      guard: (act) => act(),
    });
    const run = () => {
      const decision = policy.decide(question.action, database, {});
      const judged = judgedBy(policy.policySet, [{ question, decision }]);
      const about = { action: 'postgres:select', judged, shape: undefined, content: undefined, detail: {} };
      pipeline.begin({ ...about, changes: false });
      pipeline.flush({ pieces: [] });
      ledger.session.flush();
    };
    run();
    current.applyPrincipals({ whole: false, changes: ofTeam('blue') });
    run();
    run();
    expect(ended).toEqual([]);
    const told = ledger.events.map(({ kind, detail }) => [kind, Object(detail['attributes']).labels]);
    expect(told).toEqual([
      ['session-open', { team: 'red' }],
      ['intent', undefined],
      ['intent', { team: 'blue' }],
      ['intent', undefined],
    ]);
    current.applyPrincipals({ whole: false, changes: ofTeam('') });
    expect(ended).toEqual(['policy']);
  });
});
