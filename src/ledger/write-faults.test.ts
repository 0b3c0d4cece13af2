import { describe, expect, it } from 'vitest';
import { codeOf, createSeededRandom } from '../std/index.ts';
import { noteKeyOf } from '../wire/tlog/index.ts';
import type { LedgerFiles } from './files.ts';
import { createLedger, type LedgerEntry, LedgerError, verifyLedger } from './index.ts';
import { segmentPath } from './segments/segment.ts';
import { lastNonZero } from './segments/torn-tail.ts';
import { createFaultyDisk, type Fault, faultsOf } from './testing/faulty-disk.ts';
import { event, never, ORIGIN, operation, testDeps, testSigner } from './testing/ledger-fixture.ts';
import { createMemoryDisk, type MemoryDisk } from './testing/memory-disk.ts';

// Goal: one fault of every kind at every single call that changes the disk, in the life of a ledger from its first start over segments,
// checkpoints, a crash and a repair. Whatever the fault: what was accepted is there after the process dies, what was told synced after
// power is lost, nothing is made up, and the next start on a sound disk succeeds and leaves a log that verifies.

const DIRECTORY = '/ledger';
const key = noteKeyOf(ORIGIN, testSigner().publicKey);

/** What the ledger's caller was told. */
interface Told {
  /** Operation of each entry that `append` accepted, by sequence number. */
  readonly accepted: Map<number, string>;
  /** Names of intents that were refused for lack of room: the log must not hold them. */
  readonly refused: Set<string>;
  synced: number;
}

/** Two lives of a ledger: the first is killed, the second repairs what it left; errors are the ledger's own, or the test fails. */
async function live(disk: MemoryDisk, files: LedgerFiles): Promise<Told> {
  const told: Told = { accepted: new Map(), refused: new Set(), synced: -1 };
  await oneLife({ ...files }, told, 'first');
  // Half an entry behind the end, as a kill within a write leaves it: the second start has a tail to repair.
  tear(disk);
  const unlocked: LedgerFiles = { ...files, lock: disk.nextProcess().lock };
  const ledger = await oneLife(unlocked, told, 'second');
  await ledger?.stop().catch(expectOwn);
  return told;
}

async function oneLife(files: LedgerFiles, told: Told, name: string) {
  const deps = { ...testDeps(DIRECTORY), files };
  const ledger = createLedger({ ...deps, options: { segmentBytes: 64 * 1024, checkpointEveryMs: 1000 } });
  try {
    await ledger.start(never);
  } catch (error) {
    expectOwn(error);
    await ledger.stop().catch(expectOwn);
    return undefined;
  }
  for (let i = 0; i < ENTRIES; i++) {
    const [intent, outcome] = operation(i);
    const named = { ...intent, session: name, detail: { pad: 'p'.repeat(PAD_BYTES) } };
    const admitted = attempt(told, `${name} intent o${i}`, () => ledger.append(named));
    // Every fourth operation has no outcome when the process dies.
    if (admitted && i % 4 > 0)
      attempt(told, `${name} outcome o${i}`, () => ledger.append({ ...outcome, session: name }));
    if (i % 4 === 3) {
      const newest = ledger.sequence;
      await ledger.synced(newest).then(() => {
        told.synced = newest;
      }, expectOwn);
    }
    if (i % 6 === 5) await deps.clock.advance(1100);
    await settle(2);
  }
  await settle(10);
  return ledger;
}

function attempt(told: Told, name: string, append: () => number): boolean {
  try {
    told.accepted.set(append(), name);
    return true;
  } catch (error) {
    expectOwn(error);
    // An outcome that was refused is made up for at the next start, as unknown.
    if (codeOf(error) !== 'ERR_LEDGER_IO' && name.includes('intent')) told.refused.add(name);
    return false;
  }
}

function expectOwn(error: unknown): void {
  expect(error).toBeInstanceOf(LedgerError);
  expect(['ERR_LEDGER_IO', 'ERR_LEDGER_FULL', 'ERR_LEDGER_UNSIGNED']).toContain(codeOf(error));
}

const settle = async (turns: number) => {
  for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve));
};

function tear(disk: MemoryDisk): void {
  const [index] = [...Array(8).keys()].filter((i) => end(disk, i) > 0).slice(-1);
  if (index === undefined) return;
  const file = disk.open(segmentPath(DIRECTORY, index), 'update');
  disk.write(file, Buffer.from([0, 0, 0, 1, 0, 0, 4, 0, 99, 99]), end(disk, index));
  disk.close(file);
}

/** Offset behind the last byte of a segment that is not zero; 0 when there is none. */
function end(disk: MemoryDisk, index: number): number {
  const path = segmentPath(DIRECTORY, index);
  if (!disk.list(`${DIRECTORY}/segments`).some((name) => path.endsWith(name))) return 0;
  const file = disk.open(path, 'read');
  const bytes = Buffer.alloc(disk.size(file));
  disk.read(file, bytes, 0);
  disk.close(file);
  return lastNonZero(bytes) + 1;
}

/** Starts on a sound disk, and holds what is found against what was told. */
async function expectSound(disk: MemoryDisk, told: Told, upTo: number): Promise<void> {
  const deps = { ...testDeps(DIRECTORY), files: disk };
  const ledger = createLedger({ ...deps, options: { segmentBytes: 64 * 1024 } });
  await ledger.start(never);
  const entries: LedgerEntry[] = [];
  for await (const entry of ledger.search({}, never)) entries.push(entry);
  expect(entries.map((entry) => entry.seq)).toEqual(entries.map((_, i) => i));
  const names = entries.map(({ session, kind, operation: name }) => `${session} ${kind} ${name}`);
  const accepted = [...told.accepted].filter(([sequence]) => sequence <= upTo);
  expect(accepted.map(([sequence]) => names[sequence])).toEqual(accepted.map(([, name]) => name));
  for (const name of told.refused) expect(names).not.toContain(name);
  const of = (wanted: string) =>
    entries.filter(({ kind }) => kind === wanted).map(({ session, operation: name }) => `${session} ${name}`);
  expect(of('outcome').sort()).toEqual(of('intent').sort());
  await ledger.synced(ledger.append(event({ kind: 'admin', action: 'goes on' })));
  await ledger.stop();
  expect(disk.openFiles()).toEqual([]);
  const report = await verifyLedger(DIRECTORY, key, { files: disk, signal: never });
  expect(report.findings).toEqual([]);
  expect(report).toMatchObject({
    ok: true,
    entries: entries.length + 2,
    signedEntries: entries.length + 2,
  });
}

/** One run with that fault; then the process is gone, or the power. */
async function expectSurvived(boundary: number, fault: Fault): Promise<void> {
  const disk = createMemoryDisk();
  const told = await live(disk, createFaultyDisk(disk, { boundary, fault }).files);
  const random = createSeededRandom(`${boundary} ${fault}`);
  const afterPower = disk.losePower(random, boundary % 2 === 0 ? 512 : 4096);
  try {
    await expectSound(afterPower, told, told.synced);
    await expectSound(disk.nextProcess(), told, Number.POSITIVE_INFINITY);
  } catch (cause) {
    throw new Error(`boundary ${boundary}, ${fault}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
}

describe('every boundary of the write path', async () => {
  const disk = createMemoryDisk();
  const { files, calls } = createFaultyDisk(disk);
  const told = await live(disk, files);

  it('is reached by the two lives of the test, without a fault', () => {
    expect(new Set(calls)).toEqual(new Set(Object.keys(faultsOf)));
    expect(told.accepted.size).toBe(2 * (ENTRIES + Math.floor((ENTRIES * 3) / 4)));
    expect(told.refused.size).toBe(0);
    expect(calls.filter((call) => call === 'write').length).toBeGreaterThan(60);
  });

  const faults: readonly Fault[] = ['io', 'full', 'part-io', 'part-full', 'short', 'late', 'dead', 'kill'];
  it.each(faults)('survives %s', async (fault) => {
    let tried = 0;
    for (const [boundary, call] of calls.entries()) {
      if (!faultsOf[call].includes(fault)) continue;
      await expectSurvived(boundary, fault);
      tried++;
    }
    expect(tried).toBeGreaterThan(10);
  });
});

/** One segment and a bit of another in each life. */
const ENTRIES = 12;
const PAD_BYTES = 6000;
