import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  completeNodes,
  createTree,
  HASH_BYTES,
  leafHash,
  parseTile,
  rootInTile,
  TILE_WIDTH,
  tileOf,
  tilePath,
  tilesAt,
} from './index.ts';

const code = (expected: string) => expect.objectContaining({ code: expected });

describe('the path of a tile', () => {
  it.each([
    [{ level: 0, index: 1234067, width: 256 }, 'tile/0/x001/x234/067'],
    [{ level: 1, index: 0, width: 17 }, 'tile/1/000.p/17'],
    [{ level: 63, index: 999, width: 256 }, 'tile/63/999'],
    [{ level: 2, index: 1000, width: 1 }, 'tile/2/x001/000.p/1'],
  ])('is that of the specification: %o', (tile, path) => {
    expect(tilePath(tile)).toBe(path);
  });

  it.each([
    { level: 64, index: 0, width: 1 },
    { level: 0, index: -1, width: 1 },
    { level: 0, index: 0, width: 0 },
    { level: 0, index: 0, width: 257 },
  ])('is refused for %o', (tile) => {
    expect(() => tilePath(tile)).toThrow(code('ERR_TLOG_TILE'));
  });
});

describe('tiles', () => {
  it('of a tree of 70,000 are those that the specification counts', () => {
    expect([0, 1, 2, 3].map((level) => tilesAt(level, 70_000))).toEqual([
      { full: 273, partial: 112 },
      { full: 1, partial: 17 },
      { full: 0, partial: 1 },
      { full: 0, partial: 0 },
    ]);
    expect(tilesAt(0, 256)).toEqual({ full: 1, partial: 0 });
    expect(tilesAt(1, 256)).toEqual({ full: 0, partial: 1 });
  });

  it('hold every complete subtree of a tree', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1500 }), (size) => {
        const rows: Buffer[][] = [];
        const hashes = new Map<string, Buffer>();
        const tree = createTree();
        for (let i = 0; i < size; i++) {
          tree.append(leafHash(Buffer.from(`${i}`)), (node, hash) => {
            hashes.set(`${node.height}/${node.index}`, hash);
            if (node.height % 8 === 0) rows[node.height / 8] = [...(rows[node.height / 8] ?? []), hash];
          });
        }
        for (const node of completeNodes(0, size)) {
          const { level, index, start, count } = tileOf(node);
          const row = (rows[level] ?? []).slice(index * TILE_WIDTH, (index + 1) * TILE_WIDTH);
          expect(rootInTile(row, start, count)).toEqual(hashes.get(`${node.height}/${node.index}`));
        }
      }),
      { numRuns: 20 },
    );
  });

  it('give their first hashes when wider than asked for, and are refused when narrower or odd', () => {
    const bytes = Buffer.alloc(5 * HASH_BYTES, 1);
    expect(parseTile(bytes, 3)).toHaveLength(3);
    for (const [wrong, width] of [
      [bytes, 6],
      [bytes.subarray(1), 3],
      [Buffer.alloc(257 * HASH_BYTES), 256],
    ] as const) {
      expect(() => parseTile(wrong, width)).toThrow(code('ERR_TLOG_TILE'));
    }
  });
});
