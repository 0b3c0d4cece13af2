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
import type { RecordsTables } from '../migrations.ts';

/** Proofs of entries, that they stand in what their log and a server have signed. */
export interface RecordProofs {
  /**
   * Of one entry, under the newest checkpoint of its log.
   * @throws RecordsError ERR_RECORDS_NOT_FOUND; ERR_RECORDS_LIMIT where much is still to be worked out of a large log: it goes on from there when it is
   * asked again; StoreError; the abort error
   */
  prove(log: number, position: number, signal: AbortSignal): Promise<LedgerProof>;
}

/** Creates them. Hashes of complete subtrees are kept from the first time on: a proof reads those, and two stretches of entries. */
export function createProofs({ store }: { readonly store: Store }): RecordProofs {
  const db = store.db<RecordsTables>();
  return {
    async prove(log, position, signal) {
      const row = await db.selectFrom('records_logs').selectAll().where('id', '=', log).executeTakeFirst();
      if (row === undefined || row.checkpoint === null || position >= row.signed_size)
        throw new RecordsError('ERR_RECORDS_NOT_FOUND', `the record has no entry ${log}/${position}`);
      const { size, root } = parseCheckpoint(parseNote(row.checkpoint).text);
      const whole = await readNodes(db, { log, size, signal });
      const own = await readEntries(db, { log, block: Math.floor(position / BLOCK), size });
      const last = await readEntries(db, { log, block: whole.length, size });
      const entry = own[position % BLOCK] ?? Buffer.alloc(0);
      const hashOf = nodeReader(whole, (index) => {
        const block = Math.floor(index / BLOCK) === whole.length ? last : own;
        return leafHash(block[index % BLOCK] ?? Buffer.alloc(0));
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
    const known = height === BLOCK_HEIGHT ? blocks[index] : undefined;
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
    for (const bytes of await readEntries(db, { log, block: number, size })) tree.append(leafHash(bytes));
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

/** The entries of a block, as far as there are. */
async function readEntries(
  db: Kysely<RecordsTables>,
  { log, block, size }: { readonly log: number; readonly block: number; readonly size: number },
): Promise<Buffer[]> {
  const rows = await db
    .selectFrom('records_entries')
    .select('entry')
    .where('log', '=', log)
    .where('position', '>=', block * BLOCK)
    .where('position', '<', Math.min(size, (block + 1) * BLOCK))
    .orderBy('position')
    .execute();
  return rows.map(({ entry }) => entry);
}

const BLOCK_HEIGHT = 10;
const BLOCK = 2 ** BLOCK_HEIGHT;
/** Some seconds of reading. */
const BLOCKS_A_TIME = 300;
