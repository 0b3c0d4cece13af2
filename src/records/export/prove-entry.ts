import type { Kysely } from 'kysely';
import { formatProof, type LedgerProof } from '../../ledger/index.ts';
import { throwIfAborted } from '../../std/index.ts';
import type { Store } from '../../store/index.ts';
import {
  createTree,
  evaluatePlan,
  leafHash,
  nodeHash,
  parseCheckpoint,
  parseNote,
  planInclusion,
  type TreeNode,
  verifyInclusion,
} from '../../wire/tlog/index.ts';
import { RecordsError } from '../errors.ts';
import { openRows, readLeaves, selectEntries } from '../log/entry-rows.ts';
import { PROOF_NODE_HEIGHT } from '../log/judge-batch.ts';
import type { RecordsTables } from '../migrations.ts';
import { whyGone } from '../retention/why-gone.ts';

/** Proofs of entries, that they stand in what their log and a server have signed. */
export interface RecordProofs {
  /**
   * Of one entry, under the newest checkpoint of its log.
   * @throws RecordsError ERR_RECORDS_NOT_FOUND, ERR_RECORDS_GONE; ERR_RECORDS_LIMIT where much is still to be worked out of a large log: it goes on from there when it is
   * asked again; StoreError; the abort error
   */
  prove(log: number, position: number, signal: AbortSignal): Promise<LedgerProof>;
}

/**
 * Creates them. Hashes of complete subtrees are kept as entries come, of older entries from the first time on: a proof reads those, and two stretches
 * of entries.
 */
export function createProofs({ store }: { readonly store: Store }): RecordProofs {
  const db = store.db<RecordsTables>();
  return {
    async prove(log, position, signal) {
      const row = await db.selectFrom('records_logs').selectAll().where('id', '=', log).executeTakeFirst();
      if (row === undefined || row.checkpoint === null || position >= row.signed_size)
        throw new RecordsError('ERR_RECORDS_NOT_FOUND', `the record has no entry ${log}/${position}`);
      const { size, root } = parseCheckpoint(parseNote(row.checkpoint).text);
      const whole = await readNodes(db, { log, size, signal });
      const own = await readBlock(db, { log, block: Math.floor(position / BLOCK), size });
      const last = await readBlock(db, { log, block: whole.length, size });
      const rows = await selectEntries(db).where('log', '=', log).where('position', '=', position).execute();
      const [kept] = await openRows(db, rows);
      if (kept === undefined) throw await whyGone(db, { log, position });
      const entry = kept.bytes;
      const hashOf = nodeReader(whole, (index) => {
        const block = Math.floor(index / BLOCK) === whole.length ? last : own;
        return block[index % BLOCK] ?? Buffer.alloc(0);
      });
      const hashes = evaluatePlan(planInclusion(position, size), hashOf);
      verifyInclusion({ index: position, leaf: leafHash(entry), size, root, proof: hashes });
      return formatProof({ entry, index: position, hashes, checkpoint: row.checkpoint });
    },
  };
}

/** The hash of any subtree, from those of blocks and of leaves. */
function nodeReader(blocks: readonly Buffer[], leafAt: (index: number) => Buffer): (node: TreeNode) => Buffer {
  const hashOf = ({ height, index }: TreeNode): Buffer => {
    if (height === 0) return leafAt(index);
    const known = height === PROOF_NODE_HEIGHT ? blocks[index] : undefined;
    if (known !== undefined) return known;
    const left = hashOf({ height: height - 1, index: 2 * index });
    return nodeHash(left, hashOf({ height: height - 1, index: 2 * index + 1 }));
  };
  return hashOf;
}

/** The hashes of all blocks that are complete, those that are missing worked out and kept. @throws RecordsError ERR_RECORDS_LIMIT */
async function readNodes(
  db: Kysely<RecordsTables>,
  { log, size, signal }: { readonly log: number; readonly size: number; readonly signal: AbortSignal },
): Promise<Buffer[]> {
  const count = Math.floor(size / BLOCK);
  const rows = await db
    .selectFrom('records_nodes')
    .select(['number', 'hash'])
    .where('log', '=', log)
    .where('number', '<', count)
    .orderBy('number')
    .execute();
  const nodes = rows.filter(({ number }, n) => number === n).map(({ hash }) => hash);
  for (const first = nodes.length; nodes.length < count; ) {
    throwIfAborted(signal);
    if (nodes.length - first >= BLOCKS_A_TIME)
      throw new RecordsError(
        'ERR_RECORDS_LIMIT',
        `${nodes.length} of ${count} parts of log ${log} are worked out; ask again, it goes on from there`,
      );
    const number = nodes.length;
    const tree = createTree();
    for (const leaf of await readBlock(db, { log, block: number, size })) tree.append(leaf);
    const hash = tree.root();
    await db
      .insertInto('records_nodes')
      .values({ log, number, hash })
      .onConflict((one) => one.doNothing())
      .execute();
    nodes.push(hash);
  }
  return nodes;
}

/** The leaf hashes of a block, as far as there are. */
function readBlock(
  db: Kysely<RecordsTables>,
  { log, block, size }: { readonly log: number; readonly block: number; readonly size: number },
): Promise<Buffer[]> {
  return readLeaves(db, { log, from: block * BLOCK, end: Math.min(size, (block + 1) * BLOCK) });
}

const BLOCK = 2 ** PROOF_NODE_HEIGHT;
/** Some seconds of reading. */
const BLOCKS_A_TIME = 300;
