import { generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JwtAuthority, Revocation, RevocationState } from '../../model/index.ts';
import { type JsonValue, parseJwt, signJwt, verifyJwtSvid } from '../jose/index.ts';
import {
  type RevocationUpdate,
  revocationClaims,
  revocationFeed,
  type ToldRevocations,
  verifyRevocationUpdate,
} from './index.ts';
import { fuzz, seeds } from './revocations.fuzz.ts';

// Goal: a verifier takes the states of its own store alone, each newer than the one before, from a server that is there now.

const NOW_MS = 1_800_000_000_000;
const NONCE = Buffer.alloc(32, 1);
const STORE = 'a'.repeat(32);
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const authority: JwtAuthority = {
  ...{ keyId: 'k1', publicKeyDer: publicKey.export({ format: 'der', type: 'spki' }) },
  ...{ expiresAtS: NOW_MS / 1000 + 3600, tainted: false },
};

function markOf(sequence: number, store = STORE): string {
  return sequence === 0 ? '' : `${store.slice(0, 16)}${sequence.toString(16).padStart(16, '0')}`;
}

function revocation(sequence: number, over: Partial<Revocation> = {}): Revocation {
  return {
    ...{ id: `r${sequence}`, subject: { kind: 'identity', spiffeId: `spiffe://example.org/w/${sequence}` } },
    ...{ mode: 'revoked', allow: [], running: 'end', reason: 'leaked', by: 'unix:uid:0', sequence, atMs: NOW_MS },
    ...over,
  };
}

function stateOf(sequence: number, revocations: readonly Revocation[], incarnation = STORE): RevocationState {
  return { incarnation, sequence, mark: markOf(sequence, incarnation), issuedAtMs: NOW_MS, revocations };
}

function signClaims(claims: { readonly [name: string]: JsonValue }, type: string = revocationFeed.type): string {
  return signJwt({ algorithm: 'ES256', keyId: 'k1', key: privateKey, type, claims });
}

function update(
  state: RevocationState,
  told: Partial<ToldRevocations> = {},
  stream: { nonce?: Uint8Array; count?: number } = {},
): RevocationUpdate {
  const what = { kind: 'full', revocations: state.revocations } as const;
  const { claims, body } = revocationClaims(
    { state, follows: [], from: { sequence: 0, mark: '' }, what, ...told },
    { trustDomain: 'example.org', nonce: NONCE, count: 0, ...stream },
  );
  return { statement: signClaims(claims), body };
}

function verify(sent: RevocationUpdate, known?: RevocationState, over: object = {}) {
  const options = { trustDomain: 'example.org', authorities: [authority], nowMs: NOW_MS, nonce: NONCE, count: 0 };
  return verifyRevocationUpdate({ ...options, ...sent, known, ...over });
}

const from = ({ sequence, mark }: RevocationState) => ({ from: { sequence, mark } });
const heartbeat = { what: { kind: 'delta', added: [], lifted: [] } } as const;

describe('a verifier that knows nothing', () => {
  it('takes a full set', () => {
    const state = stateOf(4, [revocation(2), revocation(4)]);
    expect(verify(update(state))).toEqual({ ok: true, state, isHeartbeat: false });
  });

  it('takes no difference to what it does not have', () => {
    expect(verify(update(stateOf(0, []), heartbeat))).toMatchObject({ reason: 'bad-claims' });
  });
});

describe('a verifier that knows a state', () => {
  const known = stateOf(4, [revocation(2), revocation(4)]);

  it('takes what has come and what was lifted since', () => {
    const what = { kind: 'delta', added: [revocation(6)], lifted: ['r2'] } as const;
    const next = stateOf(7, [revocation(4), revocation(6)]);
    expect(verify(update(next, { ...from(known), what }), known)).toEqual({
      ok: true,
      state: next,
      isHeartbeat: false,
    });
  });

  it('hears that nothing has changed', () => {
    const sent = update({ ...known, issuedAtMs: NOW_MS + 5 }, { ...from(known), ...heartbeat });
    expect(verify(sent, known)).toEqual({ ok: true, state: { ...known, issuedAtMs: NOW_MS + 5 }, isHeartbeat: true });
  });

  it('comes to the same by differences as by the full set, whatever has come and gone', () => {
    const changes = fc.array(fc.record({ lift: fc.boolean(), at: fc.nat() }), { maxLength: 40 });
    fc.assert(
      fc.property(changes, fc.nat(), (steps, cutAt) => {
        const states = [stateOf(0, [])];
        for (const [index, { lift, at }] of steps.entries()) {
          const before = states.at(-1)?.revocations ?? [];
          const isLift = lift && before.length > 0;
          const after = isLift
            ? before.filter((_, place) => place !== at % before.length)
            : [...before, revocation(index + 1)];
          states.push(stateOf(index + 1, after));
        }
        const last = states.at(-1) ?? stateOf(0, []);
        const middle = states[cutAt % states.length] ?? last;
        const had = new Set(middle.revocations.map(({ id }) => id));
        const has = new Set(last.revocations.map(({ id }) => id));
        const added = last.revocations.filter(({ id }) => !had.has(id));
        const lifted = middle.revocations.filter(({ id }) => !has.has(id)).map(({ id }) => id);
        const what = { kind: 'delta', added, lifted } as const;
        expect(verify(update(last, { ...from(middle), what }), middle)).toMatchObject({ ok: true, state: last });
        expect(verify(update(last, from(middle)), middle)).toMatchObject({ ok: true, state: last });
      }),
      { numRuns: 50 },
    );
  });

  it.each<[string, RevocationState, Partial<ToldRevocations>, string]>([
    ['an older state', stateOf(3, [revocation(2)]), from(known), 'rolled-back'],
    [
      'an older state of which it says that it comes from an older one',
      stateOf(3, []),
      from(stateOf(3, [])),
      'rolled-back',
    ],
    [
      'a newer one that did not come from its own',
      stateOf(9, []),
      from({ ...known, mark: markOf(4, 'b'.repeat(32)) }),
      'rolled-back',
    ],
    ['a newer one that says nothing of its own', stateOf(9, []), {}, 'rolled-back'],
    [
      'another one of the same sequence',
      { ...stateOf(4, []), mark: markOf(4, 'b'.repeat(32)) },
      from(known),
      'rolled-back',
    ],
    ['a state of another store', stateOf(9, [], 'b'.repeat(32)), {}, 'other-incarnation'],
    [
      'one of another store that follows a third',
      stateOf(9, [], 'b'.repeat(32)),
      { follows: ['c'.repeat(32)] },
      'other-incarnation',
    ],
  ])('refuses %s', (_, state, told, reason) => {
    expect(verify(update(state, told), known)).toEqual({ ok: false, reason });
  });

  it('takes that of a store which an operator put in the place of its own, be its sequence lower', () => {
    const other = stateOf(1, [revocation(1)], 'b'.repeat(32));
    const sent = update(other, { follows: ['c'.repeat(32), STORE] });
    expect(verify(sent, known)).toEqual({ ok: true, state: other, isHeartbeat: false });
    expect(verify(update(stateOf(4, []), { follows: [] }), other)).toMatchObject({ reason: 'other-incarnation' });
  });

  it.each<[string, ToldRevocations['what']]>([
    ['lifts what does not stand', { kind: 'delta', added: [], lifted: ['r9'] }],
    ['lifts one twice', { kind: 'delta', added: [], lifted: ['r2', 'r2'] }],
    ['adds one again', { kind: 'delta', added: [revocation(5, { id: 'r2' })], lifted: [] }],
    ['adds what is older than the known state', { kind: 'delta', added: [revocation(3)], lifted: [] }],
    ['adds what is newer than its own', { kind: 'delta', added: [revocation(7)], lifted: [] }],
    ['has more changes than sequences', { kind: 'delta', added: [revocation(5), revocation(6)], lifted: ['r2'] }],
    ['has two of one sequence', { kind: 'full', revocations: [revocation(2), revocation(2, { id: 'x' })] }],
  ])('refuses one that %s', (_, what) => {
    expect(verify(update(stateOf(6, []), { ...from(known), what }), known)).toEqual({ ok: false, reason: 'bad-body' });
  });
});

describe('a message', () => {
  const state = stateOf(4, [revocation(2), revocation(4)]);
  const sent = update(state);

  it('of another stream, or not the next of this one, is refused: it may have been kept for long', () => {
    expect(verify(sent, undefined, { nonce: Buffer.alloc(32, 2) })).toMatchObject({ reason: 'other-stream' });
    expect(verify(sent, undefined, { count: 1 })).toMatchObject({ reason: 'other-stream' });
    expect(verify(update(state, {}, { count: 3 }), undefined, { count: 2 })).toMatchObject({ reason: 'other-stream' });
  });

  it('with a body that was changed or exchanged is refused', () => {
    const body = Buffer.from(sent.body);
    body[body.length - 4] = (body[body.length - 4] ?? 0) ^ 1;
    expect(verify({ ...sent, body })).toMatchObject({ reason: 'bad-body' });
    expect(verify({ ...sent, body: update(stateOf(4, [])).body })).toMatchObject({ reason: 'bad-body' });
  });

  it('with a claim that was changed is refused', () => {
    fc.assert(
      fc.property(fc.nat({ max: sent.statement.length - 1 }), fc.constantFrom(...'Ab0_'), (at, letter) => {
        const statement = `${sent.statement.slice(0, at)}${letter}${sent.statement.slice(at + 1)}`;
        fc.pre(statement !== sent.statement);
        expect(verify({ ...sent, statement })).toMatchObject({ ok: false });
      }),
    );
  });

  it('signed by a key that the trust domain does not publish, or not any more, or that is under recall, is refused', () => {
    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'der', type: 'spki' });
    const by = (over: Partial<JwtAuthority>) => verify(sent, undefined, { authorities: [{ ...authority, ...over }] });
    expect(by({ publicKeyDer: other })).toEqual({ ok: false, reason: 'bad-signature' });
    expect(by({ keyId: 'k2' })).toEqual({ ok: false, reason: 'unknown-key' });
    expect(by({ expiresAtS: NOW_MS / 1000 - 3600 })).toEqual({ ok: false, reason: 'key-expired' });
    expect(by({ tainted: true })).toEqual({ ok: false, reason: 'tainted-key' });
  });

  it('of another trust domain is refused', () => {
    expect(verify(sent, undefined, { trustDomain: 'other.org' })).toMatchObject({ reason: 'bad-claims' });
  });

  it('is no JWT-SVID, whatever it claims, and no JWT-SVID is a message', () => {
    const { claims } = parseJwt(sent.statement, revocationFeed.type);
    const both = { ...claims, sub: 'spiffe://example.org/web', exp: NOW_MS / 1000 + 60 };
    const asSvid = { audience: revocationFeed.audience, authorities: () => [authority], nowMs: NOW_MS };
    expect(verifyJwtSvid({ token: signClaims(both), ...asSvid })).toEqual({ ok: false, reason: 'malformed' });
    expect(verifyJwtSvid({ token: signClaims(both, 'JWT'), ...asSvid })).toMatchObject({ ok: true });
    expect(verify({ ...sent, statement: signClaims(both, 'JWT') })).toEqual({ ok: false, reason: 'malformed' });
  });

  it('of any bytes throws nothing', () => {
    for (const seed of seeds) fuzz(seed);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => fuzz(bytes)),
      { numRuns: 50 },
    );
  });
});
