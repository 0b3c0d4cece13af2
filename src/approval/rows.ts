import type { Kysely } from 'kysely';
import type { TransactionEffects } from '../store/index.ts';
import type { AnswerRow, ApprovalTables, HoldRow } from './migrations.ts';
import type { HoldState } from './types.ts';

export type Tables = Kysely<ApprovalTables>;

/** One transaction after another, over all servers: of two that want the same answer one comes first. */
export const ORDER = 'approval';
/** Announces that something of a hold has changed. */
export const TOPIC = 'approval.changed';

/** Makes the state where there is none yet. */
export async function createState(db: Tables): Promise<void> {
  await db
    .insertInto('approval_state')
    .values({ one: 1, sequence: 0 })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

export async function readSequence(db: Tables): Promise<number> {
  return (await db.selectFrom('approval_state').select('sequence').executeTakeFirstOrThrow()).sequence;
}

/** In a transaction: the next of all changes, which everybody who follows is told of. */
export async function takeSequence(trx: Tables, effects: TransactionEffects): Promise<number> {
  effects.notify(TOPIC, '');
  const next = trx.updateTable('approval_state').set((set) => ({ sequence: set('sequence', '+', 1) }));
  return (await next.returning('sequence').executeTakeFirstOrThrow()).sequence;
}

/** All but what is large. */
export type LightRow = Omit<HoldRow, 'subject' | 'shown' | 'statement'>;

export function lightRows(db: Tables) {
  return db.selectFrom('approval_holds').select(LIGHT);
}

/** In a transaction: one is over, or answered. */
export async function setState(
  trx: Tables,
  id: string,
  to: { readonly state: HoldState; readonly reason?: string; readonly nowMs: number; readonly sequence: number },
): Promise<void> {
  const { state, reason = '', nowMs, sequence } = to;
  await trx
    .updateTable('approval_holds')
    .set({ state, reason, decided_ms: nowMs, sequence })
    .where('id', '=', id)
    .execute();
}

/** The state that a row has at that moment, whoever has written it down or not. */
export function stateAt({ state, until_ms: untilMs }: Pick<HoldRow, 'state' | 'until_ms'>, nowMs: number): HoldState {
  if (state === 'waiting' && nowMs >= untilMs) return 'expired';
  return state === 'approved' && nowMs >= untilMs + USE_MS ? 'expired' : state;
}

/** Answers to some of them, oldest first. */
export function answersTo(db: Tables, ids: readonly string[]): Promise<readonly AnswerRow[]> {
  if (ids.length === 0) return Promise.resolve([]);
  const rows = db.selectFrom('approval_answers').selectAll().where('approval', 'in', ids);
  return rows.orderBy('at_ms').orderBy('voice').execute();
}

const LIGHT = [
  ...(['id', 'hold', 'number', 'sequence', 'state', 'digest', 'equal_key', 'identity', 'target', 'session'] as const),
  ...(['rules', 'facts', 'gateway', 'address', 'instance', 'since_ms', 'until_ms', 'decided_ms'] as const),
  ...(['reason', 'spent_by', 'title'] as const),
] as const;
/** An answer that came at the last moment is still to reach its gateway, which may have to find another server first. */
const USE_MS = 60_000;
