import type { Kysely } from 'kysely';
import type { RecordsTables } from '../migrations.ts';

/** How many entries of each log a checkpoint vouches for, by the log's number: of all logs, or of the one that is asked for. */
export async function signedSizes(
  db: Kysely<RecordsTables>,
  { log }: { readonly log?: number | undefined },
): Promise<Map<number, number>> {
  let query = db.selectFrom('records_logs').select(['id', 'signed_size']).orderBy('id');
  if (log !== undefined) query = query.where('id', '=', log);
  return new Map((await query.execute()).map((row) => [row.id, row.signed_size]));
}
