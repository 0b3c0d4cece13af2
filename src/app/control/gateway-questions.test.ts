// Goal: each question is answered, however often it comes and whichever server wants the answer; what it does is done once.
import { create } from '@bufbuild/protobuf';
import { QuestionSchema } from '@countersign/sdk/contract/gen/countersign/control/v1/questions_pb.ts';
import { describe, expect, it } from 'vitest';
import { eventually } from '../../../test/support/eventually.ts';
import { createManualClock, createSeededRandom, createSilentLog } from '../../std/index.ts';
import { type AnswerPage, createGatewayQuestions } from './gateway-questions.ts';

function start(send: (page: AnswerPage) => Promise<boolean> = async () => false) {
  const clock = createManualClock(0);
  const sent: AnswerPage[] = [];
  const done: string[] = [];
  const handler = (acts: boolean) => ({
    acts,
    async answer({ askedBy }: { readonly askedBy: string }) {
      done.push(askedBy);
      if (askedBy === 'nobody') throw new Error('a bug');
      return [Buffer.from('a'), Buffer.from('b')];
    },
  });
  const questions = createGatewayQuestions({
    ...{ clock, random: createSeededRandom('q'), log: createSilentLog() },
    handlers: { look: handler(false), act: handler(true) },
    send(page) {
      sent.push(page);
      return send(page);
    },
  });
  const take = (id: string, kind: string, askedBy = 'ada') =>
    questions.take(create(QuestionSchema, { id, kind, askedBy }));
  return { clock, sent, done, questions, take };
}

describe('a question', () => {
  it('is answered in pages, of which the last is called so', async () => {
    const { take, sent } = start();
    take('1', 'look');
    await eventually('it is answered', () => sent.length === 2);
    expect(sent.map(({ page, last, body }) => [page, last, Buffer.from(body).toString()])).toEqual([
      [0, false, 'a'],
      [1, true, 'b'],
    ]);
  });

  it('that does something does it once, and is answered alike each time; one that looks looks again', async () => {
    const { take, sent, done } = start();
    for (let n = 0; n < 2; n++) take('1', 'act');
    await eventually('both are answered', () => sent.length === 4);
    expect([done.length, new Set(sent.map(({ attempt }) => attempt)).size]).toEqual([1, 1]);
    for (let n = 0; n < 2; n++) take('2', 'look');
    await eventually('both are answered', () => sent.length === 8);
    expect([done.length, new Set(sent.slice(4).map(({ attempt }) => attempt)).size]).toEqual([3, 2]);
  });

  it('is answered no further when nobody waits for more', async () => {
    const { take, sent, questions } = start(async () => true);
    take('1', 'look');
    await eventually('it is answered', () => sent.length === 1);
    await questions.stop();
    expect(sent).toHaveLength(1);
  });

  it.each([
    ['of a kind that is not known', 'constructor', 'ada', /does not know/],
    ['that a bug meets', 'look', 'nobody', /failed to answer/],
  ])('%s is answered by why there is no answer', async (_, kind, askedBy, why) => {
    const { take, sent } = start();
    take('1', kind, askedBy);
    await eventually('it is answered', () => sent.length === 1);
    expect(sent).toMatchObject([{ last: true, problem: expect.stringMatching(why) }]);
  });

  it('whose answer does not arrive is answered again a few times, and then left', async () => {
    const { clock, take, sent, questions } = start(() => Promise.reject(new Error('away')));
    take('1', 'look');
    for (const [before, pauseMs] of [200, 400].entries()) {
      await eventually('it waits', () => sent.length === before + 1 && clock.pending() > 0);
      await clock.advance(pauseMs);
    }
    await eventually('it is tried for the last time', () => sent.length === 3);
    await clock.advance(60_000);
    await questions.stop();
    expect(sent).toHaveLength(3);
  });
});
