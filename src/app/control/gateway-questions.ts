import type { Question } from '@countersign/sdk/contract/gen/countersign/control/v1/questions_pb.ts';
import { type Clock, createLimiter, type Log, messageOf, type Random, type Service, sleep } from '../../std/index.ts';

/** One page of an answer, as it goes to the server. */
export interface AnswerPage {
  readonly questionId: string;
  readonly attempt: string;
  readonly page: number;
  readonly last: boolean;
  readonly body: Uint8Array;
  readonly problem: string;
}

/** Resolves to true when nobody waits for more. */
export type SendAnswer = (page: AnswerPage, signal: AbortSignal) => Promise<boolean>;

/** How questions of one kind are answered. */
export interface AnswerHandler {
  /** It does something: it is done once, however often its question comes, and answered alike each time. */
  readonly acts: boolean;
  /** The pages of the answer, one at least. */
  answer(question: { readonly body: Uint8Array; readonly askedBy: string }): Promise<readonly Uint8Array[]>;
}

/** Answers the server's questions. */
export interface GatewayQuestions extends Service {
  /** Begins to answer; nothing waits for it. */
  take(question: Question): void;
}

/**
 * Creates them. A question may come again, by another server or over a new stream, since nobody knows what has come of the first answer.
 */
export function createGatewayQuestions(deps: {
  clock: Clock;
  random: Random;
  log: Log;
  handlers: Readonly<Record<string, AnswerHandler>>;
  send: SendAnswer;
}): GatewayQuestions {
  const { clock, random, log } = deps;
  const stopping = new AbortController();
  const { signal } = stopping;
  const inTurn = createLimiter({
    runningMax: ANSWERED_AT_ONCE_MAX,
    waitersMax: WAITING_MAX,
    full: () => new Error(`${ANSWERED_AT_ONCE_MAX + WAITING_MAX} questions are being answered`),
  });
  /** What was done, newest last. */
  const done = new Map<string, Promise<Answer>>();
  const running = new Set<Promise<void>>();

  const answerOf = (handler: AnswerHandler, question: Question): Promise<Answer> => {
    const known = done.get(question.id);
    if (known !== undefined) return known;
    const attempt = random.bytes(16).toString('hex');
    const answer = handler.answer(question).then((pages) => ({ attempt, pages }));
    if (handler.acts) {
      done.set(question.id, answer);
      for (const oldest of done.keys()) if (done.size > DONE_MAX) done.delete(oldest);
    }
    return answer;
  };
  const sendAgain = async (page: AnswerPage): Promise<boolean> => {
    for (let tries = 1; ; tries++) {
      try {
        return await deps.send(page, signal);
      } catch (error) {
        if (tries === TRIES_MAX || signal.aborted) throw error;
        await sleep(clock, PAUSE_MS * tries, signal);
      }
    }
  };
  const answer = async (question: Question) => {
    const { id, kind } = question;
    const handler = Object.hasOwn(deps.handlers, kind) ? deps.handlers[kind] : undefined;
    const problem = (text: string): AnswerPage => ({
      ...{ questionId: id, attempt: '', page: 0, last: true, body: new Uint8Array(), problem: text },
    });
    if (handler === undefined) return void (await sendAgain(problem(UNKNOWN)));
    let found: Answer;
    try {
      found = await answerOf(handler, question);
    } catch (error) {
      log.error('app.question.failed', { kind, error });
      return void (await sendAgain(problem(FAILED)));
    }
    const { attempt, pages } = found;
    for (const [page, body] of pages.entries()) {
      const last = page === pages.length - 1;
      if (await sendAgain({ questionId: id, attempt, page, last, body, problem: '' })) return;
    }
  };
  return {
    take(question) {
      const work = inTurn
        .run(() => answer(question), signal)
        .catch((error: unknown) => {
          // Whoever asked names this gateway as one that did not answer; by a new stream it is asked again.
          if (!signal.aborted) log.warn('app.question.unanswered', { kind: question.kind, problem: messageOf(error) });
        })
        .finally(() => running.delete(work));
      running.add(work);
    },
    async start() {},
    async stop() {
      stopping.abort();
      await Promise.all(running);
    },
  };
}

interface Answer {
  readonly attempt: string;
  readonly pages: readonly Uint8Array[];
}

const UNKNOWN = 'it does not know questions of this kind: bring it to the version of the server';
const FAILED = 'it failed to answer: see its log';
const ANSWERED_AT_ONCE_MAX = 4;
/** As many as there are on all servers. */
const WAITING_MAX = 64;
/** More than may be open at once. */
const DONE_MAX = 256;
const TRIES_MAX = 3;
const PAUSE_MS = 200;
