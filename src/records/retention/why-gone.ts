import type { Kysely } from 'kysely';
import { formatTime } from '../../std/index.ts';
import { RecordsError } from '../errors.ts';
import type { RecordsTables } from '../migrations.ts';

/** By what an entry has lost its content, and when. */
export interface Removed {
  readonly atMs: number;
  /** A rule of retention, or an erasure that somebody asked for. */
  readonly kind: 'rule' | 'erase';
  readonly removal: number;
  /** The name of the rule; of an erasure empty. */
  readonly name: string;
  readonly reason: string;
  readonly by: string;
}

/** Undefined for one that has its content, or that there never was. @throws StoreError */
export async function readRemoved(
  db: Kysely<RecordsTables>,
  { log, position }: { readonly log: number; readonly position: number },
): Promise<Removed | undefined> {
  const run = await db
    .selectFrom('records_gone')
    .select(['first', 'count', 'removal', 'at_ms'])
    .where('log', '=', log)
    .where('first', '<=', position)
    .orderBy('first', 'desc')
    .limit(1)
    .executeTakeFirst();
  if (run === undefined || position >= run.first + run.count) return undefined;
  const why = await db.selectFrom('records_removals').selectAll().where('id', '=', run.removal).executeTakeFirst();
  return {
    ...{ atMs: run.at_ms, kind: why?.kind === 'erase' ? 'erase' : 'rule', removal: run.removal },
    ...{ name: why?.name ?? '', reason: why?.reason ?? '', by: why?.by_whom ?? '' },
  };
}

/** What is told of an entry that is asked for and has no content. */
export async function whyGone(
  db: Kysely<RecordsTables>,
  at: { readonly log: number; readonly position: number },
): Promise<RecordsError> {
  const removed = await readRemoved(db, at);
  const of = `the content of entry ${at.log}/${at.position}`;
  if (removed === undefined)
    return new RecordsError(
      'ERR_RECORDS_GONE',
      `${of} can not be read any more: the key that it was sealed under is gone`,
    );
  const when = formatTime(removed.atMs);
  const why =
    removed.kind === 'rule'
      ? `was past its time, and left the record at ${when} by the rule ${removed.name}`
      : `was erased at ${when} (erasure ${removed.removal} of ${removed.by}: ${removed.reason})`;
  return new RecordsError('ERR_RECORDS_GONE', `${of} ${why}; its hash stays in the log`);
}
