import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  SessionsAnswerSchema,
  SessionsQuestionSchema,
} from '@countersign/sdk/contract/gen/countersign/control/v1/sessions_pb.ts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../../../test/support/eventually.ts';
import { testEntry, testLog } from '../../records/testing/log-fixture.ts';
import { connectGateway, holding, type SessionAnswer, session } from '../testing/session-gateway.ts';
import { startTestRest, type TestRest } from '../testing/test-rest.ts';

// Goal: an operator of one team sees and ends only theirs, by target, path or label, and learns nothing of what else there is.

const POLICY = `
@id("own") permit(principal == Identity::"spiffe://example.org/ops/ada", action in [Action::"countersign:own-target", Action::"countersign:session.end"], resource)
when { resource has target && resource.target == "shop" };
@id("below") permit(principal == Identity::"spiffe://example.org/ops/eve", action in Action::"countersign:operate", resource)
when { resource has identity && resource.identity like "spiffe://example.org/shop/*" };
@id("label") permit(principal == Identity::"spiffe://example.org/ops/bob", action == Action::"countersign:entry.get", resource)
when { resource.hasTag("team") && resource.getTag("team") == "shop" };
@id("but") forbid(principal == Identity::"spiffe://example.org/ops/bob", action == Action::"countersign:entry.get", resource)
when { resource has environment && resource.environment == "production" };
`;
const SHOP = session({ id: 'a1', target: 'shop', identity: 'spiffe://example.org/shop/web' });
const PAYROLL = session({ id: 'b2', target: 'payroll', identity: 'spiffe://example.org/hr/web' });

let server: TestRest;
let stop: AbortController;
beforeEach(async () => {
  stop = new AbortController();
  server = await startTestRest();
  const applied = await server.ask({
    ...{ method: 'POST', path: '/v1/access' },
    body: { policies: [{ name: 'roles', cedar: POLICY }], allowLockOut: true },
  });
  expect(applied.status, applied.text).toBe(200);
});
afterEach(async () => {
  stop.abort();
  await server.stop();
});

/** Answers as a gateway does: those that are asked for. */
const answering = (...all: (typeof SHOP)[]): SessionAnswer => {
  const ends = holding();
  return (question) => {
    if (question.kind === 'sessions.end') return ends(question);
    const { filter } = fromBinary(SessionsQuestionSchema, question.body);
    const { ids = [], target = '', identity = '' } = filter ?? {};
    const isAsked = (one: typeof SHOP) =>
      (ids.length === 0 || ids.includes(one.id)) &&
      (target === '' || target === one.target) &&
      (identity === '' || one.identity === identity || `${one.identity}`.startsWith(identity.replace(/\*$/, '')));
    const sessions = all.filter(isAsked);
    return toBinary(
      SessionsAnswerSchema,
      create(SessionsAnswerSchema, { sessions, matching: BigInt(sessions.length) }),
    );
  };
};
const refOf = ({ id }: { readonly id: string }) => ({
  ...{ id, gatewaySpiffeId: 'spiffe://example.org/countersign/gateway/eu', gatewayAddress: 'eu:7443' },
});

async function as(name: string) {
  const svid = await server.identify(`/ops/${name}`);
  return {
    get: (path: string) => server.ask({ path, as: svid }),
    end: (sessions: readonly object[], headers = {}) =>
      server.ask({ method: 'POST', path: '/v1/end-sessions', as: svid, body: { sessions }, headers }),
  };
}

describe('sessions', () => {
  const connect = (answer = answering(SHOP, PAYROLL)) =>
    connectGateway(server, { name: 'eu', answer, signal: stop.signal });

  it('are shown one by one to who may see their target, and others are as if they were not there', async () => {
    await connect();
    const ada = await as('ada');
    expect((await ada.get('/v1/sessions/a1')).json).toMatchObject({ id: 'a1', target: 'shop' });
    const [other, none] = [await ada.get('/v1/sessions/b2'), await ada.get('/v1/sessions/c3')];
    expect([other.status, none.status]).toEqual([403, 403]);
    expect(other.json['detail']).toBe(none.json['detail']);
    const bob = await as('bob');
    expect((await bob.get('/v1/sessions/a1')).status).toBe(403);
  });

  it('are ended by who may end those of their target, and of others none is, nor of a list with one of others', async () => {
    const gateway = await connect();
    const ada = await as('ada');
    for (const refs of [[PAYROLL], [SHOP, PAYROLL]]) {
      expect((await ada.end(refs.map(refOf))).status).toBe(403);
      expect(gateway.asked.filter(({ kind }) => kind === 'sessions.end')).toEqual([]);
    }
    expect(server.ledger.filter(({ action }) => action === 'EndSessions')).toEqual([]);
    // What has ended meanwhile hinders nothing, and whoever comes later under its id is not ended.
    const ended = await ada.end([refOf(SHOP), refOf({ id: 'c3' })]);
    expect(ended.json).toMatchObject({ ended: [refOf(SHOP)], answered: 1, unanswered: [] });
    const told = gateway.asked.filter(({ kind }) => kind === 'sessions.end');
    expect(told).toHaveLength(1);
    expect(server.ledger.filter(({ action }) => action === 'EndSessions')[0]).toMatchObject({
      detail: { sessions: ['a1'], count: 1 },
    });
    expect((await (await as('bob')).end([refOf(SHOP)])).status).toBe(403);
  });

  it('are ended once under one key, and the answer is given again', async () => {
    const gateway = await connect();
    const ada = await as('ada');
    const key = { 'idempotency-key': 'one-and-only-key-1' };
    const [first, second] = [await ada.end([refOf(SHOP)], key), await ada.end([refOf(SHOP)], key)];
    expect(second.text).toBe(first.text);
    expect(second.headers['idempotency-replayed']).toBe('true');
    expect(gateway.asked.filter(({ kind }) => kind === 'sessions.end')).toHaveLength(1);
  });

  it('are not ended where their gateway does not say what they are', async () => {
    await connect(() => {
      throw new Error('it says nothing');
    });
    let status: number | undefined;
    const asking = (await as('ada')).end([refOf(SHOP)]).then((answer) => {
      status = answer.status;
    });
    await eventually('it is answered', async () => {
      await server.clock.advance(1_000);
      return status !== undefined;
    });
    await asking;
    expect(status).toBe(503);
    expect(server.ledger.filter(({ action }) => action === 'EndSessions')).toEqual([]);
  });

  it('of more than a hundred at once are for who may end all', async () => {
    await connect();
    const many = Array.from({ length: 101 }, (_, n) => refOf({ id: n.toString(16).padStart(4, '0') }));
    const { status, json } = await (await as('ada')).end(many);
    expect(status).toBe(400);
    expect(json['detail']).toContain('100 at once');
  });

  it('below a path are for who may see all below it, or below a path above', async () => {
    await connect();
    const eve = await as('eve');
    const statusOf = async (identity: string) => (await eve.get(`/v1/sessions?identity=${identity}`)).status;
    for (const path of ['/shop/*', 'spiffe://example.org/shop/*', '/shop/eu/*', '/shop/web'])
      expect([path, await statusOf(path)]).toEqual([path, 200]);
    for (const path of ['/*', '/sho*', '/shopping/*', '/hr/*', 'spiffe://example.com/shop/*', '/shop*', '*', '/shop'])
      expect([path, await statusOf(path)]).toEqual([path, 403]);
    expect((await eve.get('/v1/sessions?target=shop')).status).toBe(403);
    expect((await eve.get('/v1/sessions/a1')).status).toBe(200);
    expect((await eve.get('/v1/sessions/b2')).status).toBe(403);
  });
});

describe('entries of the registration', () => {
  const labels = (team: string, environment = '') => ({ owner: '', environment, labels: { team } });
  beforeEach(async () => {
    const common = { parentId: 'spiffe://example.org/laptop', selectors: [{ type: 'unix', value: 'uid:1' }] };
    await server.registration.batchCreate([
      { ...common, id: 'web', spiffeId: 'spiffe://example.org/shop/web', attributes: labels('shop') },
      { ...common, id: 'pay', spiffeId: 'spiffe://example.org/hr/pay', attributes: labels('hr') },
      { ...common, id: 'live', spiffeId: 'spiffe://example.org/shop/live', attributes: labels('shop', 'production') },
      { ...common, id: 'bare', spiffeId: 'spiffe://example.org/bare' },
    ]);
  });
  const statuses = async (name: string) => {
    const { get } = await as(name);
    return Promise.all(
      ['web', 'pay', 'live', 'bare', 'none'].map(async (id) => (await get(`/v1/entries/${id}`)).status),
    );
  };

  it('that are named by their id are seen by label, and by path, and what is forbidden is not', async () => {
    expect(await statuses('bob')).toEqual([200, 403, 403, 403, 403]);
    expect(await statuses('eve')).toEqual([200, 403, 200, 403, 403]);
    expect(await statuses('ada')).toEqual([403, 403, 403, 403, 403]);
  });

  it('are refused in the same words whether they are there or not', async () => {
    const bob = await as('bob');
    const words = async (id: string) => `${(await bob.get(`/v1/entries/${id}`)).json['detail']}`.replace(id, 'ID');
    expect(await words('pay')).toBe(await words('none'));
    expect(await words('live')).toBe(await words('none'));
  });
});

describe('entries of the record', () => {
  it('are shown and proved one by one to who may see their target or identity', async () => {
    const actor = 'spiffe://example.org/shop/web';
    const log = testLog(3).with([
      testEntry(0, { target: 'shop' }),
      testEntry(1, { target: 'payroll', actor }),
      testEntry(2, { target: 'sessions' }),
    ]);
    const shipment = await server.records.open({ ...log, owner: 'spiffe://example.org/gateway' });
    await shipment.take(log.batch(0, 3, 0));
    const statuses = async (name: string, tail: string) => {
      const { get } = await as(name);
      return Promise.all([0, 1, 2, 9].map(async (at) => (await get(`/v1/records/1/${at}${tail}`)).status));
    };
    for (const tail of ['', '/proof']) {
      expect(await statuses('ada', tail)).toEqual([200, 403, 403, 403]);
      expect(await statuses('eve', tail)).toEqual([403, 200, 403, 403]);
      expect(await statuses('bob', tail)).toEqual([403, 403, 403, 403]);
    }
  });
});
