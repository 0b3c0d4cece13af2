import type { Kysely } from 'kysely';
import type { Random } from '../../std/index.ts';
import { leafHash } from '../../wire/tlog/index.ts';
import type { RecordsTables } from '../migrations.ts';
import { ensureKeys, sealBytes } from '../retention/seal.ts';
import type { IndexedEntry } from '../search/indexed-entry.ts';
import { insertPostings, postingRows } from '../search/postings.ts';
import { readLeaves } from './entry-rows.ts';
import type { LogStand } from './intake.ts';
import { type AlarmKind, type LogBatch, PROOF_NODE_HEIGHT, type Verdict, withoutTail } from './judge-batch.ts';
import { type LogRow, stateColumns, stateOf } from './log-rows.ts';
import { writeNotice } from './notices.ts';
import type { Witness } from './witness.ts';

export interface Indexed extends IndexedEntry {
  /** The log says by it that its writer stopped in good order. */
  readonly isStop: boolean;
  /** The name of the key that it is to be sealed under. */
  readonly seal: string | undefined;
}

/** Writes what of a batch is new, and how the log stands then. */
export async function keepBatch(
  trx: Kysely<RecordsTables>,
  row: LogRow,
  of: {
    readonly batch: LogBatch;
    readonly indexed: readonly (Indexed | undefined)[];
    readonly verdict: Extract<Verdict, { kind: 'taken' }>;
    readonly witness: Witness;
    readonly random: Random;
    readonly nowMs: number;
  },
): Promise<LogStand> {
  const { batch, indexed, verdict, witness, nowMs } = of;
  const fresh = indexed.slice(verdict.fresh).filter((one) => one !== undefined);
  await insertEntries(trx, { ...of, log: row.id, indexed: fresh, entries: batch.entries.slice(verdict.fresh) });
  await insertNodes(trx, row.id, verdict.nodes);
  const note = batch.checkpoint;
  const checkpoint =
    verdict.vouched && note !== undefined ? witness.cosign(note, verdict.state.key, nowMs) : row.checkpoint;
  const heals = note !== undefined && row.alarm !== null && !STAYS.has(row.alarm);
  const last = fresh.at(-1);
  await trx
    .updateTable('records_logs')
    .set({
      ...stateColumns(verdict.state),
      checkpoint,
      heard_ms: nowMs,
      ...(last === undefined ? {} : { ended: last.isStop ? 1 : 0 }),
      ...(heals ? NO_ALARM : {}),
    })
    .where('id', '=', row.id)
    .execute();
  if (heals) await writeNotice(trx, row, { nowMs, what: 'resolved', detail: { alarm: row.alarm ?? '' } });
  const { head, signed } = verdict.state;
  return { size: head.size, signedSize: signed.size, checkpoint: checkpoint ?? undefined };
}

/** The leaf hashes of those of a batch that are there already, or were. */
export async function keptLeaves(
  trx: Kysely<RecordsTables>,
  row: LogRow,
  { first, entries }: LogBatch,
): Promise<Buffer[]> {
  if (entries.length === 0 || first >= row.size) return [];
  return readLeaves(trx, { log: row.id, from: first, end: Math.min(row.size, first + entries.length) });
}

async function insertEntries(
  trx: Kysely<RecordsTables>,
  of: {
    readonly log: number;
    readonly indexed: readonly Indexed[];
    readonly entries: readonly Buffer[];
    readonly random: Random;
    readonly nowMs: number;
  },
): Promise<void> {
  const { log, indexed, entries, random } = of;
  const names = [...new Set(indexed.flatMap(({ seal }) => (seal === undefined ? [] : [seal])))];
  const keys = names.length === 0 ? undefined : await ensureKeys(trx, names, of);
  const rows = indexed.map(({ seq: position, seal }, n) => {
    const entry = entries[n] ?? Buffer.alloc(0);
    const key = seal === undefined ? undefined : keys?.get(seal);
    if (key === undefined) return { log, position, entry, seal: null, leaf: null };
    const sealed = sealBytes(entry, key.key, { log, position, random });
    return { log, position, entry: sealed, seal: key.id, leaf: leafHash(entry) };
  });
  for (let at = 0; at < rows.length; at += ROWS_A_STATEMENT)
    await trx
      .insertInto('records_entries')
      .values(rows.slice(at, at + ROWS_A_STATEMENT))
      .execute();
  await insertPostings(trx, postingRows(log, indexed));
}

/** What proofs are made of is written as it comes: to work it out later is to read the log whole. */
async function insertNodes(
  trx: Kysely<RecordsTables>,
  log: number,
  nodes: readonly { readonly number: number; readonly hash: Buffer }[],
): Promise<void> {
  if (nodes.length === 0) return;
  await trx
    .insertInto('records_nodes')
    .values(nodes.map((node) => ({ log, ...node })))
    .onConflict((conflict) =>
      conflict.columns(['log', 'number']).doUpdateSet((set) => ({ hash: set.ref('excluded.hash') })),
    )
    .execute();
}

/** Names what is wrong with a log. What no checkpoint vouches for is given up: it may be what is wrong. */
export async function raiseAlarm(
  trx: Kysely<RecordsTables>,
  row: LogRow,
  of: { alarm: AlarmKind; position: number; found: string; evidence: string | undefined; nowMs: number },
): Promise<void> {
  const { alarm, position, found, evidence, nowMs } = of;
  const drops = alarm === 'edited' || alarm === 'fork' || alarm === 'rollback';
  if (drops && row.size > row.signed_size) {
    await trx
      .deleteFrom('records_entries')
      .where('log', '=', row.id)
      .where('position', '>=', row.signed_size)
      .execute();
    const signedNodes = Math.floor(row.signed_size / 2 ** PROOF_NODE_HEIGHT);
    await trx.deleteFrom('records_nodes').where('log', '=', row.id).where('number', '>=', signedNodes).execute();
  }
  // A worse one stays: a rollback that comes after a fork is part of it.
  const isNew = row.alarm !== alarm && !(row.alarm !== null && STAYS.has(row.alarm));
  const named = { alarm, alarm_found: found, alarm_position: position, alarm_ms: nowMs, evidence: evidence ?? null };
  await trx
    .updateTable('records_logs')
    .set({ ...(drops ? stateColumns(withoutTail(stateOf(row))) : {}), heard_ms: nowMs, ...(isNew ? named : {}) })
    .where('id', '=', row.id)
    .execute();
  if (isNew) await writeNotice(trx, row, { nowMs, what: alarm, detail: { found, position } });
}

/** The columns of a log without one. */
export const NO_ALARM = { alarm: null, alarm_found: null, alarm_position: null, alarm_ms: null, evidence: null };
/** The log's own key has signed two histories, or another key signs it: whatever comes later, somebody must look. */
const STAYS: ReadonlySet<string> = new Set<AlarmKind>(['fork', 'key']);
const ROWS_A_STATEMENT = 500;
