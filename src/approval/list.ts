import type { Clock } from '../std/index.ts';
import { databaseMs, type Store } from '../store/index.ts';
import type { AnswerRow, ApprovalTables } from './migrations.ts';
import { answersTo, type LightRow, lightRows, stateAt, type Tables } from './rows.ts';
import { rulesOf, tally } from './rules.ts';
import { readKept } from './subject.ts';
import type { Approval, ApprovalFilter, ApprovalSurroundings, WholeApproval } from './types.ts';

/** What people see of approvals. Everything may throw StoreError. */
export interface ApprovalLists {
  /** Questions that wait, the oldest first: of equal ones the oldest stands for all. `after`: the number of the last one before. */
  waiting(filter: ApprovalFilter, page: ListPage): Promise<readonly Approval[]>;
  /** Those that are over, the newest first. */
  over(filter: ApprovalFilter, page: ListPage): Promise<readonly Approval[]>;
  /** One with all that is to be seen of it. */
  find(id: string): Promise<WholeApproval | undefined>;
}

export interface ListPage {
  readonly after: number | undefined;
  readonly limit: number;
}

/** Creates them. */
export function createLists(deps: {
  readonly store: Store;
  readonly clock: Clock;
  readonly around: Pick<ApprovalSurroundings, 'rules'>;
}): ApprovalLists {
  const { store, clock, around } = deps;
  const db = store.db<ApprovalTables>();
  const withAnswers = async (rows: readonly LightRow[], equals: (row: LightRow) => number, nowMs: number) => {
    const given = new Map<string, AnswerRow[]>();
    for (const one of await answersTo(
      db,
      rows.map(({ id }) => id),
    ))
      given.set(one.approval, [...(given.get(one.approval) ?? []), one]);
    return rows.map((row) => approvalOf(row, { answers: given.get(row.id) ?? [], equals: equals(row), nowMs, around }));
  };
  return {
    async waiting(filter, { after = -1, limit }) {
      const nowMs = await databaseMs(store, clock, db);
      const groups = await groupQuery(db, filter, nowMs)
        .having(({ fn }) => fn.min('number'), '>', after)
        .orderBy('first')
        .limit(limit)
        .execute();
      const counts = new Map(groups.map(({ equal_key, count }) => [equal_key, Number(count)]));
      const firsts = groups.map(({ first }) => Number(first));
      const rows = await rowsByNumber(db, firsts);
      // One may have been answered in between; it is shown as it is by now, or not at all.
      const same = rows.filter((row) => stateAt(row, nowMs) === 'waiting');
      return withAnswers(same, ({ equal_key }) => counts.get(equal_key) ?? 1, nowMs);
    },
    async over(filter, { after, limit }) {
      const nowMs = await databaseMs(store, clock, db);
      let query = lightRows(db).where((row) => row.or([row('state', '!=', 'waiting'), row('until_ms', '<=', nowMs)]));
      if (filter.target !== '') query = query.where('target', '=', filter.target);
      if (filter.identity !== '') query = query.where('identity', '=', filter.identity);
      if (after !== undefined) query = query.where('number', '<', after);
      return withAnswers(await query.orderBy('number', 'desc').limit(limit).execute(), () => 1, nowMs);
    },
    async find(id) {
      const row = await db.selectFrom('approval_holds').selectAll().where('id', '=', id).executeTakeFirst();
      if (row === undefined) return undefined;
      const nowMs = await databaseMs(store, clock, db);
      const same = await groupQuery(db, { target: '', identity: '' }, nowMs)
        .where('equal_key', '=', row.equal_key)
        .executeTakeFirst();
      const [found] = await withAnswers([row], () => Math.max(1, Number(same?.count ?? 1)), nowMs);
      return found && { ...found, subject: readKept(row.subject), shown: readKept(row.shown) };
    },
  };
}

function groupQuery(db: Tables, { target, identity }: ApprovalFilter, nowMs: number) {
  let query = db
    .selectFrom('approval_holds')
    .select(({ fn }) => [
      'equal_key',
      fn.min<number | string>('number').as('first'),
      fn.countAll<number | string>().as('count'),
    ])
    .where('state', '=', 'waiting')
    .where('until_ms', '>', nowMs)
    .groupBy('equal_key');
  if (target !== '') query = query.where('target', '=', target);
  if (identity !== '') query = query.where('identity', '=', identity);
  return query;
}

async function rowsByNumber(db: Tables, numbers: readonly number[]): Promise<readonly LightRow[]> {
  if (numbers.length === 0) return [];
  const rows = lightRows(db).where('number', 'in', numbers);
  return rows.orderBy('number').execute();
}

function approvalOf(
  row: LightRow,
  of: {
    readonly answers: readonly AnswerRow[];
    readonly equals: number;
    readonly nowMs: number;
    readonly around: Pick<ApprovalSurroundings, 'rules'>;
  },
): Approval {
  const {
    id,
    number,
    digest,
    identity,
    target,
    session,
    title,
    gateway,
    since_ms: sinceMs,
    until_ms: untilMs,
    reason,
  } = row;
  const { answers, equals, nowMs, around } = of;
  return {
    ...{ id, number, digest, identity, target, session, title, gateway, sinceMs, untilMs, reason, equals },
    state: stateAt(row, nowMs),
    rules: tally(rulesOf(row), answers, around.rules),
    answers: answers.map((one) => ({ by: one.name, answer: one.answer, atMs: one.at_ms, reason: one.reason })),
  };
}
