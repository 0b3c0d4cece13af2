import type { Kysely } from 'kysely';
import type { Store } from '../store/index.ts';
import { QuestionsError } from './errors.ts';
import type { QuestionsTables } from './migrations.ts';
import type { AnsweredPage, AnsweringGateway, GatewayAddress, Question } from './types.ts';

/** A question as it lies in the store; of a gateway without a body of its own, `bodyOf` is that of all, or undefined. */
export interface OpenRow {
  readonly id: string;
  readonly kind: string;
  readonly askedBy: string;
  bodyOf(gateway: GatewayAddress): Uint8Array | undefined;
}

/** Writes a question. @throws QuestionsError ERR_QUESTIONS_LIMIT */
export async function insertQuestion(store: Store, id: string, question: Question): Promise<void> {
  const { kind, askedBy, body } = question;
  const bodies =
    body instanceof Uint8Array
      ? [{ question: id, spiffe_id: '', address: '', body }]
      : body.map((one) => ({ question: id, spiffe_id: one.spiffeId, address: one.address, body: one.body }));
  await store.transaction<QuestionsTables, void>(
    async (trx, effects) => {
      const { count } = await trx
        .selectFrom('questions')
        .select((select) => select.fn.countAll<number>().as('count'))
        .executeTakeFirstOrThrow();
      if (count >= OPEN_MAX)
        throw new QuestionsError(
          'ERR_QUESTIONS_LIMIT',
          `${count} questions are being asked; try again in some seconds`,
        );
      await trx.insertInto('questions').values({ id, kind, asked_by: askedBy }).execute();
      for (let start = 0; start < bodies.length; start += ROWS_PER_INSERT)
        await trx
          .insertInto('questions_bodies')
          .values(bodies.slice(start, start + ROWS_PER_INSERT))
          .execute();
      effects.notify(TOPIC_ASKED, id);
    },
    { order: ORDER },
  );
}

/** Takes a question and all that was answered to it away. */
export async function removeQuestion(store: Store, id: string): Promise<void> {
  await store.transaction<QuestionsTables, void>(
    async (trx, effects) => {
      await trx.deleteFrom('questions').where('id', '=', id).execute();
      await trx.deleteFrom('questions_bodies').where('question', '=', id).execute();
      await trx.deleteFrom('questions_answers').where('question', '=', id).execute();
      effects.notify(TOPIC_ASKED, id);
    },
    { order: ORDER },
  );
}

/** All that are open, in one order on every server. */
export async function readOpen(db: Kysely<QuestionsTables>): Promise<readonly OpenRow[]> {
  const rows = await db
    .selectFrom('questions')
    .innerJoin('questions_bodies', 'questions_bodies.question', 'questions.id')
    .select(['id', 'kind', 'asked_by', 'spiffe_id', 'address', 'body'])
    .orderBy('id')
    .execute();
  const bodies = new Map<string, Map<string, Uint8Array>>();
  for (const row of rows) {
    const of = bodies.get(row.id) ?? new Map<string, Uint8Array>();
    bodies.set(row.id, of.set(keyOf({ spiffeId: row.spiffe_id, address: row.address }), row.body));
  }
  const questions = new Map(rows.map((row) => [row.id, row]));
  return Array.from(questions.values(), ({ id, kind, asked_by }) => ({
    ...{ id, kind, askedBy: asked_by },
    bodyOf: (gateway) => bodies.get(id)?.get(keyOf(gateway)) ?? bodies.get(id)?.get(keyOf(EVERYBODY)),
  }));
}

/** What became of a page. */
export type Kept = 'kept' | 'over' | 'not-asked' | 'out-of-order';

/** Keeps one page of a gateway's answer, if it is the next one. */
export async function keepPage(store: Store, gateway: AnsweringGateway, page: AnsweredPage): Promise<Kept> {
  const { questionId, attempt, problem } = page;
  const who = { spiffe_id: gateway.spiffeId, address: gateway.address, instance: gateway.instance };
  return store.transaction<QuestionsTables, Kept>(
    async (trx, effects) => {
      const bodies = await trx
        .selectFrom('questions_bodies')
        .select(['spiffe_id', 'address'])
        .where('question', '=', questionId)
        .execute();
      if (bodies.length === 0) return 'over';
      const isAsked = bodies.some((of) => (of.spiffe_id === '' && of.address === '') || isOf(of, gateway));
      if (!isAsked) return 'not-asked';
      const before = await trx
        .selectFrom('questions_answers')
        .select(['page', 'state', 'attempt'])
        .where('question', '=', questionId)
        .where('spiffe_id', '=', who.spiffe_id)
        .where('address', '=', who.address)
        .where('instance', '=', who.instance)
        .orderBy('page')
        .execute();
      // The first whole answer counts.
      if (before.some(({ state }) => state !== 'more')) return 'over';
      // It has been started anew since it began to answer.
      const isAnew = before.some((one) => one.attempt !== attempt) && page.page === 0;
      const isKnown = before.some((one) => one.attempt === attempt && one.page === page.page);
      if (isKnown && problem === '') return 'kept';
      const next = isAnew ? 0 : before.length;
      const isOther = !isAnew && before.some((one) => one.attempt !== attempt);
      if (isOther || (page.page !== next && problem === '')) return 'out-of-order';
      if (isAnew || problem !== '')
        await trx
          .deleteFrom('questions_answers')
          .where('question', '=', questionId)
          .where('spiffe_id', '=', who.spiffe_id)
          .where('address', '=', who.address)
          .where('instance', '=', who.instance)
          .execute();
      const state = problem === '' ? (page.last ? 'last' : 'more') : 'problem';
      const body = problem === '' ? page.body : Buffer.from(problem);
      const at = problem === '' ? page.page : 0;
      await trx
        .insertInto('questions_answers')
        .values({ ...who, question: questionId, page: at, attempt, state, body })
        .execute();
      if (state !== 'more') effects.notify(TOPIC_ANSWERED, questionId);
      return 'kept';
    },
    { order: ORDER },
  );
}

/** Whole answers, without what they say. */
export async function readWhole(db: Kysely<QuestionsTables>, id: string): Promise<readonly WholeAnswer[]> {
  const rows = await db
    .selectFrom('questions_answers')
    .select(['spiffe_id', 'address', 'instance', 'page', 'state'])
    .where('question', '=', id)
    .where('state', '!=', 'more')
    .execute();
  return rows.map(({ spiffe_id, address, instance, page, state }) => ({
    gateway: { spiffeId: spiffe_id, address, instance },
    pages: page + 1,
    isProblem: state === 'problem',
  }));
}

/** An answer of which nothing more comes. */
export interface WholeAnswer {
  readonly gateway: AnsweringGateway;
  readonly pages: number;
  readonly isProblem: boolean;
}

/** One page of it. */
export async function readPage(
  db: Kysely<QuestionsTables>,
  id: string,
  { gateway, page }: { readonly gateway: AnsweringGateway; readonly page: number },
): Promise<Uint8Array> {
  const { body } = await db
    .selectFrom('questions_answers')
    .select('body')
    .where('question', '=', id)
    .where('spiffe_id', '=', gateway.spiffeId)
    .where('address', '=', gateway.address)
    .where('instance', '=', gateway.instance)
    .where('page', '=', page)
    .executeTakeFirstOrThrow();
  return body;
}

/** Tells one gateway from all others; neither part has a space in it. */
export function keyOf({ spiffeId, address }: GatewayAddress): string {
  return `${spiffeId} ${address}`;
}

function isOf(row: { readonly spiffe_id: string; readonly address: string }, gateway: GatewayAddress): boolean {
  return row.spiffe_id === gateway.spiffeId && row.address === gateway.address;
}

export const TOPIC_ASKED = 'questions.asked';
export const TOPIC_ANSWERED = 'questions.answered';
const EVERYBODY: GatewayAddress = { spiffeId: '', address: '' };
const ORDER = 'questions';
/** On all servers: each is passed on to every gateway. */
const OPEN_MAX = 64;
/** SQLite binds at most 32,766 values in one statement. */
const ROWS_PER_INSERT = 500;
