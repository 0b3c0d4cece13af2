/**
 * Goal: whoever signs in is known by a secret that only they have, for as long as it is used and from where it was begun; what is good once is good once,
 * at whichever server; and nothing in the store lets anybody in.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openTestStore, type TestStore } from '../../test/support/store.ts';
import { createManualClock, createSeededRandom, type ManualClock, sha256 } from '../std/index.ts';
import {
  addressIn,
  createGrants,
  createLinks,
  createSignIns,
  type Person,
  personsMigrations,
  plainAddress,
  type SignInRules,
} from './index.ts';

const ADA: Person = {
  ...{ issuer: 'https://login.example.org', subject: 'ada', email: 'ada@example.org' },
  ...{ groups: ['platform'], byLink: false },
};
const HOUR_MS = 3_600_000;
const RULES: SignInRules = { lifetimeMs: 12 * HOUR_MS, idleMs: HOUR_MS, from: 'address' };

let test: TestStore;
let clock: ManualClock;
beforeEach(async () => {
  test = await openTestStore(personsMigrations);
  clock = createManualClock(1_800_000_000_000);
});
afterEach(() => test.close());

/** A server on that store. */
function server(seed = 's', rules: Partial<SignInRules> = {}) {
  const deps = { store: test.store, clock, random: createSeededRandom(seed) };
  return {
    signIns: createSignIns({ ...deps, rules: { ...RULES, ...rules } }),
    links: createLinks({ ...deps, issuer: 'spiffe://example.org/spire/server', taken: true }),
    grants: createGrants(deps),
  };
}
const HERE = { kind: 'browser', address: '192.0.2.7' } as const;

describe('a sign-in', () => {
  it('is found by its secret at every server, as the person that it is of', async () => {
    const { secret } = await server('a').signIns.begin({ person: ADA, ...HERE });
    const found = await server('b').signIns.find(secret, HERE);
    expect(found).toMatchObject({ ok: true, signIn: { person: ADA, kind: 'browser', address: '192.0.2.7' } });
  });

  it('is over when it was not used for as long as it may be idle, and at its end however much it is used', async () => {
    const { signIns } = server();
    const { secret } = await signIns.begin({ person: ADA, ...HERE });
    for (let half = 0; half < 23; half++) {
      await clock.advance(HOUR_MS / 2);
      expect((await signIns.find(secret, HERE)).ok).toBe(true);
    }
    await clock.advance(HOUR_MS / 2);
    expect(await signIns.find(secret, HERE)).toEqual({ ok: false, reason: 'over' });
    const other = await signIns.begin({ person: ADA, ...HERE });
    await clock.advance(HOUR_MS);
    expect(await signIns.find(other.secret, HERE)).toEqual({ ok: false, reason: 'idle' });
    expect(await signIns.list()).toEqual([]);
  });

  it('is of no use from another address, of which only the first to find out is told that it is', async () => {
    const { signIns } = server();
    const { secret } = await signIns.begin({ person: ADA, ...HERE });
    const thief = { kind: 'browser', address: '198.51.100.9' } as const;
    expect(await signIns.find(secret, thief)).toMatchObject({ ok: false, reason: 'address', isFirst: true });
    expect(await signIns.find(secret, thief)).toMatchObject({ ok: false, reason: 'address', isFirst: false });
    expect((await signIns.find(secret, HERE)).ok).toBe(true);
  });

  it('by a cookie is no token, and the other way round', async () => {
    const { signIns } = server();
    const { secret } = await signIns.begin({ person: ADA, ...HERE });
    expect(await signIns.find(secret, { ...HERE, kind: 'cli' })).toEqual({ ok: false, reason: 'unknown' });
  });

  it('never goes on with a secret of before: what the caller had ends', async () => {
    const { signIns } = server();
    const before = await signIns.begin({ person: ADA, ...HERE });
    const after = await signIns.begin({ person: ADA, ...HERE, instead: before.secret });
    expect(after.secret).not.toBe(before.secret);
    expect((await signIns.find(before.secret, HERE)).ok).toBe(false);
    const planted = 'x'.repeat(43);
    const begun = await signIns.begin({ person: ADA, ...HERE, instead: planted });
    expect(begun.secret).not.toBe(planted);
    expect((await signIns.find(planted, HERE)).ok).toBe(false);
  });

  it('is ended by its id at every server at once', async () => {
    const { secret, signIn } = await server('a').signIns.begin({ person: ADA, ...HERE });
    expect(await server('b').signIns.end(signIn.id)).toMatchObject({ id: signIn.id });
    expect((await server('a').signIns.find(secret, HERE)).ok).toBe(false);
    expect(await server('a').signIns.end(signIn.id)).toBeUndefined();
  });

  it('ends where one person has too many, the oldest first', async () => {
    const { signIns } = server();
    const begun: string[] = [];
    for (let each = 0; each < 21; each++) {
      begun.push((await signIns.begin({ person: ADA, ...HERE })).secret);
      await clock.advance(1);
    }
    expect((await signIns.find(begun[0] ?? '', HERE)).ok).toBe(false);
    expect((await signIns.find(begun[1] ?? '', HERE)).ok).toBe(true);
    expect(await signIns.list()).toHaveLength(20);
  });

  it('leaves nothing in the store by which one could come in', async () => {
    const { secret } = await server().signIns.begin({ person: ADA, ...HERE });
    const rows = JSON.stringify(
      await test.store.db<{ persons_sign_ins: object }>().selectFrom('persons_sign_ins').selectAll().execute(),
    );
    expect(rows).not.toContain(secret);
    expect(rows).toContain(sha256(Buffer.from(secret)).toString('hex'));
  });
});

describe('addresses', () => {
  it.each([
    ['address', '192.0.2.7', '192.0.2.7', true],
    ['address', '192.0.2.7', '192.0.2.8', false],
    ['network', '192.0.2.7', '192.0.2.200', true],
    ['network', '192.0.2.7', '192.0.3.7', false],
    ['network', '2001:db8:1:2::1', '2001:db8:1:2:ffff::9', true],
    ['network', '2001:db8::1', '2001:db8:0:1::1', false],
    ['network', '192.0.2.7', '2001:db8::1', false],
    ['network', '', '192.0.2.7', false],
    ['anywhere', '192.0.2.7', '2001:db8::1', true],
  ] as const)('by %s, what began at %s goes on from %s: %s', (rule, first, now, expected) => {
    expect(addressIn(rule, first, now)).toBe(expected);
  });

  it('are one, however a socket was opened', () => {
    expect(plainAddress('::ffff:192.0.2.7')).toBe('192.0.2.7');
    expect(plainAddress('FE80::1%eth0')).toBe('fe80::1');
  });
});

describe('a link', () => {
  it('lets one in, once, however many try at the same time at however many servers', async () => {
    const { secret } = await server('a').links.make('unix:uid:0');
    const tries = await Promise.allSettled(['b', 'c', 'd'].map((seed) => server(seed).links.redeem(secret)));
    expect(tries.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(tries.find(({ status }) => status === 'fulfilled')).toMatchObject({
      value: { madeBy: 'unix:uid:0', person: { issuer: 'spiffe://example.org/spire/server', byLink: true } },
    });
  });

  it('is over after a quarter of an hour', async () => {
    const { links } = server();
    const { secret } = await links.make('unix:uid:0');
    await clock.advance(15 * 60_000);
    await expect(links.redeem(secret)).rejects.toMatchObject({ code: 'ERR_PERSONS_LINK' });
  });

  it('is neither made nor taken where people sign in by a provider', async () => {
    const { secret } = await server().links.make('unix:uid:0');
    const deps = {
      store: test.store,
      clock,
      random: createSeededRandom('x'),
      issuer: 'spiffe://example.org/s',
      taken: false,
    };
    await expect(createLinks(deps).redeem(secret)).rejects.toMatchObject({ code: 'ERR_PERSONS_LINK' });
    await expect(createLinks(deps).make('unix:uid:0')).rejects.toMatchObject({ code: 'ERR_PERSONS_LINK' });
  });

  it('is not in the store, and there are not more of them than a few', async () => {
    const { links } = server();
    const { secret } = await links.make('unix:uid:0');
    const rows = await test.store.db<{ persons_links: object }>().selectFrom('persons_links').selectAll().execute();
    expect(JSON.stringify(rows)).not.toContain(secret);
    for (let each = 1; each < 20; each++) await links.make('unix:uid:0');
    await expect(links.make('unix:uid:0')).rejects.toMatchObject({ code: 'ERR_PERSONS_LIMIT' });
    await clock.advance(15 * 60_000);
    await links.make('unix:uid:0');
  });
});

describe('a command line that asks to be let in', () => {
  it('waits for a person’s answer, and is told it once', async () => {
    const { grants } = server();
    const asked = await grants.ask('192.0.2.9');
    expect(asked.userCode).toMatch(/^[B-Z]{4}-[B-Z]{4}$/);
    expect(await grants.poll(asked.deviceCode)).toEqual({ ok: false, error: 'authorization_pending' });
    expect(await grants.poll(asked.deviceCode)).toEqual({ ok: false, error: 'slow_down' });
    const typed = asked.userCode.toLowerCase().replace('-', ' ');
    expect(await server('b').grants.lookUp(typed)).toEqual({ askedFrom: '192.0.2.9' });
    await server('b').grants.answer(typed, { person: ADA, allow: true });
    await clock.advance(5_000);
    expect(await grants.poll(asked.deviceCode)).toEqual({ ok: true, person: ADA });
    expect(await grants.poll(asked.deviceCode)).toEqual({ ok: false, error: 'invalid_grant' });
    expect(await grants.lookUp(typed)).toBeUndefined();
  });

  it('is told when it was denied, and when nobody answered in time; an answer is given once', async () => {
    const { grants } = server();
    const denied = await grants.ask('192.0.2.9');
    await grants.answer(denied.userCode, { person: ADA, allow: false });
    await expect(grants.answer(denied.userCode, { person: ADA, allow: true })).rejects.toMatchObject({
      code: 'ERR_PERSONS_GRANT',
    });
    expect(await grants.poll(denied.deviceCode)).toEqual({ ok: false, error: 'access_denied' });
    const late = await grants.ask('192.0.2.9');
    await clock.advance(15 * 60_000);
    await expect(grants.answer(late.userCode, { person: ADA, allow: true })).rejects.toMatchObject({
      code: 'ERR_PERSONS_GRANT',
    });
    expect(await grants.poll(late.deviceCode)).toEqual({ ok: false, error: 'expired_token' });
  });

  it('by a code through the browser, gets in with the verifier of its challenge alone, once and within a minute', async () => {
    const { grants } = server();
    const verifier = 'v'.repeat(43);
    const challenge = sha256(Buffer.from(verifier)).toString('base64url');
    const of = { person: ADA, challenge, from: '192.0.2.9' };
    const code = await grants.code(of);
    expect(await grants.redeemCode(code, verifier)).toEqual({ ok: true, person: ADA });
    expect(await grants.redeemCode(code, verifier)).toEqual({ ok: false, error: 'invalid_grant' });
    const stolen = await grants.code(of);
    expect(await grants.redeemCode(stolen, 'w'.repeat(43))).toEqual({ ok: false, error: 'invalid_grant' });
    expect(await grants.redeemCode(stolen, verifier)).toEqual({ ok: false, error: 'invalid_grant' });
    const late = await grants.code(of);
    await clock.advance(60_000);
    expect(await grants.redeemCode(late, verifier)).toEqual({ ok: false, error: 'invalid_grant' });
    expect(await grants.poll(await grants.code(of))).toEqual({ ok: false, error: 'invalid_grant' });
  });

  it('is refused once a thousand wait, until those are over', async () => {
    const { grants } = server();
    for (let each = 0; each < 1000; each++) await grants.ask('192.0.2.9');
    await expect(grants.ask('192.0.2.9')).rejects.toMatchObject({ code: 'ERR_PERSONS_LIMIT' });
    await clock.advance(20 * 60_000);
    await grants.ask('192.0.2.9');
  });
});
