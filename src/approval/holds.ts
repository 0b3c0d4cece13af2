import { isOneLine } from '../model/index.ts';
import type { Clock, Random } from '../std/index.ts';
import { databaseMs, type Store, type TransactionEffects } from '../store/index.ts';
import { ApprovalError } from './errors.ts';
import type { ApprovalTables, HoldRow } from './migrations.ts';
import { type LightRow, lightRows, ORDER, setState, stateAt, type Tables, takeSequence } from './rows.ts';
import { parseSubject, type Subject } from './subject.ts';
import type { ApprovalSurroundings, AskedHold, HoldingGateway, HoldTold } from './types.ts';

export interface HoldsDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly trustDomain: string;
  readonly around: ApprovalSurroundings;
}

/** What gateways ask, find again and take back. Everything may throw StoreError. */
export interface Holds {
  /**
   * Puts the question, or finds again that of the same hold. @throws ApprovalError ERR_APPROVAL_SUBJECT, ERR_APPROVAL_HOLD, ERR_APPROVAL_RULE,
   * ERR_APPROVAL_LIMIT, ERR_APPROVAL_REVOKED
   */
  hold(gateway: HoldingGateway, asked: AskedHold): Promise<HoldTold>;
  /** How one stands; undefined: it is forgotten. */
  look(id: string): Promise<HoldTold | undefined>;
  /** Nobody waits any more. Of one that is not there, is over, or is another process's: nothing happens. */
  withdraw(gateway: HoldingGateway, hold: string, why: string): Promise<void>;
}

/** How many may wait, or wait to be used, at once. */
export const holdLimits = { ofIdentity: 1_000, ofGateway: 2_000, all: 5_000 } as const;

/** Creates them over a migrated store. */
export function createHolds(deps: HoldsDeps): Holds {
  const { store, clock, random, around, trustDomain } = deps;
  const db = store.db<ApprovalTables>();
  const toldNow = async (row: LightRow) => toldOf(row, await databaseMs(store, clock, db));
  return {
    async hold(gateway, asked) {
      if (!HOLD.test(asked.hold))
        throw new ApprovalError('ERR_APPROVAL_SUBJECT', 'a hold is called by 16 bytes in lower-case hex');
      const subject = parseSubject(asked, { trustDomain, gateway: gateway.spiffeId });
      const known = await lightRows(db).where('hold', '=', asked.hold).executeTakeFirst();
      if (known !== undefined) return toldNow(checkSame(known, gateway, subject));
      if (!around.hasTarget(subject.target))
        throw new ApprovalError('ERR_APPROVAL_SUBJECT', `no target ${subject.target} is declared`);
      await refuseRevoked(around, subject);
      const [id, forMs] = [random.bytes(16).toString('hex'), forMsOf(subject, around)];
      return store.transaction<ApprovalTables, HoldTold>(
        async (trx, effects) => {
          // Meanwhile the same may have come by another stream.
          const there = await lightRows(trx).where('hold', '=', asked.hold).executeTakeFirst();
          const nowMs = await databaseMs(store, clock, trx);
          if (there !== undefined) return toldOf(checkSame(there, gateway, subject), nowMs);
          await checkRoom(trx, subject, gateway);
          const row = rowOf({ id, ...asked }, gateway, { subject, nowMs, forMs });
          return toldOf(await insert(trx, effects, row), nowMs);
        },
        { order: ORDER },
      );
    },
    async look(id) {
      const row = await lightRows(db).where('id', '=', id).executeTakeFirst();
      return row === undefined ? undefined : toldNow(row);
    },
    async withdraw(gateway, hold, why) {
      const reason = isOneLine(why) ? why.slice(0, WHY_MAX) : '';
      await store.transaction<ApprovalTables, void>(
        async (trx, effects) => {
          const row = await lightRows(trx).where('hold', '=', hold).executeTakeFirst();
          if (row === undefined || !isOf(row, gateway)) return;
          const nowMs = await databaseMs(store, clock, trx);
          const state = stateAt(row, nowMs);
          if (state !== 'waiting' && state !== 'approved') return;
          const sequence = await takeSequence(trx, effects);
          await setState(trx, row.id, { state: 'withdrawn', reason, nowMs, sequence });
        },
        { order: ORDER },
      );
    },
  };
}

/** Whether it is that process's own. */
export function isOf(
  row: Pick<HoldRow, 'gateway' | 'address' | 'instance'>,
  { spiffeId, address, instance }: HoldingGateway,
): boolean {
  return row.gateway === spiffeId && row.address === address && row.instance === instance;
}

function toldOf(row: LightRow, nowMs: number): HoldTold {
  const { id, until_ms: untilMs, reason } = row;
  return { id, state: stateAt(row, nowMs), untilMs, leftMs: Math.max(0, untilMs - nowMs), reason };
}

/** @throws ApprovalError ERR_APPROVAL_HOLD */
function checkSame(row: LightRow, gateway: HoldingGateway, { digest }: Subject): LightRow {
  if (isOf(row, gateway) && row.digest === digest) return row;
  throw new ApprovalError('ERR_APPROVAL_HOLD', 'the hold is that of another operation, or of another process');
}

/** @throws ApprovalError ERR_APPROVAL_REVOKED */
async function refuseRevoked({ revoked }: ApprovalSurroundings, { facts, identity }: Subject): Promise<void> {
  const [why] = await revoked([facts]);
  if (why !== undefined) throw new ApprovalError('ERR_APPROVAL_REVOKED', `${identity} asks for nothing: ${why}`);
}

/** How long the strictest of the rules lets it wait. @throws ApprovalError ERR_APPROVAL_RULE */
function forMsOf({ rules }: Subject, around: ApprovalSurroundings): number {
  const times = rules.map((name) => {
    const rule = around.rules(name);
    if (rule !== undefined) return rule.forMs;
    throw new ApprovalError('ERR_APPROVAL_RULE', `no ApprovalRule ${name} is declared`);
  });
  return Math.min(...times);
}

/** @throws ApprovalError ERR_APPROVAL_LIMIT */
async function checkRoom(trx: Tables, { identity }: Subject, { spiffeId }: HoldingGateway): Promise<void> {
  const { all, ofIdentity, ofGateway } = await trx
    .selectFrom('approval_holds')
    .select(({ fn, eb }) => [
      fn.countAll<number | string>().as('all'),
      fn.sum<number | string | null>(eb.case().when('identity', '=', identity).then(1).else(0).end()).as('ofIdentity'),
      fn.sum<number | string | null>(eb.case().when('gateway', '=', spiffeId).then(1).else(0).end()).as('ofGateway'),
    ])
    .where('state', 'in', ['waiting', 'approved'])
    .executeTakeFirstOrThrow();
  const counts = [
    ['of this identity', Number(ofIdentity), holdLimits.ofIdentity],
    ['of this gateway', Number(ofGateway), holdLimits.ofGateway],
    ['in all', Number(all), holdLimits.all],
  ] as const;
  for (const [whose, count, most] of counts)
    if (count >= most) throw new ApprovalError('ERR_APPROVAL_LIMIT', `${count} operations ${whose} wait already`);
}

type NewRow = Omit<HoldRow, 'number' | 'sequence'>;

function rowOf(
  { id, hold, subject: bytes, shown }: AskedHold & { readonly id: string },
  { spiffeId, address, instance }: HoldingGateway,
  { subject, nowMs, forMs }: { readonly subject: Subject; readonly nowMs: number; readonly forMs: number },
): NewRow {
  const { digest, equalKey, identity, target, session, title, rules, facts } = subject;
  return {
    ...{ id, hold, state: 'waiting', digest, equal_key: equalKey, identity, target, session, title },
    ...{ rules: JSON.stringify(rules), facts: JSON.stringify(facts), gateway: spiffeId, address, instance },
    ...{ since_ms: nowMs, until_ms: Math.min(subject.untilMs, nowMs + forMs), decided_ms: 0, reason: '' },
    ...{ spent_by: '', statement: '', subject: bytes, shown },
  };
}

async function insert(trx: Tables, effects: TransactionEffects, row: NewRow): Promise<HoldRow> {
  const sequence = await takeSequence(trx, effects);
  const whole = { ...row, number: sequence, sequence };
  await trx.insertInto('approval_holds').values(whole).execute();
  return whole;
}

const HOLD = /^[0-9a-f]{32}$/;
const WHY_MAX = 64;
