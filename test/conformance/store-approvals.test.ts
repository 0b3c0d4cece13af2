/**
 * What approvals promise over each engine that is registered, with two servers on one database where it can be shared: asked at one and answered at the
 * other, used once by whoever asked, and nothing taken for an answer that was not committed.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  type Answerer,
  type ApprovalRule,
  type ApprovalSurroundings,
  type AskedAnswer,
  approvalMigrations,
  createApprovals,
  type HoldingGateway,
} from '../../src/approval/index.ts';
import { askedHold, attempt, GATEWAY } from '../../src/approval/testing/asked.ts';
import type { RevocationFacts } from '../../src/model/index.ts';
import {
  createManualClock,
  createSilentLog,
  createSystemClock,
  createSystemRandom,
  type Service,
  startAll,
  stopAll,
} from '../../src/std/index.ts';
import { storeEngines } from '../../src/store/engines/registry.generated.ts';
import type { Store } from '../../src/store/index.ts';
import { eventually } from '../support/eventually.ts';
import { type Database, type Databases, openDatabases, openStore } from './store-databases.ts';

const signal = new AbortController().signal;
const person = (name: string, over: Partial<Answerer> = {}): Answerer => ({
  ...{ name: `https://login.test#${name}`, kind: 'person', groups: [], email: undefined, byLink: false },
  ...over,
});
const eva = person('eva');
const tom = person('tom');
const rule = (over: Partial<ApprovalRule> = {}): ApprovalRule => ({
  ...{ name: 'careful', approvers: [], count: 1, forMs: 600_000 },
  ...over,
});

describe.each(storeEngines.map(({ id }) => id))('approvals on %s', (engine) => {
  let databases: Databases;
  let database: Database;
  let stores: (Store & Service)[];
  let services: Service[];
  let rules: ApprovalRule[];
  let gateways: HoldingGateway[];
  let revoked: string[];
  let owner: string | undefined;
  let signed: number;
  let signing: () => void;
  beforeAll(async () => {
    databases = await openDatabases(engine);
  });
  afterAll(() => databases.close());
  beforeEach(async () => {
    database = await databases.createDatabase();
    [stores, services, rules, gateways, revoked] = [[], [], [rule()], [GATEWAY], []];
    [owner, signed, signing] = [undefined, 0, () => {}];
  });
  afterEach(async () => {
    await stopAll(services);
    await stopAll(stores);
    await database.remove();
  });

  /** One server: of an engine that is one process's alone, another one over the same store. */
  async function openServer() {
    const [first] = stores;
    const store = first?.isShared === false ? first : await openStore(engine, database, approvalMigrations);
    if (store !== first) stores.push(store);
    const around: ApprovalSurroundings = {
      rules: (name) => rules.find((one) => one.name === name),
      hasTarget: (name) => name === 'shop',
      ownerOf: () => owner,
      revoked: async (subjects: readonly RevocationFacts[]) =>
        subjects.map(({ spiffeId = '' }) => (revoked.includes(spiffeId) ? 'it is revoked' : undefined)),
      onRevoked: () => () => {},
      gateways: async () => gateways,
      async sign({ type, claims }) {
        signed += 1;
        signing();
        return JSON.stringify({ type, ...claims, signed });
      },
    };
    // Its own time moves when a test says so; the database's goes on.
    const clock = { ...createManualClock(Date.now()), now: createSystemClock().now };
    const base = { store, clock, random: createSystemRandom(), log: createSilentLog() };
    const approvals = createApprovals({ ...base, trustDomain: 'example.org', around });
    services.push(approvals);
    await startAll([approvals], signal);
    return { ...approvals, clock };
  }
  type Server = Awaited<ReturnType<typeof openServer>>;

  const say = (
    server: Server,
    { id, digest }: { readonly id: string; readonly digest: string },
    over: Partial<AskedAnswer> = {},
  ) => server.answer({ id, digest, target: 'shop', answer: 'approve', reason: '', equals: 1, by: eva, ...over });
  const ask = async (server: Server, ...[over, shown]: Parameters<typeof askedHold>) => {
    const asked = askedHold(over, shown);
    return { ...asked, ...(await server.hold(GATEWAY, asked)) };
  };
  const spend = (server: Server, { hold, digest }: { hold: string; digest: string }, by = attempt(), from = GATEWAY) =>
    server.spend(from, { hold, digest, attempt: by });
  /** The time that somebody has for it is over. */
  const letPass = async (id: string, ms = 3_600_000) => {
    const db = stores[0]?.db<{ approval_holds: { id: string; until_ms: number } }>();
    await db
      ?.updateTable('approval_holds')
      .set({ until_ms: Date.now() - ms })
      .where('id', '=', id)
      .execute();
  };
  const code = (of: string) => ({ code: `ERR_APPROVAL_${of}` });

  describe('a hold', () => {
    it('is asked at one server, found again and answered at another, and used at either', async () => {
      const [one, two] = [await openServer(), await openServer()];
      const asked = await ask(one);
      expect(asked).toMatchObject({ state: 'waiting', id: expect.stringMatching(/^[0-9a-f]{32}$/) });
      expect(await two.hold(GATEWAY, asked)).toMatchObject({ id: asked.id, state: 'waiting' });
      let told = 0;
      one.onHold(asked.id, () => {
        told += 1;
      });
      expect(await say(two, asked)).toEqual({ id: asked.id, state: 'approved', answered: 1 });
      await eventually('the other server has heard of it', () => told > 0);
      expect(await one.look(asked.id)).toMatchObject({ state: 'approved' });
      const statement = JSON.parse(await spend(one, asked));
      expect(statement).toMatchObject({
        ...{ type: 'countersign-approval+jwt', iss: 'spiffe://example.org', hold: asked.hold, digest: asked.digest },
        ...{ approval: asked.id, gateway: GATEWAY.spiffeId, by: [eva.name] },
      });
      expect(statement.exp - statement.iat).toBe(60);
      expect(await two.look(asked.id)).toMatchObject({ state: 'spent' });
    });

    it('is one question however often it is put at once', async () => {
      const servers = [await openServer(), await openServer()];
      const asked = askedHold();
      const all = await Promise.all([0, 1, 2, 3, 4, 5].map((n) => (servers[n % 2] as Server).hold(GATEWAY, asked)));
      expect(new Set(all.map(({ id }) => id)).size).toBe(1);
      expect(await servers[0]?.waiting({ target: '', identity: '' }, { after: undefined, limit: 9 })).toHaveLength(1);
    });

    it('of another digest, or of another process, is not found under its name', async () => {
      const one = await openServer();
      const asked = await ask(one);
      const other = { ...askedHold({ session: 'cd34' }), hold: asked.hold };
      await expect(one.hold(GATEWAY, other)).rejects.toMatchObject(code('HOLD'));
      await expect(one.hold({ ...GATEWAY, instance: 'b' }, asked)).rejects.toMatchObject(code('HOLD'));
    });

    it('is refused where it says something else than it is', async () => {
      const one = await openServer();
      const bad = [
        askedHold({ gateway: 'spiffe://example.org/countersign/gateway/b' }),
        askedHold({ trustDomain: 'other.test' }),
        askedHold({ v: 'countersign-approval/v2' }),
        askedHold({ shown: '0'.repeat(64) }),
        askedHold({ target: 'nowhere' }),
        askedHold({ rules: [] }),
        askedHold({ rules: ['careful', 'careful'] }),
        askedHold({ identity: 'web' }),
        askedHold({ session: '../x' }),
        askedHold({ extra: 1 }),
        askedHold({ questions: [] }),
        askedHold({}, { title: 'two\nlines' }),
        askedHold({}, { text: 'x'.repeat(140_000) }),
        { ...askedHold(), hold: 'AB' },
        { ...askedHold(), subject: Buffer.from(` ${Buffer.from(askedHold().subject)}`) },
      ];
      for (const asked of bad) await expect(one.hold(GATEWAY, asked)).rejects.toMatchObject(code('SUBJECT'));
      await expect(one.hold(GATEWAY, askedHold({ rules: ['unheard-of'] }))).rejects.toMatchObject(code('RULE'));
      expect(await one.waiting({ target: '', identity: '' }, { after: undefined, limit: 9 })).toEqual([]);
    });

    it('waits for as long as the strictest of its rules and its gateway let it', async () => {
      const one = await openServer();
      rules = [rule(), rule({ name: 'quick', forMs: 1_000 })];
      expect((await ask(one, { rules: ['careful', 'quick'] })).leftMs).toBeLessThanOrEqual(1_000);
      expect((await ask(one, { untilMs: Date.now() + 500 })).leftMs).toBeLessThanOrEqual(500);
      expect(await ask(one, { untilMs: Date.now() - 5 })).toMatchObject({ state: 'expired', leftMs: 0 });
    });

    it('is one of a thousand of its identity at most', async () => {
      const one = await openServer();
      const asked = askedHold();
      await one.hold(GATEWAY, asked);
      const db = stores[0]?.db<{ approval_holds: Record<string, unknown> }>();
      const row = await db?.selectFrom('approval_holds').selectAll().executeTakeFirstOrThrow();
      const rows = Array.from({ length: 999 }, (_, n) => ({ ...row, id: `x${n}`, hold: `x${n}`, number: -n - 1 }));
      for (let n = 0; n < rows.length; n += 100)
        await db
          ?.insertInto('approval_holds')
          .values(rows.slice(n, n + 100))
          .execute();
      await expect(ask(one, { operation: '9' })).rejects.toMatchObject(code('LIMIT'));
      // What is there already is found again, and what others ask is taken.
      expect(await one.hold(GATEWAY, asked)).toMatchObject({ state: 'waiting' });
      expect(await ask(one, { identity: 'spiffe://example.org/other' })).toMatchObject({ state: 'waiting' });
    });

    it('is taken back by its own process alone, and then never approved or used', async () => {
      const [one, two] = [await openServer(), await openServer()];
      const asked = await ask(one);
      await two.withdraw({ ...GATEWAY, instance: 'b' }, asked.hold, 'cancelled');
      expect(await one.look(asked.id)).toMatchObject({ state: 'waiting' });
      await two.withdraw(GATEWAY, asked.hold, 'cancelled');
      expect(await one.look(asked.id)).toMatchObject({ state: 'withdrawn', reason: 'cancelled' });
      await expect(say(one, asked)).rejects.toMatchObject(code('OVER'));
      const second = await ask(one);
      await say(one, second);
      await two.withdraw(GATEWAY, second.hold, 'gone');
      await expect(spend(one, second)).rejects.toMatchObject(code('SPENT'));
      await two.withdraw(GATEWAY, 'f'.repeat(32), 'gone');
    });
  });

  describe('an answer', () => {
    it('is for the digest that was seen, at the target that was said', async () => {
      const one = await openServer();
      const asked = await ask(one);
      await expect(say(one, { ...asked, digest: '0'.repeat(64) })).rejects.toMatchObject(code('DIGEST'));
      await expect(say(one, asked, { target: 'bank' })).rejects.toMatchObject(code('UNKNOWN'));
      await expect(say(one, { ...asked, id: 'f'.repeat(32) })).rejects.toMatchObject(code('UNKNOWN'));
      await expect(say(one, asked, { reason: 'two\nlines' })).rejects.toMatchObject(code('REQUEST'));
      expect(await one.look(asked.id)).toMatchObject({ state: 'waiting' });
    });

    it('of no is told with its reason, and nothing is used afterwards', async () => {
      const one = await openServer();
      const asked = await ask(one);
      expect(await say(one, asked, { answer: 'deny', reason: 'not today' })).toMatchObject({ state: 'denied' });
      expect(await one.look(asked.id)).toMatchObject({ state: 'denied', reason: 'not today' });
      await expect(say(one, asked, { by: tom })).rejects.toMatchObject(code('OVER'));
      await expect(spend(one, asked)).rejects.toMatchObject(code('SPENT'));
    });

    it('is never that of whoever asks, nor of a workload that no rule names', async () => {
      const one = await openServer();
      const asked = await ask(one);
      const workload = (path: string) => person('', { name: `spiffe://example.org/${path}`, kind: 'identity' });
      await expect(say(one, asked, { by: workload('bot') })).rejects.toMatchObject(code('APPROVER'));
      const named = (path: string) => ({ kind: 'identity', name: `spiffe://example.org/${path}` }) as const;
      rules = [rule({ approvers: [named('web'), named('bot')] })];
      await expect(say(one, asked, { by: workload('web') })).rejects.toMatchObject(code('REQUESTER'));
      expect(await say(one, asked, { by: workload('bot') })).toMatchObject({ state: 'approved' });
    });

    it('needs as many people as the rule says, each once, and operators with all their links are one', async () => {
      const [one, two] = [await openServer(), await openServer()];
      rules = [rule({ count: 2 })];
      const asked = await ask(one);
      expect(await say(one, asked)).toMatchObject({ state: 'waiting', answered: 1 });
      // Said again, since its first answer was lost.
      expect(await say(two, asked)).toMatchObject({ state: 'waiting', answered: 0 });
      await expect(say(two, asked, { answer: 'deny' })).rejects.toMatchObject(code('ANSWERED'));
      await expect(spend(one, asked)).rejects.toMatchObject(code('SPENT'));
      expect(await say(two, asked, { by: tom })).toMatchObject({ state: 'approved' });
      expect(JSON.parse(await spend(one, asked)).by).toEqual([eva.name, tom.name]);
      const second = await ask(one);
      const link = (name: string) => person(name, { byLink: true });
      await say(one, second, { by: link('link-1') });
      await expect(say(one, second, { by: link('link-2') })).rejects.toMatchObject(code('ANSWERED'));
      const root = person('', { name: 'unix:uid:0', kind: 'operator' });
      await expect(say(one, second, { by: root })).rejects.toMatchObject(code('ANSWERED'));
    });

    it.each<readonly [string, ApprovalRule['approvers'], Answerer, Answerer]>([
      ['groups', [{ kind: 'group', name: 'dba' }], person('a', { groups: ['dba'] }), eva],
      ['addresses', [{ kind: 'email', name: 'a@b.test' }], person('a', { email: 'a@b.test' }), eva],
      ['names', [{ kind: 'person', name: tom.name }], tom, eva],
      ['operators', [{ kind: 'operator' }], person('', { kind: 'operator', name: 'admin' }), eva],
      ['owners', [{ kind: 'owner' }], person('a', { groups: ['team-shop'] }), person('b', { groups: ['team-web'] })],
    ])('is of those whom the rule names by %s', async (_, approvers, may, mayNot) => {
      const one = await openServer();
      [rules, owner] = [[rule({ approvers })], 'team-shop'];
      const asked = await ask(one);
      await expect(say(one, asked, { by: mayNot })).rejects.toMatchObject(code('APPROVER'));
      await expect(say(one, asked, { by: mayNot, answer: 'deny' })).rejects.toMatchObject(code('APPROVER'));
      expect(await say(one, asked, { by: may })).toMatchObject({ state: 'approved' });
    });

    it('counts for the rules that name who gives it, and each of several has to have enough', async () => {
      const one = await openServer();
      rules = [
        rule({ approvers: [{ kind: 'person', name: eva.name }] }),
        rule({ name: 'second', count: 1, approvers: [{ kind: 'person', name: tom.name }] }),
      ];
      const asked = await ask(one, { rules: ['careful', 'second'] });
      expect(await say(one, asked)).toMatchObject({ state: 'waiting' });
      expect((await one.find(asked.id))?.rules).toEqual([
        { name: 'careful', count: 1, approved: 1 },
        { name: 'second', count: 1, approved: 0 },
      ]);
      // One that is not declared any more is one that nobody can satisfy.
      rules = rules.slice(0, 1);
      await expect(say(one, asked, { by: tom })).rejects.toMatchObject(code('RULE'));
      rules = [...rules, rule({ name: 'second' })];
      expect(await say(one, asked, { by: tom })).toMatchObject({ state: 'approved' });
    });

    it('is for as many equal ones as was said, the oldest first, each of them used by itself', async () => {
      const one = await openServer();
      const all = [];
      for (const session of ['a1', 'b2', 'c3', 'd4']) all.push(await ask(one, { session, operation: session }));
      const other = await ask(one, { parameters: 'f'.repeat(64) });
      const [first, second, third, fourth] = all;
      if (!first || !second || !third || !fourth) throw new Error('four were asked');
      const list = await one.waiting({ target: 'shop', identity: '' }, { after: undefined, limit: 9 });
      expect(list.map(({ id, equals }) => [id, equals])).toEqual([
        [first.id, 4],
        [other.id, 1],
      ]);
      expect(await say(one, third, { equals: 3 })).toMatchObject({ state: 'approved', answered: 3 });
      expect(await Promise.all([...all, other].map(async ({ id }) => (await one.look(id))?.state))).toEqual([
        'approved',
        'approved',
        'approved',
        'waiting',
        'waiting',
      ]);
      await spend(one, first);
      await expect(spend(one, first)).rejects.toMatchObject(code('SPENT'));
      // Neither moves to one that is equal.
      await expect(
        one.spend(GATEWAY, { hold: first.hold, digest: second.digest, attempt: attempt() }),
      ).rejects.toMatchObject(code('SPENT'));
      await spend(one, second);
    });

    it('comes too late when its time is over, whether or not anybody has written that down', async () => {
      const [one, two] = [await openServer(), await openServer()];
      const asked = await ask(one);
      await letPass(asked.id);
      expect(await two.look(asked.id)).toMatchObject({ state: 'expired' });
      await expect(say(one, asked)).rejects.toMatchObject(code('OVER'));
      expect(await one.waiting({ target: '', identity: '' }, { after: undefined, limit: 9 })).toEqual([]);
      expect(await one.over({ target: '', identity: '' }, { after: undefined, limit: 9 })).toMatchObject([
        { state: 'expired' },
      ]);
      const second = await ask(one);
      await say(one, second);
      await letPass(second.id);
      await expect(spend(two, second)).rejects.toMatchObject(code('SPENT'));
    });

    it('of two at once counts once, whichever servers they come to', async () => {
      const [one, two] = [await openServer(), await openServer()];
      rules = [rule({ count: 2 })];
      const asked = await ask(one);
      const all = await Promise.all([one, two, one, two].map((server) => say(server, asked)));
      expect(all.map(({ answered }) => answered).toSorted()).toEqual([0, 0, 0, 1]);
      expect(await one.look(asked.id)).toMatchObject({ state: 'waiting' });
      const [yes, no] = await Promise.allSettled([
        say(one, asked, { by: tom }),
        say(two, asked, { by: person('kim'), answer: 'deny' }),
      ]);
      expect([yes.status, no.status].toSorted()).toEqual(['fulfilled', 'rejected']);
    });
  });

  describe('the use of an answer', () => {
    it('is one, of many tries at once at both servers', async () => {
      const servers = [await openServer(), await openServer()];
      const asked = await ask(servers[0] as Server);
      await say(servers[0] as Server, asked);
      const tries = await Promise.allSettled([0, 1, 2, 3, 4, 5].map((n) => spend(servers[n % 2] as Server, asked)));
      expect(tries.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    });

    it('is told again to the try that has it, by any server, and to no other process', async () => {
      const [one, two] = [await openServer(), await openServer()];
      const asked = await ask(one);
      await say(one, asked);
      const own = attempt();
      const statement = await spend(one, asked, own);
      const words = (text: string) => ({ ...JSON.parse(text), signed: 0 });
      expect(words(await spend(two, asked, own))).toEqual(words(statement));
      for (const from of [
        { ...GATEWAY, instance: 'b' },
        { ...GATEWAY, spiffeId: 'spiffe://example.org/countersign/gateway/b' },
      ])
        await expect(spend(two, asked, own, from)).rejects.toMatchObject(code('SPENT'));
      await expect(spend(two, asked, 'not random')).rejects.toMatchObject(code('SPENT'));
    });

    it('is none where the identity is revoked, be it while it is signed', async () => {
      const one = await openServer();
      const asked = await ask(one);
      await say(one, asked);
      signing = () => {
        revoked = ['spiffe://example.org/web'];
      };
      const own = attempt();
      await expect(spend(one, asked, own)).rejects.toMatchObject(code('REVOKED'));
      await expect(spend(one, asked, own)).rejects.toMatchObject(code('REVOKED'));
      await expect(ask(one)).rejects.toMatchObject(code('REVOKED'));
    });
  });

  describe('what nobody answers any more ends by itself', () => {
    const pass = async ({ clock }: Server, ms: number) => {
      for (let passed = 0; passed < ms; passed += 2_000) {
        clock.advance(2_000);
        await new Promise((resolve) => setImmediate(resolve));
      }
    };

    it('when its time is over', async () => {
      const [one, two] = [await openServer(), await openServer()];
      const asked = await ask(one);
      await letPass(asked.id);
      let told = 0;
      two.onHold(asked.id, () => {
        told += 1;
      });
      await eventually('the other server has heard of it', async () => {
        await pass(one, 2_000);
        return told > 0;
      });
      expect(await two.look(asked.id)).toMatchObject({ state: 'expired' });
    });

    it('when its identity is revoked', async () => {
      const one = await openServer();
      const [asked, other] = [await ask(one), await ask(one, { identity: 'spiffe://example.org/other' })];
      revoked = ['spiffe://example.org/web'];
      await eventually('it has ended', async () => {
        await pass(one, 2_000);
        return (await one.look(asked.id))?.state === 'withdrawn';
      });
      expect(await one.look(other.id)).toMatchObject({ state: 'waiting' });
      await expect(say(one, asked)).rejects.toThrow();
    });

    it('when its gateway is gone for a while, and not when that changes its server', async () => {
      const one = await openServer();
      const asked = await ask(one);
      await say(one, asked);
      gateways = [];
      await pass(one, 6_000);
      gateways = [GATEWAY];
      await eventually('it was seen there', async () => {
        await pass(one, 2_000);
        return true;
      });
      expect(await one.look(asked.id)).toMatchObject({ state: 'approved' });
      gateways = [{ ...GATEWAY, instance: 'b' }];
      await eventually('it has ended', async () => {
        await pass(one, 6_000);
        return (await one.look(asked.id))?.state === 'withdrawn';
      });
      await expect(spend(one, asked)).rejects.toMatchObject(code('SPENT'));
    });

    it('and is forgotten after a day', async () => {
      const one = await openServer();
      const asked = await ask(one);
      await say(one, asked, { answer: 'deny' });
      const db = stores[0]?.db<{ approval_holds: { decided_ms: number }; approval_answers: { approval: string } }>();
      await db
        ?.updateTable('approval_holds')
        .set({ decided_ms: Date.now() - 2 * 86_400_000 })
        .execute();
      await eventually('it is forgotten', async () => {
        await pass(one, 2_000);
        return (await one.look(asked.id)) === undefined;
      });
      expect(await db?.selectFrom('approval_answers').selectAll().execute()).toEqual([]);
    });
  });
});
