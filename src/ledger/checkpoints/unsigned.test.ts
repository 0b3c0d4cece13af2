import { describe, expect, it } from 'vitest';
import { codeOf, createSeededRandom } from '../../std/index.ts';
import { type CheckpointKeeper, createLedger, LedgerError } from '../index.ts';
import { event, never, operation, testDeps, testSigner } from '../testing/ledger-fixture.ts';
import { createMemoryDisk, systemError } from '../testing/memory-disk.ts';

// Goal: what no checkpoint covers never grows old, and nothing is taken that could not be told from a forgery later.

const settle = async () => {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
};
const appendCode = (ledger: ReturnType<typeof createLedger>, ...events: Parameters<typeof ledger.append>[0][]) => {
  try {
    ledger.appendAll(events);
    return 'taken';
  } catch (error) {
    return codeOf(error);
  }
};
const failOn = (disk: ReturnType<typeof createMemoryDisk>, code: string) => {
  disk.faults.write = (path) => {
    if (path.includes('/tile/')) throw systemError(code);
    return undefined;
  };
};

describe('a ledger whose checkpoints fail', () => {
  it.each([
    ['EIO', 'ERR_LEDGER_UNSIGNED'],
    ['ENOSPC', 'ERR_LEDGER_FULL'],
  ])('with %s takes what is new for 20 s, then only outcomes, and goes on by itself', async (fault, code) => {
    const disk = createMemoryDisk();
    const deps = { ...testDeps('/ledger'), files: disk };
    const ledger = createLedger(deps);
    await ledger.start(never);
    const [intent, outcome] = operation(1);
    failOn(disk, fault);
    await ledger.synced(ledger.append(intent));
    for (let second = 0; second < 19; second++) {
      expect(appendCode(ledger, event({ kind: 'admin' }))).toBe('taken');
      await deps.clock.advance(1000);
      await settle();
    }
    await deps.clock.advance(2000);
    expect(appendCode(ledger, event({ operation: 'o2' }))).toBe(code);
    expect(ledger.state()?.refusal).toMatchObject({ code });
    expect(appendCode(ledger, outcome)).toBe('taken');
    delete disk.faults.write;
    await deps.clock.advance(2000);
    await settle();
    expect(ledger.state()?.refusal).toBeUndefined();
    expect(appendCode(ledger, event({ operation: 'o2' }))).toBe('taken');
    await ledger.stop();
  });

  it('takes nothing new after a start that could not sign, until it could', async () => {
    const disk = createMemoryDisk();
    failOn(disk, 'ENOSPC');
    const deps = { ...testDeps('/ledger'), files: disk };
    const ledger = createLedger(deps);
    await ledger.start(never);
    expect(appendCode(ledger, event())).toBe('ERR_LEDGER_FULL');
    delete disk.faults.write;
    await deps.clock.advance(1100);
    await settle();
    expect(appendCode(ledger, event())).toBe('taken');
    await ledger.stop();
  });
});

describe('a ledger whose writer died before a checkpoint', () => {
  it.each([
    'record:ledger',
    'record:fork',
    'record:sink-skipped',
  ])('opens again behind %s, which is of the same life as what came after it', async (action) => {
    const disk = createMemoryDisk();
    const deps = { ...testDeps('/ledger'), files: disk };
    const ledger = createLedger(deps);
    await ledger.start(never);
    const notice = event({ kind: 'ledger', action, operation: '' });
    await ledger.synced(ledger.appendAll([event({ kind: 'admin' }), notice, event({ kind: 'admin' })]) + 2);
    const again = createLedger({ ...deps, files: disk.losePower(createSeededRandom('crash')) });
    await again.start(never);
    expect(again.sequence).toBeGreaterThan(3);
    await again.stop();
  });
});

describe('a ledger whose writer refuses what is new', () => {
  it('is asked with how many entries there are, and takes outcomes all the same', async () => {
    const asked: number[] = [];
    let isOver = false;
    const refusal = (written: number) => {
      asked.push(written);
      return isOver ? new LedgerError('ERR_LEDGER_UNSHIPPED', 'cut off') : undefined;
    };
    const ledger = createLedger({ ...testDeps('/ledger'), files: createMemoryDisk(), refusal });
    await ledger.start(never);
    const [intent, outcome] = operation(1);
    asked.length = 0;
    const first = ledger.append(intent);
    expect(asked).toEqual([first]);
    isOver = true;
    expect(appendCode(ledger, event({ operation: 'o2' }))).toBe('ERR_LEDGER_UNSHIPPED');
    expect(ledger.state()?.refusal).toMatchObject({ code: 'ERR_LEDGER_UNSHIPPED' });
    expect(appendCode(ledger, outcome)).toBe('taken');
    expect(ledger.sequence).toBe(first + 1);
    await ledger.stop();
  });
});

describe('the checkpoint kept beside the key', () => {
  const memoryKeeper = () => {
    const kept: string[] = [];
    const keeper: CheckpointKeeper = { read: async () => kept.at(-1), write: async (note) => void kept.push(note) };
    return { kept, keeper };
  };
  const startWith = async (keeper: CheckpointKeeper, disk = createMemoryDisk(), signer = testSigner()) => {
    const deps = { ...testDeps('/ledger'), files: disk, keeper, signer };
    const ledger = createLedger(deps);
    await ledger.start(never);
    return { ledger, clock: deps.clock };
  };

  it('is each that was signed, and never ahead of the folder', async () => {
    const { kept, keeper } = memoryKeeper();
    const { ledger, clock } = await startWith(keeper);
    expect(kept.at(-1)).toBe(await ledger.checkpoint());
    await ledger.synced(ledger.append(event()));
    await clock.advance(1100);
    await settle();
    expect(kept).toHaveLength(2);
    await ledger.stop();
    expect(kept.at(-1)).toBe(await ledger.checkpoint());
  });

  it('may lag behind: a start goes on from any earlier one of the same log', async () => {
    const { kept, keeper } = memoryKeeper();
    const disk = createMemoryDisk();
    const { ledger } = await startWith(keeper, disk);
    for (let i = 0; i < 300; i++) ledger.appendAll(operation(i));
    await ledger.stop();
    const [first] = kept;
    const late: CheckpointKeeper = { read: async () => first, write: async () => {} };
    await (await startWith(late, disk.nextProcess())).ledger.stop();
  });

  it('of another history of the same length or less is found out', async () => {
    const { kept, keeper } = memoryKeeper();
    const { ledger } = await startWith(keeper);
    ledger.append(event({ kind: 'admin', action: 'the one history' }));
    await ledger.stop();
    const disk = createMemoryDisk();
    const other = await startWith(memoryKeeper().keeper, disk);
    for (let i = 0; i < 20; i++) other.ledger.append(event({ kind: 'admin', action: 'the other history' }));
    await other.ledger.stop();
    const keeps: CheckpointKeeper = { read: async () => kept.at(-1), write: async () => {} };
    await expect(startWith(keeps, disk.nextProcess())).rejects.toMatchObject({ code: 'ERR_LEDGER_ROLLED_BACK' });
  });

  it('that can not be written stops nothing, and is told', async () => {
    const failing: CheckpointKeeper = { read: async () => undefined, write: () => Promise.reject(systemError('EIO')) };
    const { ledger } = await startWith(failing);
    expect(ledger.state()?.checkpointFailure?.message).toMatch(/EIO/);
    await ledger.synced(ledger.append(event()));
    await ledger.stop();
  });
});

describe('a start that is given up', () => {
  it('lets go of the folder', async () => {
    const disk = createMemoryDisk();
    const stop = new AbortController();
    const ledger = createLedger({ ...testDeps('/ledger'), files: disk });
    const starting = ledger.start(stop.signal);
    stop.abort();
    await expect(starting).rejects.toMatchObject({ name: 'AbortError' });
    await ledger.stop();
    const again = createLedger({ ...testDeps('/ledger'), files: disk });
    await again.start(never);
    await again.stop();
  });
});
