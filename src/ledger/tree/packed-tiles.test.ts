import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createSeededRandom } from '../../std/index.ts';
import {
  formatCheckpoint,
  HASH_BYTES,
  planConsistency,
  planInclusion,
  verifyConsistency,
  verifyInclusion,
} from '../../wire/tlog/index.ts';
import { createDiskFiles } from '../files.ts';
import { ORIGIN, signText, testDirectory } from '../testing/ledger-fixture.ts';
import { hashRawLog, type RawHashes, writeRawLog } from '../testing/raw-log.ts';
import { readHashes, readTile } from './tile-hashes.ts';
import { createTileLeaves } from './tile-leaves.ts';
import { levelDirectory, tilesDirectory } from './tile-pack.ts';
import { entriesInTiles } from './tiles-shown.ts';
import { createTreeWriter } from './tree-writer.ts';

// Goal: whatever sizes a log grows by, over whatever lives of its writer, its tiles are all hashes over its entries and nothing else, in few
// files, and what is read of them is the same.

const COUNT = 131_072 + 700;
const files = createDiskFiles();
const folder = testDirectory();
const deps = { files, directory: folder.directory };
/** One for all sizes: what it holds of a tile grows old. */
const tiles = createTileLeaves(deps);
let model: RawHashes;
beforeAll(() => {
  writeRawLog(files, folder.directory, COUNT);
  model = hashRawLog(COUNT);
});
afterAll(() => folder.remove());

test('tiles and proofs are those of a plain tree, at all sizes around full tiles and files of them', async () => {
  const random = createSeededRandom('sizes');
  const edges = [256, 512, 65_536, 65_792, 131_072].flatMap((edge) => [edge - 1, edge, edge + 1]);
  const others = Array.from({ length: 12 }, () => 1 + Math.floor(random.fraction() * (COUNT - 1)));
  const sizes = [...new Set([1, ...edges, ...others, COUNT])].sort((a, b) => a - b);
  let writer = createTreeWriter(deps);
  await writer.open();
  let before = 0;
  for (const size of sizes) {
    const head = await writer.advance(size);
    expect(head).toEqual({ size, root: model.root(size) });
    await writer.publish(await signText(formatCheckpoint({ origin: ORIGIN, ...head })));
    expectRead(before, size, () => Math.floor(random.fraction() * size));
    before = size;
    if (random.fraction() < 0.5) continue;
    await writer.close();
    writer = createTreeWriter(deps);
    expect(await writer.open()).toEqual(head);
  }
  await writer.close();
  for (const level of [0, 1, 2]) expectStored(level);
  const names = readdirSync(tilesDirectory(folder.directory), { recursive: true, withFileTypes: true });
  expect(names.filter((name) => name.isFile()).length, 'files of tiles').toBe(3 + 1 + 1);
});

/** Reads hashes and proofs of a tree of `size`, at its ends and at places of chance. */
function expectRead(before: number, size: number, place: () => number): void {
  const [leaves, above] = [model.level(0), model.level(1)];
  expect(entriesInTiles(deps)).toBe(size);
  expect(tiles.leaf(size)).toBeUndefined();
  expect(tiles.above(1, Math.floor(size / 256))).toBeUndefined();
  for (const index of [0, size - 1, place(), place()]) {
    const leaf = tiles.leaf(index);
    expect(leaf).toEqual(leaves[index]);
    if (index < size - (size % 256)) {
      const tile = Math.floor(index / 256);
      expect(tiles.above(1, tile)).toEqual(above[tile]);
      expect(readTile(deps, { level: 0, index: tile, width: 256 })).toEqual(leaves.slice(tile * 256, tile * 256 + 256));
    }
    const proof = readHashes(deps, planInclusion(index, size), size);
    verifyInclusion({ index, leaf: leaf ?? Buffer.alloc(0), size, root: model.root(size), proof });
  }
  if (before === 0) return;
  const proof = readHashes(deps, planConsistency(before, size), size);
  const [oldRoot, newRoot] = [model.root(before), model.root(size)];
  verifyConsistency({ oldSize: before, oldRoot, newSize: size, newRoot, proof });
}

function expectStored(level: number): void {
  const directory = levelDirectory(folder.directory, level);
  const paths = readdirSync(directory).map((name) => join(directory, name));
  for (const path of paths.slice(0, -1)) expect(statSync(path).size).toBe(65_536 * HASH_BYTES);
  const stored = Buffer.concat(paths.map((path) => readFileSync(path)));
  expect(stored.equals(Buffer.concat(model.level(level)))).toBe(true);
}
