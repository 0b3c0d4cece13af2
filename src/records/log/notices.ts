import type { Kysely } from 'kysely';
import type { LedgerEvent } from '../../model/index.ts';
import type { Store } from '../../store/index.ts';
import type { RecordsTables } from '../migrations.ts';
import type { AlarmKind } from './judge-batch.ts';

/** What happens to a log that the server's own ledger is to say: it was bound to its key, an alarm, its end, what an operator accepted. */
export type NoticeKind = 'bound' | 'resolved' | 'accepted' | AlarmKind;

/** Puts a notice beside the change that it is about, in one transaction. */
export async function writeNotice(
  trx: Kysely<RecordsTables>,
  log: { readonly id: number; readonly notices: number },
  notice: { readonly nowMs: number; readonly what: NoticeKind; readonly detail: LedgerEvent['detail'] },
): Promise<void> {
  const number = log.notices + 1;
  const { nowMs, what, detail } = notice;
  await trx
    .insertInto('records_notices')
    .values({ log: log.id, number, at_ms: nowMs, what, detail: JSON.stringify(detail) })
    .execute();
  await trx.updateTable('records_logs').set({ notices: number }).where('id', '=', log.id).execute();
}

/**
 * Tells what stands there by entries, and takes it away: at least once, also when a server dies in between; by several servers at one moment
 * it may be told in each one's ledger. `beforeMs`: no newer ones.
 */
export async function tellNotices(
  store: Store,
  { write, beforeMs }: { readonly write: (event: LedgerEvent) => Promise<void>; readonly beforeMs: number },
): Promise<void> {
  const db = store.db<RecordsTables>();
  const rows = await db
    .selectFrom('records_notices as n')
    .innerJoin('records_logs as l', 'l.id', 'n.log')
    .select(['n.log', 'n.number', 'n.at_ms', 'n.what', 'n.detail', 'l.origin', 'l.owner', 'l.generation'])
    .where('n.at_ms', '<=', beforeMs)
    .orderBy('n.at_ms')
    .orderBy('n.number')
    .limit(NOTICES_A_TIME)
    .execute();
  for (const { log, number, at_ms: atMs, what, detail, origin, owner, generation } of rows) {
    // Written by this feature alone.
    const told = JSON.parse(detail) as LedgerEvent['detail'];
    await write({
      ...{ kind: 'ledger', timeMs: atMs, actor: owner, target: origin, action: `record:${what}` },
      ...{ session: '', operation: '', detail: { ...told, log, generation } },
    });
    await db.deleteFrom('records_notices').where('log', '=', log).where('number', '=', number).execute();
  }
}

const NOTICES_A_TIME = 100;
