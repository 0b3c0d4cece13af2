import type { Kysely } from 'kysely';
import type { Clock } from '../../std/index.ts';
import type { Store } from '../../store/index.ts';
import { parseVerifierKey, TlogError } from '../../wire/tlog/index.ts';
import { RecordsError } from '../errors.ts';
import type { RecordsTables } from '../migrations.ts';
import { NO_ALARM, raiseAlarm } from './keep-batch.ts';
import type { LogRow } from './log-rows.ts';
import { writeNotice } from './notices.ts';

/** What a shipper says of its log. */
export interface LogName {
  readonly origin: string;
  readonly verifierKey: string;
  readonly owner: string;
}

interface BindDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly noticed: () => void;
}

/** The log that is shipped by that name: the one that is known, or a new one that is bound to that key and owner from now on. @throws RecordsError ERR_RECORDS_LIMIT */
export async function bind(deps: BindDeps, { origin, verifierKey, owner }: LogName): Promise<LogRow> {
  const bound = await deps.store.transaction<RecordsTables, LogRow>(
    async (trx) => {
      const there = await newestLog(trx, origin);
      if (there !== undefined && there.closed === 0) return there;
      // Silent is all that it was: it goes on where it was.
      if (there?.alarm === null && there.verifier_key === verifierKey && there.owner === owner) {
        await trx.updateTable('records_logs').set({ closed: 0 }).where('id', '=', there.id).execute();
        return { ...there, closed: 0 };
      }
      const { all, own, last } = await countLogs(trx, owner);
      if (all >= LOGS_MAX || own >= LOGS_PER_OWNER_MAX)
        throw new RecordsError(
          'ERR_RECORDS_LIMIT',
          `the server keeps ${all} logs, ${own} of them of ${owner}: no more are taken`,
        );
      const nowMs = deps.clock.now();
      const fresh = {
        ...{ id: last + 1, origin, generation: (there?.generation ?? 0) + 1, owner, verifier_key: verifierKey },
        ...{ size: 0, edge: Buffer.alloc(0), signed_size: 0, signed_edge: Buffer.alloc(0), checkpoint: null },
        ...{ begun_ms: nowMs, heard_ms: nowMs, ended: 0, closed: 0, notices: 0, ...NO_ALARM },
      };
      await trx.insertInto('records_logs').values(fresh).execute();
      await writeNotice(trx, fresh, { nowMs, what: 'bound', detail: { key: verifierKey } });
      return { ...fresh, notices: 1 };
    },
    { order: 'records.logs' },
  );
  deps.noticed();
  return bound;
}

/** Names the other key. @throws RecordsError ERR_RECORDS_ALARM */
export async function refuseKey(deps: BindDeps, row: LogRow, verifierKey: string): Promise<never> {
  const found = `it is now signed by ${verifierKey}; known is ${row.verifier_key}`;
  const verdict = { alarm: 'key', position: row.signed_size, found, evidence: verifierKey } as const;
  await deps.store.transaction<RecordsTables, void>(
    async (trx) => {
      const now = await trx.selectFrom('records_logs').selectAll().where('id', '=', row.id).executeTakeFirstOrThrow();
      await raiseAlarm(trx, now, { ...verdict, nowMs: deps.clock.now() });
    },
    { order: orderOf(row.origin) },
  );
  deps.noticed();
  throw new RecordsError('ERR_RECORDS_ALARM', `${row.origin}: key: ${found}`);
}

/** The newest of that name; a closed one only when nothing follows it yet. */
export function newestLog(db: Kysely<RecordsTables>, origin: string): Promise<LogRow | undefined> {
  return db
    .selectFrom('records_logs')
    .selectAll()
    .where('origin', '=', origin)
    .orderBy('generation', 'desc')
    .limit(1)
    .executeTakeFirst();
}

/** Transactions about one log follow each other, over all servers. */
export function orderOf(origin: string): string {
  return `records.log ${origin}`;
}

async function countLogs(trx: Kysely<RecordsTables>, owner: string) {
  const rows = await trx.selectFrom('records_logs').select(['id', 'owner']).execute();
  return {
    all: rows.length,
    own: rows.filter((row) => row.owner === owner).length,
    last: rows.reduce((most, { id }) => Math.max(most, id), 0),
  };
}

/** @throws RecordsError ERR_RECORDS_REQUEST */
export function checkNames(origin: string, verifierKey: string): void {
  if (!/^[\x21-\x7e]{1,256}$/.test(origin))
    throw new RecordsError('ERR_RECORDS_REQUEST', 'the origin of a log is a name of at most 256 characters');
  try {
    if (parseVerifierKey(verifierKey).name === origin) return;
  } catch (cause) {
    if (!(cause instanceof TlogError)) throw cause;
    throw new RecordsError('ERR_RECORDS_REQUEST', `the key of ${origin} is no verifier key`, { cause });
  }
  throw new RecordsError('ERR_RECORDS_REQUEST', `the key of ${origin} has another name`);
}

const LOGS_MAX = 10_000;
/** Gateways of one entry share an identity, and each of their workers has a log. */
const LOGS_PER_OWNER_MAX = 2000;
