import { describe, expect, it } from 'vitest';
import { createSessionChanges, type ToldSessions } from './session-changes.ts';

// Goal: of two moments it is said what has become of each session, and never that one has ended of which nobody knows.

type Session = ToldSessions['sessions'][number];
const NOW = Date.parse('2026-12-01T10:00:00Z');
const GATEWAY = { gatewaySpiffeId: 'spiffe://x/gateway', gatewayAddress: 'one:7443' };
const SILENT = { spiffeId: 'spiffe://x/gateway', address: 'one:7443', why: 'it said nothing' };

function session(id: string, more: Partial<Session> = {}): Session {
  return {
    ...{ id, ...GATEWAY, identity: 'spiffe://x/web', target: 'shop', door: 'agent', since: '2026-12-01T09:00:00Z' },
    ...{ operations: 0, denials: 0, items: 0, bytesIn: 0, bytesOut: 0, masks: [], masksLeftOut: 0 },
    ...more,
  };
}

const told = (sessions: Session[], more: Partial<ToldSessions> = {}): ToldSessions => ({
  ...{ sessions, matching: sessions.length, answered: 1, unanswered: [], ...more },
});

function follow() {
  const changes = createSessionChanges();
  return (now: ToldSessions) => {
    const { changed, warnings } = changes.next(now, NOW);
    return { changed: changed.map(({ what, session }) => `${what} ${session.id}`), warnings };
  };
}

describe('what became of sessions', () => {
  it('is told once for each that begins, does something and ends', () => {
    const next = follow();
    expect(next(told([session('b'), session('a')])).changed).toEqual(['runs a', 'runs b']);
    const current = { action: 'postgres:select', shape: 'select 1', durationMs: 5 };
    expect(next(told([session('c'), session('b', { current }), session('a')])).changed).toEqual(['does b', 'began c']);
    expect(next(told([session('c'), session('b', { current: { ...current, durationMs: 900 } })])).changed).toEqual([
      'ended a',
    ]);
    expect(next(told([session('c'), session('b', { operations: 1 })])).changed).toEqual(['does b']);
  });

  it('is not known where a gateway does not answer, which is said once', () => {
    const next = follow();
    next(told([session('a')]));
    expect(next(told([], { unanswered: [SILENT] }))).toEqual({
      changed: [],
      warnings: [expect.stringContaining('not known')],
    });
    expect(next(told([], { unanswered: [SILENT] })).warnings).toEqual([]);
    expect(next(told([session('a')])).changed).toEqual([]);
    expect(next(told([])).changed).toEqual(['ended a']);
  });

  it('is not an end where newer ones have taken its place in a list that is full', () => {
    const next = follow();
    next(told([session('a')]));
    const newer = session('b', { since: '2026-12-01T09:30:00Z' });
    expect(next(told([newer], { matching: 2 }))).toEqual({
      changed: ['began b'],
      warnings: [expect.stringContaining('newest')],
    });
    expect(next(told([], { matching: 1 })).changed).toEqual(['ended b']);
  });
});
