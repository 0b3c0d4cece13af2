import { parseSpiffeId } from '@countersign/sdk/identity';
import { beforeEach, describe, expect, it } from 'vitest';
import { NO_ATTRIBUTES } from '../../model/index.ts';
import { composeSchema, loadPolicies } from '../../policy/index.ts';
import { createManualClock, type ManualClock } from '../../std/index.ts';
import { protocols } from '../protocols/registry.generated.ts';
import {
  type CurrentPolicies,
  createCurrentPolicies,
  createSessionPolicy,
  createTargetPolicies,
} from './current-policies.ts';

// Goal: verdicts are kept by version, so whatever time changes in them changes the version, and nothing else does.

const schema = composeSchema(protocols.map((protocol) => protocol.policySchema));
const database = { type: 'Postgres::Database', id: 'db/app', attributes: { target: 'db', name: 'app' }, parents: [] };
const HOUR_MS = 3_600_000;

let clock: ManualClock;
let current: CurrentPolicies;
let changes: number;
let replaced: number;

beforeEach(() => {
  clock = createManualClock(Date.parse('2026-11-22T12:00:00.250Z'));
  current = createCurrentPolicies(clock);
  changes = 0;
  replaced = 0;
  current.onChange(() => changes++);
  createTargetPolicies(current).onChange(() => replaced++);
});

function apply(text: string): void {
  current.replace(loadPolicies([{ name: 'p', text }], schema));
}

function mayConnect(): boolean {
  const policy = createSessionPolicy(current, parseSpiffeId('spiffe://example.org/web'));
  return policy.decide('postgres:connect', database, {}).allow;
}

describe('what needs an approval', () => {
  const decided = (of: CurrentPolicies) => {
    of.replace(loadPolicies([{ name: 'p', text: '@approval("dba") permit(principal, action, resource);' }], schema));
    return createSessionPolicy(of, parseSpiffeId('spiffe://example.org/web')).decide('postgres:connect', database, {});
  };

  it('is refused where nobody can be asked, and else allowed with the rule', () => {
    expect(decided(current)).toMatchObject({ allow: false, reason: 'approval-needed', rules: ['dba'] });
    const asking = createCurrentPolicies(clock, { canHold: true });
    expect(decided(asking)).toMatchObject({ allow: true, obligations: { approvals: ['dba'] } });
  });
});

describe('a permit that expires', () => {
  it('stops at its moment, for who asked before as well', async () => {
    apply('@expires("2026-11-22T13:00:00Z") permit(principal, action, resource);');
    const { version } = current;
    await clock.advance(HOUR_MS - 251);
    expect([mayConnect(), current.version]).toEqual([true, version]);
    await clock.advance(1);
    expect([mayConnect(), current.version, changes]).toEqual([false, version + 1, 2]);
    await clock.advance(24 * HOUR_MS);
    expect(current.version).toBe(version + 1);
  });

  it('stops within a second of a clock that is put right, and applies again when it was put wrong', async () => {
    apply('@expires("2026-11-22T13:00:00Z") permit(principal, action, resource);');
    clock.step(HOUR_MS);
    await clock.advance(1000);
    expect(mayConnect()).toBe(false);
    clock.step(-HOUR_MS);
    await clock.advance(1000);
    expect(mayConnect()).toBe(true);
  });

  it('is no news for who looks at the names in policies', async () => {
    apply('@expires("2026-11-22T13:00:00Z") permit(principal, action, resource);');
    await clock.advance(2 * HOUR_MS);
    expect([changes, replaced]).toEqual([2, 1]);
  });
});

describe('time', () => {
  it('wakes nobody where no policy looks at it', async () => {
    apply('permit(principal, action, resource);');
    expect(clock.pending()).toBe(0);
    await clock.advance(HOUR_MS);
    expect([changes, mayConnect()]).toEqual([1, true]);
  });

  it('opens and shuts a window each day', async () => {
    apply(
      'permit(principal, action, resource) when { context.time.toTime() >= duration("13h") && context.time.toTime() < duration("14h") };',
    );
    const seen: boolean[] = [];
    for (let hour = 0; hour < 26; hour++) {
      seen.push(mayConnect());
      await clock.advance(HOUR_MS);
    }
    expect(seen.flatMap((open, hour) => (open ? [hour] : []))).toEqual([1, 25]);
  });

  it('passes second by second for conditions that work with it', async () => {
    apply(
      'permit(principal, action, resource) when { context.time.durationSince(datetime("2026-11-22")).toSeconds() > 43203 };',
    );
    await clock.advance(3000);
    expect(mayConnect()).toBe(false);
    await clock.advance(1000);
    expect([mayConnect(), changes]).toEqual([true, 5]);
  });

  it('is not waited for once they are stopped, nor by policies that are gone', () => {
    const text = '@expires("2026-11-22T13:00:00Z") permit(principal, action, resource);';
    apply(text);
    expect(clock.pending()).toBe(1);
    apply('permit(principal, action, resource);');
    expect(clock.pending()).toBe(0);
    apply(text);
    current.stop();
    expect(clock.pending()).toBe(0);
  });
});

describe('what identities are', () => {
  const id = parseSpiffeId('spiffe://example.org/web');
  const ops = { owner: 'ops', environment: '', labels: {} };
  const tell = (attributes: typeof ops | undefined, of = id.uri) =>
    current.applyPrincipals({ whole: false, changes: new Map([[of, attributes ?? NO_ATTRIBUTES]]) });

  it('decides from its next question on, with another version, and tells the sessions that it concerns alone', () => {
    apply('permit(principal, action, resource) when { principal has owner && principal.owner == "ops" };');
    const policy = createSessionPolicy(current, id);
    const other = createSessionPolicy(current, parseSpiffeId('spiffe://example.org/other'));
    let [told, toldOther] = [0, 0];
    policy.onChange(() => told++);
    other.onChange(() => toldOther++);
    const before = [policy.version, other.version];
    const may = () => policy.decide('postgres:connect', database, {}).allow;
    expect([may(), policy.policySet?.identity]).toEqual([false, undefined]);
    tell(ops);
    expect([may(), policy.policySet?.identity?.attributes, told, toldOther]).toEqual([true, ops, 1, 0]);
    expect([policy.version, other.version]).toEqual([(before[0] ?? 0) + 1, before[1]]);
    expect(policy.policySet).toBe(policy.policySet);
    tell({ ...ops });
    expect([policy.version, told]).toEqual([(before[0] ?? 0) + 1, 1]);
    tell(undefined);
    expect([may(), policy.policySet?.identity, told]).toEqual([false, undefined, 2]);
  });

  it('is nothing of whom a whole set does not name', () => {
    tell(ops);
    const { version } = createSessionPolicy(current, id);
    current.applyPrincipals({ whole: true, changes: new Map([['spiffe://example.org/other', ops]]) });
    expect(current.attributesOf(id.uri)).toBe(NO_ATTRIBUTES);
    expect(createSessionPolicy(current, id).version).toBe(version + 1);
  });

  it('never brings a version back, however many identities change', () => {
    const policy = createSessionPolicy(current, id);
    let last = policy.version;
    for (let round = 0; round < 3; round++) {
      tell(round % 2 === 0 ? ops : undefined);
      expect(policy.version).toBeGreaterThan(last);
      last = policy.version;
      const many = Array.from({ length: 50_000 }, (_, n) => [`spiffe://example.org/${round}/${n}`, ops] as const);
      current.applyPrincipals({ whole: false, changes: new Map(many) });
      expect(policy.version).toBeGreaterThanOrEqual(last);
      last = policy.version;
    }
  });
});
