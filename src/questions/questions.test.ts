/**
 * Goal: whoever asks hears what gateways say, each for itself and once, and by name who says nothing, whatever gateways do, wherever they are connected,
 * and whatever becomes of the server; and nothing is left behind.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../../test/support/eventually.ts';
import { openTestStore, type TestStore } from '../../test/support/store.ts';
import {
  createManualClock,
  createSeededRandom,
  createSilentLog,
  type ManualClock,
  type Service,
  stopAll,
} from '../std/index.ts';
import {
  type AnsweredPage,
  type AnsweringGateway,
  answerLimits,
  createQuestions,
  type OpenQuestion,
  type Question,
  type Questions,
  questionsMigrations,
} from './index.ts';

const ONE: AnsweringGateway = {
  spiffeId: 'spiffe://example.org/countersign/gateway/1',
  address: 'one:1',
  instance: 'a',
};
const TWO: AnsweringGateway = {
  spiffeId: 'spiffe://example.org/countersign/gateway/2',
  address: 'two:1',
  instance: 'b',
};
const signal = new AbortController().signal;

let test: TestStore;
let clock: ManualClock;
let present: AnsweringGateway[];
let opened: Service[];

beforeEach(async () => {
  test = await openTestStore(questionsMigrations);
  clock = createManualClock(0);
  [present, opened] = [[], []];
});
afterEach(async () => {
  await stopAll(opened);
  await test.close();
});

/** A server on that store. */
async function startServer(seed = 's'): Promise<Questions> {
  const deps = { store: test.store, clock, log: createSilentLog(), random: createSeededRandom(seed) };
  const questions = createQuestions({ ...deps, present: async () => present });
  await questions.start(signal);
  opened.push(questions);
  return questions;
}

/** A gateway that watches that server, and answers with those pages, or not. */
function connect(
  server: Questions,
  gateway: AnsweringGateway,
  answer: (question: OpenQuestion) => readonly string[] | undefined = () => ['mine'],
) {
  present.push(gateway);
  const got: OpenQuestion[] = [];
  const failures: unknown[] = [];
  const changed = () => {
    for (const question of watch.take()) {
      got.push(question);
      void send(server, gateway, question, answer(question)).catch((error: unknown) => failures.push(error));
    }
  };
  const watch = server.watch(gateway, { answers: true, changed });
  changed();
  return {
    ...{ got, failures },
    leave(isGone = true) {
      watch.stop();
      if (isGone) present = present.filter((one) => one !== gateway);
    },
  };
}

const page = (question: Pick<OpenQuestion, 'id'>, more: Partial<AnsweredPage> = {}): AnsweredPage => ({
  ...{ questionId: question.id, attempt: 'x', page: 0, last: true, body: Buffer.from('mine'), problem: '' },
  ...more,
});

async function send(
  server: Questions,
  gateway: AnsweringGateway,
  question: OpenQuestion,
  pages: readonly string[] = [],
) {
  for (const [index, text] of pages.entries()) {
    const last = index === pages.length - 1;
    await server.answer(gateway, page(question, { page: index, last, body: Buffer.from(text) }));
  }
}

function ask(server: Questions, question: Partial<Question> = {}, options: { signal?: AbortSignal } = {}) {
  const said: string[] = [];
  const asked = server.ask(
    { kind: 'k', askedBy: 'ada', body: Buffer.from('?'), ...question },
    {
      waitMs: 5_000,
      signal,
      take: ({ address }, body) => void said.push(`${address} ${Buffer.from(body).toString()}`),
      ...options,
    },
  );
  asked.catch(() => {}); // Each test looks at it.
  return { said, asked };
}

/** Rows of all tables. */
async function left(): Promise<number> {
  const db = test.store.db<Record<string, Record<string, unknown>>>();
  const tables = ['questions', 'questions_bodies', 'questions_answers'];
  const rows = await Promise.all(tables.map((table) => db.selectFrom(table).selectAll().execute()));
  return rows.flat().length;
}

const addresses = (gateways: readonly { readonly address: string }[]) => gateways.map(({ address }) => address);

describe('a question', () => {
  it('comes to each gateway with who asks, and its answers to whoever asks, page by page', async () => {
    const server = await startServer();
    const one = connect(server, ONE, () => ['a', 'b', 'c']);
    connect(server, TWO);
    const { said, asked } = ask(server);
    const gathered = await asked;
    expect(addresses(gathered.answered)).toEqual(['one:1', 'two:1']);
    expect(gathered.unanswered).toEqual([]);
    expect(said.toSorted()).toEqual(['one:1 a', 'one:1 b', 'one:1 c', 'two:1 mine']);
    expect(one.got).toMatchObject([{ kind: 'k', askedBy: 'ada', body: Buffer.from('?') }]);
    expect(await left()).toBe(0);
  });

  it('is answered over another server than it was asked at', async () => {
    const [server, other] = [await startServer('s'), await startServer('o')];
    connect(server, ONE);
    connect(other, TWO);
    for (const at of [server, other]) {
      const { said, asked } = ask(at);
      expect(addresses((await asked).answered)).toEqual(['one:1', 'two:1']);
      expect(said.toSorted()).toEqual(['one:1 mine', 'two:1 mine']);
    }
  });

  it('of some gateways comes to those alone, to each its own', async () => {
    const server = await startServer();
    const [one, two] = [connect(server, ONE), connect(server, TWO)];
    const { asked } = ask(server, { body: [{ ...TWO, body: Buffer.from('for two') }] });
    expect(addresses((await asked).answered)).toEqual(['two:1']);
    expect(one.got).toEqual([]);
    expect(two.got.map(({ body }) => Buffer.from(body).toString())).toEqual(['for two']);
  });

  it('of a gateway that is away waits for it, and names it when it does not come', async () => {
    const server = await startServer();
    connect(server, ONE);
    const body = [ONE, TWO].map(({ spiffeId, address }) => ({ spiffeId, address, body: Buffer.from('?') }));
    const away = ask(server, { body });
    await eventually('the other has answered', () => away.said.length === 1);
    await clock.advance(5_000);
    const gathered = await away.asked;
    expect(addresses(gathered.answered)).toEqual(['one:1']);
    expect(gathered.unanswered).toMatchObject([{ address: 'two:1', why: expect.stringContaining('not connected') }]);
    const back = ask(server, { body });
    await eventually('the other has answered', () => back.said.length === 1);
    connect(server, TWO);
    await clock.advance(1_000);
    expect(addresses((await back.asked).answered)).toEqual(['one:1', 'two:1']);
  });

  it('is over at once where no gateway is', async () => {
    const { asked } = ask(await startServer());
    expect(await asked).toEqual({ answered: [], unanswered: [] });
  });

  it('comes to a gateway that moves to another server between question and answer, and it has answered once', async () => {
    const [server, other] = [await startServer('s'), await startServer('o')];
    const before = connect(server, ONE, () => undefined);
    const { said, asked } = ask(server);
    await eventually('it has come', () => before.got.length === 1);
    before.leave();
    const [question] = before.got;
    await expect(server.answer(ONE, page(question ?? { id: '' }))).rejects.toMatchObject({
      code: 'ERR_QUESTIONS_GATEWAY',
    });
    const after = connect(other, ONE);
    expect(addresses((await asked).answered)).toEqual(['one:1']);
    expect(after.got.map(({ id }) => id)).toEqual(before.got.map(({ id }) => id));
    expect(said).toEqual(['one:1 mine']);
  });

  it('waits for a gateway that comes meanwhile', async () => {
    const server = await startServer();
    const one = connect(server, ONE, () => undefined);
    const { asked } = ask(server);
    await eventually('it has come', () => one.got.length === 1);
    connect(server, TWO);
    await send(server, ONE, one.got[0] ?? never(), ['late']);
    expect(addresses((await asked).answered)).toEqual(['one:1', 'two:1']);
  });
});

describe('a gateway', () => {
  it('that does not answer is named when the time is over', async () => {
    const server = await startServer();
    connect(server, ONE);
    connect(server, TWO, () => undefined);
    const { said, asked } = ask(server);
    await eventually('the other has answered', () => said.length === 1);
    await clock.advance(5_000);
    expect((await asked).unanswered).toEqual([
      { spiffeId: TWO.spiffeId, address: 'two:1', why: 'it has not answered within 5 seconds' },
    ]);
    expect(await left()).toBe(0);
  });

  it('that dies in the middle of its answer is named as gone, and nothing of what it said counts', async () => {
    const server = await startServer();
    const one = connect(server, ONE, () => undefined);
    const { said, asked } = ask(server);
    await eventually('it has come', () => one.got.length === 1);
    await server.answer(ONE, page(one.got[0] ?? never(), { last: false }));
    one.leave();
    await clock.advance(5_000);
    expect((await asked).unanswered).toMatchObject([
      { address: 'one:1', why: expect.stringContaining('not any more') },
    ]);
    expect(said).toEqual([]);
    expect(await left()).toBe(0);
  });

  it('that was started anew in the middle answers anew: pages of two processes are no one answer', async () => {
    const server = await startServer();
    const one = connect(server, ONE, () => undefined);
    const { said, asked } = ask(server);
    await eventually('it has come', () => one.got.length === 1);
    const question = one.got[0] ?? never();
    await server.answer(ONE, page(question, { last: false, body: Buffer.from('old') }));
    await expect(server.answer(ONE, page(question, { attempt: 'y', page: 1 }))).rejects.toMatchObject({
      code: 'ERR_QUESTIONS_ANSWER',
    });
    await server.answer(ONE, page(question, { attempt: 'y', last: false, body: Buffer.from('new') }));
    await server.answer(ONE, page(question, { attempt: 'y', page: 1, body: Buffer.from('end') }));
    await asked;
    expect(said).toEqual(['one:1 new', 'one:1 end']);
  });

  it('that answers twice has answered by the first; a page that comes again is none', async () => {
    const server = await startServer();
    const one = connect(server, ONE, () => undefined);
    const two = connect(server, TWO, () => undefined);
    const { said, asked } = ask(server);
    await eventually('it has come', () => one.got.length + two.got.length === 2);
    const question = one.got[0] ?? never();
    expect(await server.answer(ONE, page(question, { last: false }))).toBe(false);
    expect(await server.answer(ONE, page(question, { last: false, body: Buffer.from('again') }))).toBe(false);
    expect(await server.answer(ONE, page(question, { page: 1, body: Buffer.from('end') }))).toBe(true);
    expect(await server.answer(ONE, page(question, { body: Buffer.from('second') }))).toBe(true);
    await send(server, TWO, question, ['two']);
    await asked;
    expect(said.toSorted()).toEqual(['one:1 end', 'one:1 mine', 'two:1 two']);
  });

  it('that answers what others were asked, or nobody, is refused or not heard, and what it says counts for nothing', async () => {
    const server = await startServer();
    connect(server, ONE, () => undefined);
    const two = connect(server, TWO, () => undefined);
    const { said, asked } = ask(server, { body: [{ ...TWO, body: Buffer.from('for two') }] });
    await eventually('it has come', () => two.got.length === 1);
    const question = two.got[0] ?? never();
    await expect(server.answer(ONE, page(question))).rejects.toMatchObject({ code: 'ERR_QUESTIONS_NOT_ASKED' });
    // As another one: it does not know by which instance that watches.
    await expect(server.answer({ ...TWO, instance: 'guessed' }, page(question))).rejects.toMatchObject({
      code: 'ERR_QUESTIONS_GATEWAY',
    });
    expect(await server.answer(ONE, page({ id: '0'.repeat(32) }))).toBe(true);
    await send(server, TWO, question, ['two']);
    expect(addresses((await asked).answered)).toEqual(['two:1']);
    expect(said).toEqual(['two:1 two']);
  });

  it.each([
    ['in one page', { body: Buffer.alloc(answerLimits.pageBytes + 1) }],
    ['in pages without end', { page: answerLimits.pages, last: false }],
  ])('that answers too much %s is named at once, and nothing of it is handed on', async (_, more) => {
    const server = await startServer();
    const one = connect(server, ONE, () => undefined);
    const { said, asked } = ask(server);
    await eventually('it has come', () => one.got.length === 1);
    await expect(server.answer(ONE, page(one.got[0] ?? never(), more))).rejects.toMatchObject({
      code: 'ERR_QUESTIONS_ANSWER',
    });
    expect((await asked).unanswered).toMatchObject([{ address: 'one:1', why: 'it answered more than it may' }]);
    expect(said).toEqual([]);
  });

  it('whose answer is of as much as it may have is heard', async () => {
    const server = await startServer();
    connect(server, ONE, () => ['x'.repeat(answerLimits.pageBytes)]);
    expect(addresses((await ask(server).asked).answered)).toEqual(['one:1']);
  });

  it('whose answer nobody can read is named, and others are heard', async () => {
    const server = await startServer();
    connect(server, ONE);
    connect(server, TWO);
    const asked = server.ask(
      { kind: 'k', askedBy: 'ada', body: Buffer.from('?') },
      {
        ...{ waitMs: 5_000, signal },
        take({ address }) {
          if (address === 'one:1') throw new Error('what is that');
        },
      },
    );
    const gathered = await asked;
    expect(addresses(gathered.answered)).toEqual(['two:1']);
    expect(gathered.unanswered).toMatchObject([{ address: 'one:1', why: expect.stringContaining('can not be used') }]);
  });

  it('of a version that answers no questions is asked none, and named at once', async () => {
    const server = await startServer();
    present.push(ONE);
    const watch = server.watch(ONE, { answers: false, changed: never });
    const gathered = await ask(server).asked;
    expect(watch.take()).toEqual([]);
    expect(gathered.unanswered).toMatchObject([{ address: 'one:1', why: expect.stringContaining('version') }]);
  });

  it('of two processes has answered when both have', async () => {
    const server = await startServer();
    const other = { ...ONE, instance: 'c' };
    connect(server, ONE);
    connect(server, other, () => undefined);
    const silent = ask(server);
    await eventually('one has answered', () => silent.said.length === 1);
    await clock.advance(5_000);
    const gathered = await silent.asked;
    expect([gathered.answered, addresses(gathered.unanswered)]).toEqual([[], ['one:1']]);
  });
});

describe('whoever asks', () => {
  it('and goes away leaves nothing behind', async () => {
    const server = await startServer();
    const one = connect(server, ONE, () => undefined);
    const away = new AbortController();
    const { asked } = ask(server, {}, { signal: away.signal });
    await eventually('it has come', () => one.got.length === 1);
    away.abort();
    await expect(asked).rejects.toThrow();
    expect(await left()).toBe(0);
  });

  it('too often is refused, with what to do, and gateways are asked no more than so many at once', async () => {
    const server = await startServer();
    const one = connect(server, ONE, () => undefined);
    const flood = Array.from({ length: 60 }, () => ask(server).asked);
    const refused = await Promise.race(flood.map((asked) => asked.catch((error: unknown) => error)));
    expect(refused).toMatchObject({ code: 'ERR_QUESTIONS_LIMIT' });
    await eventually('the first have come', () => one.got.length >= 8);
    expect(one.got.length).toBe(8);
    for (let n = 0; n < 6; n++) {
      await clock.advance(5_000);
      await eventually(
        'the next have come, or none is left',
        async () => one.got.length > 8 * (n + 1) || (await left()) === 0,
      );
    }
    const settled = await Promise.allSettled(flood);
    expect(settled.filter(({ status }) => status === 'rejected')).toHaveLength(20);
    expect(await left()).toBe(0);
  });

  it('at a server that is killed leaves a question that gateways still get, and that is gone a minute later', async () => {
    const db = test.store.db<{ questions: object; questions_bodies: object }>();
    await db
      .insertInto('questions')
      .values({ id: 'f'.repeat(32), kind: 'k', asked_by: 'ada' })
      .execute();
    const body = { question: 'f'.repeat(32), spiffe_id: '', address: '', body: Buffer.from('?') };
    await db.insertInto('questions_bodies').values(body).execute();
    const server = await startServer();
    const one = connect(server, ONE);
    expect(one.got).toMatchObject([{ id: 'f'.repeat(32), askedBy: 'ada' }]);
    await clock.advance(30_000);
    expect(await left()).toBe(3);
    for (let n = 0; n < 12 && (await left()) > 0; n++) {
      await eventually('it looks again', () => clock.pending() > 0);
      await clock.advance(5_000);
    }
    await eventually('it is gone', async () => (await left()) === 0);
  });
});

function never(): never {
  throw new Error('this can not be');
}
