import type { Kysely } from 'kysely';
import { formatTime } from '../../std/index.ts';
import { RecordsError } from '../errors.ts';
import type { RecordsTables } from '../migrations.ts';

/** What is told of an entry that is asked for and has no content: since when, and by which rule. @throws StoreError */
export async function whyGone(
  db: Kysely<RecordsTables>,
  { log, position }: { readonly log: number; readonly position: number },
): Promise<RecordsError> {
  const of = `the content of entry ${log}/${position}`;
  const gone = await db
    .selectFrom('records_gone')
    .innerJoin('records_removals', 'records_removals.id', 'records_gone.removal')
    .select(['first', 'count', 'records_gone.at_ms as atMs', 'name'])
    .where('log', '=', log)
    .where('first', '<=', position)
    .orderBy('first', 'desc')
    .limit(1)
    .executeTakeFirst();
  const why =
    gone === undefined || position >= gone.first + gone.count
      ? 'can not be read any more: the key that it was sealed under is gone'
      : `was past its time, and left the record at ${formatTime(gone.atMs)} by the rule ${gone.name}; its hash stays in the log`;
  return new RecordsError('ERR_RECORDS_GONE', `${of} ${why}`);
}
