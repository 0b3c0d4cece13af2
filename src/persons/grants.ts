import type { Kysely } from 'kysely';
import type { Clock, Random } from '../std/index.ts';
import type { Store } from '../store/index.ts';
import { type AddressRule, addressIn, plainAddress } from './address.ts';
import { PersonsError } from './errors.ts';
import {
  answerToCode,
  answerToPoll,
  INTERVAL_MS,
  NONE,
  type GrantRow as Row,
  type Taken,
  type TokenAnswer,
} from './grant-answers.ts';
import { ORDER, type PersonsTables } from './migrations.ts';
import { digestOf, newSecret } from './secrets.ts';
import type { SignIn } from './types.ts';

/** How somebody who has signed in with a browser lets a command line in. Everything may throw StoreError. */
export interface Grants {
  /**
   * A command line asks, and shows its user code to a person. Few that asked from one source wait for an answer at a time, over all servers.
   * @throws PersonsError ERR_PERSONS_LIMIT. @see RFC 8628 §3.2
   */
  ask(from: {
    readonly address: string;
    /** Under what those who ask are counted together. */
    readonly source: string;
  }): Promise<{
    readonly deviceCode: string;
    /** `BCDF-GHJK`. */
    readonly userCode: string;
    readonly endsMs: number;
    readonly intervalMs: number;
  }>;
  /** Where a user code came from; undefined when it waits for no answer. */
  lookUp(userCode: string): Promise<{ readonly askedFrom: string } | undefined>;
  /** A person answers; once. @throws PersonsError ERR_PERSONS_GRANT */
  answer(userCode: string, given: { readonly by: Host; readonly allow: boolean }): Promise<void>;
  /** The command line asks for what it was granted, from where it asked to be: that is what the person has seen. It is told once. */
  poll(deviceCode: string, from: { readonly address: string }): Promise<TokenAnswer>;
  /** A code for the command line that the person's browser leads to, good for a minute and with the verifier of `challenge`. @see RFC 8252, RFC 7636 */
  code(asked: { readonly by: Host; readonly challenge: string; readonly from: string }): Promise<string>;
  redeemCode(code: string, verifier: string): Promise<TokenAnswer>;
}

/** Whoever lets a command line in, by their own sign-in. */
export type Host = Pick<SignIn, 'id' | 'person'>;

/** Creates them over a migrated store. `from`: from where sign-ins are good. */
export function createGrants(deps: {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly from: AddressRule;
}): Grants {
  const { clock, random } = deps;
  const db = deps.store.db<PersonsTables>();
  const { insert, take } = writesOf(deps);
  const waiting = (userCode: string) =>
    db
      .selectFrom('persons_grants')
      .selectAll()
      .where('user_code_digest', '=', userCodeDigest(userCode))
      .where('state', '=', 'waiting')
      .where('ends_ms', '>', clock.now())
      .executeTakeFirst();

  return {
    async ask({ address, source }) {
      const deviceCode = newSecret(random, 'countersign_device_');
      const userCode = newUserCode(random);
      const endsMs = clock.now() + ASKED_MS;
      const digests = { digest: digestOf(deviceCode), user_code_digest: userCodeDigest(userCode) };
      const state = { challenge: null, state: 'waiting', person: null, polled_ms: 0, ends_ms: endsMs };
      const row = { ...digests, ...state, asked_from: plainAddress(address), source, let_in_by: null };
      await insert(row, (trx) => refuseCrowds(trx, source, clock.now()));
      return { deviceCode, userCode, endsMs, intervalMs: INTERVAL_MS };
    },
    async lookUp(userCode) {
      const row = await waiting(userCode);
      return row === undefined ? undefined : { askedFrom: row.asked_from };
    },
    async answer(userCode, { by, allow }) {
      const { numUpdatedRows } = await db
        .updateTable('persons_grants')
        .set({ state: allow ? 'allowed' : 'denied', person: JSON.stringify(by.person), let_in_by: by.id })
        .where('user_code_digest', '=', userCodeDigest(userCode))
        .where('state', '=', 'waiting')
        .where('ends_ms', '>', clock.now())
        .executeTakeFirstOrThrow();
      if (numUpdatedRows !== 1n)
        throw new PersonsError(
          'ERR_PERSONS_GRANT',
          'the code waits for no answer: it is wrong, too old, or was answered',
        );
    },
    poll: (deviceCode, { address }) =>
      take(digestOf(deviceCode), (row) =>
        addressIn(deps.from, row.asked_from, plainAddress(address)) ? answerToPoll(row, clock.now()) : NONE,
      ),
    async code({ by, challenge, from }) {
      const code = newSecret(random, 'countersign_code_');
      const state = { state: 'allowed', polled_ms: 0, ends_ms: clock.now() + CODE_MS, source: null };
      const host = { person: JSON.stringify(by.person), let_in_by: by.id };
      const row = { digest: digestOf(code), user_code_digest: null, challenge, asked_from: plainAddress(from) };
      await insert({ ...row, ...state, ...host }, (trx) => endOldCodes(trx, by.id));
      return code;
    },
    redeemCode: (code, verifier) => take(digestOf(code), (row) => answerToCode(row, verifier, clock.now())),
  };
}

/** What changes the table: one after the other for all. */
function writesOf({ store, clock }: { readonly store: Store; readonly clock: Clock }) {
  const db = store.db<PersonsTables>();
  const insert = (row: Row, makeRoom: (trx: Kysely<PersonsTables>) => Promise<void>) =>
    store.transaction<PersonsTables, void>(
      async (trx) => {
        await trx
          .deleteFrom('persons_grants')
          .where('ends_ms', '<=', clock.now() - KEPT_MS)
          .execute();
        await makeRoom(trx);
        await trx.insertInto('persons_grants').values(row).execute();
      },
      { order: ORDER },
    );
  /** Looks, and changes what is to change. Whoever guesses, or asks too often, has nobody wait for a write. */
  const take = async (digest: string, decide: (row: Row) => Taken): Promise<TokenAnswer> => {
    const seen = await db.selectFrom('persons_grants').selectAll().where('digest', '=', digest).executeTakeFirst();
    const { answer, next } = seen === undefined ? NONE : decide(seen);
    if (next === 'same') return answer;
    return store.transaction<PersonsTables, TokenAnswer>(
      async (trx) => {
        const row = await trx.selectFrom('persons_grants').selectAll().where('digest', '=', digest).executeTakeFirst();
        const taken = row === undefined ? NONE : decide(row);
        if (taken.next === 'gone') await trx.deleteFrom('persons_grants').where('digest', '=', digest).execute();
        else if (taken.next !== 'same')
          await trx.updateTable('persons_grants').set(taken.next).where('digest', '=', digest).execute();
        return taken.answer;
      },
      { order: ORDER },
    );
  };
  return { insert, take };
}

/** @throws PersonsError ERR_PERSONS_LIMIT where as many wait as may: of one source, and of all */
async function refuseCrowds(trx: Kysely<PersonsTables>, source: string, nowMs: number): Promise<void> {
  const waiting = trx
    .selectFrom('persons_grants')
    .select((select) => select.fn.countAll<number>().as('count'))
    .where('state', '=', 'waiting')
    .where('user_code_digest', 'is not', null)
    .where('ends_ms', '>', nowMs);
  const own = await waiting.where('source', '=', source).executeTakeFirstOrThrow();
  if (own.count >= OF_SOURCE_MAX)
    throw new PersonsError(
      'ERR_PERSONS_LIMIT',
      `${OF_SOURCE_MAX} logins that were asked for at ${source} wait for an answer already`,
    );
  const all = await waiting.executeTakeFirstOrThrow();
  if (all.count >= WAITING_MAX)
    throw new PersonsError('ERR_PERSONS_LIMIT', `${WAITING_MAX} logins wait for an answer already`);
}

/** Leaves room for one more code of one sign-in. */
async function endOldCodes(trx: Kysely<PersonsTables>, letInBy: string): Promise<void> {
  const own = await trx
    .selectFrom('persons_grants')
    .select('digest')
    .where('let_in_by', '=', letInBy)
    .where('challenge', 'is not', null)
    .orderBy('ends_ms', 'desc')
    .orderBy('digest')
    .execute();
  for (const { digest } of own.slice(CODES_OF_ONE_MAX - 1))
    await trx.deleteFrom('persons_grants').where('digest', '=', digest).execute();
}

/** Letters that make no words and are not taken for others. 20^8: no one guesses one within its quarter of an hour. @see RFC 8628 §6.1 */
function newUserCode(random: Random): string {
  let code = '';
  while (code.length < 8)
    for (const byte of random.bytes(16)) if (byte < 240 && code.length < 8) code += LETTERS[byte % LETTERS.length];
  return `${code.slice(0, 4)}-${code.slice(4)}`;
}

/** However it is typed. */
function userCodeDigest(typed: string): string {
  return digestOf(`user code ${typed.toUpperCase().replaceAll(/[^A-Z]/g, '')}`);
}

const LETTERS = 'BCDFGHJKLMNPQRSTVWXZ';
const ASKED_MS = 15 * 60_000;
const CODE_MS = 60_000;
/** So that a command line that comes late is told that it is late. */
const KEPT_MS = 5 * 60_000;
/** Some people behind one address, within a quarter of an hour. */
const OF_SOURCE_MAX = 10;
/** Of a thousand sources at the least: some megabytes. */
const WAITING_MAX = 10_000;
/** Windows of one browser. */
const CODES_OF_ONE_MAX = 5;
