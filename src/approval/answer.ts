import { isOneLine, type RevocationFacts } from '../model/index.ts';
import type { Clock } from '../std/index.ts';
import { databaseMs, type Store, type TransactionEffects } from '../store/index.ts';
import { ApprovalError } from './errors.ts';
import type { AnswerRow, ApprovalTables } from './migrations.ts';
import { answersTo, type LightRow, lightRows, ORDER, setState, stateAt, type Tables, takeSequence } from './rows.ts';
import { isEnough, mayAnswer, rulesOf, tally, voiceOf } from './rules.ts';
import type { AnsweredApproval, ApprovalSurroundings, AskedAnswer } from './types.ts';

/**
 * Creates what takes an answer of somebody, all of it in one transaction; said again it is the same answer.
 * @throws ApprovalError ERR_APPROVAL_UNKNOWN, ERR_APPROVAL_OVER, ERR_APPROVAL_DIGEST, ERR_APPROVAL_REQUESTER, ERR_APPROVAL_APPROVER, ERR_APPROVAL_RULE,
 * ERR_APPROVAL_ANSWERED, ERR_APPROVAL_REVOKED, ERR_APPROVAL_REQUEST; StoreError
 */
export function createAnswer(deps: {
  readonly store: Store;
  readonly clock: Clock;
  readonly around: Pick<ApprovalSurroundings, 'rules' | 'ownerOf' | 'revoked'>;
}): (asked: AskedAnswer) => Promise<AnsweredApproval> {
  const { store, clock, around } = deps;
  const db = store.db<ApprovalTables>();
  return async (asked) => {
    checkReason(asked.reason);
    if (asked.answer === 'approve') await refuseRevoked(await find(db, asked), around);
    return store.transaction<ApprovalTables, AnsweredApproval>(
      async (trx, effects) => {
        const row = await find(trx, asked);
        const nowMs = await databaseMs(store, clock, trx);
        const given = await answersTo(trx, [row.id]);
        const own = given.find(({ voice }) => voice === voiceOf(asked.by));
        // It was taken before, and whoever gave it was not told.
        if (own?.answer === asked.answer && own.name === asked.by.name)
          return { id: row.id, state: stateAt(row, nowMs), answered: 0 };
        const rules = checkMay(row, asked, { around, nowMs, isSecond: own !== undefined });
        return answerAll(trx, effects, { asked, row, rules, nowMs, around });
      },
      { order: ORDER },
    );
  };
}

/** Gives it to this one, and to the oldest of those that are equal, as many as it is for. */
async function answerAll(
  trx: Tables,
  effects: TransactionEffects,
  of: {
    readonly asked: AskedAnswer;
    readonly row: LightRow;
    readonly rules: readonly string[];
    readonly nowMs: number;
    readonly around: Pick<ApprovalSurroundings, 'rules'>;
  },
): Promise<AnsweredApproval> {
  const { asked, row, rules, nowMs, around } = of;
  const equal = lightRows(trx).where('equal_key', '=', row.equal_key).where('state', '=', 'waiting');
  const others = asked.equals > 1 ? await equal.where('id', '!=', row.id).orderBy('number').execute() : [];
  const waiting = others.filter((one) => stateAt(one, nowMs) === 'waiting').slice(0, asked.equals - 1);
  const all = [row, ...waiting];
  const given = new Map<string, AnswerRow[]>(all.map(({ id }) => [id, []]));
  const ids = all.map(({ id }) => id);
  for (const one of await answersTo(trx, ids)) given.get(one.approval)?.push(one);
  const sequence = await takeSequence(trx, effects);
  const voice = voiceOf(asked.by);
  let state: LightRow['state'] = 'waiting';
  let answered = 0;
  for (const one of all) {
    const before = given.get(one.id) ?? [];
    if (before.some((other) => other.voice === voice)) continue;
    const { name } = asked.by;
    const { answer, reason } = asked;
    const fresh = { approval: one.id, voice, name, answer, rules: JSON.stringify(rules), reason, at_ms: nowMs };
    await trx.insertInto('approval_answers').values(fresh).execute();
    answered += 1;
    const became = stateOf(one, [...before, fresh], around);
    if (one.id === row.id) state = became;
    // One that still waits has changed, too, for whoever looks at it.
    if (became === 'waiting')
      await trx.updateTable('approval_holds').set({ sequence }).where('id', '=', one.id).execute();
    else await setState(trx, one.id, { state: became, reason: answer === 'deny' ? reason : '', nowMs, sequence });
  }
  return { id: row.id, state, answered };
}

function stateOf(
  row: LightRow,
  answers: readonly AnswerRow[],
  { rules }: Pick<ApprovalSurroundings, 'rules'>,
): 'waiting' | 'approved' | 'denied' {
  if (answers.some(({ answer }) => answer === 'deny')) return 'denied';
  return isEnough(tally(rulesOf(row), answers, rules)) ? 'approved' : 'waiting';
}

/** @throws ApprovalError ERR_APPROVAL_UNKNOWN, ERR_APPROVAL_DIGEST */
async function find(db: Tables, { id, target, digest }: AskedAnswer): Promise<LightRow> {
  const row = await lightRows(db).where('id', '=', id).executeTakeFirst();
  // Whoever may answer for one target learns nothing of those of others.
  if (row === undefined || row.target !== target)
    throw new ApprovalError('ERR_APPROVAL_UNKNOWN', `there is no approval ${id} at target ${target}`);
  if (row.digest === digest) return row;
  throw new ApprovalError('ERR_APPROVAL_DIGEST', `what waits under ${id} has the digest ${row.digest}`);
}

/** Of which rules it is an answer. @throws ApprovalError */
function checkMay(
  row: LightRow,
  { id, by }: AskedAnswer,
  of: {
    readonly around: Pick<ApprovalSurroundings, 'rules' | 'ownerOf'>;
    readonly nowMs: number;
    readonly isSecond: boolean;
  },
): readonly string[] {
  const { around, nowMs, isSecond } = of;
  const state = stateAt(row, nowMs);
  if (state !== 'waiting') throw new ApprovalError('ERR_APPROVAL_OVER', `${id} is ${state}`);
  if (isSecond) throw new ApprovalError('ERR_APPROVAL_ANSWERED', `${by.name} has answered ${id} already`);
  if (by.name === row.identity)
    throw new ApprovalError('ERR_APPROVAL_REQUESTER', `${by.name} asks, and does not answer as well`);
  const names = rulesOf(row);
  const owner = around.ownerOf(row.identity);
  const own = names.filter((name) => {
    const rule = around.rules(name);
    return rule !== undefined && mayAnswer(rule, by, owner);
  });
  if (own.length > 0) return own;
  const gone = names.find((name) => around.rules(name) === undefined);
  if (gone !== undefined)
    throw new ApprovalError('ERR_APPROVAL_RULE', `ApprovalRule ${gone} is not declared any more; nobody can answer`);
  throw new ApprovalError(
    'ERR_APPROVAL_APPROVER',
    `${by.name} is not among those whom ${names.join(', ')} lets answer`,
  );
}

/** @throws ApprovalError ERR_APPROVAL_REVOKED */
async function refuseRevoked(
  { facts, identity }: LightRow,
  { revoked }: Pick<ApprovalSurroundings, 'revoked'>,
): Promise<void> {
  const subject: RevocationFacts = JSON.parse(facts); // Written by `holds.ts` alone.
  const [why] = await revoked([subject]);
  if (why !== undefined) throw new ApprovalError('ERR_APPROVAL_REVOKED', `${identity} asks for nothing: ${why}`);
}

/** @throws ApprovalError ERR_APPROVAL_REQUEST */
function checkReason(reason: string): void {
  if (reason.length <= REASON_MAX && isOneLine(reason)) return;
  throw new ApprovalError('ERR_APPROVAL_REQUEST', `a reason is one line of ${REASON_MAX} characters at most`);
}

export const REASON_MAX = 200;
