import { createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';
import { sha256 } from '../../std/index.ts';
import {
  createTree,
  evaluatePlan,
  formatCanonicalJson,
  formatCheckpoint,
  formatNote,
  formatVerifierKey,
  type JsonValue,
  leafHash,
  type NoteKey,
  nodeHash,
  noteKeyOf,
  planConsistency,
  type TreeNode,
} from '../../wire/tlog/index.ts';
import type { LogBatch, LogState } from '../log/judge-batch.ts';

/** A log of a writer, in memory: what a shipper would hand over of it, in whatever pieces. */
export interface TestLog {
  readonly origin: string;
  readonly key: NoteKey;
  readonly verifierKey: string;
  readonly entries: readonly Buffer[];
  /** Before anything was shipped. */
  state(): LogState;
  checkpoint(size: number): string;
  consistency(from: number, to: number): Buffer[];
  /** Entries `first` to `end`, with the checkpoint over `end` where `from` says what was signed before. */
  batch(first: number, end: number, from?: number): LogBatch;
  /** The same log with other entries, signed by the same key. */
  with(entries: readonly Buffer[]): TestLog;
}

export const ORIGIN = 'countersign.example/gateway/one';

/** Creates one of so many entries. */
export function testLog(count: number, options: { readonly seed?: string; readonly origin?: string } = {}): TestLog {
  const { seed = 'log', origin = ORIGIN } = options;
  return logOf(
    Array.from({ length: count }, (_, seq) => testEntry(seq)),
    privateKeyOf(seed),
    origin,
  );
}

/** The bytes of an entry; `fields` in place of its own. */
export function testEntry(seq: number, fields: Readonly<Record<string, JsonValue>> = {}): Buffer {
  const own = {
    ...{
      action: 'lines:read',
      actor: 'spiffe://countersign.example/web',
      detail: {},
      kind: 'intent',
      operation: `${seq}`,
    },
    ...{ seq, session: 's1', target: 'db', timeMs: 1_000_000 + seq, v: 1 },
  };
  return Buffer.from(formatCanonicalJson({ ...own, ...fields }));
}

function logOf(entries: readonly Buffer[], privateKey: KeyObject, origin: string): TestLog {
  const key = noteKeyOf(origin, createPublicKey(privateKey));
  const leaves = entries.map(leafHash);
  const hashOf = ({ height, index }: TreeNode): Buffer => {
    if (height === 0) return leaves[index] ?? Buffer.alloc(32);
    return nodeHash(
      hashOf({ height: height - 1, index: 2 * index }),
      hashOf({ height: height - 1, index: 2 * index + 1 }),
    );
  };
  const checkpoint = (size: number) => {
    const tree = createTree();
    for (const leaf of leaves.slice(0, size)) tree.append(leaf);
    const text = formatCheckpoint({ origin, size, root: tree.root() });
    return formatNote(text, key, sign(null, Buffer.from(text), privateKey));
  };
  const consistency = (from: number, to: number) => evaluatePlan(planConsistency(from, to), hashOf);
  return {
    ...{ origin, key, entries, checkpoint, consistency },
    verifierKey: formatVerifierKey(key),
    state: () => ({ origin, key, head: { size: 0, edge: [] }, signed: { size: 0, edge: [] } }),
    batch: (first, end, from) => ({
      ...{ first, entries: entries.slice(first, end) },
      ...(from === undefined
        ? { consistency: [] }
        : { checkpoint: checkpoint(end), consistency: consistency(from, end) }),
    }),
    with: (others) => logOf(others, privateKey, origin),
  };
}

/** The same for each seed, so that a failure can be repeated. */
function privateKeyOf(seed: string): KeyObject {
  const prefix = Buffer.from('302e020100300506032b657004220420', 'hex');
  return createPrivateKey({ key: Buffer.concat([prefix, sha256(Buffer.from(seed))]), format: 'der', type: 'pkcs8' });
}
