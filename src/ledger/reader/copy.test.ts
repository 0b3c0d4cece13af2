import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createSystemClock } from '../../std/index.ts';
import { formatCheckpoint, noteKeyOf, parseCheckpoint, parseNote } from '../../wire/tlog/index.ts';
import { createDiskFiles } from '../files.ts';
import { createDirectoryReader, createLedger, verifyLedger } from '../index.ts';
import {
  never,
  ORIGIN,
  operation,
  realDeps,
  signText,
  testDeps,
  testDirectory,
  testSigner,
} from '../testing/ledger-fixture.ts';
import { hashRawLog, writeRawLog } from '../testing/raw-log.ts';
import { createTileLeaves } from '../tree/tile-leaves.ts';
import { entriesInTiles } from '../tree/tiles-shown.ts';
import { createTreeWriter } from '../tree/tree-writer.ts';
import { copyLedger } from './copy.ts';

// Goal: a copy made while the ledger is written is whole, and holds what was signed before it was begun.

const key = noteKeyOf(ORIGIN, testSigner().publicKey);
const disk = createDiskFiles();
let folder: ReturnType<typeof testDirectory>;
let copy: string;
beforeEach(() => {
  folder = testDirectory();
  copy = join(dirname(folder.directory), 'copy');
});
afterEach(() => folder.remove());

async function signedEntries(directory: string): Promise<number> {
  const note = await createDirectoryReader({ clock: createSystemClock(), directory }).checkpoint();
  return note === undefined ? 0 : parseCheckpoint(parseNote(note).text).size;
}

describe('a copy of a ledger', () => {
  it('is whole though it is written on meanwhile, over several segments', async () => {
    const deps = realDeps(folder.directory);
    const ledger = createLedger({ ...deps, options: { ...deps.options, hashing: 'thread', checkpointEveryMs: 20 } });
    await ledger.start(never);
    const writing = { goesOn: true, operations: 0 };
    const writer = (async () => {
      while (writing.goesOn) await ledger.synced(ledger.appendAll(operation(writing.operations++)));
    })();
    const isLong = () => readdirSync(join(folder.directory, 'segments')).length > 3;
    while (!isLong() || (await signedEntries(folder.directory)) < 500) await turn();
    const before = { signed: await signedEntries(folder.directory), operations: writing.operations };
    await copyLedger(folder.directory, copy, { signal: never });
    expect(writing.operations).toBeGreaterThan(before.operations);
    writing.goesOn = false;
    await writer;
    await ledger.stop();
    const report = await verifyLedger(copy, key, { signal: never });
    expect(report.findings.filter(({ broken }) => broken)).toEqual([]);
    expect(report.ok).toBe(true);
    expect(report.signedEntries).toBeGreaterThanOrEqual(before.signed);
  });

  it.each(
    Array.from({ length: 16 }, (_, number) => number),
  )('is whole when the writer goes on to another segment before file %i that is no tile is copied', async (number) => {
    const deps = realDeps(folder.directory);
    const options = { ...deps.options, segmentBytes: 64 * 1024, checkpointEveryMs: 20 };
    const ledger = createLedger({ ...deps, options });
    await ledger.start(never);
    let operations = 0;
    const segments = () => readdirSync(join(folder.directory, 'segments')).length;
    const writeSegment = async () => {
      for (const before = segments(); segments() === before; )
        await ledger.synced(ledger.appendAll(operation(operations++)));
    };
    for (let i = 0; i < 3; i++) await writeSegment();
    while ((await signedEntries(folder.directory)) === 0) await turn();
    const signed = await signedEntries(folder.directory);
    const paths: string[] = [];
    await copyLedger(folder.directory, copy, {
      signal: never,
      async onFile(path) {
        paths.push(path);
        if (!path.includes('/tile/') && paths.filter((each) => !each.includes('/tile/')).length - 1 === number)
          await writeSegment();
      },
    });
    await ledger.stop();
    const report = await verifyLedger(copy, key, { signal: never });
    expect(report.findings.filter(({ broken }) => broken)).toEqual([]);
    expect(report.signedEntries).toBeGreaterThanOrEqual(signed);
    expect(paths.length, 'none is copied twice').toBe(new Set(paths).size);
  });

  it('holds all tiles that its checkpoint covers, each taken once, though files of them fill meanwhile', async () => {
    const full = 65_536;
    writeRawLog(disk, folder.directory, full + 900);
    const tree = createTreeWriter({ files: disk, directory: folder.directory });
    await tree.open();
    let size = 0;
    const sign = async (more: number) => {
      size += more;
      const head = await tree.advance(size);
      await tree.publish(await signText(formatCheckpoint({ origin: ORIGIN, ...head })));
    };
    await sign(full - 100);
    const paths: string[] = [];
    await copyLedger(folder.directory, copy, {
      signal: never,
      async onFile(path) {
        paths.push(path);
        await sign(90);
      },
    });
    await tree.close();
    const signed = await signedEntries(copy);
    expect(signed).toBeGreaterThan(full - 100);
    expect(entriesInTiles({ files: disk, directory: copy })).toBeGreaterThanOrEqual(signed);
    const tiles = createTileLeaves({ files: disk, directory: copy });
    const hashes = hashRawLog(full + 900).level(0);
    for (let at = full - 300; at < signed; at++) expect(tiles.leaf(at), `hash ${at}`).toEqual(hashes[at]);
    expect(paths.length, 'none is copied twice').toBe(new Set(paths).size);
  });

  it('takes files of tiles that are full before the checkpoints, the others behind them', async () => {
    writeRawLog(disk, folder.directory, 65_536 + 10);
    const tree = createTreeWriter({ files: disk, directory: folder.directory });
    await tree.open();
    const head = await tree.advance(65_536 + 10);
    await tree.publish(await signText(formatCheckpoint({ origin: ORIGIN, ...head })));
    await tree.close();
    const paths: string[] = [];
    await copyLedger(folder.directory, copy, {
      signal: never,
      onFile: (path) => void paths.push(relative(copy, path)),
    });
    expect(paths).toEqual([
      'tile/0/0000000000.tiles',
      'checkpoint',
      'checkpoints',
      'tile/0/0000000001.tiles',
      'tile/1/0000000000.tiles',
      'tile/2/0000000000.tiles',
      'segments/0000000000.seg',
    ]);
  });

  it('of one that nobody writes holds all of it, closed to others', async () => {
    const ledger = createLedger(testDeps(folder.directory));
    await ledger.start(never);
    for (let i = 0; i < 100; i++) await ledger.synced(ledger.appendAll(operation(i)));
    await ledger.stop();
    await copyLedger(folder.directory, copy, { signal: never });
    const [whole, copied] = [folder.directory, copy].map((directory) =>
      verifyLedger(directory, key, { signal: never }),
    );
    expect(await copied).toEqual(await whole);
    expect(await copied).toMatchObject({ ok: true, entries: 202 });
    expect(statSync(copy).mode & 0o777).toBe(0o700);
  });

  it('is made into a new folder only', async () => {
    mkdirSync(copy);
    await expect(copyLedger(folder.directory, copy, { signal: never })).rejects.toMatchObject({
      code: 'ERR_LEDGER_IO',
    });
  });

  it('stops when it is told to', async () => {
    await expect(copyLedger(folder.directory, copy, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      name: 'AbortError',
    });
  });
});
