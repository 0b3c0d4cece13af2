import type { Kysely } from 'kysely';
import type { Clock, Random } from '../std/index.ts';
import type { Store } from '../store/index.ts';
import { addressIn, plainAddress } from './address.ts';
import { PersonsError } from './errors.ts';
import { ORDER, type PersonsTables } from './migrations.ts';
import { digestOf, newId, newSecret } from './secrets.ts';
import { createStanding, type SignInRow as Row, type SignInRules, type Standing } from './standing.ts';
import type { FoundSignIn, Person, SignIn, SignInKind } from './types.ts';

/** Who has signed in. All of it is asked of the store, so what ends has ended at every server. Everything may throw StoreError. */
export interface SignIns {
  /**
   * Begins one with a secret of its own, whatever the caller had before: `instead` is the secret of what that was, which ends. The person's oldest
   * ends where there are too many. A command line's needs the sign-in of whoever let it in to be good at this moment, and ends when that would have:
   * its person has proven who they are no later. @throws PersonsError ERR_PERSONS_GRANT; what `admit` throws
   */
  begin(asked: AskedSignIn): Promise<{ readonly secret: string; readonly signIn: SignIn }>;
  /** Whose a secret is, at this moment, from that address. `isUse`: it is not idle from now on; what only looks after somebody who came before is none. */
  find(
    secret: string,
    from: { readonly kind: SignInKind; readonly address: string; readonly isUse: boolean },
  ): Promise<FoundSignIn>;
  /** Of which sign-in a secret is, whatever has become of that, and from wherever: for whoever ends it. */
  holder(secret: string, kind: SignInKind): Promise<SignIn | undefined>;
  /** Those that are not over, newest first; at most a thousand. */
  list(): Promise<readonly SignIn[]>;
  /** Ends it; undefined when there is none of that id. */
  end(id: string): Promise<SignIn | undefined>;
  /** Somebody has been told that it came from elsewhere. */
  told(id: string): Promise<void>;
  /** Ends those of issuers whose word is taken no more. */
  endOthers(): Promise<void>;
}

/** What begins. `letInBy`: id of the sign-in by which somebody allowed it. */
export type AskedSignIn = { readonly person: Person; readonly address: string } & (
  | { readonly kind: 'browser'; readonly instead?: string }
  | { readonly kind: 'cli'; readonly letInBy: string }
);

/** Creates them over a migrated store. */
export function createSignIns(deps: SignInDeps): SignIns {
  const { store, clock, random, rules, issuer } = deps;
  const db = store.db<PersonsTables>();
  const standing = createStanding(deps);
  const made = (row: Row): SignIn => ({ ...signInOf(row), endsMs: standing.endsMs(row) });
  const bySecret = (secret: string, kind: SignInKind) =>
    db
      .selectFrom('persons_sign_ins')
      .selectAll()
      .where('digest', '=', digestOf(secret))
      .where('kind', '=', kind)
      .executeTakeFirst();

  return {
    async begin(asked) {
      const { person, kind, address } = asked;
      const secret = newSecret(random, kind === 'cli' ? CLI_PREFIX : '');
      const nowMs = clock.now();
      const row: Row = {
        ...{ digest: digestOf(secret), id: newId(random), kind, is_moved: 0 },
        ...{ issuer: person.issuer, subject: person.subject, person: JSON.stringify(person) },
        ...{ address: plainAddress(address), since_ms: nowMs, seen_ms: nowMs, ends_ms: nowMs + rules.lifetimeMs },
      };
      const begun = await store.transaction<PersonsTables, Row>(
        async (trx) => {
          await deps.admit?.(trx, person);
          await trx.deleteFrom('persons_sign_ins').where('ends_ms', '<=', nowMs).execute();
          const mostMs = asked.kind === 'cli' ? await endOfHost(trx, asked.letInBy, standing) : row.ends_ms;
          if (asked.kind === 'browser' && asked.instead !== undefined)
            await trx.deleteFrom('persons_sign_ins').where('digest', '=', digestOf(asked.instead)).execute();
          await makeRoom(trx, person);
          const inserted = { ...row, ends_ms: Math.min(row.ends_ms, mostMs) };
          await trx.insertInto('persons_sign_ins').values(inserted).execute();
          return inserted;
        },
        { order: ORDER },
      );
      return { secret, signIn: made(begun) };
    },
    find: createFind(deps, { bySecret, standing, made }),
    async holder(secret, kind) {
      const row = await bySecret(secret, kind);
      return row === undefined ? undefined : made(row);
    },
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
      return rows.filter((row) => standing.whyNot(row) === undefined).map(made);
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
    async told(id) {
      await db.updateTable('persons_sign_ins').set({ is_moved: 1 }).where('id', '=', id).execute();
    },
    async endOthers() {
      await db.deleteFrom('persons_sign_ins').where('issuer', '!=', issuer).execute();
    },
  };
}

/** Ends all of somebody, in that transaction; what they have allowed and nobody has fetched yet ends with them. */
export async function endSignInsOf<Tables>(
  given: Kysely<Tables>,
  { issuer, subject }: Pick<Person, 'issuer' | 'subject'>,
): Promise<void> {
  const trx = given as unknown as Kysely<PersonsTables>; // Whose it is, says which of the tables there are.
  await trx.deleteFrom('persons_sign_ins').where('issuer', '=', issuer).where('subject', '=', subject).execute();
}

/** When the sign-in ends of whoever let somebody in. @throws PersonsError ERR_PERSONS_GRANT when it has */
async function endOfHost(trx: Kysely<PersonsTables>, id: string, standing: Standing): Promise<number> {
  const row = await trx.selectFrom('persons_sign_ins').selectAll().where('id', '=', id).executeTakeFirst();
  if (row !== undefined && standing.whyNot(row) === undefined) return standing.endsMs(row);
  throw new PersonsError('ERR_PERSONS_GRANT', 'whoever allowed it is signed in no more');
}

/** What a secret leads to, and that it was used. */
function createFind(deps: SignInDeps, { bySecret, standing, made }: Judged): SignIns['find'] {
  const { store, clock, rules } = deps;
  const db = store.db<PersonsTables>();
  /** Not at each use: it is a write. */
  const seen = async ({ digest, seen_ms }: Row, nowMs: number) => {
    if (nowMs - seen_ms < SEEN_STEP_MS) return;
    await db.updateTable('persons_sign_ins').set({ seen_ms: nowMs }).where('digest', '=', digest).execute();
  };
  return async (secret, { kind, address, isUse }) => {
    const row = await bySecret(secret, kind);
    if (row === undefined) return { ok: false, reason: 'unknown' };
    const reason = standing.whyNot(row);
    if (reason !== undefined) return { ok: false, reason };
    const signIn = made(row);
    if (!addressIn(rules.from, row.address, plainAddress(address)))
      return { ok: false, reason: 'address', signIn, isFirst: row.is_moved === 0 };
    if (isUse) await seen(row, clock.now());
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
  /** Whose word alone is taken. */
  readonly issuer: string;
  readonly admit?: AdmitPerson | undefined;
}

/** Asked in the transaction in which somebody signs in; throws for whom nobody lets in. */
export type AdmitPerson = <Tables>(trx: Kysely<Tables>, person: Person) => Promise<void>;

/** How rows are found, and what is made of them. */
interface Judged {
  readonly bySecret: (secret: string, kind: SignInKind) => Promise<Row | undefined>;
  readonly standing: Standing;
  readonly made: (row: Row) => SignIn;
}

/** Tells a person's token from a JWT-SVID. */
export const CLI_PREFIX = 'countersign_login_';
/** Some machines and browsers of one person. */
const OF_ONE_MAX = 20;
const LISTED_MAX = 1000;
const SEEN_STEP_MS = 60_000;
