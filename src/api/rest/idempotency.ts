import type { Kysely } from 'kysely';
import { type Clock, sha256 } from '../../std/index.ts';
import type { Migration, Store } from '../../store/index.ts';
import { RestError } from './errors.ts';

/** An answer as it is kept, to be given again. */
export interface KeptAnswer {
  readonly status: number;
  /** The text of `ETag`, without its quotes. */
  readonly tag: string | undefined;
  readonly body: string;
}

/** What makes a request the same as another one. */
export interface KeyedRequest {
  readonly caller: string;
  readonly key: string;
  /** All of what was asked: the endpoint, its input, its conditions. */
  readonly asked: string;
}

/** Acts that are done once, however often they are asked for with one key: by any server of one store. */
export interface Idempotency {
  /**
   * Does it, or gives the answer of when it was done. Of an act that was refused nothing is kept, since nothing was done; of one whose end is not
   * known the key stays taken.
   * @throws RestError ERR_REST_KEY_REUSED, ERR_REST_KEY_IN_USE, ERR_REST_RATE; StoreError; whatever `act` throws
   */
  once(request: KeyedRequest, act: () => Promise<KeptAnswer>): Promise<KeptAnswer & { readonly isRepeated: boolean }>;
}

/** The table of keys. */
export const restMigrations: readonly Migration[] = [
  {
    name: '0001-rest-keys',
    async up(db) {
      await db.schema
        .createTable('rest_keys')
        .addColumn('caller', 'text', (column) => column.notNull())
        .addColumn('key', 'text', (column) => column.notNull())
        .addColumn('asked', 'text', (column) => column.notNull())
        .addColumn('begun_ms', 'bigint', (column) => column.notNull())
        .addColumn('status', 'integer', (column) => column.notNull())
        .addColumn('tag', 'text')
        .addColumn('answer_digest', 'text')
        .addColumn('answer', 'text')
        .addPrimaryKeyConstraint('rest_keys_key', ['caller', 'key'])
        .execute();
      await db.schema.createIndex('rest_keys_begun').on('rest_keys').column('begun_ms').execute();
    },
  },
];

/** Creates it over a migrated store. `isRefusal`: of such an error it is known that nothing was done. */
export function createIdempotency(deps: {
  readonly store: Store;
  readonly clock: Clock;
  readonly isRefusal: (error: unknown) => boolean;
}): Idempotency {
  const { store, clock } = deps;

  const begin = (row: { caller: string; key: string; asked: string }) =>
    store.transaction<RestTables, KeptRow | undefined>(
      async (trx) => {
        const begun_ms = clock.now();
        await forgetOld(trx, begun_ms);
        const known = await trx
          .selectFrom('rest_keys')
          .selectAll()
          .where('caller', '=', row.caller)
          .where('key', '=', row.key)
          .executeTakeFirst();
        if (known !== undefined) return known;
        const { count } = await trx
          .selectFrom('rest_keys')
          .select((select) => select.fn.countAll<number>().as('count'))
          .where('caller', '=', row.caller)
          .executeTakeFirstOrThrow();
        if (count >= KEYS_OF_ONE_MAX) throw tooMany();
        await trx
          .insertInto('rest_keys')
          .values({ ...row, begun_ms, status: UNDER_WAY, tag: null, answer_digest: null, answer: null })
          .execute();
        return undefined;
      },
      { order: ORDER },
    );

  const change = (row: { caller: string; key: string }, answer: KeptAnswer | undefined) =>
    store.transaction<RestTables, void>(
      async (trx) => {
        const { caller, key } = row;
        if (answer === undefined) {
          await trx.deleteFrom('rest_keys').where('caller', '=', caller).where('key', '=', key).execute();
          return;
        }
        const { status, tag = null, body } = answer;
        const kept = Buffer.byteLength(body) <= ANSWER_BYTES_MAX ? body : null;
        await trx
          .updateTable('rest_keys')
          .set({ status, tag, answer_digest: digestOf(body), answer: kept })
          .where('caller', '=', caller)
          .where('key', '=', key)
          .execute();
      },
      { order: ORDER },
    );

  return {
    async once({ caller, key, asked }, act) {
      const row = { caller, key: digestOf(key), asked: digestOf(asked) };
      const known = await begin(row);
      if (known !== undefined) return { ...repeated(known, row.asked), isRepeated: true };
      let answer: KeptAnswer;
      try {
        answer = await act();
      } catch (error) {
        if (deps.isRefusal(error)) await change(row, undefined);
        throw error;
      }
      await change(row, answer);
      return { ...answer, isRepeated: false };
    },
  };
}

/** @throws RestError ERR_REST_KEY_REUSED, ERR_REST_KEY_IN_USE */
function repeated(known: KeptRow, asked: string): KeptAnswer {
  if (known.asked !== asked) {
    throw new RestError('ERR_REST_KEY_REUSED', 'this Idempotency-Key came before with another request');
  }
  const { status, tag, answer, answer_digest } = known;
  if (status === UNDER_WAY) {
    const message = 'the request with this Idempotency-Key is under way, or nobody knows how it ended';
    throw new RestError('ERR_REST_KEY_IN_USE', message, { headers: { 'retry-after': '1' } });
  }
  // An answer that was too long to be kept: it was done, and this is what is left of it.
  const body = answer ?? JSON.stringify({ answerSha256: answer_digest });
  return { status, tag: tag ?? undefined, body };
}

/** A key is good for a day. A few at a time, so that no request pays for all. */
async function forgetOld(trx: Kysely<RestTables>, nowMs: number): Promise<void> {
  const old = await trx
    .selectFrom('rest_keys')
    .select(['caller', 'key'])
    .where('begun_ms', '<', nowMs - KEPT_MS)
    .orderBy('begun_ms')
    .limit(FORGOTTEN_AT_ONCE)
    .execute();
  for (const { caller, key } of old)
    await trx.deleteFrom('rest_keys').where('caller', '=', caller).where('key', '=', key).execute();
}

/** Reads the header: printable ASCII, in quotes or not, as the draft and as most clients write it. @throws RestError ERR_REST_HEADER */
export function parseIdempotencyKey(header: string): string {
  const key = /^"([\x21\x23-\x5b\x5d-\x7e]{1,255})"$|^([\x21\x23-\x5b\x5d-\x7e]{1,255})$/.exec(header);
  const text = key?.[1] ?? key?.[2];
  if (text !== undefined) return text;
  throw new RestError(
    'ERR_REST_HEADER',
    'Idempotency-Key has 1 to 255 printable characters of ASCII, no spaces or quotes',
  );
}

function tooMany(): RestError {
  const message = `the caller has used ${KEYS_OF_ONE_MAX} keys within a day`;
  return new RestError('ERR_REST_RATE', message, { headers: { 'retry-after': '3600' } });
}

/** Keys and requests may be long, and may hold what is nobody's to read in a database. */
function digestOf(text: string): string {
  return sha256(Buffer.from(text)).toString('hex');
}

interface RestTables {
  rest_keys: {
    caller: string;
    key: string;
    asked: string;
    begun_ms: number;
    /** 0: under way. */
    status: number;
    tag: string | null;
    answer_digest: string | null;
    answer: string | null;
  };
}
type KeptRow = RestTables['rest_keys'];

const UNDER_WAY = 0;
const ORDER = 'rest';
const KEPT_MS = 24 * 3_600_000;
const KEYS_OF_ONE_MAX = 10_000;
const FORGOTTEN_AT_ONCE = 100;
/** Of most acts the whole. */
const ANSWER_BYTES_MAX = 64 * 1024;
