import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LedgerEvent } from '../model/index.ts';
import { codeOf, createSeededRandom } from '../std/index.ts';
import { noteKeyOf } from '../wire/tlog/index.ts';
import { formatEntry } from './entry.ts';
import { createLedger, type LedgerEntry, OUTCOME_BYTES_MAX, verifyLedger } from './index.ts';
import { segmentPath } from './segments/segment.ts';
import { event, never, ORIGIN, operation, testDeps, testSigner } from './testing/ledger-fixture.ts';
import { createMemoryDisk, type MemoryDisk, systemError } from './testing/memory-disk.ts';

// Goal: whatever the disk does, an entry told synced is there after a restart, none is made up, and none is lost in silence.

const DIRECTORY = '/ledger';
const key = noteKeyOf(ORIGIN, testSigner().publicKey);

async function startOn(files: MemoryDisk, options: { segmentBytes?: number } = {}) {
  const deps = { ...testDeps(DIRECTORY), files };
  const ledger = createLedger({ ...deps, options: { segmentBytes: 64 * 1024, ...options } });
  await ledger.start(never);
  return { ledger, clock: deps.clock };
}

async function entriesOf(ledger: ReturnType<typeof createLedger>): Promise<LedgerEntry[]> {
  const list: LedgerEntry[] = [];
  for await (const entry of ledger.search({}, never)) list.push(entry);
  return list;
}

const settle = async (turns = 20) => {
  for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve));
};
const codeOfAppend = (ledger: ReturnType<typeof createLedger>, events: readonly LedgerEvent[]) => {
  try {
    ledger.appendAll(events);
    return 'written';
  } catch (error) {
    return codeOf(error);
  }
};

describe('after a power cut at any moment', () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant('append' as const), count: fc.integer({ min: 1, max: 30 }), size: fc.nat(3000) }),
    fc.record({ do: fc.constant('sync' as const) }),
    fc.record({ do: fc.constant('ask' as const) }),
    fc.record({ do: fc.constant('time' as const), ms: fc.nat(1500) }),
    fc.record({ do: fc.constant('turn' as const) }),
  );

  it('every synced entry is there, none is made up, and every intent has an outcome', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(step, { maxLength: 12 }), { minLength: 1, maxLength: 4 }),
        fc.string(),
        async (lives, seed) => {
          const random = createSeededRandom(seed);
          let disk = createMemoryDisk();
          let before: LedgerEntry[] = [];
          let synced = -1;
          for (const life of lives) {
            const { ledger, clock } = await startOn(disk);
            const found = await entriesOf(ledger);
            expect(found.map((entry) => entry.seq)).toEqual(found.map((_, i) => i));
            expect(found.slice(0, synced + 1)).toEqual(before.slice(0, synced + 1));
            const kept = found.findIndex(
              (entry, i) => i > synced && JSON.stringify(entry) !== JSON.stringify(before[i]),
            );
            // What follows the part that was kept is only what this start added.
            for (const entry of found.slice(kept < 0 ? before.length : kept)) {
              expect(entry.kind === 'ledger' || entry.detail['status'] === 'unknown').toBe(true);
            }
            const intents = found.filter((entry) => entry.kind === 'intent').map((entry) => entry.operation);
            const outcomes = found.filter((entry) => entry.kind === 'outcome').map((entry) => entry.operation);
            expect(outcomes.sort()).toEqual(intents.sort());
            for (const act of life) {
              if (act.do === 'append') {
                for (let i = 0; i < act.count; i++) {
                  const [intent, outcome] = operation(ledger.sequence);
                  const padded = { ...intent, detail: { pad: 'p'.repeat(act.size) } };
                  if (codeOfAppend(ledger, [padded]) === 'written' && i % 3 > 0) ledger.append(outcome);
                }
              } else if (act.do === 'sync') await ledger.synced(ledger.sequence);
              else if (act.do === 'ask') void ledger.synced(ledger.sequence);
              else if (act.do === 'time') await clock.advance(act.ms);
              else await settle(1);
            }
            before = await entriesOf(ledger);
            synced = ledger.syncedSequence;
            disk = disk.losePower(random);
          }
          const { ledger } = await startOn(disk);
          await ledger.stop();
          const report = await verifyLedger(DIRECTORY, key, { files: disk, signal: never });
          expect(report).toMatchObject({ ok: true, entries: ledgerSize(disk) });
          expect(report.signedEntries).toBe(report.entries);
        },
      ),
      { numRuns: 60 },
    );
  });

  const ledgerSize = (disk: MemoryDisk) => {
    const note = disk.list(DIRECTORY).includes('checkpoint') ? disk.open(`${DIRECTORY}/checkpoint`, 'read') : undefined;
    if (note === undefined) return 0;
    const bytes = Buffer.alloc(disk.size(note));
    disk.read(note, bytes, 0);
    return Number(bytes.toString().split('\n')[1]);
  };

  it('says in the log how many bytes of a torn tail were cut off', async () => {
    const disk = createMemoryDisk();
    const { ledger } = await startOn(disk);
    await ledger.synced(ledger.append(event({ kind: 'admin', action: 'kept' })));
    const end = fileEnd(disk, 0);
    ledger.append(event({ kind: 'admin', action: 'torn' }));
    // The length reached the disk, the rest did not.
    const torn = disk.nextProcess();
    const file = torn.open(segmentPath(DIRECTORY, 0), 'update');
    torn.write(file, Buffer.alloc(600), end + 12);
    const { ledger: again } = await startOn(torn);
    const entries = await entriesOf(again);
    expect(entries.map((entry) => entry.action)).toEqual(['start', 'kept', 'start']);
    // The last four bytes of the header, which were there too, are zeros like the padding.
    expect(entries[2]?.detail).toEqual({ tornBytes: 8, unknownOutcomes: 0 });
    await again.stop();
    expect((await verifyLedger(DIRECTORY, key, { files: torn, signal: never })).ok).toBe(true);
  });

  it('refuses to start on damage to what was synced: it was not a power cut', async () => {
    const disk = createMemoryDisk();
    const { ledger } = await startOn(disk);
    await ledger.synced(ledger.append(event({ action: 'damaged' })));
    const end = fileEnd(disk, 0);
    ledger.append(event({ operation: 'o2' }));
    const damaged = disk.nextProcess();
    const file = damaged.open(segmentPath(DIRECTORY, 0), 'update');
    damaged.write(file, Buffer.from('x'), end - 5);
    await expect(startOn(damaged)).rejects.toMatchObject({
      code: 'ERR_LEDGER_CORRUPT',
      message: expect.stringContaining('entry 1 is damaged'),
    });
  });

  it('refuses to start on fewer entries than were signed', async () => {
    const disk = createMemoryDisk();
    const { ledger } = await startOn(disk);
    await ledger.stop();
    const file = disk.open(segmentPath(DIRECTORY, 0), 'update');
    disk.write(file, Buffer.alloc(400), fileEnd(disk, 0) - 100);
    await expect(startOn(disk.nextProcess())).rejects.toMatchObject({ code: 'ERR_LEDGER_CORRUPT' });
  });

  it('refuses to start when a segment is missing', async () => {
    const disk = createMemoryDisk();
    const { ledger } = await startOn(disk);
    await ledger.stop();
    disk.remove(segmentPath(DIRECTORY, 0));
    await expect(startOn(disk.nextProcess())).rejects.toMatchObject({ code: 'ERR_LEDGER_CORRUPT' });
  });
});

const fileEnd = (disk: MemoryDisk, segment: number): number => {
  const file = disk.open(segmentPath(DIRECTORY, segment), 'read');
  const bytes = Buffer.alloc(disk.size(file));
  disk.read(file, bytes, 0);
  return bytes.findLastIndex((byte) => byte !== 0) + 1;
};

describe('a disk that cuts writes short', () => {
  it('is written to until all is there', async () => {
    const disk = createMemoryDisk();
    disk.faults.write = (_, bytes) => Math.max(1, Math.floor(bytes / 2));
    const { ledger } = await startOn(disk);
    for (let i = 0; i < 50; i++) ledger.appendAll(operation(i));
    await ledger.stop();
    const report = await verifyLedger(DIRECTORY, key, { files: disk, signal: never });
    expect(report).toMatchObject({ ok: true, entries: 102, signedEntries: 102 });
  });

  it('fails the ledger when it takes nothing and says nothing', async () => {
    const disk = createMemoryDisk();
    const { ledger } = await startOn(disk);
    disk.faults.write = () => 0;
    expect(codeOfAppend(ledger, [event()])).toBe('ERR_LEDGER_IO');
  });
});

describe('a write that fails', () => {
  it('for lack of room leaves the log whole, and the next one may succeed', async () => {
    const disk = createMemoryDisk();
    const { ledger } = await startOn(disk);
    let calls = 0;
    // The first half of the entry is written, then there is no room: what a file system that copies on write can do.
    disk.faults.write = (path, bytes) => {
      if (!path.includes('.seg') || bytes > 5000) return undefined;
      calls++;
      if (calls === 1) return Math.floor(bytes / 2);
      if (calls === 2) throw systemError('ENOSPC');
      return undefined;
    };
    const long = event({ kind: 'admin', detail: { pad: 'long '.repeat(400) } });
    expect(codeOfAppend(ledger, [long])).toBe('ERR_LEDGER_FULL');
    expect(ledger.append(event({ kind: 'admin' }))).toBe(1);
    await ledger.stop();
    const { ledger: again } = await startOn(disk.nextProcess());
    expect((await entriesOf(again))[3]?.detail['tornBytes']).toBe(0);
    await again.stop();
  });

  it('for another reason ends the ledger: nothing more is accepted or told synced', async () => {
    const disk = createMemoryDisk();
    const { ledger } = await startOn(disk);
    const waiting = ledger.synced(ledger.append(event()));
    disk.faults.write = () => {
      throw systemError('EIO');
    };
    expect(codeOfAppend(ledger, [event({ operation: 'o2' })])).toBe('ERR_LEDGER_IO');
    await expect(waiting).rejects.toMatchObject({ code: 'ERR_LEDGER_IO' });
    disk.faults.write = () => undefined;
    expect(codeOfAppend(ledger, [event({ operation: 'o3' })])).toBe('ERR_LEDGER_IO');
    await expect(ledger.synced(ledger.sequence)).rejects.toMatchObject({ code: 'ERR_LEDGER_IO' });
  });
});

describe('a sync that fails', () => {
  it('is never taken back: those who wait are told, nothing more is accepted', async () => {
    const disk = createMemoryDisk();
    const { ledger } = await startOn(disk);
    let syncs = 0;
    disk.faults.sync = (path) => {
      // That of the segment in use, not of a spare on its way.
      if (path.includes('0000000000') && syncs++ === 0) throw systemError('EIO');
    };
    const sequence = ledger.append(event());
    await expect(ledger.synced(sequence)).rejects.toMatchObject({ code: 'ERR_LEDGER_IO', cause: { code: 'EIO' } });
    // The next sync would succeed, and mean nothing: the system has forgotten that the pages are not on disk.
    await expect(ledger.synced(sequence)).rejects.toMatchObject({ code: 'ERR_LEDGER_IO' });
    expect(codeOfAppend(ledger, [event({ operation: 'o2' })])).toBe('ERR_LEDGER_IO');
    expect(ledger.syncedSequence).toBe(0);
    expect(ledger.failure).toMatchObject({ code: 'ERR_LEDGER_IO', cause: { code: 'EIO' } });
  });

  it('is no failure any more after a restart, which reads and writes again what is there', async () => {
    const disk = createMemoryDisk();
    const { ledger } = await startOn(disk);
    disk.faults.sync = () => {
      throw systemError('EIO');
    };
    await expect(ledger.synced(ledger.append(event()))).rejects.toMatchObject({ code: 'ERR_LEDGER_IO' });
    await ledger.stop();
    const { ledger: again } = await startOn(disk.nextProcess());
    expect(again.failure).toBeUndefined();
    await again.synced(again.append(event({ kind: 'admin' })));
    await again.stop();
  });

  it('loses nothing that a restart found good, even if power is lost afterwards', async () => {
    const disk = createMemoryDisk();
    const { ledger } = await startOn(disk);
    disk.faults.sync = () => {
      throw systemError('EIO');
    };
    const sequence = ledger.append(event({ kind: 'admin', action: 'kept' }));
    await expect(ledger.synced(sequence)).rejects.toMatchObject({ code: 'ERR_LEDGER_IO' });
    const restarted = disk.nextProcess();
    const { ledger: again } = await startOn(restarted);
    expect((await again.show(sequence, never)).action).toBe('kept');
    const { ledger: after } = await startOn(restarted.losePower(createSeededRandom('power')));
    expect((await after.show(sequence, never)).action).toBe('kept');
  });
});

describe('a disk that is full', () => {
  const fill = async (disk: MemoryDisk, first = event({ kind: 'admin' })) => {
    const started = await startOn(disk);
    await settle();
    started.ledger.append(first);
    disk.faults.bytesMax = 1;
    const open: number[] = [];
    const { ledger } = started;
    for (let i = 0; codeOfAppend(ledger, [operation(i)[0]]) === 'written'; i++) open.push(i);
    return { ...started, open };
  };
  const largest = (i: number): LedgerEvent => {
    const [, outcome] = operation(i);
    const room = OUTCOME_BYTES_MAX - JSON.stringify({ ...outcome, seq: 10_000 }).length - 20;
    return { ...outcome, detail: { ...outcome.detail, pad: 'x'.repeat(room) } };
  };

  it('refuses new intents and denials, but takes the outcome of every admitted intent at its largest', async () => {
    const disk = createMemoryDisk();
    const { ledger, open } = await fill(disk);
    expect(open.length).toBeGreaterThan(20);
    expect(codeOfAppend(ledger, [event({ kind: 'intent', operation: 'late' })])).toBe('ERR_LEDGER_FULL');
    expect(codeOfAppend(ledger, [event({ kind: 'denial', detail: { pad: 'x'.repeat(4000) } })])).toBe(
      'ERR_LEDGER_FULL',
    );
    expect(codeOfAppend(ledger, [largest(9999)])).toBe('ERR_LEDGER_FULL');
    for (const i of open) expect(codeOfAppend(ledger, [largest(i)])).toBe('written');
    await ledger.synced(ledger.sequence);
  });

  it('takes those outcomes in batches too', async () => {
    const disk = createMemoryDisk();
    const { ledger, open } = await fill(disk);
    for (let i = 0; i < open.length; i += 7) {
      expect(codeOfAppend(ledger, open.slice(i, i + 7).map(largest))).toBe('written');
    }
  });

  it.each([
    20, 30, 40, 42, 44,
  ])('counts every intent of a batch (%i): none is admitted without room for all outcomes', async (count) => {
    const disk = createMemoryDisk();
    const { ledger } = await startOn(disk);
    await settle();
    disk.faults.bytesMax = 1;
    const batch = (from: number) => [...Array(count).keys()].map((i) => operation(from + i)[0]);
    let open = 0;
    while (codeOfAppend(ledger, batch(open)) === 'written') open += count;
    expect(codeOfAppend(ledger, batch(open))).toBe('ERR_LEDGER_FULL');
    for (let i = 0; i < open; i++) expect(codeOfAppend(ledger, [largest(i)])).toBe('written');
  });

  it('refuses a batch with an outcome over its size as a whole', async () => {
    const disk = createMemoryDisk();
    const { ledger, open } = await fill(disk);
    const [first = 0, second = 0] = open;
    const huge = { ...largest(second), detail: { pad: 'x'.repeat(10_000) } };
    const before = ledger.sequence;
    expect(codeOfAppend(ledger, [largest(first), huge])).toBe('ERR_LEDGER_FULL');
    expect(ledger.sequence).toBe(before);
    expect(codeOfAppend(ledger, [largest(first)])).toBe('written');
  });

  it('refuses a batch as a whole where an outcome is only over its size in its place among the others', async () => {
    const { timeMs } = event();
    let refused = 0;
    // How much of the segment is left when it is full decides how tight the room is.
    for (let pad = 0; pad < 4096; pad += 128) {
      const { ledger, open } = await fill(
        createMemoryDisk(),
        event({ kind: 'admin', detail: { pad: 'x'.repeat(pad) } }),
      );
      const exact = (i: number, laterMs: number): LedgerEvent => {
        const bare = { ...operation(i)[1], timeMs: timeMs + laterMs, detail: { pad: '' } };
        const { length } = formatEntry(bare, { seq: 100, timeMs: bare.timeMs });
        return { ...bare, detail: { pad: 'x'.repeat(OUTCOME_BYTES_MAX - length) } };
      };
      for (let i = 0; i + 1 < open.length; i += 2) {
        // Behind the first, whose time is later, the second also says what the wall clock said, which takes more bytes.
        const before = ledger.sequence;
        if (codeOfAppend(ledger, [exact(i, i + 1), exact(i + 1, i)]) === 'written') continue;
        expect(ledger.sequence).toBe(before);
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(0);
  });

  it('goes on by itself when there is room again', async () => {
    const disk = createMemoryDisk();
    const { ledger, clock } = await fill(disk);
    delete disk.faults.bytesMax;
    expect(codeOfAppend(ledger, [event({ operation: 'late' })])).toBe('ERR_LEDGER_FULL');
    await clock.advance(1000);
    await settle(50);
    expect(codeOfAppend(ledger, [event({ operation: 'late' })])).toBe('written');
  });

  it('can be restarted on: every open intent gets its unknown outcome', async () => {
    const disk = createMemoryDisk();
    const { ledger, open } = await fill(disk);
    await ledger.synced(ledger.sequence);
    const next = disk.nextProcess();
    next.faults.bytesMax = 1;
    const { ledger: again } = await startOn(next);
    const unknown = (await entriesOf(again)).filter((entry) => entry.detail['status'] === 'unknown');
    expect(unknown.map((entry) => entry.operation)).toEqual(open.map((i) => `o${i}`));
  });

  it('keeps a new ledger from starting', async () => {
    const disk = createMemoryDisk();
    disk.faults.bytesMax = 1000;
    await expect(startOn(disk)).rejects.toMatchObject({ code: 'ERR_LEDGER_FULL' });
  });

  it('does not stop the ledger from stopping', async () => {
    const disk = createMemoryDisk();
    const { ledger, open } = await fill(disk);
    for (const i of open) ledger.append(largest(i));
    delete disk.faults.bytesMax;
    await ledger.stop();
    expect((await verifyLedger(DIRECTORY, key, { files: disk, signal: never })).ok).toBe(true);
  });
});

describe('a disk that can not be read', () => {
  it('keeps the ledger from starting', async () => {
    const disk = createMemoryDisk();
    const { ledger } = await startOn(disk);
    await ledger.stop();
    disk.faults.read = () => {
      throw systemError('EIO');
    };
    await expect(startOn(disk)).rejects.toMatchObject({ code: 'ERR_LEDGER_IO' });
  });
});
