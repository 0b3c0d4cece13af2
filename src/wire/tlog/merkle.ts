import { hash as digest } from 'node:crypto';
import { assert } from '../../std/index.ts';

/** Bytes of a SHA-256 hash. */
export const HASH_BYTES = 32;

/** Hash of a leaf: SHA-256(0x00 ‖ entry). @see RFC 6962 §2.1 */
export function leafHash(entry: Uint8Array): Buffer {
  const input = entry.length < SCRATCH_BYTES ? scratch : Buffer.allocUnsafe(entry.length + 1);
  input[0] = 0;
  input.set(entry, 1);
  return sha256(input.subarray(0, entry.length + 1));
}

/** Hash of an inner node: SHA-256(0x01 ‖ left ‖ right). @see RFC 6962 §2.1 */
export function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  nodeInput.set(left, 1);
  nodeInput.set(right, 1 + HASH_BYTES);
  return sha256(nodeInput);
}

/** Root of the empty tree: SHA-256 of nothing. */
export function emptyRoot(): Buffer {
  return sha256(new Uint8Array());
}

/** By way of its text, since Node makes a string of 64 characters in a third of the time that it takes for a buffer of its own. */
function sha256(bytes: Uint8Array): Buffer {
  return Buffer.from(digest('sha256', bytes, 'hex'), 'hex');
}

/** A complete subtree: `2^height` leaves, the `index`-th of its height. */
export interface TreeNode {
  readonly height: number;
  readonly index: number;
}

/** A growing tree that keeps one hash per complete subtree on its right edge: log2(size) hashes, whatever its size. */
export interface Tree {
  readonly size: number;
  /** Adds the next leaf; `seen` is told each complete subtree that this finishes, from the leaf up. */
  append(leaf: Buffer, seen?: (node: TreeNode, hash: Buffer) => void): void;
  /** The RFC 6962 Merkle tree hash of all leaves so far. */
  root(): Buffer;
  /** The hashes of {@link completeNodes}(0, size), from which the tree is restored. */
  edge(): readonly Buffer[];
  /** A tree of its own with the same leaves. */
  copy(): Tree;
}

/** Creates a {@link Tree}; `edge` restores one of `size` leaves from the hashes of {@link completeNodes}(0, size). */
export function createTree(size = 0, edge: readonly Buffer[] = []): Tree {
  const stack = [...edge];
  let leaves = size;
  assert(completeNodes(0, size).length === edge.length, `a tree of ${size} leaves has not ${edge.length} edge hashes`);
  return {
    get size() {
      return leaves;
    },
    append(leaf, seen) {
      let node = leaf;
      let index = leaves;
      let height = 0;
      seen?.({ height, index }, node);
      // Each trailing one bit of the old size is a complete left sibling waiting on the stack.
      while (index % 2 === 1) {
        const left = stack.pop();
        assert(left, 'the edge holds a sibling for each one bit');
        node = nodeHash(left, node);
        index = (index - 1) / 2;
        height++;
        seen?.({ height, index }, node);
      }
      stack.push(node);
      leaves++;
    },
    root: () => foldNodes(stack),
    edge: () => [...stack],
    copy: () => createTree(leaves, stack),
  };
}

/** The fewest complete subtrees that cover leaves `[start, end)`, left to right, where `start` is a multiple of the range's power of two. */
export function completeNodes(start: number, end: number): TreeNode[] {
  const nodes: TreeNode[] = [];
  let at = start;
  while (at < end) {
    let height = 0;
    while (at % 2 ** (height + 1) === 0 && at + 2 ** (height + 1) <= end) height++;
    nodes.push({ height, index: at / 2 ** height });
    at += 2 ** height;
  }
  return nodes;
}

/** Root over complete subtrees of falling size: folds from the right; none gives the empty root. */
export function foldNodes(hashes: readonly Buffer[]): Buffer {
  let root: Buffer | undefined;
  for (let i = hashes.length - 1; i >= 0; i--) {
    const left = hashes[i];
    assert(left, 'index is within the array');
    root = root ? nodeHash(left, root) : left;
  }
  return root ?? emptyRoot();
}

// Two buffers are reused by every hash: nothing survives in them from one call to the next, and nothing is awaited between.
/** Entries below this size are hashed without a buffer of their own. */
const SCRATCH_BYTES = 8192;
const scratch = Buffer.alloc(SCRATCH_BYTES + 1);
const nodeInput = Buffer.alloc(1 + 2 * HASH_BYTES);
nodeInput[0] = 1;
