import type { Clock, Random } from '../std/index.ts';
import type { Store } from '../store/index.ts';
import { PersonsError } from './errors.ts';
import { ORDER, type PersonsTables } from './migrations.ts';
import { digestOf, newSecret } from './secrets.ts';
import type { Person } from './types.ts';

/** What a command line that asks for its token is told. @see RFC 8628 §3.5, RFC 6749 §5.2 */
export type TokenAnswer =
  | { readonly ok: true; readonly person: Person }
  | {
      readonly ok: false;
      readonly error: 'authorization_pending' | 'slow_down' | 'access_denied' | 'expired_token' | 'invalid_grant';
    };

/** How somebody who has signed in with a browser lets a command line in. Everything may throw StoreError. */
export interface Grants {
  /** A command line asks, and shows its user code to a person. @throws PersonsError ERR_PERSONS_LIMIT. @see RFC 8628 §3.2 */
  ask(from: string): Promise<{
    readonly deviceCode: string;
    /** `BCDF-GHJK`. */
    readonly userCode: string;
    readonly endsMs: number;
    readonly intervalMs: number;
  }>;
  /** Where a user code came from; undefined when it waits for no answer. */
  lookUp(userCode: string): Promise<{ readonly askedFrom: string } | undefined>;
  /** A person answers; once. @throws PersonsError ERR_PERSONS_GRANT */
  answer(userCode: string, by: { readonly person: Person; readonly allow: boolean }): Promise<void>;
  /** The command line asks for what it was granted; it is told once. */
  poll(deviceCode: string): Promise<TokenAnswer>;
  /** A code for the command line that the person's browser leads to, good for a minute and with the verifier of `challenge`. @see RFC 8252, RFC 7636 */
  code(by: { readonly person: Person; readonly challenge: string; readonly from: string }): Promise<string>;
  redeemCode(code: string, verifier: string): Promise<TokenAnswer>;
}

/** Creates them over a migrated store. */
export function createGrants(deps: { readonly store: Store; readonly clock: Clock; readonly random: Random }): Grants {
  const { store, clock, random } = deps;
  const db = store.db<PersonsTables>();
  const insert = (row: Row) =>
    store.transaction<PersonsTables, void>(
      async (trx) => {
        await trx
          .deleteFrom('persons_grants')
          .where('ends_ms', '<=', clock.now() - KEPT_MS)
          .execute();
        const { count } = await trx
          .selectFrom('persons_grants')
          .select((select) => select.fn.countAll<number>().as('count'))
          .executeTakeFirstOrThrow();
        if (count >= GRANTS_MAX) throw new PersonsError('ERR_PERSONS_LIMIT', `${GRANTS_MAX} logins wait already`);
        await trx.insertInto('persons_grants').values(row).execute();
      },
      { order: ORDER },
    );
  /** Looks and changes, one after the other for all. */
  const take = (digest: string, decide: (row: Row) => Taken) =>
    store.transaction<PersonsTables, TokenAnswer>(
      async (trx) => {
        const row = await trx.selectFrom('persons_grants').selectAll().where('digest', '=', digest).executeTakeFirst();
        if (row === undefined) return { ok: false, error: 'invalid_grant' };
        const { answer, next } = decide(row);
        if (next === 'gone') await trx.deleteFrom('persons_grants').where('digest', '=', digest).execute();
        else await trx.updateTable('persons_grants').set(next).where('digest', '=', digest).execute();
        return answer;
      },
      { order: ORDER },
    );
  const waiting = (userCode: string) =>
    db
      .selectFrom('persons_grants')
      .selectAll()
      .where('user_code_digest', '=', userCodeDigest(userCode))
      .where('state', '=', 'waiting')
      .where('ends_ms', '>', clock.now())
      .executeTakeFirst();

  return {
    async ask(from) {
      const deviceCode = newSecret(random, 'countersign_device_');
      const userCode = newUserCode(random);
      const endsMs = clock.now() + ASKED_MS;
      const digests = { digest: digestOf(deviceCode), user_code_digest: userCodeDigest(userCode) };
      const state = { challenge: null, state: 'waiting', person: null, polled_ms: 0, ends_ms: endsMs };
      await insert({ ...digests, ...state, asked_from: from });
      return { deviceCode, userCode, endsMs, intervalMs: INTERVAL_MS };
    },
    async lookUp(userCode) {
      const row = await waiting(userCode);
      return row === undefined ? undefined : { askedFrom: row.asked_from };
    },
    async answer(userCode, { person, allow }) {
      const { numUpdatedRows } = await db
        .updateTable('persons_grants')
        .set({ state: allow ? 'allowed' : 'denied', person: JSON.stringify(person) })
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
    poll: (deviceCode) => take(digestOf(deviceCode), (row) => answerToPoll(row, clock.now())),
    async code({ person, challenge, from }) {
      const code = newSecret(random, 'countersign_code_');
      const state = { state: 'allowed', person: JSON.stringify(person), polled_ms: 0, ends_ms: clock.now() + CODE_MS };
      await insert({ digest: digestOf(code), user_code_digest: null, challenge, asked_from: from, ...state });
      return code;
    },
    redeemCode: (code, verifier) => take(digestOf(code), (row) => answerToCode(row, verifier, clock.now())),
  };
}

function answerToPoll(row: Row, nowMs: number): Taken {
  const polled = { polled_ms: nowMs };
  if (row.challenge !== null) return { answer: { ok: false, error: 'invalid_grant' }, next: polled };
  if (row.state === 'denied') return { answer: { ok: false, error: 'access_denied' }, next: 'gone' };
  if (nowMs >= row.ends_ms) return { answer: { ok: false, error: 'expired_token' }, next: 'gone' };
  if (nowMs - row.polled_ms < INTERVAL_MS - POLL_SLACK_MS)
    return { answer: { ok: false, error: 'slow_down' }, next: polled };
  if (row.state !== 'allowed' || row.person === null)
    return { answer: { ok: false, error: 'authorization_pending' }, next: polled };
  return { answer: { ok: true, person: JSON.parse(row.person) }, next: 'gone' }; // Only `answer` writes it.
}

/** Whoever has a code and not its verifier took it from somebody: it is of no use to anybody any more. */
function answerToCode(row: Row, verifier: string, nowMs: number): Taken {
  const isGood = row.challenge !== null && row.challenge === challengeOf(verifier) && nowMs < row.ends_ms;
  if (!isGood || row.person === null) return { answer: { ok: false, error: 'invalid_grant' }, next: 'gone' };
  return { answer: { ok: true, person: JSON.parse(row.person) }, next: 'gone' }; // Only `code` writes it.
}

/** What becomes of a grant that was looked at. */
interface Taken {
  readonly answer: TokenAnswer;
  readonly next: Partial<Row> | 'gone';
}

/** PKCE, S256. @see RFC 7636 §4.6 */
function challengeOf(verifier: string): string {
  return Buffer.from(digestOf(verifier), 'hex').toString('base64url');
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

type Row = PersonsTables['persons_grants'];

const LETTERS = 'BCDFGHJKLMNPQRSTVWXZ';
const ASKED_MS = 15 * 60_000;
const CODE_MS = 60_000;
const INTERVAL_MS = 5_000;
/** Of clocks and networks. */
const POLL_SLACK_MS = 500;
/** So that a command line that comes late is told that it is late. */
const KEPT_MS = 5 * 60_000;
/** People at their desks, and a flood of strangers that fills no disk. */
const GRANTS_MAX = 1000;
