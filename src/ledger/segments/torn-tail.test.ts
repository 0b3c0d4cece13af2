import { describe, expect, it } from 'vitest';
import { noteKeyOf } from '../../wire/tlog/index.ts';
import { createLedger, type LedgerEntry, verifyLedger } from '../index.ts';
import { event, never, ORIGIN, testDeps, testSigner } from '../testing/ledger-fixture.ts';
import { createMemoryDisk, type MemoryDisk } from '../testing/memory-disk.ts';
import { segmentPath } from './segment.ts';
import { lastNonZero } from './torn-tail.ts';

// Goal: a write that a crash tore at whatever byte, in whatever order its pages reached the disk, costs nothing that was synced, leaves
// nothing half read, and the log goes on.

const DIRECTORY = '/ledger';
const SEGMENT = segmentPath(DIRECTORY, 0);
const key = noteKeyOf(ORIGIN, testSigner().publicKey);

function open(files: MemoryDisk) {
  const deps = { ...testDeps(DIRECTORY), files };
  return createLedger({ ...deps, options: { segmentBytes: 64 * 1024 } });
}

function bytesOf(disk: MemoryDisk, path = SEGMENT): Buffer {
  const file = disk.open(path, 'read');
  const bytes = Buffer.alloc(disk.size(file));
  disk.read(file, bytes, 0);
  disk.close(file);
  return bytes;
}

/** A log with synced entries, and behind them two that no sync covered. `synced`: where those begin. */
async function tornLog() {
  const disk = createMemoryDisk();
  const ledger = open(disk);
  await ledger.start(never);
  await ledger.synced(ledger.appendAll([event({ operation: 'kept-1' }), event({ operation: 'kept-2' })]) + 1);
  // A page boundary of 512 bytes lies within what follows, wherever it begins.
  const synced = lastNonZero(bytesOf(disk)) + 1;
  ledger.append(event({ operation: 'torn-1', detail: {} }));
  // Longer than all that a start and a stop write over it: what is not cut off would show behind that.
  ledger.append(event({ kind: 'outcome', operation: 'torn-1', detail: { pad: 'y'.repeat(2000) } }));
  const whole = bytesOf(disk);
  return { disk: disk.nextProcess(), synced, end: lastNonZero(whole) + 1, whole };
}

/** A disk of its own with that segment; everything else is as it was. */
function withSegment(disk: MemoryDisk, bytes: Buffer): MemoryDisk {
  const copy = disk.losePower({ fraction: () => 0, bytes: (count) => Buffer.alloc(count) });
  const file = copy.open(SEGMENT, 'update');
  copy.write(file, bytes, 0);
  copy.close(file);
  return copy;
}

async function expectPrefix(disk: MemoryDisk, verify: boolean): Promise<number> {
  const ledger = open(disk);
  await ledger.start(never);
  const entries: LedgerEntry[] = [];
  for await (const entry of ledger.search({}, never)) entries.push(entry);
  const lived = entries.map(({ kind, action, operation }) => `${kind} ${operation || action}`);
  const of = (from: number) => lived.slice(from).filter((name) => name.endsWith('torn-1'));
  expect(lived.slice(0, 3)).toEqual(['ledger start', 'intent kept-1', 'intent kept-2']);
  const kept = of(3).filter((name) => name.startsWith('intent')).length;
  // With its intent gone, an outcome has nothing to stand on; with the intent there, there is one: its own, or `unknown`.
  expect(of(3)).toEqual(kept === 0 ? [] : ['intent torn-1', 'outcome torn-1']);
  expect(lived.at(-1)).toBe('ledger start');
  await ledger.stop();
  if (!verify) return kept;
  const report = await verifyLedger(DIRECTORY, key, { files: disk, signal: never });
  expect(report.findings).toEqual([]);
  expect(report).toMatchObject({
    ok: true,
    signedEntries: entries.length + 1,
  });
  return kept;
}

/** Every byte of the first entry and of what frames the second; of its padding, which is all the same, only some. */
function cuts(synced: number, end: number): number[] {
  return [...Array(end - synced + 1).keys()]
    .map((offset) => synced + offset)
    .filter((cut) => cut < end - 2000 || cut > end - 40 || cut % 50 === 0);
}

describe('a write torn at any byte', () => {
  const shapes: readonly (readonly [string, (whole: Buffer, from: number, cut: number) => void])[] = [
    ['of which only the beginning arrived', (bytes, _, cut) => void bytes.fill(0, cut)],
    ['of which only the end arrived', (bytes, from, cut) => void bytes.fill(0, from, cut)],
    ['whose end is what the disk held before', (bytes, _, cut) => void bytes.fill(0xa5, cut, cut + 64)],
  ];

  it.each(shapes)('%s', async (_, tear) => {
    const { disk, synced, end, whole } = await tornLog();
    let kept = 0;
    for (const cut of cuts(synced, end)) {
      const bytes = Buffer.from(whole);
      tear(bytes, synced, cut);
      kept += await expectPrefix(withSegment(disk, bytes), cut % 32 === 0 || cut === synced || cut === end);
    }
    // Both ends of the range were met: all of the tail lost, and some of it found whole.
    expect(kept).toBeGreaterThan(0);
    expect(kept).toBeLessThan(end - synced + 1);
  });

  it.each([512, 4096])('of which any pages of %i bytes arrived', async (pageBytes) => {
    const { disk, synced, end, whole } = await tornLog();
    const pages: number[] = [];
    for (let page = Math.floor(synced / pageBytes); page * pageBytes < end; page++) pages.push(page);
    for (let lost = 0; lost < 2 ** pages.length; lost++) {
      const bytes = Buffer.from(whole);
      for (const [bit, page] of pages.entries()) {
        if ((lost & (1 << bit)) !== 0) bytes.fill(0, Math.max(synced, page * pageBytes), (page + 1) * pageBytes);
      }
      await expectPrefix(withSegment(disk, bytes), true);
    }
  });
});

describe('a new segment whose beginning never arrived', () => {
  it('is cleared at the next start: nothing in it is ever taken for an entry', async () => {
    const { disk, second } = await twoSegments();
    const copy = disk.losePower({ fraction: () => 0, bytes: (count) => Buffer.alloc(count) });
    const file = copy.open(second, 'update');
    copy.write(file, Buffer.alloc(512), 0);
    copy.close(file);
    const ledger = open(copy);
    await ledger.start(never);
    expect(bytesOf(copy, second).includes('xxxx')).toBe(false);
    const [said] = await last(ledger);
    expect(said).toMatchObject({ kind: 'ledger', action: 'start' });
    expect(Number(said?.detail['tornBytes'])).toBeGreaterThan(1000);
    await ledger.stop();
  });

  it('is damage, and left alone, when what it holds shows that it was synced', async () => {
    const { disk, ledger, second } = await twoSegments();
    await ledger.synced(ledger.sequence);
    // Written after that sync, it tells of it.
    ledger.append(event({ kind: 'admin', action: 'witness' }));
    const file = disk.open(second, 'update');
    disk.write(file, Buffer.alloc(512), 0);
    await expect(open(disk.nextProcess()).start(never)).rejects.toMatchObject({ code: 'ERR_LEDGER_CORRUPT' });
  });
});

/** A log that has just gone on in a second segment, of which nothing is synced. */
async function twoSegments() {
  const disk = createMemoryDisk();
  const ledger = open(disk);
  await ledger.start(never);
  const second = segmentPath(DIRECTORY, 1);
  for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve)); // Until there is a segment to go on in.
  await ledger.synced(ledger.sequence);
  for (let i = 0; lastNonZero(bytesOf(disk, second)) < 2000; i++)
    ledger.append(event({ kind: 'admin', action: `a${i}`, detail: { pad: 'x'.repeat(1000) } }));
  return { disk, ledger, second };
}

async function last(ledger: ReturnType<typeof open>): Promise<LedgerEntry[]> {
  const entries: LedgerEntry[] = [];
  for await (const entry of ledger.tail({ count: 1, follow: false, signal: never })) entries.push(entry);
  return entries;
}
