import { describe, expect, it, test } from 'vitest';
import { codeOf, createSeededRandom } from '../../std/index.ts';
import { formatCheckpoint, HASH_BYTES } from '../../wire/tlog/index.ts';
import type { LedgerFiles } from '../files.ts';
import { segmentPath } from '../segments/segment.ts';
import { ORIGIN, signText } from '../testing/ledger-fixture.ts';
import { createMemoryDisk, type MemoryDisk, systemError } from '../testing/memory-disk.ts';
import { hashRawLog, writeRawLog } from '../testing/raw-log.ts';
import { readTile } from './tile-hashes.ts';
import { packPath } from './tile-pack.ts';
import { createTreeWriter } from './tree-writer.ts';

// Goal: whatever fails, tears or is damaged, tiles are in the end those of the entries; those that a checkpoint covers are not written over
// for any other reason, and no entry is blamed for what a crash left.

const DIRECTORY = '/ledger';
const COUNT = 900;
const SIGNED = 300;
const model = hashRawLog(COUNT);
const tiles = [packPath(DIRECTORY, 0, 0), packPath(DIRECTORY, 1, 0)];

/** A log of 900 entries, of which 300 are hashed and signed. */
async function signedLog(): Promise<MemoryDisk> {
  const disk = createMemoryDisk();
  writeRawLog(disk, DIRECTORY, COUNT);
  const file = disk.open(segmentPath(DIRECTORY, 0), 'update');
  await disk.sync(file);
  await disk.syncDirectory(`${DIRECTORY}/segments`);
  disk.close(file);
  const writer = createTreeWriter({ files: disk, directory: DIRECTORY });
  await writer.open();
  const head = await writer.advance(SIGNED);
  await writer.publish(await signText(formatCheckpoint({ origin: ORIGIN, ...head })));
  await writer.close();
  return disk.nextProcess();
}

async function opened(files: LedgerFiles) {
  const writer = createTreeWriter({ files, directory: DIRECTORY });
  const head = await writer.open();
  expect(head).toEqual({ size: SIGNED, root: model.root(SIGNED) });
  return writer;
}

async function expectGoesOn(disk: MemoryDisk): Promise<void> {
  const writer = await opened(disk);
  expect(await writer.advance(COUNT)).toEqual({ size: COUNT, root: model.root(COUNT) });
  await writer.close();
  expect(disk.openFiles()).toEqual([]);
  // Also of what no one asked for, on a disk that keeps nothing but what was synced.
  const after = disk.losePower({ fraction: () => 0, bytes: (count) => Buffer.alloc(count) });
  for (const [level, path] of tiles.entries()) expect(bytesOf(after, path)).toEqual(Buffer.concat(model.level(level)));
}

function bytesOf(disk: MemoryDisk, path: string): Buffer {
  const file = disk.open(path, 'read');
  const bytes = Buffer.alloc(disk.size(file));
  disk.read(file, bytes, 0);
  disk.close(file);
  return bytes;
}

function change(disk: MemoryDisk, path: string, act: (file: number) => void): void {
  const file = disk.open(path, 'update');
  act(file);
  disk.close(file);
}

/** The disk, and where in the tiles of entries was written: the first hash of each write. */
function watched(disk: MemoryDisk): { readonly files: LedgerFiles; readonly places: readonly number[] } {
  const places: number[] = [];
  const ofTiles = new Set<number>();
  const open: LedgerFiles['open'] = (path, mode) => {
    const file = disk.open(path, mode);
    if (path === tiles[0] && mode !== 'read') ofTiles.add(file);
    else ofTiles.delete(file);
    return file;
  };
  const write: LedgerFiles['write'] = (file, from, position) => {
    if (ofTiles.has(file)) places.push(position / HASH_BYTES);
    return disk.write(file, from, position);
  };
  return { files: { ...disk, open, write }, places };
}

test.each([
  0, 1,
])('when sync %i of tiles fails, no file stays open and the next attempt writes all', async (failing) => {
  const disk = await signedLog();
  const writer = await opened(disk);
  let syncs = 0;
  disk.faults.sync = () => {
    if (syncs++ === failing) throw systemError('EIO');
  };
  expect(await writer.advance(COUNT).then(() => 'advanced', codeOf)).toBe('EIO');
  expect(disk.openFiles().filter((path) => path.includes('/tile/'))).toEqual([]);
  expect((await writer.advance(COUNT)).root).toEqual(model.root(COUNT));
  await writer.close();
  const after = disk.losePower({ fraction: () => 0, bytes: (count) => Buffer.alloc(count) });
  for (const [level, path] of tiles.entries()) expect(bytesOf(after, path)).toEqual(Buffer.concat(model.level(level)));
});

test('tiles that are removed under a writer cost no checkpoint, and its next start makes them anew', async () => {
  const disk = await signedLog();
  const writer = await opened(disk);
  await writer.advance(SIGNED + 1);
  for (const path of tiles) disk.remove(path);
  const head = await writer.advance(COUNT);
  await writer.publish(await signText(formatCheckpoint({ origin: ORIGIN, ...head })));
  await writer.close();
  const after = disk.losePower({ fraction: () => 0, bytes: (count) => Buffer.alloc(count) });
  const [before] = tiles.map((path) => bytesOf(after, path));
  expect(before?.subarray(0, SIGNED * HASH_BYTES)).toEqual(Buffer.alloc(SIGNED * HASH_BYTES));
  const next = createTreeWriter({ files: after, directory: DIRECTORY });
  expect(await next.open()).toEqual(head);
  await next.close();
  for (const [level, path] of tiles.entries()) expect(bytesOf(after, path)).toEqual(Buffer.concat(model.level(level)));
});

describe('a power cut behind the last checkpoint', () => {
  it.each([512, 4096])('costs hashes that are made again, whatever pages of %i bytes arrived', async (pageBytes) => {
    const signed = await signedLog();
    let lost = 0;
    for (let seed = 0; seed < 40; seed++) {
      const random = createSeededRandom(`${pageBytes} ${seed}`);
      const disk = signed.losePower(random);
      const writer = await opened(disk);
      disk.faults.sync = () => {
        throw systemError('EIO');
      };
      // In two steps, the second over what the first left unsynced.
      for (const size of [500 + seed, COUNT]) expect(await writer.advance(size).then(() => '', codeOf)).toBe('EIO');
      const after = disk.losePower(random, pageBytes);
      const [kept] = tiles.map((path) => bytesOf(after, path));
      if (!kept?.equals(Buffer.concat(model.level(0)))) lost++;
      await expectGoesOn(after);
    }
    expect(lost).toBeGreaterThan(10);
  });
});

describe('a start', () => {
  const damages: readonly (readonly [string, (disk: MemoryDisk) => void])[] = [
    [
      'half a hash behind the last',
      (disk) => change(disk, tiles[0] ?? '', (f) => disk.write(f, Buffer.alloc(16, 7), 9600)),
    ],
    ['zeros behind the last', (disk) => change(disk, tiles[0] ?? '', (f) => disk.write(f, Buffer.alloc(3200), 9600))],
    [
      'a changed hash in the last tile',
      (disk) => change(disk, tiles[0] ?? '', (f) => disk.write(f, Buffer.alloc(1, 7), 9000)),
    ],
    [
      'a changed hash in a full tile',
      (disk) => change(disk, tiles[0] ?? '', (f) => disk.write(f, Buffer.alloc(1, 7), 900)),
    ],
    ['a changed hash above', (disk) => change(disk, tiles[1] ?? '', (f) => disk.write(f, Buffer.alloc(1, 7), 3))],
    ['tiles that are cut within the last', (disk) => change(disk, tiles[0] ?? '', (f) => disk.truncate(f, 9000))],
    ['tiles that are cut within a full one', (disk) => change(disk, tiles[0] ?? '', (f) => disk.truncate(f, 900))],
    ['no tiles of entries', (disk) => disk.remove(tiles[0] ?? '')],
    ['no tiles at all', (disk) => void tiles.map(disk.remove)],
  ];

  it.each(damages)('with %s goes on, and the tiles are those of the entries again', async (_, damage) => {
    const disk = await signedLog();
    damage(disk);
    await expectGoesOn(disk);
  });

  it('that found nothing amiss writes no hash again that a checkpoint covers', async () => {
    const disk = await signedLog();
    const { files, places } = watched(disk);
    const writer = await opened(files);
    await writer.advance(400);
    await writer.advance(COUNT);
    await writer.close();
    expect(places).toEqual([300, 400]);
  });

  it('writes the last tile again when that is what is damaged, and no other', async () => {
    const disk = await signedLog();
    change(disk, tiles[0] ?? '', (file) => disk.write(file, Buffer.alloc(1, 7), 9000));
    const { files, places } = watched(disk);
    const writer = await opened(files);
    await writer.advance(COUNT);
    await writer.close();
    expect(places).toEqual([256, 300]);
  });

  it.each([
    ['the last tile is damaged', 9000],
    ['a full tile is damaged', 900],
  ])('that does not find the entries as signed leaves the tiles as they are, also where %s', async (_, position) => {
    const disk = await signedLog();
    change(disk, tiles[0] ?? '', (file) => disk.write(file, Buffer.alloc(1, 7), position));
    const before = tiles.map((path) => bytesOf(disk, path));
    const path = segmentPath(DIRECTORY, 0);
    const bytes = bytesOf(disk, path);
    // Its checksum is that of another entry: the log ends there.
    change(disk, path, (file) => disk.write(file, Buffer.from('forged'), bytes.indexOf('entry 280')));
    const writer = createTreeWriter({ files: disk, directory: DIRECTORY });
    await expect(writer.open()).rejects.toMatchObject({ code: 'ERR_LEDGER_CORRUPT' });
    await writer.close();
    expect(tiles.map((each) => bytesOf(disk, each))).toEqual(before);
  });

  it('that finds another hash behind the last checkpoint than its entry has goes no further', async () => {
    const disk = await signedLog();
    change(disk, tiles[0] ?? '', (file) => disk.write(file, Buffer.alloc(HASH_BYTES, 7), 9600));
    const writer = createTreeWriter({ files: disk, directory: DIRECTORY });
    await expect(writer.open()).rejects.toMatchObject({ code: 'ERR_LEDGER_CORRUPT' });
    await writer.close();
  });

  it('finds that also where it makes full tiles anew: what stands behind the checkpoint is not cut off before', async () => {
    const disk = await signedLog();
    const writer = await opened(disk);
    await writer.advance(COUNT);
    await writer.close();
    change(disk, tiles[0] ?? '', (file) => {
      disk.write(file, Buffer.alloc(1, 7), 900);
      disk.write(file, Buffer.alloc(HASH_BYTES, 7), 880 * HASH_BYTES);
    });
    const next = createTreeWriter({ files: disk, directory: DIRECTORY });
    await expect(next.open()).rejects.toMatchObject({ code: 'ERR_LEDGER_CORRUPT' });
    await next.close();
  });

  it('has half a hash off the disk before it writes behind the checkpoint', async () => {
    const disk = await signedLog();
    change(disk, tiles[0] ?? '', (file) => disk.write(file, Buffer.alloc(16, 7), 9600));
    const writer = await opened(disk);
    const synced: string[] = [];
    disk.faults.sync = (path) => void synced.push(path);
    disk.faults.write = (path) => {
      if (path === tiles[0]) throw systemError('EIO');
      return undefined;
    };
    await expect(writer.advance(COUNT)).rejects.toMatchObject({ code: 'EIO' });
    await writer.close();
    expect(synced).toEqual([tiles[0]]);
    expect(bytesOf(disk, tiles[0] ?? '').length).toBe(9600);
  });
});

test('a tile of which a hash was never written is not there', async () => {
  const disk = await signedLog();
  const deps = { files: disk, directory: DIRECTORY };
  expect(readTile(deps, { level: 0, index: 0, width: 256 })).toEqual(model.level(0).slice(0, 256));
  change(disk, tiles[0] ?? '', (file) => disk.write(file, Buffer.alloc(HASH_BYTES), 100 * HASH_BYTES));
  expect(readTile(deps, { level: 0, index: 0, width: 256 })).toBeUndefined();
  expect(readTile(deps, { level: 0, index: 0, width: 100 })).toEqual(model.level(0).slice(0, 100));
});
