import { type ExpressionBuilder, type Kysely, sql } from 'kysely';
import type { Entry, IdentityAttributes } from '../model/index.ts';
import { attributesIn, entryOf, federationFact, NO_ATTRIBUTES_TEXT, selectorFact } from './entry-rows.ts';
import { entriesInPage } from './entry-size.ts';
import { RegistrationError } from './errors.ts';
import type { EntryRow, RegistrationTables } from './migrations.ts';
import { type EntryFilter, type EntryPage, type MatchMode, PAGE_SIZE_MAX } from './types.ts';

/** See `Registration.get`. */
export async function findEntry(db: Kysely<RegistrationTables>, id: string): Promise<Entry | undefined> {
  const row = await db.selectFrom('registration_entries').selectAll().where('id', '=', id).executeTakeFirst();
  return row && entryOf(row);
}

/** See `Registration.list`. A page token is the id of the last entry of the page before. */
export async function listEntries(
  db: Kysely<RegistrationTables>,
  request: { filter?: EntryFilter; pageSize?: number; pageToken?: string },
): Promise<EntryPage> {
  const { filter = {}, pageSize = 0, pageToken = '' } = request;
  if (!Number.isInteger(pageSize) || pageSize < 0) {
    throw new RegistrationError(
      'ERR_REGISTRATION_REQUEST',
      `page_size is ${pageSize}, allowed are 0 to ${PAGE_SIZE_MAX}`,
    );
  }
  if (!/^[A-Za-z0-9._-]{0,255}$/.test(pageToken)) {
    throw new RegistrationError('ERR_REGISTRATION_REQUEST', 'page_token is not one that was handed out');
  }
  const size = pageSize === 0 ? PAGE_SIZE_MAX : Math.min(pageSize, PAGE_SIZE_MAX);
  const rows = await db
    .selectFrom('registration_entries')
    .selectAll()
    .where((where) => passes(where, filter))
    .where('id', '>', pageToken)
    .orderBy('id')
    // One more than asked tells whether another page follows.
    .limit(size + 1)
    .execute();
  const parents = new Map();
  const found = rows.slice(0, size).map((row) => entryOf(row, parents));
  const entries = found.slice(0, entriesInPage(found, size));
  return { entries, nextPageToken: rows.length > entries.length ? (entries.at(-1)?.id ?? '') : '' };
}

/** See `Registration.count`. */
export async function countEntries(db: Kysely<RegistrationTables>, filter: EntryFilter): Promise<number> {
  const row = await db
    .selectFrom('registration_entries')
    .select((select) => select.fn.countAll<number>().as('count'))
    .where((where) => passes(where, filter))
    .executeTakeFirstOrThrow();
  return row.count;
}

/** The rows with those ids, in no particular order. */
export async function entriesById(
  db: Kysely<RegistrationTables>,
  ids: readonly string[],
): Promise<readonly EntryRow[]> {
  if (ids.length === 0) return [];
  return db.selectFrom('registration_entries').selectAll().where('id', 'in', ids).execute();
}

/** SPIFFE IDs that have an entry with that label, each once, as that transaction sees it. */
export async function identitiesLabelled<Tables>(
  trx: Kysely<Tables>,
  { name, value }: { readonly name: string; readonly value: string },
): Promise<readonly string[]> {
  const text = `${JSON.stringify(name)}:${JSON.stringify(value)}`.replaceAll(/[\\%_]/g, '\\$&');
  const db = trx as unknown as Kysely<RegistrationTables>; // Whose it is, says which of the tables there are.
  const rows = await db
    .selectFrom('registration_entries')
    .select(['spiffe_id', 'attributes'])
    // The text may stand somewhere else too, and engines differ in whether case counts: what is found is looked at.
    .where(sql<boolean>`attributes like ${`%${text}%`} escape '\\'`)
    .orderBy('spiffe_id')
    .execute();
  const found = rows.filter(({ attributes }) => {
    const { labels } = attributesIn(attributes);
    return Object.hasOwn(labels, name) && labels[name] === value;
  });
  return [...new Set(found.map((row) => row.spiffe_id))];
}

/** See `Registration.attributesOf`. */
export async function attributesById(
  db: Kysely<RegistrationTables>,
  ids: readonly string[],
): Promise<ReadonlyMap<string, IdentityAttributes>> {
  const rows = (await entriesById(db, ids)).filter(({ attributes }) => attributes !== NO_ATTRIBUTES_TEXT);
  return new Map(rows.map((row) => [row.id, entryOf(row).attributes]));
}

type Where = ExpressionBuilder<RegistrationTables, 'registration_entries'>;

function passes(where: Where, filter: EntryFilter) {
  const conditions = [];
  if (filter.spiffeId !== undefined) conditions.push(where('spiffe_id', '=', filter.spiffeId));
  if (filter.parentId !== undefined) conditions.push(where('parent_id', '=', filter.parentId));
  if (filter.hint !== undefined) conditions.push(where('hint', '=', filter.hint));
  if (filter.downstream !== undefined) conditions.push(where('downstream', '=', filter.downstream ? 1 : 0));
  if (filter.selectors !== undefined) {
    const facts = [...new Set(filter.selectors.values.map(selectorFact))];
    conditions.push(...factsMatch(where, 'selectors_count', facts, filter.selectors.match));
  }
  if (filter.federatesWith !== undefined) {
    const facts = [...new Set(filter.federatesWith.values.map(federationFact))];
    conditions.push(...factsMatch(where, 'federates_count', facts, filter.federatesWith.match));
  }
  return where.and(conditions);
}

/** Compares the number of given facts that the entry has to the number given and to the number it has. */
function factsMatch(
  where: Where,
  ownCount: 'selectors_count' | 'federates_count',
  facts: readonly string[],
  match: MatchMode,
) {
  if (facts.length === 0 || facts.length > FILTER_FACTS_MAX) {
    throw new RegistrationError(
      'ERR_REGISTRATION_REQUEST',
      `a filter names ${facts.length} selectors or trust domains, allowed are 1 to ${FILTER_FACTS_MAX}`,
    );
  }
  const matching = where
    .selectFrom('registration_facts')
    .select('entry_id')
    .where('fact', 'in', facts)
    .groupBy('entry_id');
  switch (match) {
    case 'any':
      return [where('id', 'in', matching)];
    case 'superset':
      return [where('id', 'in', matching.having(sql`count(*)`, '=', facts.length))];
    case 'exact':
      return [where(ownCount, '=', facts.length), where('id', 'in', matching.having(sql`count(*)`, '=', facts.length))];
    case 'subset': {
      const own = where
        .selectFrom('registration_facts')
        .select(sql<number>`count(*)`.as('count'))
        .whereRef('registration_facts.entry_id', '=', 'registration_entries.id')
        .where('fact', 'in', facts);
      return [where('id', 'in', matching), where(ownCount, '=', own)];
    }
    default:
      return match satisfies never;
  }
}

/** As many as one entry may have. */
const FILTER_FACTS_MAX = 100;
