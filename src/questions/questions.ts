import { type Clock, createLimiter, type Log, messageOf, type Random, type Service } from '../std/index.ts';
import type { Store } from '../store/index.ts';
import { QuestionsError } from './errors.ts';
import { gather } from './gather.ts';
import { createOpenQuestions, type OpenQuestions } from './open-questions.ts';
import { insertQuestion, type Kept, keepPage, keyOf, removeQuestion } from './rows.ts';
import {
  type AnsweredPage,
  type AnsweringGateway,
  answerLimits,
  type OpenQuestion,
  type Questions,
  type QuestionWatch,
} from './types.ts';

export interface QuestionsDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Every process of a gateway that is connected, to any server, as the store has it. */
  readonly present: () => Promise<readonly AnsweringGateway[]>;
}

/** Creates questions over a migrated store. */
export function createQuestions(deps: QuestionsDeps): Questions & Service {
  const { store, random, log } = deps;
  const open = createOpenQuestions(deps);
  const inTurn = createLimiter({
    runningMax: ASKED_MAX,
    waitersMax: WAITING_MAX,
    full: () => new QuestionsError('ERR_QUESTIONS_LIMIT', `${ASKED_MAX + WAITING_MAX} questions are asked already`),
  });
  /** Streams of each process: a new one may come before the old one is known to be gone. */
  const watching = new Map<string, number>();

  const keep = async (gateway: AnsweringGateway, page: AnsweredPage): Promise<Kept> => {
    const { spiffeId, address } = gateway;
    const isTooMuch = page.body.length > answerLimits.pageBytes || page.page >= answerLimits.pages;
    const kept = await keepPage(store, gateway, isTooMuch ? { ...page, problem: TOO_MUCH } : page);
    if (kept === 'not-asked') log.warn('questions.answer.unasked', { spiffeId, address, question: page.questionId });
    if (isTooMuch) throw new QuestionsError('ERR_QUESTIONS_ANSWER', TOO_MUCH);
    return kept;
  };

  return {
    ask(question, { waitMs, take, signal }) {
      return inTurn.run(async () => {
        const id = random.bytes(16).toString('hex');
        const { body } = question;
        const named =
          body instanceof Uint8Array ? undefined : body.map(({ spiffeId, address }) => ({ spiffeId, address }));
        try {
          await insertQuestion(store, id, question);
          return await gather(deps, { id, waitMs, named, take, signal });
        } finally {
          // Whoever waits for the outcome has it; what stays is taken away by whichever server sees that it does.
          await removeQuestion(store, id).catch((error: unknown) =>
            log.warn('questions.not_removed', { question: id, problem: messageOf(error) }),
          );
        }
      }, signal);
    },
    watch(gateway, { answers, changed }) {
      const key = `${keyOf(gateway)} ${gateway.instance}`;
      watching.set(key, (watching.get(key) ?? 0) + 1);
      const decline = (id: string) =>
        void keep(gateway, declined(id)).catch((error: unknown) =>
          log.warn('questions.not_declined', { question: id, problem: messageOf(error) }),
        );
      const left = () => {
        const count = (watching.get(key) ?? 1) - 1;
        if (count === 0) watching.delete(key);
        else watching.set(key, count);
      };
      return createWatch({ open, gateway, changed, left, ...(answers ? {} : { decline }) });
    },
    async answer(gateway, page) {
      const { spiffeId, address, instance } = gateway;
      if (!watching.has(`${keyOf(gateway)} ${instance}`))
        throw new QuestionsError('ERR_QUESTIONS_GATEWAY', `no gateway at ${address} watches this server`);
      const kept = await keep({ spiffeId, address, instance }, page);
      switch (kept) {
        case 'kept':
          return page.last || page.problem !== '';
        case 'over':
          return true;
        case 'not-asked':
          throw new QuestionsError('ERR_QUESTIONS_NOT_ASKED', 'this gateway was not asked that');
        case 'out-of-order':
          throw new QuestionsError('ERR_QUESTIONS_ANSWER', `page ${page.page} is not the next one of the answer`);
        default:
          return kept satisfies never;
      }
    },
    start: (signal) => open.start(signal),
    stop: () => open.stop(),
  };
}

/** What of the open questions one stream was told. */
function createWatch(of: {
  readonly open: OpenQuestions;
  readonly gateway: AnsweringGateway;
  changed(): void;
  left(): void;
  /** Of a gateway that answers nothing. */
  decline?(id: string): void;
}): QuestionWatch {
  const { open, gateway, decline } = of;
  let told = new Set<string>();
  const take = (): readonly OpenQuestion[] => {
    const all = open.all();
    const fresh = all.filter(({ id }) => !told.has(id));
    told = new Set(all.map(({ id }) => id));
    return fresh.flatMap(({ id, kind, askedBy, bodyOf }) => {
      const body = bodyOf(gateway);
      return body === undefined ? [] : [{ id, kind, askedBy, body }];
    });
  };
  const declineAll = () => {
    for (const { id } of take()) decline?.(id);
  };
  const stop = open.onChange(decline === undefined ? of.changed : declineAll);
  if (decline !== undefined) declineAll();
  return {
    take: decline === undefined ? take : () => [],
    stop() {
      stop();
      of.left();
    },
  };
}

function declined(questionId: string): AnsweredPage {
  const problem = 'it is of a version that answers no questions: bring it to that of the server';
  return { questionId, attempt: '', page: 0, last: true, body: new Uint8Array(), problem };
}

const TOO_MUCH = 'it answered more than it may';
/** By one server at once; each is passed on to every gateway. */
const ASKED_MAX = 8;
const WAITING_MAX = 32;
