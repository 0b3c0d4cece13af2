import { appendFileSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { formatNote, noteKeyOf, parseCheckpoint, parseNote } from '../../wire/tlog/index.ts';
import { createLedger, verifyLedger } from '../index.ts';
import { segmentPath } from '../segments/segment.ts';
import { event, never, ORIGIN, realDeps, testDirectory, testSigner } from '../testing/ledger-fixture.ts';
import { buildLog, copyLog, forge, readPayloads, renumber, rewriteLog, rewriteTiles } from '../testing/tamper.ts';

// Goal: whatever someone does to the folder of a stopped ledger, verification with the public key alone names the first entry
// concerned. The log under test: three rounds of 402 entries, each with a checkpoint
// behind its first entry and its last, over several segments.

const key = noteKeyOf(ORIGIN, testSigner().publicKey);
const original = testDirectory();
let copy: ReturnType<typeof testDirectory>;
let directory: string;

beforeAll(() => buildLog(original.directory, 3, 200));
afterAll(() => original.remove());
beforeEach(() => {
  copy = testDirectory();
  directory = copy.directory;
  copyLog(original.directory, directory);
  return () => copy.remove();
});

const verify = (options: Partial<Parameters<typeof verifyLedger>[2]> = {}) =>
  verifyLedger(directory, key, { signal: never, ...options });
const firstBroken = async (options: Parameters<typeof verify>[0] = {}) => {
  const report = await verify(options);
  expect(report.ok).toBe(false);
  const { kind, sequence, untilSequence } = report.findings.find((finding) => finding.broken) ?? {};
  return { kind, sequence, ...(untilSequence === undefined ? {} : { untilSequence }) };
};
const checkpointsFile = () => join(directory, 'checkpoints');
const notes = () =>
  readFileSync(checkpointsFile(), 'utf8')
    .split(/(?<=\n)\n(?=countersign)/)
    .map((note) => note.replace(/\n\n$/, '\n'));
/** Cuts the checkpoints off behind the first `count`, from both files. */
const cutCheckpoints = (count: number) => {
  const kept = notes().slice(0, count);
  writeFileSync(checkpointsFile(), kept.map((note) => `${note}\n`).join(''));
  writeFileSync(join(directory, 'checkpoint'), kept.at(-1) ?? '');
};
const SIZES = [0, 1, 402, 403, 804, 805, 1206];
const mapAt = (at: number, change: (payload: Buffer) => Buffer) => (payloads: Buffer[]) =>
  payloads.map((payload, i) => (i === at ? change(payload) : payload));
const without =
  (at: number, count = 1) =>
  (payloads: Buffer[]) =>
    payloads.toSpliced(at, count);
const renumbered = (payloads: Buffer[]) => payloads.map(renumber);

describe('an untouched log', () => {
  it('is found whole, every entry signed', async () => {
    const report = await verify();
    expect(report).toEqual({
      ok: true,
      origin: ORIGIN,
      entries: 1206,
      signedEntries: 1206,
      checkpoints: 6,
      findings: [],
    });
  });

  it('is found whole while its tail waits for a checkpoint, and the tail is told apart', async () => {
    cutCheckpoints(5);
    const report = await verify();
    expect(report).toMatchObject({ ok: true, entries: 1206, signedEntries: 805, checkpoints: 5 });
    expect(report.findings).toMatchObject([{ kind: 'unsigned-tail', broken: false, sequence: 805 }]);
  });

  it('is found whole when a tile is lost or damaged, which is told', async () => {
    truncateSync(join(directory, 'tile/0/0000000000.tiles'), 1000 * 32);
    const report = await verify();
    expect(report.ok).toBe(true);
    expect(report.findings).toMatchObject([{ kind: 'tile-damaged', broken: false, sequence: 1000 }]);
  });

  it('is found whole when a file of tiles is lost, which is told once over all checkpoints', async () => {
    rmSync(join(directory, 'tile/0/0000000000.tiles'));
    const report = await verify();
    expect(report.ok).toBe(true);
    expect(report.findings).toEqual([
      {
        kind: 'tile-damaged',
        broken: false,
        sequence: 0,
        untilSequence: 1206,
        message:
          'tiles of entries from 0 to 1205 are missing or damaged; the entries themselves are as they were signed',
      },
    ]);
  });

  it('is found whole with damage in two stretches, each of which is told', async () => {
    const path = join(directory, 'tile/0/0000000000.tiles');
    const bytes = readFileSync(path);
    for (const entry of [10, 20, 900]) bytes.writeUInt8(bytes.readUInt8(entry * 32) ^ 1, entry * 32);
    writeFileSync(path, bytes);
    expect((await verify()).findings).toMatchObject([
      { sequence: 10, untilSequence: 402, message: expect.stringContaining('the hash of entry 10 is') },
      { sequence: 900, untilSequence: 1206 },
    ]);
  });

  it('is found whole when a hash above the entries is damaged, which is told', async () => {
    const path = join(directory, 'tile/1/0000000000.tiles');
    const bytes = readFileSync(path);
    bytes.writeUInt8(bytes.readUInt8(2 * 32) ^ 1, 2 * 32);
    writeFileSync(path, bytes);
    const report = await verify();
    expect(report.ok).toBe(true);
    expect(report.findings).toMatchObject([{ kind: 'tile-damaged', broken: false, sequence: 512 }]);
  });
});

describe.each([0, 1, 255, 256, 401, 402, 403, 700, 1204, 1205])('tampering with entry %i', (at) => {
  it('names it when it was changed', async () => {
    rewriteLog(
      directory,
      mapAt(at, (payload) => Buffer.from(payload.toString().replace('"timeMs":1', '"timeMs":2'))),
    );
    expect(await firstBroken()).toEqual({ kind: 'entry-changed', sequence: at });
  });

  it('names it when it was dropped, whether the rest was numbered anew or not', async () => {
    const expected =
      at === 1205
        ? { kind: 'truncated', sequence: at, untilSequence: 1206 }
        : { kind: 'entry-dropped', sequence: at, untilSequence: at + 1 };
    rewriteLog(directory, without(at));
    expect(await firstBroken()).toEqual(expected);
    rewriteLog(directory, renumbered);
    expect(await firstBroken()).toEqual(expected);
  });

  it('names it when another was inserted before it, whether the rest was numbered anew or not', async () => {
    rewriteLog(directory, (payloads) => payloads.toSpliced(at, 0, forge(payloads[3] ?? Buffer.alloc(0))));
    expect(await firstBroken()).toEqual({ kind: 'entry-inserted', sequence: at });
    rewriteLog(directory, renumbered);
    expect(await firstBroken()).toEqual({ kind: 'entry-inserted', sequence: at });
  });

  it('bounds it between two checkpoints when tiles were rewritten to fit', async () => {
    rewriteLog(
      directory,
      mapAt(at, (payload) => Buffer.from(payload.toString().replace('"timeMs":1', '"timeMs":2'))),
    );
    await rewriteTiles(directory);
    const sequence = SIZES.findLast((size) => size <= at);
    const untilSequence = SIZES.find((size) => size > at);
    expect(await firstBroken()).toEqual({ kind: 'entries-rewritten', sequence, untilSequence });
  });
});

describe('tampering with order and length', () => {
  it.each([
    [10, 11],
    [100, 130],
    [400, 403],
    [1203, 1205],
  ])('names entries %i and %i when they changed places', async (a, b) => {
    rewriteLog(directory, (payloads) =>
      payloads.with(a, payloads[b] ?? Buffer.alloc(0)).with(b, payloads[a] ?? Buffer.alloc(0)),
    );
    expect(await firstBroken()).toEqual({ kind: 'entries-reordered', sequence: a });
    rewriteLog(directory, renumbered);
    expect(await firstBroken()).toEqual({ kind: 'entries-reordered', sequence: a });
  });

  it('names the first of many dropped entries', async () => {
    rewriteLog(directory, without(300, 500));
    expect(await firstBroken()).toEqual({ kind: 'entry-dropped', sequence: 300, untilSequence: 800 });
  });

  it('tells a log cut below its last checkpoint from an unsigned tail', async () => {
    rewriteLog(directory, (payloads) => payloads.slice(0, 1000));
    expect(await firstBroken()).toEqual({ kind: 'truncated', sequence: 1000, untilSequence: 1206 });
    rewriteLog(directory, () => []);
    expect(await firstBroken()).toEqual({ kind: 'truncated', sequence: 0, untilSequence: 1 });
  });

  it('names the entry after which a segment is missing', async () => {
    const payloads = readPayloads(directory);
    rmSync(segmentPath(directory, 1));
    const lost = await firstBroken();
    expect(lost.kind).toBe('segment-missing');
    const header = readFileSync(segmentPath(original.directory, 1)).toString('latin1');
    expect(lost.sequence).toBe(Number(/"firstSeq":(\d+)/.exec(header)?.[1]));
    expect(payloads.length).toBe(1206);
  });

  it('names an entry whose bytes were flipped on disk without its checksum', async () => {
    const path = segmentPath(directory, 0);
    const bytes = readFileSync(path);
    const at = bytes.indexOf('"seq":77,');
    bytes.writeUInt8(bytes.readUInt8(at + 20) ^ 1, at + 20);
    writeFileSync(path, bytes);
    expect(await firstBroken()).toEqual({ kind: 'entry-changed', sequence: 77 });
  });
});

describe('tampering behind the last checkpoint', () => {
  beforeEach(() => cutCheckpoints(5));

  it('names a gap in the numbers', async () => {
    rewriteLog(directory, without(900));
    expect(await firstBroken()).toEqual({ kind: 'entry-dropped', sequence: 900 });
  });

  it('names what is no entry', async () => {
    rewriteLog(
      directory,
      mapAt(1000, () => Buffer.from('{"seq":1000}')),
    );
    expect(await firstBroken()).toEqual({ kind: 'entry-changed', sequence: 1000 });
  });
});

describe('checkpoints', () => {
  const forgedNote = async (size: number) => {
    const stranger = testSigner('stranger');
    const text = parseNote(notes().at(-1) ?? '').text.replace(/\n\d+\n/, `\n${size}\n`);
    return formatNote(text, key, await stranger.sign(Buffer.from(text)));
  };

  it('are found out when one was signed by another key under the same name', async () => {
    appendFileSync(checkpointsFile(), `${await forgedNote(1207)}\n`);
    expect(await firstBroken()).toEqual({ kind: 'checkpoint-forged', sequence: undefined });
  });

  it('are found out when their text was changed', async () => {
    writeFileSync(checkpointsFile(), readFileSync(checkpointsFile(), 'utf8').replace('\n804\n', '\n803\n'));
    expect(await firstBroken()).toEqual({ kind: 'checkpoint-forged', sequence: undefined });
  });

  it('do not verify with the key of another log, and say so', async () => {
    const other = noteKeyOf(ORIGIN, testSigner('stranger').publicKey);
    const report = await verifyLedger(directory, other, { signal: never });
    expect(report).toMatchObject({ ok: false, signedEntries: 0, checkpoints: 0 });
    expect(report.findings[0]).toMatchObject({ kind: 'wrong-key', broken: true });
    expect(report.findings.at(-1)).toMatchObject({ kind: 'unsigned', broken: true });
    expect((await verifyLedger(directory, other, { signal: never, formerKeys: [key] })).ok).toBe(true);
  });

  it('of a shortened history contradict one kept elsewhere', async () => {
    const kept = notes().at(-1) ?? '';
    rewriteLog(directory, (payloads) => payloads.slice(0, 804));
    cutCheckpoints(4);
    rmSync(join(directory, 'tile'), { recursive: true });
    expect((await verify()).ok).toBe(true);
    expect(await firstBroken({ knownCheckpoints: [kept] })).toEqual({
      kind: 'truncated',
      sequence: 804,
      untilSequence: 1206,
    });
  });

  it('of two histories signed by the one key contradict each other', async () => {
    const { root } = parseCheckpoint(parseNote(notes().at(-1) ?? '').text);
    const text = `${ORIGIN}\n804\n${root.toString('base64')}\n`;
    const known = formatNote(text, key, await testSigner().sign(Buffer.from(text)));
    expect(await firstBroken({ knownCheckpoints: [known] })).toEqual({
      kind: 'checkpoints-contradict',
      sequence: undefined,
    });
  });

  it('that a crash cut short are left out', async () => {
    appendFileSync(checkpointsFile(), (await forgedNote(1207)).slice(0, 60));
    expect((await verify()).ok).toBe(true);
  });
});

describe('verification', () => {
  it('stops when told to', async () => {
    await expect(verify({ signal: AbortSignal.abort() })).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('finds what a later writer builds upon a changed entry', async () => {
    rewriteLog(directory, mapAt(5, forge));
    const ledger = createLedger(realDeps(directory));
    await ledger.start(never);
    ledger.append(event());
    await ledger.stop();
    expect(await firstBroken()).toEqual({ kind: 'entry-changed', sequence: 5 });
  });
});
