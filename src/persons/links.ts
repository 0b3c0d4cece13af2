import type { Clock, Random } from '../std/index.ts';
import type { Store } from '../store/index.ts';
import { PersonsError } from './errors.ts';
import { ORDER, type PersonsTables } from './migrations.ts';
import { digestOf, newId, newSecret } from './secrets.ts';
import type { Person } from './types.ts';

/** Links that let somebody in once, before there is a provider. Everything may throw StoreError. */
export interface Links {
  /** Makes one, for whoever gets it. `madeBy` is the operator's name in the ledger. @throws PersonsError ERR_PERSONS_LIMIT, ERR_PERSONS_LINK where none is taken */
  make(madeBy: string): Promise<{ readonly secret: string; readonly id: string; readonly endsMs: number }>;
  /**
   * Takes it out of the world, and says who came by it: of two at once only one. `madeBy` may be told to the ledger.
   * @throws PersonsError ERR_PERSONS_LINK
   */
  redeem(secret: string): Promise<{ readonly person: Person; readonly madeBy: string }>;
  /** Ends all where none is taken: they are not to be good again once that changes. */
  endUntaken(): Promise<void>;
}

/** Creates them over a migrated store. `issuer`: whose word it is who came. `taken`: false where people sign in otherwise. */
export function createLinks(deps: {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly issuer: string;
  readonly taken: boolean;
}): Links {
  const { store, clock, random, issuer, taken } = deps;
  const db = store.db<PersonsTables>();
  const isThere = async (digest: string) =>
    (await db.selectFrom('persons_links').select('id').where('digest', '=', digest).executeTakeFirst()) !== undefined;
  const refuseUntaken = () => {
    if (!taken) throw notGood('links are not taken: people sign in by the OpenID provider that is configured');
  };
  return {
    async make(madeBy) {
      refuseUntaken();
      const secret = newSecret(random, LINK_PREFIX);
      const row = { digest: digestOf(secret), id: newId(random), made_by: madeBy, ends_ms: clock.now() + LINK_MS };
      await store.transaction<PersonsTables, void>(
        async (trx) => {
          await trx.deleteFrom('persons_links').where('ends_ms', '<=', clock.now()).execute();
          const { count } = await trx
            .selectFrom('persons_links')
            .select((select) => select.fn.countAll<number>().as('count'))
            .executeTakeFirstOrThrow();
          if (count >= LINKS_MAX)
            throw new PersonsError('ERR_PERSONS_LIMIT', `${LINKS_MAX} links wait to be used already`);
          await trx.insertInto('persons_links').values(row).execute();
        },
        { order: ORDER },
      );
      return { secret, id: row.id, endsMs: row.ends_ms };
    },
    async redeem(secret) {
      refuseUntaken();
      const digest = digestOf(secret);
      // Whoever guesses has nobody wait for a write.
      if (!(await isThere(digest))) throw notGood(NOT_GOOD);
      const row = await store.transaction<PersonsTables, PersonsTables['persons_links'] | undefined>(
        async (trx) => {
          const found = await trx
            .selectFrom('persons_links')
            .selectAll()
            .where('digest', '=', digest)
            .executeTakeFirst();
          if (found !== undefined) await trx.deleteFrom('persons_links').where('digest', '=', digest).execute();
          return found;
        },
        { order: ORDER },
      );
      if (row === undefined || clock.now() >= row.ends_ms) throw notGood(NOT_GOOD);
      const person = { issuer, subject: `link-${row.id}`, email: undefined, groups: [], byLink: true };
      return { person, madeBy: row.made_by };
    },
    async endUntaken() {
      if (!taken) await db.deleteFrom('persons_links').execute();
    },
  };
}

function notGood(message: string): PersonsError {
  return new PersonsError('ERR_PERSONS_LINK', message);
}

const NOT_GOOD = 'the link is not good: it was used, is older than 15 minutes, or was never made';
const LINK_PREFIX = 'countersign_link_';
/** Made, pasted, used. */
const LINK_MS = 15 * 60_000;
const LINKS_MAX = 20;
