import { ApiProblem, createApiClient } from '@countersign/sdk/client';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../../../test/support/eventually.ts';
import { connectGateway, holding, type SessionAnswer, session } from '../testing/session-gateway.ts';
import { startTestRest, type TestRest } from '../testing/test-rest.ts';

// Goal: a program sees and ends the sessions of all gateways as the command line does, and no gateway's silence is taken for an answer.

let server: TestRest;
let ends: AbortController;
beforeEach(async () => {
  server = await startTestRest();
  ends = new AbortController();
});
afterEach(async () => {
  ends.abort();
  await server.stop();
});

const connect = (name: string, answer: SessionAnswer) => connectGateway(server, { name, answer, signal: ends.signal });
const api = () => createApiClient({ unix: server.unix });
const BROKEN: SessionAnswer = () => Buffer.from('no answer at all');
const refOf = (id: string, gateway: string) => ({
  ...{ id, gatewaySpiffeId: `spiffe://example.org/countersign/gateway/${gateway}`, gatewayAddress: `${gateway}:7443` },
});

describe('sessions over REST', () => {
  it('are listed newest first, with what was told of each and nothing else', async () => {
    const current = { action: 'postgres:select', shape: 'select 1', durationMs: 7n };
    await connect('one', holding(session({ pid: 4711, uid: 33, executable: '/bin/psql', current })));
    await connect('two', holding(session({ id: 'def2', ageMs: 1n })));
    const { output } = await api().call('session.list', {});
    expect(output).toMatchObject({ matching: 2, answered: 2, unanswered: [] });
    expect(output.sessions.map(({ id }) => id)).toEqual(['def2', 'abc1']);
    expect(output.sessions[1]).toEqual({
      ...{ ...refOf('abc1', 'one'), identity: 'spiffe://example.org/web', target: 'shop', door: 'agent' },
      ...{
        process: { pid: 4711, uid: 33, executable: '/bin/psql' },
        since: new Date(server.clock.now() - 5_000).toISOString(),
      },
      current: { action: 'postgres:select', shape: 'select 1', durationMs: 7 },
      ...{ operations: 0, denials: 0, items: 0, bytesIn: 0, bytesOut: 0, masks: [], masksLeftOut: 0 },
    });
  });

  it('are found by what they are, and a filter that no terminal should see is refused', async () => {
    const { asked } = await connect('one', holding(session({ node: 'spiffe://example.org/node/a' })));
    const filter = { identity: 'spiffe://example.org/*', target: 'shop', olderThanSeconds: 5 };
    expect((await api().call('session.list', filter)).output.sessions).toHaveLength(1);
    await expect(api().call('session.list', { target: 'shop\u0000' })).rejects.toMatchObject({
      ...{ status: 400, code: 'ERR_SESSIONS_REQUEST' },
    });
    await expect(api().call('session.list', { gateway: 'nobody:1' })).rejects.toMatchObject({ status: 400 });
    expect(asked).toHaveLength(1);
  });

  it('one is shown by its id; it is not there, is not known, or is two, and each is said', async () => {
    await connect('one', holding(session()));
    expect((await api().call('session.get', { id: 'abc1' })).output.target).toBe('shop');
    const two = await connect('two', ({ body, ...more }) =>
      body.length === 0 ? BROKEN({ body, ...more }) : holding(session())({ body, ...more }),
    );
    await expect(api().call('session.get', { id: 'abc1' })).rejects.toMatchObject({ code: 'ERR_SESSIONS_REQUEST' });
    expect((await api().call('session.get', { id: 'abc1', gateway: two.own.advertise })).output.gatewayAddress).toBe(
      'two:7443',
    );
  });

  it('one that no gateway has is not found, and where a gateway is silent nobody says so', async () => {
    await connect('one', holding());
    await expect(api().call('session.get', { id: 'fff9' })).rejects.toMatchObject({ status: 404 });
    await connect('two', BROKEN);
    const problem = await api()
      .call('session.get', { id: 'fff9' })
      .catch((error: unknown) => error);
    expect(problem).toBeInstanceOf(ApiProblem);
    expect(problem).toMatchObject({ status: 503 });
  });

  it('are ended by name, and the ledger says who, which and why', async () => {
    await connect('one', holding(session()));
    const reason = 'leaked key';
    const { output } = await api().call(
      'session.end',
      { sessions: [refOf('abc1', 'one')], reason },
      { idempotencyKey: 'once' },
    );
    expect(output).toEqual({ ended: [refOf('abc1', 'one')], answered: 1, unanswered: [] });
    const acts = server.ledger.filter(({ action }) => action === 'EndSessions').map(({ detail }) => detail);
    expect(acts).toEqual([
      expect.objectContaining({ step: 'request', reason, count: 1, sessions: ['abc1'], gateways: ['one:7443'] }),
      expect.objectContaining({ step: 'done', ended: 1 }),
    ]);
    await expect(api().call('session.end', { sessions: [refOf('abc1', 'one')], reason: 'a\nb' })).rejects.toMatchObject(
      { status: 400 },
    );
  });

  it('are followed by one question for all, and each is told of what changes alone', async () => {
    let held = holding(session());
    const { asked } = await connect('one', (question) => held(question));
    const over = new AbortController();
    const follower = () => api().follow('session.follow', {}, { signal: over.signal })[Symbol.asyncIterator]();
    const [one, other] = [follower(), follower()];
    const first = await Promise.all([one.next(), other.next()]);
    expect(first.map(({ value }) => value?.event.sessions.length)).toEqual([1, 1]);
    expect(asked).toHaveLength(1);

    const next = Promise.all([one.next(), other.next()]);
    await server.clock.advance(2_000);
    await eventually('it is asked again', () => asked.length === 2);
    held = holding(session(), session({ id: 'def2', ageMs: 1n }));
    await eventually('it is told', async () => {
      await server.clock.advance(2_000);
      return asked.length >= 3;
    });
    expect((await next).map(({ value }) => value?.event.sessions.map((one: { id: string }) => one.id))).toEqual([
      ['def2', 'abc1'],
      ['def2', 'abc1'],
    ]);
    over.abort();
  });

  it('are no longer asked for when nobody follows', async () => {
    const { asked } = await connect('one', holding(session()));
    const over = new AbortController();
    const follower = api()
      .follow('session.follow', { target: 'shop' }, { signal: over.signal })
      [Symbol.asyncIterator]();
    await follower.next();
    over.abort();
    await follower.next().catch(() => {});
    const before = asked.length;
    await eventually('the connection is over', async () => (await api().call('gateway.list', {})).output !== undefined);
    await server.clock.advance(10_000);
    expect(asked.length - before).toBeLessThanOrEqual(1);
  });

  it.each([
    ['a gateway that nobody knows', { gateway: 'nobody:1' }, undefined],
    ['a filter that no terminal should see', { target: 'shop\u0000' }, undefined],
    ['an id that was not told', {}, 'x'],
  ])('are not followed by %s: that is said before anything is told', async (_, filter, lastEventId) => {
    await connect('one', holding(session()));
    const more = lastEventId === undefined ? {} : { lastEventId };
    const nobody = api().follow('session.follow', filter, { signal: ends.signal, ...more });
    await expect(nobody[Symbol.asyncIterator]().next()).rejects.toMatchObject({
      ...{ status: 400, code: 'ERR_SESSIONS_REQUEST' },
    });
  });
});
