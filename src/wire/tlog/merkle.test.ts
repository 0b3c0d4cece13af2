import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  completeNodes,
  createTree,
  emptyRoot,
  evaluatePlan,
  leafHash,
  nodeHash,
  planConsistency,
  planInclusion,
  TlogError,
  type TreeNode,
  verifyConsistency,
  verifyInclusion,
} from './index.ts';

// The vectors are those published with the Certificate Transparency implementations for RFC 6962 §2.1.

const VECTOR_LEAVES = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
].map((hex) => leafHash(Buffer.from(hex, 'hex')));
const VECTOR_ROOTS = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];

/** RFC 6962 §2.1 word for word, as an oracle. */
function rootOf(leaves: readonly Buffer[]): Buffer {
  if (leaves.length === 0) return emptyRoot();
  const [only] = leaves;
  if (leaves.length === 1 && only) return only;
  let middle = 1;
  while (middle * 2 < leaves.length) middle *= 2;
  return nodeHash(rootOf(leaves.slice(0, middle)), rootOf(leaves.slice(middle)));
}

const leavesOf = (count: number) => [...Array(count).keys()].map((i) => leafHash(Buffer.from(`entry ${i}`)));
const hashOf = (leaves: readonly Buffer[]) => (node: TreeNode) =>
  rootOf(leaves.slice(node.index * 2 ** node.height, (node.index + 1) * 2 ** node.height));
const refused = (run: () => unknown) => {
  expect(run).toThrow(TlogError);
  expect(run).toThrow(expect.objectContaining({ code: 'ERR_TLOG_PROOF' }));
};

describe('a Merkle tree', () => {
  it('has the published roots', () => {
    const tree = createTree();
    for (const [size, expected] of VECTOR_ROOTS.entries()) {
      expect(tree.size).toBe(size);
      expect(tree.root().toString('hex')).toBe(expected);
      const leaf = VECTOR_LEAVES[size];
      if (leaf) tree.append(leaf);
    }
  });

  it('hashes large entries as it does small ones', () => {
    for (const size of [8191, 8192, 8193, 100_000]) {
      const entry = Buffer.alloc(size, 7);
      expect(leafHash(entry).equals(leafHash(Buffer.from(entry)))).toBe(true);
      expect(leafHash(entry).equals(leafHash(Buffer.alloc(size + 1, 7)))).toBe(false);
    }
  });

  it('can be taken up at any size from its edge, and tells every finished subtree once', () => {
    const leaves = leavesOf(70);
    for (let size = 0; size <= 70; size++) {
      const tree = createTree(size, completeNodes(0, size).map(hashOf(leaves)));
      const copy = tree.copy();
      const seen: string[] = [];
      for (const leaf of leaves.slice(size)) {
        tree.append(leaf, (node, hash) => {
          expect(hash.equals(hashOf(leaves)(node))).toBe(true);
          seen.push(`${node.height}/${node.index}`);
        });
      }
      expect(tree.root().equals(rootOf(leaves))).toBe(true);
      expect(new Set(seen).size).toBe(seen.length);
      expect(copy.root().equals(rootOf(leaves.slice(0, size)))).toBe(true);
    }
  });
});

describe('an inclusion proof', () => {
  it('is the published one', () => {
    const path = evaluatePlan(planInclusion(0, 8), hashOf(VECTOR_LEAVES)).map((hash) => hash.toString('hex'));
    expect(path).toEqual([
      '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
    ]);
  });

  it('shows each leaf of each tree, and nothing else', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 90 }), fc.nat(), fc.nat(), (size, at, other) => {
        const leaves = leavesOf(size);
        const index = at % size;
        const leaf = leaves[index] ?? Buffer.alloc(32);
        const claim = {
          index,
          leaf,
          size,
          root: rootOf(leaves),
          proof: evaluatePlan(planInclusion(index, size), hashOf(leaves)),
        };
        verifyInclusion(claim);
        refused(() => verifyInclusion({ ...claim, leaf: leafHash(Buffer.from('forged')) }));
        refused(() => verifyInclusion({ ...claim, root: leafHash(Buffer.from('forged')) }));
        refused(() => verifyInclusion({ ...claim, proof: [...claim.proof, claim.leaf] }));
        if (size > 1) refused(() => verifyInclusion({ ...claim, proof: claim.proof.slice(1) }));
        if (other % size !== index) refused(() => verifyInclusion({ ...claim, index: other % size }));
      }),
    );
  });

  it('is refused for a place outside the tree, or with a hash that is none', () => {
    for (const [index, size] of [
      [5, 5],
      [-1, 5],
      [0, 0],
      [0.5, 3],
    ] as const) {
      refused(() => planInclusion(index, size));
      refused(() => verifyInclusion({ index, size, leaf: emptyRoot(), root: emptyRoot(), proof: [] }));
    }
    refused(() =>
      verifyInclusion({ index: 0, size: 2, leaf: emptyRoot(), root: emptyRoot(), proof: [Buffer.alloc(31)] }),
    );
  });
});

describe('a consistency proof', () => {
  it.each([
    [1, 1, []],
    [
      1,
      8,
      [
        '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
        '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
        '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
      ],
    ],
    [
      6,
      8,
      [
        '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
        'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
        'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
      ],
    ],
    [
      2,
      5,
      [
        '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
        'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
      ],
    ],
  ])('from %i to %i is the published one', (oldSize, newSize, expected) => {
    const proof = evaluatePlan(planConsistency(oldSize, newSize), hashOf(VECTOR_LEAVES));
    expect(proof.map((hash) => hash.toString('hex'))).toEqual(expected);
  });

  it('shows that every tree extends every smaller one, and nothing else', () => {
    fc.assert(
      fc.property(fc.nat(90), fc.nat(90), (a, b) => {
        const [oldSize, newSize] = a < b ? [a, b] : [b, a];
        const leaves = leavesOf(newSize);
        const proof = evaluatePlan(planConsistency(oldSize, newSize), hashOf(leaves));
        const claim = { oldSize, oldRoot: rootOf(leaves.slice(0, oldSize)), newSize, newRoot: rootOf(leaves), proof };
        verifyConsistency(claim);
        const forged = leafHash(Buffer.from('forged'));
        refused(() => verifyConsistency({ ...claim, oldRoot: forged }));
        refused(() => verifyConsistency({ ...claim, proof: [...proof, forged] }));
        if (oldSize > 0) refused(() => verifyConsistency({ ...claim, newRoot: forged }));
        if (proof.length > 0) refused(() => verifyConsistency({ ...claim, proof: proof.slice(1) }));
      }),
    );
  });

  it('is refused from a larger tree to a smaller one', () => {
    refused(() => planConsistency(3, 2));
    refused(() => verifyConsistency({ oldSize: 3, oldRoot: emptyRoot(), newSize: 2, newRoot: emptyRoot(), proof: [] }));
  });
});
