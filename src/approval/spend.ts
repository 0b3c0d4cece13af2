import type { RevocationFacts } from '../model/index.ts';
import type { Clock } from '../std/index.ts';
import { databaseMs, type Store } from '../store/index.ts';
import { ApprovalError } from './errors.ts';
import { isOf } from './holds.ts';
import type { ApprovalTables, HoldRow } from './migrations.ts';
import { answersTo, type LightRow, lightRows, ORDER, stateAt, type Tables, takeSequence } from './rows.ts';
import { approvalStatement, statementClaims } from './statement.ts';
import type { ApprovalSurroundings, HoldingGateway } from './types.ts';

/** One use of an answer, as a gateway asks for it. */
export interface AskedSpend {
  readonly hold: string;
  /** SHA-256 of the subject, in hex. */
  readonly digest: string;
  /** 16 random bytes in hex: the same each time that this one use is asked for. */
  readonly attempt: string;
}

/**
 * Creates what takes an answer for its one use, and resolves to a signed statement of it; of the same words for the same attempt. Kept are
 * its words alone: no token lies in the store. It is signed first; then the row is taken; and what is revoked is looked at last, by what the store has then, so nothing is handed out that was signed after a revocation.
 * @throws ApprovalError ERR_APPROVAL_SPENT, ERR_APPROVAL_REVOKED; StoreError; AuthorityError
 */
export function createSpend(deps: {
  readonly store: Store;
  readonly clock: Clock;
  readonly trustDomain: string;
  readonly around: Pick<ApprovalSurroundings, 'sign' | 'revoked'>;
}): (gateway: HoldingGateway, asked: AskedSpend) => Promise<string> {
  const { store, clock, around, trustDomain } = deps;
  const db = store.db<ApprovalTables>();
  const sign = (claims: string) => around.sign({ type: approvalStatement.type, claims: JSON.parse(claims) });
  const claimsOf = async (found: Found) => {
    const [given, nowMs] = [await answersTo(db, [found.id]), await databaseMs(store, clock, db)];
    const by = given.filter(({ answer }) => answer === 'approve').map(({ name }) => name);
    return JSON.stringify(statementClaims(found, { trustDomain, by, nowMs }));
  };
  return async (gateway, asked) => {
    if (!RANDOM.test(asked.hold) || !RANDOM.test(asked.attempt)) throw none();
    const found = await find(db, gateway, asked);
    const claims = found.statement === '' ? await claimsOf(found) : found.statement;
    // One that waits for nothing is signed all the same: what holds is decided below.
    const signed = await sign(claims);
    const taken = await store.transaction<ApprovalTables, string>(
      async (trx, effects) => {
        const row = await find(trx, gateway, asked);
        if (row.state === 'spent' && row.spent_by === asked.attempt) return row.statement;
        if (stateAt(row, await databaseMs(store, clock, trx)) !== 'approved') throw none();
        const spent = { state: 'spent', spent_by: asked.attempt, statement: claims } as const;
        const sequence = await takeSequence(trx, effects);
        await trx
          .updateTable('approval_holds')
          .set({ ...spent, sequence })
          .where('id', '=', row.id)
          .execute();
        return claims;
      },
      { order: ORDER },
    );
    // Another try of the same attempt was quicker.
    const statement = taken === claims ? signed : await sign(taken);
    const facts: RevocationFacts = JSON.parse(found.facts); // Written by `holds.ts` alone.
    const [why] = await around.revoked([facts]);
    if (why !== undefined) throw new ApprovalError('ERR_APPROVAL_REVOKED', `${found.identity} does nothing: ${why}`);
    return statement;
  };
}

type Found = LightRow & Pick<HoldRow, 'statement'>;

/** @throws ApprovalError ERR_APPROVAL_SPENT */
async function find(db: Tables, gateway: HoldingGateway, { hold, digest }: AskedSpend): Promise<Found> {
  const row = await lightRows(db).select('statement').where('hold', '=', hold).executeTakeFirst();
  if (row === undefined || !isOf(row, gateway) || row.digest !== digest) throw none();
  if (row.state !== 'approved' && row.state !== 'spent') throw none();
  return row;
}

function none(): ApprovalError {
  return new ApprovalError('ERR_APPROVAL_SPENT', 'there is no answer to be used under that hold');
}

const RANDOM = /^[0-9a-f]{32}$/;
