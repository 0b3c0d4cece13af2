import type { Checkpoint, NoteKey, Tree, TreeNode } from '../../wire/tlog/index.ts';
import {
  createTree,
  leafHash,
  parseCheckpoint,
  parseNote,
  TlogError,
  verifyCheckpoint,
  verifyConsistency,
} from '../../wire/tlog/index.ts';
import { RecordsError } from '../errors.ts';

/** What the server knows of a log: as much of its tree as it takes to go on with it. Pure data. */
export interface LogState {
  readonly origin: string;
  /** Who signs its checkpoints. */
  readonly key: NoteKey;
  /** Of all entries that are kept. */
  readonly head: TreeHead;
  /** Of those that a checkpoint has vouched for; `head` extends it. */
  readonly signed: TreeHead;
}

/** So many leaves, and the hashes of the complete subtrees over them. */
export interface TreeHead {
  readonly size: number;
  readonly edge: readonly Buffer[];
}

/** What a shipper hands over at a time. */
export interface LogBatch {
  /** Position of the first of the entries, or where they would go on. */
  readonly first: number;
  /** Their canonical bytes, in order. */
  readonly entries: readonly Buffer[];
  /** A signed note over exactly `first + entries.length` entries. */
  readonly checkpoint?: string | undefined;
  /** From the last checkpoint that was taken to this one: tells an entry that was edited from a log that went another way. */
  readonly consistency: readonly Buffer[];
}

/** What is wrong with a log: the words of conditions, metrics and entries. */
export type AlarmKind = 'fork' | 'rollback' | 'gap' | 'edited' | 'key';

/** What became of a batch. */
export type Verdict =
  | {
      readonly kind: 'taken';
      readonly state: LogState;
      /** The entries of the batch from this index on were not there before. */
      readonly fresh: number;
      /** It was found consistent with all before it. */
      readonly vouched: boolean;
      /** The complete subtrees of {@link PROOF_NODE_HEIGHT} that it finishes, by their number from the left. */
      readonly nodes: readonly { readonly number: number; readonly hash: Buffer }[];
    }
  | {
      readonly kind: 'alarm';
      readonly alarm: AlarmKind;
      /** The first entry that is not, or may not be, what it was. */
      readonly position: number;
      /** One sentence. */
      readonly found: string;
    };

/**
 * Judges what a shipper hands over against what is known of its log. `told` is the size of the last checkpoint that this shipper was told of
 * on this stream: whoever was told of it has no smaller one. `kept` gives the leaf hashes of entries that are there already, from `batch.first` on.
 * `seqAt` gives the number that an entry of the batch has by itself, undefined where it is no entry.
 * @throws RecordsError ERR_RECORDS_REQUEST for a batch that no shipper makes, ERR_RECORDS_LIMIT
 */
export function judgeBatch(
  state: LogState,
  batch: LogBatch,
  known: {
    readonly told: number;
    readonly kept: readonly Buffer[];
    readonly seqAt: (index: number) => number | undefined;
  },
): Verdict {
  const { head, signed } = state;
  const end = batch.first + batch.entries.length;
  const claim = batch.checkpoint === undefined ? undefined : claimOf(state, batch.checkpoint);
  if (claim === 'other-key')
    return alarm('key', signed.size, `a checkpoint is not signed by the key of ${state.key.name} that is known here`);
  if (claim !== undefined && claim.size < known.told)
    return alarm(
      'rollback',
      claim.size,
      `its newest checkpoint covers ${claim.size} entries; ${known.told} were signed before`,
    );
  if (claim !== undefined && claim.size > end)
    return alarm(
      'gap',
      end,
      `a checkpoint covers ${claim.size} entries, and from entry ${end} on they are not shipped`,
    );
  if (batch.first > head.size)
    return alarm('gap', head.size, `entries ${head.size} to ${batch.first - 1} are missing before what is shipped`);
  if (claim !== undefined && claim.size < end)
    throw new RecordsError('ERR_RECORDS_REQUEST', 'a checkpoint comes with no entry behind those that it covers');
  const bad = batch.entries.findIndex((_, index) => known.seqAt(index) !== batch.first + index);
  if (bad >= 0)
    return alarm('edited', batch.first + bad, `entry ${batch.first + bad} is not what a ledger writes there`);
  const overlap = Math.min(batch.entries.length, head.size - batch.first);
  const other = batch.entries
    .slice(0, overlap)
    .findIndex((entry, index) => !known.kept[index]?.equals(leafHash(entry)));
  if (other >= 0) return contradiction(state, claim, batch, batch.first + other);
  return extend(state, batch, { claim, overlap });
}

/** The state after all that no checkpoint vouches for was given up. */
export function withoutTail(state: LogState): LogState {
  return { ...state, head: state.signed };
}

/** The root over the leaves of a head. */
export function rootOf({ size, edge }: TreeHead): Buffer {
  return createTree(size, edge).root();
}

function extend(
  state: LogState,
  batch: LogBatch,
  { claim, overlap }: { readonly claim: Checkpoint | undefined; readonly overlap: number },
): Verdict {
  const { head, signed } = state;
  const end = batch.first + batch.entries.length;
  const tree = createTree(head.size, head.edge);
  const nodes: { number: number; hash: Buffer }[] = [];
  const seen = ({ height, index }: TreeNode, hash: Buffer) => {
    if (height === PROOF_NODE_HEIGHT) nodes.push({ number: index, hash });
  };
  for (const entry of batch.entries.slice(overlap)) tree.append(leafHash(entry), seen);
  const next = overlap === batch.entries.length ? head : headOf(tree);
  if (claim !== undefined && claim.size === signed.size) {
    if (!rootOf(signed).equals(claim.root)) return contradiction(state, claim, batch, undefined);
    return { kind: 'taken', state: { ...state, head: next }, fresh: overlap, vouched: false, nodes };
  }
  // One that covers less than is there already, as of a second shipper of the log: what comes later vouches for it as well.
  if (claim === undefined || end < head.size) {
    if (next.size - signed.size > UNSIGNED_MAX)
      throw new RecordsError(
        'ERR_RECORDS_LIMIT',
        `over ${UNSIGNED_MAX} entries of ${state.origin} came without a checkpoint`,
      );
    return { kind: 'taken', state: { ...state, head: next }, fresh: overlap, vouched: false, nodes };
  }
  if (!tree.root().equals(claim.root)) return contradiction(state, claim, batch, undefined);
  return { kind: 'taken', state: { ...state, head: next, signed: next }, fresh: overlap, vouched: true, nodes };
}

/**
 * Either what was signed is another history than the one that was signed before, or it is the same and the entries are not those that were
 * signed. The proof tells which: nobody can make one between two histories.
 */
function contradiction(
  state: LogState,
  claim: Checkpoint | undefined,
  { consistency }: LogBatch,
  position: number | undefined,
): Verdict {
  const { signed } = state;
  const isExtension = claim === undefined ? (position ?? 0) >= signed.size : extendsSigned(state, claim, consistency);
  const where = position === undefined ? `one of the entries from ${signed.size} on` : `entry ${position}`;
  if (isExtension) return alarm('edited', position ?? signed.size, `${where} is not what was signed`);
  const size = claim === undefined ? '' : ` of ${claim.size} entries`;
  const found = `a checkpoint${size} does not go on from the one of ${signed.size} that was signed before: two histories`;
  return alarm('fork', Math.min(position ?? signed.size, signed.size), found);
}

function extendsSigned({ signed }: LogState, claim: Checkpoint, proof: readonly Buffer[]): boolean {
  try {
    const { size: newSize, root: newRoot } = claim;
    verifyConsistency({ oldSize: signed.size, oldRoot: rootOf(signed), newSize, newRoot, proof });
    return true;
  } catch (error) {
    if (error instanceof TlogError) return false;
    throw error;
  }
}

/** @throws RecordsError ERR_RECORDS_REQUEST for what is no checkpoint of that log */
function claimOf({ origin, key }: LogState, note: string): Checkpoint | 'other-key' {
  try {
    return verifyCheckpoint(note, { origin, key });
  } catch (cause) {
    if (!(cause instanceof TlogError)) throw cause;
    const isOfLog = isCheckpointOf(note, origin);
    if (isOfLog) return 'other-key';
    throw new RecordsError('ERR_RECORDS_REQUEST', `what was shipped as a checkpoint is none of ${origin}`, { cause });
  }
}

function isCheckpointOf(note: string, origin: string): boolean {
  try {
    return parseCheckpoint(parseNote(note).text).origin === origin;
  } catch {
    return false; // Whatever it is: no checkpoint.
  }
}

function headOf(tree: Tree): TreeHead {
  return { size: tree.size, edge: tree.edge() };
}

function alarm(kind: AlarmKind, position: number, found: string): Verdict {
  return { kind: 'alarm', alarm: kind, position, found };
}

/** Proofs are made of these: 1,024 entries each. */
export const PROOF_NODE_HEIGHT = 10;
/** A writer signs each second, and takes nothing new when it could not for twenty: at most so much was ever unsigned. */
export const UNSIGNED_MAX = 1_000_000;
