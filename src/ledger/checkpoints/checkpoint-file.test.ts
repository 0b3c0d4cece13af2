import { describe, expect, it } from 'vitest';
import { createLedger } from '../index.ts';
import { never, testDeps } from '../testing/ledger-fixture.ts';
import { createMemoryDisk, type MemoryDisk, systemError } from '../testing/memory-disk.ts';
import { checkpointsPath, NOTE_BYTES_MAX, readCheckpoints, readLastCheckpoint } from './checkpoint-file.ts';
import { createCheckpointWriter, ENTRIES_A_CHECKPOINT, RECENT_BYTES } from './checkpoint-writer.ts';

// Goal: the newest checkpoint is the same from either end of the file, wherever a reader's window begins, and the file stays small.

const DIRECTORY = '/ledger';
const ROOT = 'CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=';

const note = (size: number, extra: { signatures?: number; pad?: number; line?: string } = {}) => {
  const { signatures = 1, pad = 0, line = '' } = extra;
  const lines = Array.from(
    { length: signatures },
    (_, i) => `\u2014 log.example/${'x'.repeat(pad)}${i} AAAAAWFiY2Q=\n`,
  );
  return `log.example/1\n${size}\n${ROOT}\n${line}\n${lines.join('')}`;
};
const diskWith = (text: string | Buffer): MemoryDisk => {
  const disk = createMemoryDisk();
  const file = disk.open(checkpointsPath(DIRECTORY), 'create');
  disk.write(file, Buffer.from(text), 0);
  disk.close(file);
  return disk;
};
const all = (disk: MemoryDisk) => [...readCheckpoints(disk, DIRECTORY)];
const last = (disk: MemoryDisk) => readLastCheckpoint(disk, DIRECTORY);

describe('the newest checkpoint', () => {
  const kinds = [
    ['of one size', () => note(100)],
    ['of growing sizes', (i: number) => note(10 ** (i % 12))],
    ['with several signatures', (i: number) => note(i, { signatures: 1 + (i % 5) })],
    ['with a long name', (i: number) => note(i, { pad: 200 })],
    ['with an extension line', (i: number) => note(i, { line: 'an extension\n' })],
  ] as const;

  it.each(kinds)('is found from whichever byte of a note a window begins at: notes %s', (_, make) => {
    // The window is three times the longest note: the file's length, byte by byte, moves its edge through two notes and their lines.
    const notes = Array.from({ length: 2500 }, (_, i) => `${make(i)}\n`);
    const whole = Buffer.from(notes.join('').repeat(Math.ceil((4 * NOTE_BYTES_MAX) / notes.join('').length)));
    const newest = Buffer.from(`${note(77)}\n`);
    const span = Buffer.byteLength(notes.slice(0, 2).join('')) + 2;
    for (let lead = 0; lead < span; lead++) {
      // A first note of a length of its own, so that everything behind it moves by one byte at a time.
      const first = Buffer.from(`${note(1, { line: `${'e'.repeat(lead + 1)}\n` })}\n`);
      const found = last(diskWith(Buffer.concat([first, whole, newest])));
      expect(found?.note, `lead ${lead}`).toBe(note(77));
    }
  });

  it('is the last whole one behind which a note was cut short at any byte, as it is when read from the front', () => {
    const kept = Array.from({ length: 800 }, (_, i) => `${note(i, { signatures: 1 + (i % 2) })}\n`).join('');
    const next = Buffer.from(`${note(801, { signatures: 2 })}\n`);
    for (let cut = 0; cut <= next.length; cut++) {
      const disk = diskWith(Buffer.concat([Buffer.from(kept), next.subarray(0, cut)]));
      const found = last(disk);
      expect(found, `cut ${cut}`).toEqual(all(disk).at(-1));
      expect(found?.claim?.size).toBe(cut === next.length ? 801 : 799);
    }
  });

  it('is the one before a note that lost a page in a power cut, though its end is there; in the middle such a note is no crash', () => {
    const holed = Buffer.from(`${note(3, { signatures: 2 })}\n`).fill(0, 10, 60);
    const before = Buffer.from(`${note(1)}\n${note(2)}\n`);
    const torn = diskWith(Buffer.concat([before, holed]));
    expect(last(torn)?.claim?.size).toBe(2);
    expect(all(torn).map((each) => each.claim?.size)).toEqual([1, 2]);
    const inside = diskWith(Buffer.concat([before, holed, Buffer.from(`${note(4)}\n`)]));
    expect(all(inside).map((each) => each.claim?.size)).toEqual([1, 2, undefined, 4]);
  });

  it('is none in a file that is empty, cut within its first note, or missing', () => {
    const only = Buffer.from(`${note(5)}\n`);
    for (let cut = 0; cut < only.length; cut++) expect(last(diskWith(only.subarray(0, cut)))).toBeUndefined();
    expect(last(diskWith(only))?.claim?.size).toBe(5);
    expect(last(createMemoryDisk())).toBeUndefined();
  });

  it('is not looked for behind more than a note of noise', () => {
    const disk = diskWith(Buffer.concat([Buffer.from(`${note(5)}\n`), Buffer.alloc(4 * NOTE_BYTES_MAX)]));
    expect(() => last(disk)).toThrow(expect.objectContaining({ code: 'ERR_LEDGER_CORRUPT' }));
  });
});

describe('a ledger that is opened and closed again and again', () => {
  it('opens the 420th time as it did the first', async () => {
    let disk = createMemoryDisk();
    for (let i = 0; i < 420; i++) {
      const ledger = createLedger({ ...testDeps(DIRECTORY), options: { segmentBytes: 128 * 1024 }, files: disk });
      await ledger.start(never);
      await ledger.stop();
      disk = disk.nextProcess();
    }
    expect(last(disk)?.claim?.size).toBe(840);
  });
});

describe('old checkpoints', () => {
  const grown = (count: number, entriesEach: number) =>
    diskWith(Array.from({ length: count }, (_, i) => `${note((i + 1) * entriesEach)}\n`).join(''));
  /** Adds one more checkpoint, as the writer of that file does. */
  const addTo = async (disk: MemoryDisk) => {
    const newest = last(disk);
    const writer = createCheckpointWriter({ files: disk, directory: DIRECTORY });
    writer.open(newest);
    const size = (newest?.claim?.size ?? 0) + 1;
    await writer.add(note(size), size);
  };

  const longer = Math.ceil((3 * RECENT_BYTES) / Buffer.byteLength(`${note(1000)}\n`));

  it('stay as they are while the file is short', async () => {
    const disk = grown(1000, 10);
    await addTo(disk);
    expect(all(disk)).toHaveLength(1001);
  });

  it('are thinned out to one in each stretch of entries; the first and all recent ones stay', async () => {
    const disk = grown(longer, 10);
    const before = all(disk);
    await addTo(disk);
    const after = all(disk);
    expect(after.at(-1)).toMatchObject({ note: note(longer * 10 + 1), end: last(disk)?.end });
    expect(after[0]?.note).toBe(before[0]?.note);
    const recentFrom = (before.at(-1)?.end ?? 0) - RECENT_BYTES + 200;
    const recent = before.filter((each) => each.end > recentFrom).map((each) => each.note);
    expect(after.slice(-recent.length - 1, -1).map((each) => each.note)).toEqual(recent);
    const gaps = after.slice(1).map((each, i) => (each.claim?.size ?? 0) - (after[i]?.claim?.size ?? 0));
    expect(Math.max(...gaps)).toBeLessThan(2 * ENTRIES_A_CHECKPOINT);
    expect(after.length).toBeLessThan(recent.length + (longer * 10) / ENTRIES_A_CHECKPOINT + 5);
    await addTo(disk);
    expect(all(disk)).toHaveLength(after.length + 1);
  });

  it('keep what is no checkpoint, for a verifier to see', async () => {
    const disk = grown(longer, 10);
    const file = disk.open(checkpointsPath(DIRECTORY), 'update');
    disk.write(file, Buffer.from('L'), 2 * Buffer.byteLength(`${note(10)}\n`) + 'log.example/1\n'.length);
    disk.close(file);
    await addTo(disk);
    expect(all(disk).length).toBeLessThan(longer);
    expect(all(disk).filter((each) => each.claim === undefined)).toHaveLength(1);
  });

  it.each([
    'write',
    'sync',
  ] as const)('are all still there when the disk fails a %s while they are thinned out', async (call) => {
    const disk = grown(longer, 10);
    const before = all(disk);
    disk.faults[call] = (path) => {
      if (path.endsWith('.new') && !path.endsWith('/checkpoint.new')) throw systemError('ENOSPC');
      return undefined;
    };
    await addTo(disk);
    delete disk.faults[call];
    expect(all(disk).slice(0, -1)).toEqual(before);
    await addTo(disk);
    expect(all(disk).length).toBeLessThan(before.length);
    expect(last(disk)?.claim?.size).toBe(longer * 10 + 2);
  });
});
