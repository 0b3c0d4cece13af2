/**
 * Goal: whoever signs in is known by a secret that only they have, for as long as it is used and from where it was begun; what is good once is good once,
 * at whichever server; and nothing in the store lets anybody in. Over each engine that is registered.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Database, type Databases, openDatabases, openStore } from '../../test/conformance/store-databases.ts';
import {
  createManualClock,
  createSeededRandom,
  createSilentLog,
  type ManualClock,
  type Random,
  type Service,
  sha256,
} from '../std/index.ts';
import { storeEngines } from '../store/engines/registry.generated.ts';
import type { Store } from '../store/index.ts';
import {
  createPersons,
  type OidcConfig,
  type Person,
  type Persons,
  personsMigrations,
  type SignInRules,
} from './index.ts';

const LINKED = 'spiffe://example.org/spire/server';
const ADA: Person = { issuer: LINKED, subject: 'ada', email: 'ada@example.org', groups: ['platform'], byLink: true };
const HOUR_MS = 3_600_000;
const RULES: SignInRules = { lifetimeMs: 12 * HOUR_MS, idleMs: HOUR_MS, from: 'address' };
const HERE = { kind: 'browser', address: '192.0.2.7' } as const;
const USE = { ...HERE, isUse: true } as const;
const DESK = { address: '192.0.2.9', source: '192.0.2.9' };
const OIDC: OidcConfig = {
  ...{ issuer: 'https://login.example.org', clientId: 'countersign', clientSecret: undefined },
  ...{ groupsClaim: 'groups', scopes: 'openid' },
};

describe.each(storeEngines.map(({ id }) => id))('people, over %s:', (engine) => {
  let databases: Databases;
  let database: Database;
  let store: Store & Service;
  let beside: (Store & Service) | undefined;
  let clock: ManualClock;
  beforeAll(async () => {
    databases = await openDatabases(engine);
  });
  afterAll(() => databases.close());
  beforeEach(async () => {
    database = await databases.createDatabase();
    store = await openStore(engine, database, personsMigrations);
    // Where servers share a database each has connections of its own.
    beside = store.isShared ? await openStore(engine, database) : undefined;
    clock = createManualClock(1_800_000_000_000);
    randoms = new Map();
  });
  afterEach(async () => {
    await beside?.stop();
    await store.stop();
    await database.remove();
  });

  let randoms: Map<string, Random>;
  /** A server on that database; `a` and `b` are two. */
  function server(seed = 'a', config: { rules?: Partial<SignInRules>; oidc?: OidcConfig } = {}): Persons {
    const random = randoms.get(seed) ?? createSeededRandom(seed);
    randoms.set(seed, random);
    const at = seed === 'a' ? store : (beside ?? store);
    const deps = { store: at, clock, log: createSilentLog(), random, issuer: LINKED };
    return createPersons(deps, { rules: { ...RULES, ...config.rules }, oidc: config.oidc });
  }

  /** Somebody who has signed in with a browser. */
  async function atBrowser() {
    return (await server('a').signIns.begin({ person: ADA, ...HERE })).signIn;
  }

  describe('a sign-in', () => {
    it('is found by its secret at every server, as the person that it is of', async () => {
      const { secret } = await server('a').signIns.begin({ person: ADA, ...HERE });
      const found = await server('b').signIns.find(secret, USE);
      expect(found).toMatchObject({ ok: true, signIn: { person: ADA, kind: 'browser', address: '192.0.2.7' } });
    });

    it('is over when it was not used for as long as it may be idle, and at its end however much it is used', async () => {
      const { signIns } = server();
      const { secret } = await signIns.begin({ person: ADA, ...HERE });
      for (let half = 0; half < 23; half++) {
        await clock.advance(HOUR_MS / 2);
        expect((await signIns.find(secret, USE)).ok).toBe(true);
      }
      await clock.advance(HOUR_MS / 2);
      expect(await signIns.find(secret, USE)).toEqual({ ok: false, reason: 'over' });
      const other = await signIns.begin({ person: ADA, ...HERE });
      await clock.advance(HOUR_MS);
      expect(await signIns.find(other.secret, USE)).toEqual({ ok: false, reason: 'idle' });
      expect(await signIns.list()).toEqual([]);
    });

    it('is of no use from another address, which is new until somebody was told of it', async () => {
      const { signIns } = server();
      const { secret, signIn } = await signIns.begin({ person: ADA, ...HERE });
      const thief = { ...USE, address: '198.51.100.9' };
      expect(await signIns.find(secret, thief)).toMatchObject({ ok: false, reason: 'address', isFirst: true });
      expect(await signIns.find(secret, thief)).toMatchObject({ ok: false, reason: 'address', isFirst: true });
      await signIns.told(signIn.id);
      expect(await signIns.find(secret, thief)).toMatchObject({ ok: false, reason: 'address', isFirst: false });
      expect((await signIns.find(secret, USE)).ok).toBe(true);
    });

    it('is not used by who only looks after it: a stream that stays open lets it become idle', async () => {
      const { signIns } = server();
      const { secret } = await signIns.begin({ person: ADA, ...HERE });
      await clock.advance(HOUR_MS / 2);
      expect((await signIns.find(secret, { ...HERE, isUse: false })).ok).toBe(true);
      await clock.advance(HOUR_MS / 2);
      expect(await signIns.find(secret, { ...HERE, isUse: false })).toEqual({ ok: false, reason: 'idle' });
    });

    it('is found by its secret alone for who ends it: from elsewhere, idle or over', async () => {
      const { signIns } = server('b', { oidc: OIDC });
      const { secret, signIn } = await server('a').signIns.begin({ person: ADA, ...HERE });
      await clock.advance(HOUR_MS);
      expect(await signIns.holder(secret, 'browser')).toMatchObject({ id: signIn.id });
      expect(await signIns.holder(secret, 'cli')).toBeUndefined();
      expect(await signIns.holder('none', 'browser')).toBeUndefined();
    });

    it('by a cookie is no token, and the other way round', async () => {
      const { signIns } = server();
      const { secret } = await signIns.begin({ person: ADA, ...HERE });
      expect(await signIns.find(secret, { ...USE, kind: 'cli' })).toEqual({ ok: false, reason: 'unknown' });
    });

    it('never goes on with a secret of before: what the caller had ends', async () => {
      const { signIns } = server();
      const before = await signIns.begin({ person: ADA, ...HERE });
      const after = await signIns.begin({ person: ADA, ...HERE, instead: before.secret });
      expect(after.secret).not.toBe(before.secret);
      expect((await signIns.find(before.secret, USE)).ok).toBe(false);
      const planted = 'x'.repeat(43);
      const begun = await signIns.begin({ person: ADA, ...HERE, instead: planted });
      expect(begun.secret).not.toBe(planted);
      expect((await signIns.find(planted, USE)).ok).toBe(false);
    });

    it('is ended by its id at every server at once', async () => {
      const { secret, signIn } = await server('a').signIns.begin({ person: ADA, ...HERE });
      expect(await server('b').signIns.end(signIn.id)).toMatchObject({ id: signIn.id });
      expect((await server('a').signIns.find(secret, USE)).ok).toBe(false);
      expect(await server('a').signIns.end(signIn.id)).toBeUndefined();
    });

    it('ends where one person has too many, the oldest first', async () => {
      const { signIns } = server();
      const begun: string[] = [];
      for (let each = 0; each < 21; each++) {
        begun.push((await signIns.begin({ person: ADA, ...HERE })).secret);
        await clock.advance(1);
      }
      expect((await signIns.find(begun[0] ?? '', USE)).ok).toBe(false);
      expect((await signIns.find(begun[1] ?? '', USE)).ok).toBe(true);
      expect(await signIns.list()).toHaveLength(20);
    });

    it('leaves nothing in the store by which one could come in', async () => {
      const { secret } = await server().signIns.begin({ person: ADA, ...HERE });
      const kept = JSON.stringify(await rows('persons_sign_ins'));
      expect(kept).not.toContain(secret);
      expect(kept).toContain(sha256(Buffer.from(secret)).toString('hex'));
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
      const { links } = server('b', { oidc: OIDC });
      await expect(links.redeem(secret)).rejects.toMatchObject({ code: 'ERR_PERSONS_LINK' });
      await expect(links.make('unix:uid:0')).rejects.toMatchObject({ code: 'ERR_PERSONS_LINK' });
    });

    it('is not in the store, and there are not more of them than a few', async () => {
      const { links } = server();
      const { secret } = await links.make('unix:uid:0');
      expect(JSON.stringify(await rows('persons_links'))).not.toContain(secret);
      for (let each = 1; each < 20; each++) await links.make('unix:uid:0');
      await expect(links.make('unix:uid:0')).rejects.toMatchObject({ code: 'ERR_PERSONS_LIMIT' });
      await clock.advance(15 * 60_000);
      await links.make('unix:uid:0');
    });
  });

  describe('a command line that asks to be let in', () => {
    it('waits for a person’s answer, and is told it once', async () => {
      const { grants } = server();
      const by = await atBrowser();
      const asked = await grants.ask(DESK);
      expect(asked.userCode).toMatch(/^[B-Z]{4}-[B-Z]{4}$/);
      expect(await grants.poll(asked.deviceCode, DESK)).toEqual({ ok: false, error: 'authorization_pending' });
      expect(await grants.poll(asked.deviceCode, DESK)).toEqual({ ok: false, error: 'slow_down' });
      const typed = asked.userCode.toLowerCase().replace('-', ' ');
      expect(await server('b').grants.lookUp(typed)).toEqual({ askedFrom: '192.0.2.9' });
      await server('b').grants.answer(typed, { by, allow: true });
      await clock.advance(5_000);
      expect(await grants.poll(asked.deviceCode, DESK)).toEqual({ ok: true, person: ADA, letInBy: by.id });
      expect(await grants.poll(asked.deviceCode, DESK)).toEqual({ ok: false, error: 'invalid_grant' });
      expect(await grants.lookUp(typed)).toBeUndefined();
    });

    it('is told when it was denied, and when nobody answered in time; an answer is given once', async () => {
      const { grants } = server();
      const by = await atBrowser();
      const denied = await grants.ask(DESK);
      await grants.answer(denied.userCode, { by, allow: false });
      await expect(grants.answer(denied.userCode, { by, allow: true })).rejects.toMatchObject({
        code: 'ERR_PERSONS_GRANT',
      });
      expect(await grants.poll(denied.deviceCode, DESK)).toEqual({ ok: false, error: 'access_denied' });
      const late = await grants.ask(DESK);
      await clock.advance(15 * 60_000);
      await expect(grants.answer(late.userCode, { by, allow: true })).rejects.toMatchObject({
        code: 'ERR_PERSONS_GRANT',
      });
      expect(await grants.poll(late.deviceCode, DESK)).toEqual({ ok: false, error: 'expired_token' });
    });

    it('is answered by one of two who answer at once, and let in at one of two servers that are asked at once', async () => {
      const by = await atBrowser();
      const asked = await server('a').grants.ask(DESK);
      const answers = await Promise.allSettled(
        ['a', 'b'].map((seed) => server(seed).grants.answer(asked.userCode, { by, allow: true })),
      );
      expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      await clock.advance(5_000);
      const polls = await Promise.all(
        ['a', 'b', 'a', 'b'].map((seed) => server(seed).grants.poll(asked.deviceCode, DESK)),
      );
      expect(polls.filter(({ ok }) => ok)).toHaveLength(1);
    });

    it('gets in from where it asked alone, as who allowed it has seen, unless sign-ins are good anywhere', async () => {
      const by = await atBrowser();
      const asked = await server().grants.ask(DESK);
      await server().grants.answer(asked.userCode, { by, allow: true });
      await clock.advance(5_000);
      const thief = { address: '198.51.100.9' };
      expect(await server().grants.poll(asked.deviceCode, thief)).toEqual({ ok: false, error: 'invalid_grant' });
      const anywhere = server('b', { rules: { from: 'anywhere' } });
      expect(await anywhere.grants.poll(asked.deviceCode, thief)).toMatchObject({ ok: true });
    });

    it('by a code through the browser, gets in with the verifier of its challenge alone, once and within a minute', async () => {
      const { grants } = server();
      const by = await atBrowser();
      const verifier = 'v'.repeat(43);
      const challenge = sha256(Buffer.from(verifier)).toString('base64url');
      const of = { by, challenge, from: '192.0.2.9' };
      const code = await grants.code(of);
      expect(await grants.redeemCode(code, verifier)).toEqual({ ok: true, person: ADA, letInBy: by.id });
      expect(await grants.redeemCode(code, verifier)).toEqual({ ok: false, error: 'invalid_grant' });
      const stolen = await grants.code(of);
      expect(await grants.redeemCode(stolen, 'w'.repeat(43))).toEqual({ ok: false, error: 'invalid_grant' });
      expect(await grants.redeemCode(stolen, verifier)).toEqual({ ok: false, error: 'invalid_grant' });
      const late = await grants.code(of);
      await clock.advance(60_000);
      expect(await grants.redeemCode(late, verifier)).toEqual({ ok: false, error: 'invalid_grant' });
      expect(await grants.poll(await grants.code(of), DESK)).toEqual({ ok: false, error: 'invalid_grant' });
    });

    it.each([
      'is ended',
      'was idle',
      'is of an issuer that is not configured any more',
    ])('is not let in once the sign-in of who allowed it %s', async (how) => {
      const by = await atBrowser();
      const asked = await server().grants.ask(DESK);
      await server().grants.answer(asked.userCode, { by, allow: true });
      await clock.advance(5_000);
      const told = await server('b').grants.poll(asked.deviceCode, DESK);
      if (!told.ok) throw new Error('it was allowed');
      const now = server('b', how.includes('issuer') ? { oidc: OIDC } : {});
      if (how === 'is ended') await server('a').signIns.end(by.id);
      if (how === 'was idle') await clock.advance(HOUR_MS);
      const begun = now.signIns.begin({
        person: told.person,
        kind: 'cli',
        address: DESK.address,
        letInBy: told.letInBy,
      });
      await expect(begun).rejects.toMatchObject({ code: 'ERR_PERSONS_GRANT' });
      expect((await server('a').signIns.list()).filter(({ kind }) => kind === 'cli')).toEqual([]);
    });

    it('has to be let in anew when who let it in would have to sign in anew', async () => {
      const { signIns } = server();
      const browser = await signIns.begin({ person: ADA, ...HERE });
      for (let hour = 0; hour < 20; hour++) {
        await clock.advance(HOUR_MS / 2);
        await signIns.find(browser.secret, USE);
      }
      const cli = { person: ADA, kind: 'cli', address: DESK.address, letInBy: browser.signIn.id } as const;
      expect((await signIns.begin(cli)).signIn.endsMs).toBe(browser.signIn.endsMs);
    });

    it('is refused where ten wait that asked from there, at whichever server, and nobody else is', async () => {
      const by = await atBrowser();
      const asked: string[] = [];
      for (let each = 0; each < 10; each++)
        asked.push((await server(each % 2 === 0 ? 'a' : 'b').grants.ask(DESK)).userCode);
      for (const seed of ['a', 'b'])
        await expect(server(seed).grants.ask(DESK)).rejects.toMatchObject({ code: 'ERR_PERSONS_LIMIT' });
      await server().grants.ask({ address: '192.0.2.10', source: '192.0.2.10' });
      // Codes through the browser wait for nobody, and what was answered does so no more.
      await server().grants.code({ by, challenge: 'c'.repeat(43), from: DESK.address });
      await server('b').grants.answer(asked[0] ?? '', { by, allow: false });
      await server().grants.ask(DESK);
      await expect(server().grants.ask(DESK)).rejects.toMatchObject({ code: 'ERR_PERSONS_LIMIT' });
      await clock.advance(15 * 60_000);
      await server().grants.ask(DESK);
    });

    it('is refused where ten thousand wait, wherever they asked', async () => {
      await server().grants.ask(DESK);
      const [template] = await rows('persons_grants');
      const wait = (each: number) => ({
        ...template,
        digest: `d${each}`,
        user_code_digest: `u${each}`,
        source: `s${each}`,
      });
      const table = store.db<{ persons_grants: object }>();
      for (let from = 0; from < 9_999; from += 909)
        await table
          .insertInto('persons_grants')
          .values(Array.from({ length: 909 }, (_, each) => wait(from + each)))
          .execute();
      const other = { address: '192.0.2.10', source: '192.0.2.10' };
      await expect(server('b').grants.ask(other)).rejects.toMatchObject({ code: 'ERR_PERSONS_LIMIT' });
      await clock.advance(20 * 60_000);
      await server('b').grants.ask(other);
      expect(await rows('persons_grants')).toHaveLength(1);
    });

    it('finds no more than ten waiting, however many ask at once', async () => {
      const asked = await Promise.allSettled(
        Array.from({ length: 24 }, (_, each) => server(each % 2 === 0 ? 'a' : 'b').grants.ask(DESK)),
      );
      expect(asked.filter(({ status }) => status === 'fulfilled')).toHaveLength(10);
    });

    it('leaves a person a few codes through the browser at a time, the newest', async () => {
      const by = await atBrowser();
      const verifier = 'v'.repeat(43);
      const of = { by, challenge: sha256(Buffer.from(verifier)).toString('base64url'), from: DESK.address };
      const codes: string[] = [];
      for (let each = 0; each < 9; each++) {
        codes.push(await server().grants.code(of));
        await clock.advance(1);
      }
      expect((await rows('persons_grants')).length).toBeLessThan(9);
      expect(await server().grants.redeemCode(codes[0] ?? '', verifier)).toMatchObject({ ok: false });
      expect(await server().grants.redeemCode(codes[8] ?? '', verifier)).toMatchObject({ ok: true });
    });

    it('costs the store no write for a code that is none, or is asked for too soon', async () => {
      const { deviceCode } = await server().grants.ask(DESK);
      await server().grants.poll(deviceCode, DESK);
      const writes = vi.spyOn(store, 'transaction');
      const { grants } = server();
      await grants.poll('countersign_device_none', DESK);
      await grants.redeemCode('countersign_code_none', 'v'.repeat(43));
      await grants.poll(deviceCode, DESK);
      await grants.redeemCode(deviceCode, 'v'.repeat(43));
      await server()
        .links.redeem('countersign_link_none')
        .catch(() => {});
      expect(writes).not.toHaveBeenCalled();
    });
  });

  describe('an issuer that is configured no more', () => {
    it('vouches for nobody: whoever came by it is nobody at once, and stays so when it is back', async () => {
      const { secret } = await server().signIns.begin({ person: ADA, ...HERE });
      const other = server('b', { oidc: OIDC });
      expect(await other.signIns.find(secret, USE)).toEqual({ ok: false, reason: 'issuer' });
      expect(await other.signIns.list()).toEqual([]);
      await other.start(new AbortController().signal);
      expect(await server().signIns.find(secret, USE)).toEqual({ ok: false, reason: 'unknown' });
    });

    it('takes its links with it, and leaves who comes by the one that there is', async () => {
      const { secret: link } = await server().links.make('unix:uid:0');
      const person = { ...ADA, issuer: OIDC.issuer, byLink: false };
      const other = server('b', { oidc: OIDC });
      const { secret } = await other.signIns.begin({ person, ...HERE });
      await other.start(new AbortController().signal);
      expect((await other.signIns.find(secret, USE)).ok).toBe(true);
      await expect(server().links.redeem(link)).rejects.toMatchObject({ code: 'ERR_PERSONS_LINK' });
    });
  });

  async function rows(table: 'persons_grants' | 'persons_links' | 'persons_sign_ins'): Promise<object[]> {
    return store.db<Record<typeof table, object>>().selectFrom(table).selectAll().execute();
  }
});
