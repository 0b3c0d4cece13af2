import type { Kysely } from 'kysely';
import type { Clock, Random } from '../std/index.ts';
import type { Store } from '../store/index.ts';
import { type AddressRule, addressIn, plainAddress } from './address.ts';
import { ORDER, type PersonsTables } from './migrations.ts';
import { digestOf, newId, newSecret } from './secrets.ts';
import type { FoundSignIn, Person, SignIn, SignInKind } from './types.ts';

/** How long sign-ins last, and from where they are good. */
export interface SignInRules {
  /** Used or not. */
  readonly lifetimeMs: number;
  /** Since it was used last. */
  readonly idleMs: number;
  readonly from: AddressRule;
}

/** Who has signed in. All of it is asked of the store, so what ends has ended at every server. Everything may throw StoreError. */
export interface SignIns {
  /**
   * Begins one with a secret of its own, whatever the caller had before: `instead` is the secret of what that was, which ends. The person's oldest
   * ends where there are too many.
   */
  begin(asked: {
    readonly person: Person;
    readonly kind: SignInKind;
    readonly address: string;
    readonly instead?: string;
  }): Promise<{ readonly secret: string; readonly signIn: SignIn }>;
  /** Whose a secret is, at this moment, from that address. */
  find(secret: string, from: { readonly kind: SignInKind; readonly address: string }): Promise<FoundSignIn>;
  /** Those that are not over, newest first; at most a thousand. */
  list(): Promise<readonly SignIn[]>;
  /** Ends it; undefined when there is none of that id. */
  end(id: string): Promise<SignIn | undefined>;
}

/** Creates them over a migrated store. */
export function createSignIns(deps: SignInDeps): SignIns {
  const { store, clock, random, rules } = deps;
  const db = store.db<PersonsTables>();
  const isIdle = ({ seen_ms }: Row, nowMs: number) => nowMs - seen_ms >= rules.idleMs;
  // What was promised when it began, or less where the rules have become stricter since.
  const endsMs = ({ ends_ms, since_ms }: Row) => Math.min(ends_ms, since_ms + rules.lifetimeMs);
  const made = (row: Row): SignIn => ({ ...signInOf(row), endsMs: endsMs(row) });

  return {
    async begin({ person, kind, address, instead }) {
      const secret = newSecret(random, kind === 'cli' ? CLI_PREFIX : '');
      const nowMs = clock.now();
      const row: Row = {
        ...{ digest: digestOf(secret), id: newId(random), kind, is_moved: 0 },
        ...{ issuer: person.issuer, subject: person.subject, person: JSON.stringify(person) },
        ...{ address: plainAddress(address), since_ms: nowMs, seen_ms: nowMs, ends_ms: nowMs + rules.lifetimeMs },
      };
      await store.transaction<PersonsTables, void>(
        async (trx) => {
          await trx.deleteFrom('persons_sign_ins').where('ends_ms', '<=', nowMs).execute();
          if (instead !== undefined)
            await trx.deleteFrom('persons_sign_ins').where('digest', '=', digestOf(instead)).execute();
          await makeRoom(trx, person);
          await trx.insertInto('persons_sign_ins').values(row).execute();
        },
        { order: ORDER },
      );
      return { secret, signIn: made(row) };
    },
    find: createFind(deps, { isIdle, endsMs, made }),
    async list() {
      const nowMs = clock.now();
      const rows = await db
        .selectFrom('persons_sign_ins')
        .selectAll()
        .where('ends_ms', '>', nowMs)
        .orderBy('since_ms', 'desc')
        .orderBy('id')
        .limit(LISTED_MAX)
        .execute();
      return rows.filter((row) => nowMs < endsMs(row) && !isIdle(row, nowMs)).map(made);
    },
    end: (id) =>
      store.transaction<PersonsTables, SignIn | undefined>(
        async (trx) => {
          const row = await trx.selectFrom('persons_sign_ins').selectAll().where('id', '=', id).executeTakeFirst();
          if (row === undefined) return undefined;
          await trx.deleteFrom('persons_sign_ins').where('id', '=', id).execute();
          return made(row);
        },
        { order: ORDER },
      ),
  };
}

/** What a secret leads to, and that it was used. */
function createFind(deps: SignInDeps, { isIdle, endsMs, made }: Judged): SignIns['find'] {
  const { store, clock, rules } = deps;
  const db = store.db<PersonsTables>();
  /** Not at each use: it is a write. */
  const seen = async ({ digest, seen_ms }: Row, nowMs: number) => {
    if (nowMs - seen_ms < SEEN_STEP_MS) return;
    await db.updateTable('persons_sign_ins').set({ seen_ms: nowMs }).where('digest', '=', digest).execute();
  };
  /** True for the first who finds out. */
  const markMoved = async ({ digest, is_moved }: Row) => {
    if (is_moved === 1) return false;
    const { numUpdatedRows } = await db
      .updateTable('persons_sign_ins')
      .set({ is_moved: 1 })
      .where('digest', '=', digest)
      .where('is_moved', '=', 0)
      .executeTakeFirstOrThrow();
    return numUpdatedRows === 1n;
  };

  return async (secret, { kind, address }) => {
    const row = await db
      .selectFrom('persons_sign_ins')
      .selectAll()
      .where('digest', '=', digestOf(secret))
      .executeTakeFirst();
    if (row === undefined || row.kind !== kind) return { ok: false, reason: 'unknown' };
    const nowMs = clock.now();
    if (nowMs >= endsMs(row)) return { ok: false, reason: 'over' };
    if (isIdle(row, nowMs)) return { ok: false, reason: 'idle' };
    const signIn = made(row);
    if (!addressIn(rules.from, row.address, plainAddress(address)))
      return { ok: false, reason: 'address', signIn, isFirst: await markMoved(row) };
    await seen(row, nowMs);
    return { ok: true, signIn };
  };
}

/** Ends the oldest of somebody who has as many as one may. */
async function makeRoom(trx: Kysely<PersonsTables>, { issuer, subject }: Person): Promise<void> {
  const own = await trx
    .selectFrom('persons_sign_ins')
    .select('digest')
    .where('issuer', '=', issuer)
    .where('subject', '=', subject)
    .orderBy('since_ms', 'desc')
    .orderBy('id')
    .execute();
  for (const { digest } of own.slice(OF_ONE_MAX - 1))
    await trx.deleteFrom('persons_sign_ins').where('digest', '=', digest).execute();
}

function signInOf({ id, kind, person, address, since_ms, seen_ms, ends_ms }: Row): SignIn {
  return {
    ...{ id, address, sinceMs: since_ms, seenMs: seen_ms, endsMs: ends_ms },
    kind: kind === 'cli' ? 'cli' : 'browser',
    person: JSON.parse(person), // Only `begin` writes it.
  };
}

interface SignInDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly rules: SignInRules;
}

/** What is made of a row. */
interface Judged {
  readonly isIdle: (row: Row, nowMs: number) => boolean;
  readonly endsMs: (row: Row) => number;
  readonly made: (row: Row) => SignIn;
}

type Row = PersonsTables['persons_sign_ins'];

/** Tells a person's token from a JWT-SVID. */
export const CLI_PREFIX = 'countersign_login_';
/** Some machines and browsers of one person. */
const OF_ONE_MAX = 20;
const LISTED_MAX = 1000;
const SEEN_STEP_MS = 60_000;
