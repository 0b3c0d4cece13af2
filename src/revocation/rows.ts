import { type Kysely, sql } from 'kysely';
import { createRevocationIndex, parseRevocation, type RevocationIndex, type RevocationState } from '../model/index.ts';
import { assert } from '../std/index.ts';
import type { RevocationTables } from './migrations.ts';

/** All that stand, as the store had it at one moment. */
export interface Standing {
  readonly state: Omit<RevocationState, 'issuedAtMs'>;
  /** Incarnations that an operator put this one in the place of, newest first. */
  readonly follows: readonly string[];
  readonly index: RevocationIndex;
  /** By id: when the last of what was issued before is over, epoch milliseconds. */
  readonly latestExpiryMs: ReadonlyMap<string, number>;
  /** By id: of the state since which it is as it is now, its last member included. */
  readonly changedSequence: ReadonlyMap<string, number>;
}

type Tables = Kysely<RevocationTables>;

/** The row that tells one state from another. */
export function readHead(db: Tables) {
  return db.selectFrom('revocation_state').selectAll().executeTakeFirstOrThrow();
}

/** All of it, by one statement, so that state and rows are of one moment. */
export async function readStanding(db: Tables): Promise<Standing> {
  const members = db
    .selectFrom('revocation_members')
    .select(['revocation as id', 'sequence as place', 'spiffe_id as member'])
    .select([sql<string | null>`cast(null as text)`.as('told'), sql<number | null>`cast(null as bigint)`.as('ends')]);
  const partsOf = (table: 'revocation_standing' | 'revocation_persons') =>
    db
      .selectFrom(table)
      .select(['id', 'sequence as place', sql<string | null>`cast(null as text)`.as('member')])
      .select([sql<string | null>`told`.as('told'), sql<number | null>`latest_expiry_ms`.as('ends')]);
  const parts = partsOf('revocation_standing').unionAll(partsOf('revocation_persons')).unionAll(members);
  const rows = await db
    .selectFrom('revocation_state')
    .leftJoin(parts.as('part'), (join) => join.onTrue())
    .select(['incarnation', 'follows', 'mark', 'revocation_state.sequence as head'])
    .select(['part.id as id', 'part.place as place', 'part.member as member', 'part.told as told', 'part.ends as ends'])
    .orderBy('part.place')
    .orderBy('part.member')
    .execute();
  const [first] = rows;
  assert(first !== undefined, 'the state is made at the start');
  const [latestExpiryMs, changedSequence] = [new Map<string, number>(), new Map<string, number>()];
  const membersOf = new Map<string, string[]>();
  for (const { id, member, ends, place } of rows) {
    if (id === null) continue;
    changedSequence.set(id, Math.max(changedSequence.get(id) ?? 0, place ?? 0));
    if (member === null) latestExpiryMs.set(id, ends ?? 0);
    else if (!membersOf.get(id)?.push(member)) membersOf.set(id, [member]);
  }
  const revocations = rows.flatMap(({ id, told }) => {
    if (id === null || told === null) return [];
    const those = membersOf.get(id);
    return [parseRevocation({ ...JSON.parse(told), ...(those === undefined ? {} : { members: those }) })];
  });
  const { incarnation, follows, mark, head: sequence } = first;
  return {
    state: { incarnation, sequence, mark, revocations },
    follows: JSON.parse(follows),
    ...{ index: createRevocationIndex(revocations), latestExpiryMs, changedSequence },
  };
}

/** Makes the state where there is none yet. */
export async function createState(db: Tables, incarnation: string): Promise<void> {
  await db
    .insertInto('revocation_state')
    .values({ one: 1, incarnation, follows: '[]', sequence: 0, mark: '' })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

/** In a transaction: the state goes one further. Resolves to its sequence. */
export async function takeSequence(
  trx: Tables,
  next: { readonly mark: string; readonly incarnation?: string; readonly follows?: readonly string[] },
): Promise<number> {
  const head = await readHead(trx);
  const sequence = head.sequence + 1;
  const { mark, incarnation = head.incarnation } = next;
  const follows = next.follows === undefined ? head.follows : JSON.stringify(next.follows);
  await trx.updateTable('revocation_state').set({ sequence, mark, incarnation, follows }).execute();
  await trx.insertInto('revocation_changes').values({ incarnation, sequence, mark }).execute();
  return sequence;
}

/** Whether that state was one of this store. */
export async function hasState(
  db: Tables,
  { incarnation, sequence, mark }: Pick<RevocationState, 'incarnation' | 'sequence' | 'mark'>,
): Promise<boolean> {
  if (sequence === 0) return mark === '';
  const row = await db
    .selectFrom('revocation_changes')
    .select('mark')
    .where('incarnation', '=', incarnation)
    .where('sequence', '=', sequence)
    .executeTakeFirst();
  return row?.mark === mark;
}
