import { parseSpiffeId } from '@countersign/sdk/identity';
import { beforeEach, describe, expect, it } from 'vitest';
import { parseIdentityAttributes, type Revocation } from '../../model/index.ts';
import { composeSchema, loadPolicies } from '../../policy/index.ts';
import { createManualClock, createSilentLog, type ManualClock } from '../../std/index.ts';
import { policySchema } from '../protocols/postgres/sql/policy-schema.ts';
import { databaseResource, tableResource } from '../protocols/postgres/sql/resources.ts';
import { createRecorder } from '../recording/recorder.ts';
import { createTestLedger } from '../testing/test-ledger.ts';
import { createTestRevocations, testRevocation } from '../testing/test-revocations.ts';
import { createActivity } from './activity.ts';
import { createCurrentPolicies, createSessionPolicy } from './current-policies.ts';
import { createGate } from './gate.ts';
import { createQuotas } from './quotas.ts';
import { endOf, SessionEnd } from './session.ts';
import { createStandings, factsOf, type RevocationRules } from './standing.ts';

// Goal: who is revoked does nothing, who is in quarantine what that lets pass, and others notice nothing of either.

const WEB = 'spiffe://example.org/web';
const NODE = 'spiffe://example.org/spire/agent/join_token/1';
const schema = composeSchema([policySchema]);
const place = { target: 'db', database: 'shop' };
const resource = databaseResource(place);
const table = tableResource(place, 'public', 'orders');
const ROWS = { columns: [], hasWhere: true };

let clock: ManualClock;
let revocations: ReturnType<typeof createTestRevocations>;

beforeEach(() => {
  clock = createManualClock(0);
  revocations = createTestRevocations();
});

const revocation = (given: Partial<Revocation>) => testRevocation(WEB, given);
const now = (...all: Revocation[]) => revocations.now(...all);

function setUp(given: { policies?: string; rules?: Partial<RevocationRules> } = {}) {
  const current = createCurrentPolicies(clock);
  current.replace(
    loadPolicies([{ name: 'p', text: given.policies ?? '@id("all") permit (principal, action, resource);' }], schema),
  );
  const standings = createStandings(
    { clock, log: createSilentLog() },
    {
      current: revocations.current,
      ...{ maxAgeMs: 60_000, whenStale: undefined },
      ...given.rules,
    },
  );
  const policyOf = (uri = WEB, more: Partial<Parameters<typeof factsOf>[0]> = {}) => {
    const identity = parseSpiffeId(uri);
    const facts = factsOf({ identity, thumbprint: undefined, caller: undefined, ...more });
    return createSessionPolicy(current, identity, { facts, standings });
  };
  const open = async (uri = WEB, more: Partial<Parameters<typeof factsOf>[0]> = {}) => {
    const policy = policyOf(uri, more);
    const ledger = createTestLedger();
    const end = new AbortController();
    const gate = createGate({
      ...{ clock, log: createSilentLog(), policy, ledger: ledger.session, recorder: createRecorder(schema) },
      origin: { door: 'direct', peer: undefined, certificate: undefined },
      ...{ quotas: createQuotas(clock), holder: { identity: uri, target: 'db' }, activity: createActivity() },
      signal: end.signal,
      end: (refusal) => end.abort(new SessionEnd(refusal)),
    });
    const opening = await gate.open({ connect: { action: 'postgres:connect', resource, context: {} }, detail: {} });
    return {
      ...{ gate, opening, policy, events: ledger.events },
      ended: () => (end.signal.aborted ? endOf(end.signal).code : undefined),
    };
  };
  const may = (policy: ReturnType<typeof policyOf>, action: string) => policy.decide(action, table, ROWS);
  return { current, standings, policyOf, open, may };
}

describe('a revoked subject', () => {
  it('is refused a session by an entry that names the revocation, whatever policy permits', async () => {
    const { open } = setUp();
    now(revocation({}));
    const { opening, events } = await open();
    expect(opening).toMatchObject({ ok: false, decision: { reason: 'revoked', revocation: 'r1' } });
    expect(events).toMatchObject([{ kind: 'denial', detail: { reason: 'revoked', revocation: 'r1' } }]);
  });

  it('is ended where it runs, in the turn of the change, and the end of its session names the revocation; others go on', async () => {
    const { open } = setUp();
    const [web, other] = [await open(), await open('spiffe://example.org/other')];
    now(revocation({}));
    expect([web.ended(), other.ended()]).toEqual(['revoked', undefined]);
    web.gate.close();
    expect(web.events.at(-1)).toMatchObject({ kind: 'session-close', detail: { ended: 'revoked', revocation: 'r1' } });
  });

  it('may do nothing from the next question on, before it is ended', () => {
    const { policyOf, may } = setUp();
    const policy = policyOf();
    expect(may(policy, 'postgres:select')).toMatchObject({ allow: true });
    now(revocation({ running: 'keep' }));
    expect(may(policy, 'postgres:select')).toMatchObject({ allow: false, reason: 'revoked', revocation: 'r1' });
  });

  it.each<[string, Revocation['subject']]>([
    ['its node', { kind: 'node', nodeId: NODE }],
    ['its process', { kind: 'instance', nodeId: NODE, pid: 7, startTime: '100' }],
    ['its key', { kind: 'key', thumbprint: 'ab'.repeat(32) }],
    ['its label', { kind: 'label', name: 'team', value: 'red' }],
    ['any entry of its SPIFFE ID', { kind: 'entry', entryId: 'e1', spiffeId: WEB }],
  ])('is found by %s', async (_, subject) => {
    const { open, current } = setUp();
    const caller = { nodeId: NODE, process: { pid: 7, startTime: '100' } };
    current.applyPrincipals({
      whole: true,
      changes: new Map([[WEB, parseIdentityAttributes({ labels: { team: 'red' } })]]),
    });
    const web = await open(WEB, { caller, thumbprint: 'ab'.repeat(32) });
    const other = await open('spiffe://example.org/other', {
      ...{ caller: { nodeId: `${NODE}2`, process: { pid: 7, startTime: '100' } }, thumbprint: 'cd'.repeat(32) },
    });
    now(revocation({ subject }));
    expect([web.ended(), other.ended()]).toEqual(['revoked', undefined]);
  });

  it('is no process that has its number since', async () => {
    const { open } = setUp();
    now(revocation({ subject: { kind: 'instance', nodeId: NODE, pid: 7, startTime: '100' } }));
    const later = await open(WEB, { caller: { nodeId: NODE, process: { pid: 7, startTime: '999' } } });
    expect(later.opening).toEqual({ ok: true });
  });

  it('can be a node that comes by itself, whatever node it says it is', async () => {
    const { open } = setUp();
    now(revocation({ subject: { kind: 'node', nodeId: NODE } }));
    const { opening } = await open(NODE, { caller: { nodeId: 'spiffe://example.org/x', process: { pid: 1 } } });
    expect(opening).toMatchObject({ ok: false, decision: { reason: 'revoked' } });
  });

  it('is found as soon as it gets the label', async () => {
    const { open, current } = setUp();
    now(revocation({ subject: { kind: 'label', name: 'team', value: 'red' } }));
    const web = await open();
    expect(web.opening).toEqual({ ok: true });
    const changes = new Map([[WEB, parseIdentityAttributes({ labels: { team: 'red' } })]]);
    current.applyPrincipals({ whole: false, changes });
    expect(web.ended()).toBe('revoked');
  });
});

describe('a quarantine', () => {
  const quarantine = (given: Partial<Revocation> = {}) => revocation({ mode: 'quarantined', ...given });

  it('refuses new sessions and ends those that run; when it is lifted, all is as before', async () => {
    const { open } = setUp();
    const before = await open();
    now(quarantine());
    expect(before.ended()).toBe('quarantined');
    expect((await open()).opening).toMatchObject({ ok: false, decision: { reason: 'quarantined' } });
    now();
    expect((await open()).opening).toEqual({ ok: true });
  });

  it('that keeps sessions refuses what they do, and nothing of it when it is lifted', async () => {
    const { open, may } = setUp();
    const { policy, ended } = await open();
    now(quarantine({ running: 'keep', allow: ['postgres:select'] }));
    expect(may(policy, 'postgres:delete')).toMatchObject({ allow: false, reason: 'quarantined', revocation: 'r1' });
    expect(may(policy, 'postgres:select')).toMatchObject({ allow: true });
    now();
    expect(may(policy, 'postgres:delete')).toMatchObject({ allow: true });
    expect(ended()).toBeUndefined();
  });

  it('that keeps sessions keeps none that policy permits no longer', async () => {
    const { open, current } = setUp();
    const web = await open();
    now(quarantine({ running: 'keep', allow: ['postgres:select'] }));
    expect(web.ended()).toBeUndefined();
    const text = '@id("q") permit (principal, action == Action::"postgres:select", resource);';
    current.replace(loadPolicies([{ name: 'q', text }], schema));
    expect(web.ended()).toBe('policy');
  });

  it('lets sessions begin where it lets their opening pass, and does not end those that it has let in', async () => {
    const { open, current } = setUp();
    const before = await open();
    const allow = ['postgres:connect', 'postgres:select'];
    now(quarantine({ allow }));
    expect(before.ended()).toBe('quarantined');
    const since = await open();
    now(quarantine({ allow }), quarantine({ id: 'r2', sequence: 2, running: 'keep', allow }));
    current.replace(loadPolicies([{ name: 'q', text: '@id("q") permit (principal, action, resource);' }], schema));
    expect(since.ended()).toBeUndefined();
    now(quarantine({ id: 'r3', sequence: 3, allow }));
    expect(since.ended()).toBe('quarantined');
  });

  it('is what policies can ask of the principal, of sessions that it is about', () => {
    const policies =
      '@id("all") permit (principal, action, resource);\n@id("no") forbid (principal, action == Action::"postgres:delete", resource) when { principal.quarantined };';
    const { policyOf, may } = setUp({ policies });
    const [here, elsewhere] = [NODE, `${NODE}2`].map((nodeId) =>
      policyOf(WEB, { caller: { nodeId, process: { pid: 1 } } }),
    );
    if (here === undefined || elsewhere === undefined) throw new Error('two policies were made');
    expect(may(here, 'postgres:delete')).toMatchObject({ allow: true });
    now(quarantine({ subject: { kind: 'node', nodeId: NODE }, allow: ['postgres:delete'] }));
    expect(may(here, 'postgres:delete')).toMatchObject({ reason: 'forbidden', policies: ['no'] });
    expect(may(elsewhere, 'postgres:delete')).toMatchObject({ allow: true });
    expect([here.policySet?.isQuarantined, elsewhere.policySet?.isQuarantined]).toEqual([true, undefined]);
    expect(here.principalKey).not.toBe(elsewhere.principalKey);
  });

  it('never gives what policy does not', () => {
    const { policyOf, may } = setUp({ policies: '@id("none") forbid (principal, action, resource);' });
    now(quarantine({ allow: ['postgres:select'] }));
    expect(may(policyOf(), 'postgres:select')).toMatchObject({ allow: false, reason: 'forbidden' });
  });
});

describe('a gateway that has not heard for too long', () => {
  it('goes on where it is to', async () => {
    const { open } = setUp();
    revocations.state.ageMs = Number.POSITIVE_INFINITY;
    expect((await open()).opening).toEqual({ ok: true });
  });

  it('refuses at once, and within a second ends what runs, but for the actions that are named', async () => {
    const rules = { whenStale: new Set(['postgres:select']) };
    const { open, may } = setUp({ rules });
    const { policy, ended } = await open();
    revocations.state.ageMs = 60_001;
    expect(may(policy, 'postgres:delete')).toMatchObject({ allow: false, reason: 'revocations-stale' });
    expect(may(policy, 'postgres:select')).toMatchObject({ allow: true });
    await clock.advance(1_000);
    expect(ended()).toBe('revocations-stale');
    const refused = await open();
    expect(refused.opening).toMatchObject({ ok: false, decision: { reason: 'revocations-stale' } });
    expect(refused.events).toMatchObject([{ kind: 'denial', detail: { reason: 'revocations-stale' } }]);
    revocations.state.ageMs = 0;
    expect((await open()).opening).toEqual({ ok: true });
  });

  it('keeps sessions whose opening is named', async () => {
    const { open, may } = setUp({ rules: { whenStale: new Set(['postgres:connect', 'postgres:select']) } });
    const { policy, ended } = await open();
    revocations.state.ageMs = 60_001;
    await clock.advance(1_000);
    expect(ended()).toBeUndefined();
    expect(may(policy, 'postgres:delete')).toMatchObject({ reason: 'revocations-stale' });
  });

  it('lets pass in a quarantine what both name', () => {
    const { policyOf, may } = setUp({ rules: { whenStale: new Set(['postgres:select', 'postgres:delete']) } });
    now(revocation({ mode: 'quarantined', allow: ['postgres:select', 'postgres:insert'] }));
    revocations.state.ageMs = 60_001;
    const policy = policyOf();
    expect(['select', 'delete', 'insert'].map((verb) => may(policy, `postgres:${verb}`).allow)).toEqual([
      ...[true, false, false],
    ]);
  });
});
