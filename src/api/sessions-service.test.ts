/**
 * Goal: operators alone see and end sessions, over gateways that may say anything: each speaks for itself, in words that move no cursor; what is
 * ended is what was named, and both ledgers can say by whom.
 */
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { Questions, Sessions } from '@countersign/sdk/contract';
import {
  EndAnswerSchema,
  EndQuestionSchema,
  type ListSessionsRequestSchema,
  type LiveSession,
  LiveSessionSchema,
  SessionOperationSchema,
  SessionsAnswerSchema,
  type SessionsOutcome,
} from '@countersign/sdk/contract/gen/countersign/control/v1/sessions_pb.ts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Code, type RpcClient } from '../rpc/index.ts';
import { connectGateway, holding, type SessionAnswer, session } from './testing/session-gateway.ts';
import { startTestServer, type TestServer } from './testing/test-server.ts';

let server: TestServer;
let operator: RpcClient;
let ends: AbortController;
const options = { signal: new AbortController().signal };

beforeEach(async () => {
  server = await startTestServer({ readOperator: () => ({ uid: 1000, text: 'ada (uid 1000)' }) });
  operator = server.operator();
  ends = new AbortController();
});
afterEach(async () => {
  ends.abort();
  await server.stop();
});

const connect = (name: string, answer: SessionAnswer) => connectGateway(server, { name, answer, signal: ends.signal });

async function list(request: MessageInitShape<typeof ListSessionsRequestSchema> = {}, client = operator) {
  const sessions: LiveSession[] = [];
  let outcome: SessionsOutcome | undefined;
  for await (const message of client.serverStream(Sessions.method.listSessions, request, options)) {
    sessions.push(...message.sessions);
    outcome ??= message.outcome;
  }
  return { sessions, outcome };
}

const refOf = ({ gatewaySpiffeId, gatewayAddress, id }: LiveSession) => ({ gatewaySpiffeId, gatewayAddress, id });

describe('the list of sessions', () => {
  it('has those of all gateways, newest first, each as that of the gateway that told of it', async () => {
    const lie = { gatewaySpiffeId: 'spiffe://example.org/countersign/gateway/two', gatewayAddress: 'two:7443' };
    await connect('one', holding(session({ ageMs: 9_000n, ...lie })));
    await connect('two', holding(session({ id: 'abc2' })));
    const { sessions, outcome } = await list();
    expect(sessions.map(({ id, gatewayAddress }) => `${id} ${gatewayAddress}`)).toEqual([
      'abc2 two:7443',
      'abc1 one:7443',
    ]);
    expect(outcome).toMatchObject({ matching: 2n, answered: 2, unanswered: [] });
  });

  it('says how many there are when it shows some', async () => {
    await connect('one', holding(session(), session({ id: 'abc2', ageMs: 1n })));
    const { sessions, outcome } = await list({ limit: 1 });
    expect([sessions.map(({ id }) => id), outcome?.matching]).toEqual([['abc2'], 2n]);
  });

  it('of one gateway asks that alone, and says so where there is none', async () => {
    const one = await connect('one', holding(session()));
    await connect('two', holding(session()));
    const { sessions } = await list({ filter: { gateway: 'two:7443' } });
    expect(sessions.map(({ gatewayAddress }) => gatewayAddress)).toEqual(['two:7443']);
    expect(one.asked).toEqual([]);
    await expect(list({ filter: { gateway: 'three:7443' } })).rejects.toMatchObject({ code: Code.NOT_FOUND });
  });

  it.each<readonly [string, MessageInitShape<typeof LiveSessionSchema>]>([
    ['moves the cursor', { application: '\u001b[2J' }],
    ['turns a line around', { executable: '/bin/\u202ehs' }],
    ['is two lines', { target: 'shop\nabc2' }],
    ['is longer than it may be', { driver: 'x'.repeat(257) }],
    ['has no id of ours', { id: '../abc' }],
    ['has masks without end', { masks: Array.from({ length: 21 }, () => 'a b') }],
    ['was not asked for', { identity: 'spiffe://example.org/other' }],
  ])('has nothing of a gateway whose session %s, and names it', async (_, more) => {
    await connect('one', holding(session(more)));
    await connect('two', holding(session()));
    const { sessions, outcome } = await list({ filter: { identity: 'spiffe://example.org/web' } });
    expect(sessions.map(({ gatewayAddress }) => gatewayAddress)).toEqual(['two:7443']);
    expect(outcome?.unanswered).toMatchObject([
      { address: 'one:7443', why: expect.stringContaining('can not be used') },
    ]);
  });

  it('passes nothing on that it does not know: what a gateway says beside is as long as it likes', async () => {
    const beside = { no: 99, wireType: 2, data: Buffer.concat([Buffer.from([0xff, 0x01]), Buffer.alloc(255)]) };
    await connect('one', ({ kind }) => {
      const told = create(LiveSessionSchema, session());
      told.$unknown = [beside];
      told.current = create(SessionOperationSchema, { action: 'a' });
      told.current.$unknown = [beside];
      expect(kind).toBe('sessions.list');
      return toBinary(SessionsAnswerSchema, create(SessionsAnswerSchema, { sessions: [told], matching: 1n }));
    });
    const [told] = (await list()).sessions;
    expect([told?.id, told?.$unknown, told?.current?.$unknown]).toEqual(['abc1', undefined, undefined]);
  });

  it('has a session whose texts are as long as they may be', async () => {
    await connect('one', holding(session({ driver: 'x'.repeat(256), masks: Array.from({ length: 20 }, () => 'a b') })));
    expect((await list()).sessions).toHaveLength(1);
  });
});

describe('ending sessions', () => {
  it('ends what was named at its gateway, which hears by whom and what for; the ledger has it before and after', async () => {
    const one = await connect('one', holding(session()));
    const two = await connect('two', holding(session()));
    const listed = await list({ filter: { gateway: 'one:7443' } });
    const sessions = listed.sessions.map(refOf);
    const ended = await operator.unary(Sessions.method.endSessions, { sessions, reason: 'leaked key' }, options);
    expect(ended).toMatchObject({ ended: sessions, outcome: { answered: 1, unanswered: [] } });
    const question = one.asked.find(({ kind }) => kind === 'sessions.end');
    expect(question?.askedBy).toBe('ada (uid 1000)');
    expect(fromBinary(EndQuestionSchema, question?.body ?? Buffer.alloc(0))).toMatchObject({
      ids: ['abc1'],
      reason: 'leaked key',
    });
    // It has a session of the same id, and is none of those asked.
    expect(two.asked).toEqual([]);
    expect(server.ledger.map(({ action, actor, detail }) => ({ action, actor, detail }))).toEqual([
      {
        ...{ action: 'EndSessions', actor: 'unix:uid:1000' },
        detail: {
          ...{ operator: 'ada (uid 1000)', step: 'request', reason: 'leaked key', count: 1 },
          ...{ sessions: ['abc1'], gateways: ['one:7443'] },
        },
      },
      {
        ...{ action: 'EndSessions', actor: 'unix:uid:1000' },
        detail: { operator: 'ada (uid 1000)', step: 'done', ended: 1 },
      },
    ]);
  });

  it('counts nothing that a gateway says it has ended unasked', async () => {
    const boast = toBinary(EndAnswerSchema, create(EndAnswerSchema, { ended: ['abc1', 'abc1', 'fff9'] }));
    await connect('one', (question) => (question.kind === 'sessions.end' ? boast : holding(session())(question)));
    const sessions = (await list()).sessions.map(refOf);
    const { ended } = await operator.unary(Sessions.method.endSessions, { sessions }, options);
    expect(ended.map(({ id }) => id)).toEqual(['abc1']);
  });

  it('does not happen when the ledger does not take it', async () => {
    const one = await connect('one', holding(session()));
    const sessions = (await list()).sessions.map(refOf);
    server.write.fails = true;
    await expect(operator.unary(Sessions.method.endSessions, { sessions }, options)).rejects.toThrow();
    expect(one.asked.map(({ kind }) => kind)).toEqual(['sessions.list']);
  });

  it.each([
    ['nothing', { sessions: [] }],
    ['a reason of two lines', { sessions: [{ gatewaySpiffeId: 's', gatewayAddress: 'a:1', id: 'a' }], reason: 'a\nb' }],
    ['a session without its gateway', { sessions: [{ id: 'a' }] }],
    ['an id that is none', { sessions: [{ gatewaySpiffeId: 's', gatewayAddress: 'a:1', id: 'A B' }] }],
  ])('refuses %s', async (_, request) => {
    await expect(operator.unary(Sessions.method.endSessions, request, options)).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
    });
  });
});

it('nobody but operators may ask, and nobody but gateways answer', async () => {
  const { client, own } = await connect('one', holding(session()));
  const denied = { code: Code.PERMISSION_DENIED };
  const stranger = server.client(await server.identify('/web'));
  for (const caller of [client, stranger]) {
    await expect(list({}, caller)).rejects.toMatchObject(denied);
    await expect(caller.unary(Sessions.method.endSessions, {}, options)).rejects.toMatchObject(denied);
  }
  const page = { ...own, questionId: '0'.repeat(32), attempt: 'a', last: true };
  for (const caller of [operator, stranger])
    await expect(caller.unary(Questions.method.answer, page, options)).rejects.toMatchObject(denied);
  expect(await client.unary(Questions.method.answer, page, options)).toMatchObject({ over: true });
});
