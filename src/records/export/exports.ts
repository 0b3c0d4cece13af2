import { createHmac } from 'node:crypto';
import type { Kysely } from 'kysely';
import { type Clock, constantTimeEqual, type Random } from '../../std/index.ts';
import type { Store } from '../../store/index.ts';
import { createTree, HASH_BYTES, leafHash, type Tree } from '../../wire/tlog/index.ts';
import { RecordsError } from '../errors.ts';
import type { Sizes } from '../follow/marks.ts';
import type { Witness } from '../log/witness.ts';
import type { RecordsTables } from '../migrations.ts';
import { cursorBehind, type RecordSearch } from '../search/search.ts';
import { headOf, lineOf } from './lines.ts';
import {
  digestOf,
  type ExportedLog,
  formatLogs,
  formatSelection,
  formatStatement,
  type Selection,
} from './statement.ts';

/** A part of an export, in its order. */
export interface ExportPage {
  /** Each with the characters that end it. */
  readonly lines: readonly string[];
  /** Where it goes on: at any server on this store. Undefined: these were the last. */
  readonly next: string | undefined;
  /** With the last: what the server says of all lines, by the key it countersigns with. */
  readonly note: string | undefined;
}

/** All that a filter selects of the logs as they stand at one moment, in parts, with a statement that it is all. */
export interface RecordExports {
  /**
   * Begins one, for that caller alone and for a week; of a hundred that they have begun since, the oldest goes.
   * @throws StoreError
   */
  beginExport(selection: Selection, owner: string): Promise<{ readonly id: string; readonly logs: number }>;
  /** What it is of. @throws RecordsError ERR_RECORDS_NOT_FOUND; StoreError */
  showExport(id: string, owner: string): Promise<{ readonly selection: string; readonly logs: readonly ExportedLog[] }>;
  /**
   * The part that goes on from there. Asked again it is the same lines, however many of them.
   * @throws RecordsError ERR_RECORDS_NOT_FOUND, ERR_RECORDS_REQUEST for a cursor that is none of this export, ERR_RECORDS_GONE where
   * entries have left the record since it was begun; StoreError; the abort error
   */
  readExport(
    id: string,
    asked: {
      readonly owner: string;
      readonly origin: string;
      readonly cursor: string | undefined;
      readonly signal: AbortSignal;
    },
  ): Promise<ExportPage>;
}

/** Where an export stands: behind which place, and over which lines. */
interface Standing {
  readonly place: string | undefined;
  readonly tree: Tree;
}

interface Begun extends Selection {
  readonly selection: string;
  readonly logs: readonly ExportedLog[];
  readonly logsDigest: Buffer;
  readonly sizes: Sizes;
  readonly owner: string;
  readonly secret: Buffer;
  readonly removed: number;
}

export function createExports(deps: {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly witness: Witness;
  readonly search: RecordSearch['search'];
}): RecordExports {
  const { store, clock, random, witness, search } = deps;
  const db = store.db<RecordsTables>();
  const kept = new Map<string, Begun>();

  const find = async (id: string, owner: string): Promise<Begun> => {
    const begun = kept.get(id) ?? (await readBegun(db, id, clock.now()));
    if (begun?.owner !== owner)
      throw new RecordsError('ERR_RECORDS_NOT_FOUND', `you have begun no export ${id}, or over a week ago`);
    kept.delete(id);
    kept.set(id, begun);
    for (const oldest of kept.keys()) if (kept.size > KEPT_MAX) kept.delete(oldest);
    return begun;
  };
  return {
    async beginExport({ filter, format }, owner) {
      const nowMs = clock.now();
      await forgetOld(db, owner, nowMs);
      let query = db.selectFrom('records_logs').selectAll().where('signed_size', '>', 0).orderBy('id');
      if (filter.log !== undefined) query = query.where('id', '=', filter.log);
      // Before what is gone is counted: what leaves in between is found at the end.
      const removed = await countRemoved(db);
      const gone = await countGone(db);
      const logs: ExportedLog[] = (await query.execute()).map((row) => ({
        ...{ log: row.id, origin: row.origin, verifierKey: row.verifier_key, size: row.signed_size },
        ...(gone.has(row.id) ? { gone: gone.get(row.id) ?? 0 } : {}),
        checkpoint: row.checkpoint ?? '',
      }));
      const id = random.bytes(16).toString('hex');
      const asked = formatSelection({ filter, format });
      await db
        .insertInto('records_exports')
        .values({ id, owner, begun_ms: nowMs, asked, logs: formatLogs(logs), secret: random.bytes(32), removed })
        .execute();
      return { id, logs: logs.length };
    },
    async showExport(id, owner) {
      const { selection, logs } = await find(id, owner);
      return { selection, logs };
    },
    async readExport(id, { owner, origin, cursor, signal }) {
      const begun = await find(id, owner);
      const { filter, format, sizes } = begun;
      const { place, tree } = cursor === undefined ? { place: undefined, tree: createTree() } : unseal(begun, cursor);
      const lines: string[] = [];
      let bytes = 0;
      const add = (line: string) => {
        tree.append(leafHash(Buffer.from(line)));
        lines.push(line);
        bytes += line.length;
      };
      if (cursor === undefined) for (const line of headOf(format)) add(line);
      let from = place;
      for (let looks = 0; looks < LOOKS_MAX && lines.length < LINES_MAX && bytes < BYTES_MAX; looks++) {
        const page = await search(filter, { size: LINES_A_LOOK, cursor: from, sizes, signal });
        // By the bytes it may end at any entry: a writer may make them as large as it likes.
        const [whole, rest] = [page.entries, page.next];
        let read = 0;
        for (; read < whole.length && bytes < BYTES_MAX; read++) {
          const entry = whole[read];
          if (entry === undefined) break;
          add(lineOf(entry, format));
          from = cursorBehind(entry);
        }
        if (read < whole.length) continue;
        if (rest === undefined) {
          const { selection, logsDigest } = begun;
          await finish(db, id, { removed: begun.removed, nowMs: clock.now() });
          const text = formatStatement({ origin, lines: tree.size, root: tree.root(), selection, logs: logsDigest });
          return { lines, next: undefined, note: witness.sign(text) };
        }
        from = rest;
      }
      return { lines, next: seal(begun, { place: from, tree }), note: undefined };
    },
  };
}

/** It is told whole. @throws RecordsError ERR_RECORDS_GONE rather than sign for lines of which some may be missing */
async function finish(
  db: Kysely<RecordsTables>,
  id: string,
  { removed, nowMs }: { readonly removed: number; readonly nowMs: number },
): Promise<void> {
  if ((await countRemoved(db)) !== removed)
    throw new RecordsError(
      'ERR_RECORDS_GONE',
      `entries have left the record since export ${id} was begun, and it may lack them: begin it anew`,
    );
  await db
    .updateTable('records_exports')
    .set({ finished_ms: nowMs })
    .where('id', '=', id)
    .where('finished_ms', 'is', null)
    .execute();
}

/** How many entries have ever left the record. */
async function countRemoved(db: Kysely<RecordsTables>): Promise<number> {
  const rows = await db.selectFrom('records_removals').select('removed').execute();
  return rows.reduce((sum, { removed }) => sum + removed, 0);
}

/** How many of each log have lost their content. */
async function countGone(db: Kysely<RecordsTables>): Promise<Map<number, number>> {
  const rows = await db
    .selectFrom('records_gone')
    .select(({ fn }) => ['log', fn.sum<number | string>('count').as('gone')])
    .groupBy('log')
    .execute();
  return new Map(rows.map(({ log, gone }) => [log, Number(gone)]));
}

/** Those of over a week ago, and of that caller all but the newest. */
async function forgetOld(db: Kysely<RecordsTables>, owner: string, nowMs: number): Promise<void> {
  await db
    .deleteFrom('records_exports')
    .where('begun_ms', '<', nowMs - KEPT_MS)
    .execute();
  const own = await db
    .selectFrom('records_exports')
    .select('id')
    .where('owner', '=', owner)
    .orderBy('begun_ms', 'desc')
    .offset(OWN_MAX - 1)
    .limit(OWN_MAX)
    .execute();
  const old = own.map(({ id }) => id);
  if (old.length > 0) await db.deleteFrom('records_exports').where('id', 'in', old).execute();
}

async function readBegun(db: Kysely<RecordsTables>, id: string, nowMs: number): Promise<Begun | undefined> {
  const row = await db.selectFrom('records_exports').selectAll().where('id', '=', id).executeTakeFirst();
  if (row === undefined || row.begun_ms < nowMs - KEPT_MS) return undefined;
  // Both were written by this feature alone.
  const { filter, format } = JSON.parse(row.asked) as Selection;
  const logs = JSON.parse(row.logs) as ExportedLog[];
  const sizes = new Map(logs.map(({ log, size }) => [log, size]));
  const { asked: selection, owner, secret, removed } = row;
  return { filter, format, selection, logs, logsDigest: digestOf(row.logs), sizes, owner, secret, removed };
}

/** A cursor that nobody makes but a server on this store: what is signed at the end is over lines that were handed out, all of them. */
function seal({ secret }: Begun, { place, tree }: Standing): string {
  const text = Buffer.from(`${place ?? ''} ${tree.size} ${Buffer.concat([...tree.edge()]).toString('base64url')}`);
  return Buffer.concat([macOf(secret, text), text]).toString('base64url');
}

/** @throws RecordsError ERR_RECORDS_REQUEST */
function unseal({ secret }: Begun, cursor: string): Standing {
  const bytes = Buffer.from(cursor, 'base64url');
  const text = bytes.subarray(HASH_BYTES);
  if (bytes.length <= HASH_BYTES || !constantTimeEqual(bytes.subarray(0, HASH_BYTES), macOf(secret, text)))
    throw new RecordsError('ERR_RECORDS_REQUEST', 'the cursor is none of this export');
  const [place = '', size = '', edge = ''] = text.toString().split(' ');
  const hashes = Buffer.from(edge, 'base64url');
  const parts = Array.from({ length: hashes.length / HASH_BYTES }, (_, n) =>
    hashes.subarray(n * HASH_BYTES, (n + 1) * HASH_BYTES),
  );
  return { place, tree: createTree(Number(size), parts) };
}

function macOf(secret: Buffer, text: Buffer): Buffer {
  return createHmac('sha256', secret).update('countersign record-export cursor\n').update(text).digest();
}

/** Of one answer; the last look may go over it by what it brings. */
const LINES_MAX = 1000;
const BYTES_MAX = 4 * 1024 * 1024;
const LINES_A_LOOK = 250;
/** Where little is found an answer may have few lines, or none. */
const LOOKS_MAX = 8;
/** Somebody who goes on after a holiday begins anew. */
const KEPT_MS = 7 * 24 * 3_600_000;
/** Of one caller: each keeps a checkpoint of each log. */
const OWN_MAX = 100;
/** Exports whose logs are kept in memory: some megabytes where there are thousands of logs. */
const KEPT_MAX = 8;
