import { assert } from '../../std/index.ts';
import { TlogError } from './errors.ts';
import { completeNodes, emptyRoot, foldNodes, HASH_BYTES, nodeHash, type TreeNode } from './merkle.ts';

/**
 * What a proof is made of: one item per hash, each the complete subtrees that fold to it. Fetch the hash of every node, then
 * {@link evaluatePlan}: so the caller may read them from anywhere.
 */
export type ProofPlan = readonly (readonly TreeNode[])[];

/** Plan of the inclusion proof of leaf `index` in a tree of `size`. @throws ERR_TLOG_PROOF when index ≥ size @see RFC 6962 §2.1.1 */
export function planInclusion(index: number, size: number): ProofPlan {
  if (!isCount(index) || !isCount(size) || index >= size) {
    throw new TlogError('ERR_TLOG_PROOF', `leaf ${index} is not in a tree of ${size}`);
  }
  const plan: TreeNode[][] = [];
  let start = 0;
  let end = size;
  while (end - start > 1) {
    const middle = start + largestPowerBelow(end - start);
    if (index < middle) {
      plan.push(completeNodes(middle, end));
      end = middle;
    } else {
      plan.push(completeNodes(start, middle));
      start = middle;
    }
  }
  return plan.reverse();
}

/** Plan of the consistency proof from `oldSize` to `newSize`. @throws ERR_TLOG_PROOF when oldSize > newSize @see RFC 6962 §2.1.2 */
export function planConsistency(oldSize: number, newSize: number): ProofPlan {
  if (!isCount(oldSize) || !isCount(newSize) || oldSize > newSize) {
    throw new TlogError('ERR_TLOG_PROOF', `a tree of ${newSize} does not extend one of ${oldSize}`);
  }
  const plan: TreeNode[][] = [];
  // An empty tree is a prefix of any; the same tree needs no proof.
  if (oldSize === 0 || oldSize === newSize) return plan;
  let start = 0;
  let end = newSize;
  while (oldSize !== end) {
    const middle = start + largestPowerBelow(end - start);
    if (oldSize <= middle) {
      plan.push(completeNodes(middle, end));
      end = middle;
    } else {
      plan.push(completeNodes(start, middle));
      start = middle;
    }
  }
  // The old tree itself is known to the verifier when it is the whole left side.
  if (start !== 0) plan.push(completeNodes(start, end));
  return plan.reverse();
}

/** The hashes of a proof, from the hash of each node of its plan. */
export function evaluatePlan(plan: ProofPlan, hashOf: (node: TreeNode) => Buffer): Buffer[] {
  return plan.map((nodes) => foldNodes(nodes.map(hashOf)));
}

/** Checks that `leaf` (a leaf hash) is the `index`-th of the tree with that size and root. @throws ERR_TLOG_PROOF @see RFC 9162 §2.1.3.2 */
export function verifyInclusion(claim: {
  readonly index: number;
  readonly leaf: Buffer;
  readonly size: number;
  readonly root: Buffer;
  readonly proof: readonly Buffer[];
}): void {
  if (!isCount(claim.index) || !isCount(claim.size) || claim.index >= claim.size) {
    throw new TlogError('ERR_TLOG_PROOF', `leaf ${claim.index} is not in a tree of ${claim.size}`);
  }
  let place = claim.index;
  let last = claim.size - 1;
  let hash = claim.leaf;
  for (const sibling of checkHashes(claim.proof)) {
    if (last === 0) throw new TlogError('ERR_TLOG_PROOF', 'the proof has more hashes than the tree has levels');
    if (place % 2 === 1 || place === last) {
      hash = nodeHash(sibling, hash);
      while (place % 2 === 0 && place !== 0) {
        place = half(place);
        last = half(last);
      }
    } else {
      hash = nodeHash(hash, sibling);
    }
    place = half(place);
    last = half(last);
  }
  if (last !== 0) throw new TlogError('ERR_TLOG_PROOF', 'the proof has fewer hashes than the tree has levels');
  if (!hash.equals(claim.root))
    throw new TlogError('ERR_TLOG_PROOF', `the proof of leaf ${claim.index} misses the root`);
}

/** Checks that the tree with the new size and root extends the old one. @throws ERR_TLOG_PROOF @see RFC 9162 §2.1.4.2 */
export function verifyConsistency(claim: {
  readonly oldSize: number;
  readonly oldRoot: Buffer;
  readonly newSize: number;
  readonly newRoot: Buffer;
  readonly proof: readonly Buffer[];
}): void {
  const { oldSize, newSize } = claim;
  if (!isCount(oldSize) || !isCount(newSize) || oldSize > newSize) {
    throw new TlogError('ERR_TLOG_PROOF', `a tree of ${newSize} does not extend one of ${oldSize}`);
  }
  if (oldSize === 0 || oldSize === newSize) {
    verifyTrivial(claim);
    return;
  }
  const hashes = [...checkHashes(claim.proof)];
  if (largestPowerBelow(oldSize + 1) === oldSize) hashes.unshift(claim.oldRoot);
  let place = oldSize - 1;
  let last = newSize - 1;
  while (place % 2 === 1) {
    place = half(place);
    last = half(last);
  }
  const first = hashes.shift();
  if (!first) throw new TlogError('ERR_TLOG_PROOF', 'the consistency proof is empty');
  let oldHash = first;
  let newHash = first;
  for (const sibling of hashes) {
    if (last === 0) throw new TlogError('ERR_TLOG_PROOF', 'the proof has more hashes than the tree has levels');
    if (place % 2 === 1 || place === last) {
      oldHash = nodeHash(sibling, oldHash);
      newHash = nodeHash(sibling, newHash);
      while (place % 2 === 0 && place !== 0) {
        place = half(place);
        last = half(last);
      }
    } else {
      newHash = nodeHash(newHash, sibling);
    }
    place = half(place);
    last = half(last);
  }
  if (last !== 0) throw new TlogError('ERR_TLOG_PROOF', 'the proof has fewer hashes than the tree has levels');
  if (!oldHash.equals(claim.oldRoot))
    throw new TlogError('ERR_TLOG_PROOF', `the proof misses the old root of ${oldSize}`);
  if (!newHash.equals(claim.newRoot))
    throw new TlogError('ERR_TLOG_PROOF', `the proof misses the new root of ${newSize}`);
}

function verifyTrivial(claim: Parameters<typeof verifyConsistency>[0]): void {
  if (claim.proof.length > 0) throw new TlogError('ERR_TLOG_PROOF', 'this consistency proof must be empty');
  const expected = claim.oldSize === claim.newSize ? claim.newRoot : emptyRoot();
  if (!claim.oldRoot.equals(expected)) {
    throw new TlogError('ERR_TLOG_PROOF', `two roots for one tree of ${claim.oldSize}`);
  }
}

function checkHashes(proof: readonly Buffer[]): readonly Buffer[] {
  for (const hash of proof) {
    if (hash.length !== HASH_BYTES)
      throw new TlogError('ERR_TLOG_PROOF', `a hash of ${hash.length} bytes, not ${HASH_BYTES}`);
  }
  return proof;
}

/** The largest power of two that is less than `count` (≥ 2). */
function largestPowerBelow(count: number): number {
  assert(count >= 2, 'a single leaf is not split');
  let power = 1;
  while (power * 2 < count) power *= 2;
  return power;
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

// Sizes pass 2^32, where `>>` would cut them.
function half(value: number): number {
  return Math.floor(value / 2);
}
