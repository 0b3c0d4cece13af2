import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  EndAnswerSchema,
  EndQuestionSchema,
} from '@countersign/sdk/contract/gen/countersign/control/v1/sessions_pb.ts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connectGateway, holding, type SessionAnswer, session } from '../../../api/testing/session-gateway.ts';
import { startTestServer, type TestServer } from '../../../api/testing/test-server.ts';
import { exitCodes, UsageError } from '../../command.ts';
import { askCommand } from '../../testing/ask-command.ts';
import { command as end } from './end.ts';

// Goal: what is ended is what was shown and nothing else, and nobody believes that something was ended which may still run.

let server: TestServer;
let ends: AbortController;
beforeEach(async () => {
  server = await startTestServer();
  ends = new AbortController();
});
afterEach(async () => {
  ends.abort();
  await server.stop();
});

type Gateway = Awaited<ReturnType<typeof connectGateway>>;
const connect = (name: string, answer: SessionAnswer) => connectGateway(server, { name, answer, signal: ends.signal });
const ask = async (options: object, ...args: readonly string[]) => {
  const seen = await askCommand({ socket: server.operatorSocket, ...options }, end, ...args);
  // The value of the command.
  return { ...seen, value: seen.value as Record<'ended' | 'over' | 'unknown', { id: string }[]> };
};
const idsOf = (values: readonly { id: string }[]) => values.map(({ id }) => id).toSorted();
/** What a gateway was told to end. */
const told = ({ asked }: Gateway) =>
  asked.filter(({ kind }) => kind === 'sessions.end').map(({ body }) => fromBinary(EndQuestionSchema, body));

/** Lists those sessions, and answers so to what it is told to end. */
const answering =
  (listed: SessionAnswer, toEnd: SessionAnswer): SessionAnswer =>
  (question) =>
    question.kind === 'sessions.end' ? toEnd(question) : listed(question);
const BROKEN: SessionAnswer = () => Buffer.from('no answer at all');
const BATCH = { id: 'def2', identity: 'spiffe://example.org/batch' };

describe('session end', () => {
  it('shows what it will end, ends that alone, and says what for', async () => {
    const one = await connect('one', holding(session(), session(BATCH)));
    const { said, text, value, code, warned } = await ask({ yes: true, reason: 'leaked key' }, 'abc1');
    expect(said.join('\n').replaceAll(/ +/g, ' ')).toBe(
      [
        'SESSION SINCE TARGET GATEWAY IDENTITY',
        'abc1 2026-11-30T23:59:55Z shop one:7443 spiffe://example.org/web',
        '1 session to be ended.',
      ].join('\n'),
    );
    expect([text, idsOf(value.ended), code, warned]).toEqual(['ended 1 session', ['abc1'], exitCodes.ok, []]);
    expect(told(one)).toMatchObject([{ ids: ['abc1'], reason: 'leaked key' }]);
  });

  it.each<readonly [string, object, readonly string[]]>([
    ['an identity', { who: '/batch' }, ['def2']],
    ['an age', { olderThan: '6s' }, ['def2']],
    ['--all', { all: true }, ['abc1', 'def2']],
  ])('ends those of %s, at each gateway its own', async (_, options, ids) => {
    const one = await connect('one', (question) => {
      const all = [session(), session({ ...BATCH, ageMs: 7_000n })];
      const isAll = 'all' in options;
      return holding(...(isAll ? all : all.slice(1)))(question);
    });
    const { value, code } = await ask({ yes: true, ...options });
    expect([idsOf(value.ended), code]).toEqual([ids, exitCodes.ok]);
    expect(told(one).flatMap((question) => question.ids.toSorted())).toEqual(ids);
  });

  it('asks first, and ends nothing where nobody is there to say yes', async () => {
    const one = await connect('one', holding(session()));
    await expect(ask({ all: true })).rejects.toThrow('nobody is there to ask; give --yes to end it');
    expect(told(one)).toEqual([]);
  });

  it.each<readonly [string, object, readonly string[]]>([
    ['nothing that is named', {}, []],
    ['--all with ids', { all: true }, ['abc1']],
    ['--all with a filter', { all: true, target: 'shop' }, []],
    ['an empty filter, which would end all', { target: '' }, []],
    ['what is no id', {}, ['abc1', '*']],
    ['a reason of two lines', { all: true, reason: 'a\nb' }, []],
    ['a reason without end', { all: true, reason: 'x'.repeat(201) }, []],
  ])('refuses %s', async (_, options, args) => {
    const one = await connect('one', holding(session()));
    await expect(ask({ yes: true, ...options }, ...args)).rejects.toThrow(UsageError);
    expect(told(one)).toEqual([]);
  });

  it('ends nothing where an id begins several', async () => {
    const one = await connect('one', holding(session(), session({ id: 'abcd1' }), session({ id: 'abcd2' })));
    await expect(ask({ yes: true }, 'abc1', 'abcd')).rejects.toThrow('2 sessions are called abcd');
    expect(told(one)).toEqual([]);
  });

  it('ends those that are there, and names an id that is not', async () => {
    await connect('one', holding(session()));
    const { value, warned, code } = await ask({ yes: true }, 'abc1', 'fff9');
    expect([idsOf(value.ended), value]).toEqual([['abc1'], expect.objectContaining({ missing: ['fff9'] })]);
    expect([warned, code]).toEqual([['no session fff9 is found; it may have ended'], exitCodes.no]);
  });

  it('says so where there is nothing to end, which is as it was wanted', async () => {
    const one = await connect('one', holding());
    const { text, code } = await ask({ target: 'shop' });
    expect([text, code]).toEqual(['No such session runs: nothing was ended.', exitCodes.ok]);
    expect(told(one)).toEqual([]);
  });

  it('tells those apart that had ended before they were told to', async () => {
    const first = () => toBinary(EndAnswerSchema, create(EndAnswerSchema, { ended: ['abc1'] }));
    await connect('one', answering(holding(session(), session(BATCH)), first));
    const { text, value, code } = await ask({ yes: true, all: true });
    expect(text).toBe('ended 1 session\n1 session had ended already');
    expect([idsOf(value.ended), idsOf(value.over), code]).toEqual([['abc1'], ['def2'], exitCodes.ok]);
  });

  it('names a gateway that does not answer when it is told to, and does not say that anything of it has ended', async () => {
    await connect('one', holding(session()));
    await connect('two', answering(holding(session(BATCH)), BROKEN));
    const { text, value, warned, code } = await ask({ yes: true, all: true });
    expect(text).toBe('ended 1 session\nof 1 session it is not known');
    expect([idsOf(value.ended), idsOf(value.unknown), code]).toEqual([['abc1'], ['def2'], exitCodes.unavailable]);
    expect(warned).toEqual([expect.stringMatching(/^warning: gateway two:7443 .* did not answer: /)]);
  });

  it('ends what it can, and names a gateway of which it is not known what runs there', async () => {
    await connect('one', holding(session()));
    const two = await connect('two', BROKEN);
    const { value, warned, code } = await ask({ yes: true, all: true });
    expect([idsOf(value.ended), code]).toEqual([['abc1'], exitCodes.unavailable]);
    expect(warned).toEqual([expect.stringContaining('what runs there is not known')]);
    expect(value).toMatchObject({ unanswered: [{ gatewayAddress: 'two:7443' }] });
    expect(told(two)).toEqual([]);
  });
});
