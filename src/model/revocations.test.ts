import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRevocationIndex } from './revocation-index.ts';
import {
  InvalidRevocation,
  parseRevocation,
  parseRevocationSubject,
  type Revocation,
  type RevocationSubject,
  revocationSubjectKey,
} from './revocations.ts';

// Goal: what is told of a revocation is read in one way only, and what it is about is found however little is known of a credential.

const WEB = 'spiffe://example.org/shop/web';
const NODE = 'spiffe://example.org/spire/agent/x/1';
const KEY = 'ab'.repeat(32);

function revocation(subject: RevocationSubject, over: Partial<Revocation> = {}): Revocation {
  const rest = { mode: 'revoked', allow: [], running: 'end', reason: '', by: 'admin', sequence: 1, atMs: 5 } as const;
  return { id: 'r1', subject, ...rest, ...over };
}

const subjects = fc.oneof(
  fc.record({ kind: fc.constant('identity' as const), spiffeId: fc.constantFrom(WEB, NODE) }),
  fc.record({
    ...{ kind: fc.constant('entry' as const), entryId: fc.constantFrom('e1', 'e2'), spiffeId: fc.constantFrom(WEB) },
  }),
  fc.record({ kind: fc.constant('node' as const), nodeId: fc.constantFrom(NODE, WEB) }),
  fc.record({
    ...{ kind: fc.constant('instance' as const), nodeId: fc.constant(NODE), pid: fc.constantFrom(1, 11) },
    startTime: fc.constantFrom('1', '11'),
  }),
  fc.record({ kind: fc.constant('key' as const), thumbprint: fc.constantFrom(KEY, 'cd'.repeat(32)) }),
  fc.record({
    ...{ kind: fc.constant('label' as const), name: fc.constantFrom('a', 'a=b'), value: fc.constantFrom('', 'b=c') },
  }),
);

describe('a subject', () => {
  it('is read back as it was, and has a text that no other one has', () => {
    fc.assert(
      fc.property(subjects, subjects, (one, other) => {
        expect(parseRevocationSubject(JSON.parse(JSON.stringify(one)))).toEqual(one);
        const isSame = JSON.stringify(Object.entries(one).sort()) === JSON.stringify(Object.entries(other).sort());
        expect(revocationSubjectKey(one) === revocationSubjectKey(other)).toBe(isSame);
      }),
    );
  });

  it.each([
    ['no object', 'identity'],
    ['of a kind that nobody knows', { kind: 'target', name: 'shop' }],
    ['with a member too many', { kind: 'node', nodeId: NODE, pid: 4 }],
    ['without its name', { kind: 'identity' }],
    ['no SPIFFE ID', { kind: 'identity', spiffeId: 'spiffe://EXAMPLE.org/a' }],
    ['a key in another spelling', { kind: 'key', thumbprint: KEY.toUpperCase() }],
    ['of two lines', { kind: 'label', name: 'team', value: 'a\nb' }],
    ['a process that can not be', { kind: 'instance', nodeId: NODE, pid: -1, startTime: '1' }],
  ])('%s is refused', (_, value) => {
    expect(() => parseRevocationSubject(value)).toThrow(InvalidRevocation);
  });
});

describe('a revocation', () => {
  it.each<[string, object]>([
    ['lets nothing pass unless it is a quarantine', { allow: ['postgres:select'] }],
    ['has a mode', { mode: 'paused' }],
    ['has a reason of one line', { reason: 'a\u2028b' }],
    ['comes with a sequence from 1 on', { sequence: 0 }],
    ['names actions as policies do', { mode: 'quarantined', allow: ['select'] }],
    ['has no member that nobody knows', { until: 5 }],
  ])('%s', (_, over) => {
    const wrong = { ...revocation({ kind: 'identity', spiffeId: WEB }), ...over };
    expect(() => parseRevocation(wrong)).toThrow(InvalidRevocation);
  });
});

describe('a credential', () => {
  const find = (subject: RevocationSubject, facts: Parameters<ReturnType<typeof createRevocationIndex>['find']>[0]) =>
    createRevocationIndex([revocation(subject)]).find(facts) !== undefined;

  it('is found by its identity, its key, its node and each label of an entry', () => {
    expect(find({ kind: 'identity', spiffeId: WEB }, { spiffeId: WEB })).toBe(true);
    expect(find({ kind: 'identity', spiffeId: WEB }, { spiffeId: `${WEB}/x` })).toBe(false);
    expect(find({ kind: 'key', thumbprint: KEY }, { spiffeId: WEB, thumbprint: KEY })).toBe(true);
    expect(find({ kind: 'node', nodeId: NODE }, { spiffeId: WEB, nodeId: NODE })).toBe(true);
    const label = { kind: 'label', name: 'team', value: 'red' } as const;
    expect(find(label, { spiffeId: WEB, labels: [{}, { team: 'red' }] })).toBe(true);
    expect(find(label, { spiffeId: WEB, labels: [{ team: 'blue' }] })).toBe(false);
  });

  it('of an entry is found by the entry, and by its SPIFFE ID where the entry is not known', () => {
    const entry = { kind: 'entry', entryId: 'e1', spiffeId: WEB } as const;
    expect(find(entry, { spiffeId: WEB, entryId: 'e1' })).toBe(true);
    expect(find(entry, { spiffeId: WEB, entryId: 'e2' })).toBe(false);
    expect(find(entry, { spiffeId: WEB })).toBe(true);
  });

  it('of a process is found by its number and start, and by its number alone where the start is not known', () => {
    const process = { kind: 'instance', nodeId: NODE, pid: 7, startTime: '100' } as const;
    expect(find(process, { nodeId: NODE, process: { pid: 7, startTime: '100' } })).toBe(true);
    expect(find(process, { nodeId: NODE, process: { pid: 7, startTime: '101' } })).toBe(false);
    expect(find(process, { nodeId: NODE, process: { pid: 7 } })).toBe(true);
    expect(find(process, { nodeId: `${NODE}1`, process: { pid: 7, startTime: '100' } })).toBe(false);
    expect(find(process, { nodeId: NODE })).toBe(false);
  });

  it('is under the strictest of all that hold', () => {
    const quarantine = (id: string, allow: string[], running: 'end' | 'keep') =>
      revocation({ kind: 'identity', spiffeId: WEB }, { id, mode: 'quarantined', allow, running });
    const both = [quarantine('a', ['x:a', 'x:b'], 'keep'), quarantine('b', ['x:b', 'x:c'], 'keep')];
    expect(createRevocationIndex(both).find({ spiffeId: WEB })).toMatchObject({
      ...{ mode: 'quarantined', allow: ['x:b'], running: 'keep' },
    });
    const all = [...both, revocation({ kind: 'key', thumbprint: KEY }, { id: 'c', sequence: 9 })];
    const verdict = createRevocationIndex(all).find({ spiffeId: WEB, thumbprint: KEY });
    expect(verdict).toMatchObject({ mode: 'revoked', allow: [], running: 'end' });
    expect(verdict?.revocations.map(({ id }) => id)).toEqual(['c', 'a', 'b']);
  });
});
