import type { Kysely } from 'kysely';
import {
  createRevocationIndex,
  parseRevocation,
  type Revocation,
  type RevocationIndex,
  type RevocationState,
} from '../model/index.ts';
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
}

type Tables = Kysely<RevocationTables>;

/** The row that tells one state from another. */
export function readHead(db: Tables) {
  return db.selectFrom('revocation_state').selectAll().executeTakeFirstOrThrow();
}

/** All of it, by one statement, so that state and rows are of one moment. */
export async function readStanding(db: Tables): Promise<Standing> {
  const rows = await db
    .selectFrom('revocation_state')
    .leftJoin('revocation_standing', (join) => join.onTrue())
    .select(['incarnation', 'follows', 'mark', 'revocation_state.sequence as head'])
    .select(['told', 'revocation_standing.id as id', 'latest_expiry_ms'])
    .orderBy('revocation_standing.sequence')
    .execute();
  const [first] = rows;
  assert(first !== undefined, 'the state is made at the start');
  const revocations: Revocation[] = [];
  const latestExpiryMs = new Map<string, number>();
  for (const { id, told, latest_expiry_ms: endMs } of rows) {
    if (id === null || told === null) continue;
    revocations.push(parseRevocation(JSON.parse(told)));
    latestExpiryMs.set(id, endMs ?? 0);
  }
  const { incarnation, follows, mark, head: sequence } = first;
  return {
    state: { incarnation, sequence, mark, revocations },
    follows: JSON.parse(follows),
    ...{ index: createRevocationIndex(revocations), latestExpiryMs },
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
