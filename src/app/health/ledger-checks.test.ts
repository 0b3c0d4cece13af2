// Goal: a ledger that takes nothing, soon will not, or is signed no more is told of, to each role as much as it is to it, and is well again by itself.
import { describe, expect, it } from 'vitest';
import { createLedger, LedgerError, type LedgerState, type LedgerWatch } from '../../ledger/index.ts';
import { event, never, operation, testDeps } from '../../ledger/testing/ledger-fixture.ts';
import { createMemoryDisk } from '../../ledger/testing/memory-disk.ts';
import { codeOf } from '../../std/index.ts';
import { createLedgerChecks } from './ledger-checks.ts';

const GATEWAY = { severity: 'failed', effect: 'nothing is executed' } as const;

async function started() {
  const disk = createMemoryDisk();
  const deps = { ...testDeps('/ledger'), files: disk };
  const ledger = createLedger({ ...deps, options: { segmentBytes: 64 * 1024 } });
  await ledger.start(never);
  return { ledger, disk, clock: deps.clock, checks: createLedgerChecks(ledger, GATEWAY) };
}

function failTiles(disk: ReturnType<typeof createMemoryDisk>, code: string): void {
  disk.faults.write = (path) => {
    if (path.includes('/tile/')) throw Object.assign(new Error(`${code}: no tiles`), { code });
    return undefined;
  };
}

const turns = async (count = 20) => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
};

describe('a volume without room', () => {
  it('is told of before it stops anything, then as failed, and no more once there is room', async () => {
    const { ledger, disk, clock, checks } = await started();
    const seen: string[] = [];
    const note = () => {
      const text = checks.ledger().map(({ severity, found }) => `${severity}: ${found}`)[0] ?? 'well';
      if (seen.at(-1) !== text) seen.push(text);
    };
    note();
    disk.faults.bytesMax = 0;
    for (let i = 0, isFull = false; !isFull; i++) {
      try {
        ledger.appendAll(operation(i));
      } catch (error) {
        expect(codeOf(error)).toBe('ERR_LEDGER_FULL');
        isFull = true;
      }
      await turns(1);
      note();
    }
    delete disk.faults.bytesMax;
    await clock.advance(2_000);
    await turns();
    note();
    expect(seen).toEqual([
      'well',
      'degraded: no further segment can be made (ENOSPC); those that are ready still take entries',
      'failed: the ledger is full (ENOSPC): nothing is executed until there is room',
      'well',
    ]);
    expect(ledger.append(event())).toBeGreaterThan(0);
    await ledger.stop();
  });

  it('is the same to who looks when only checkpoints met it so far', async () => {
    const { ledger, disk, clock, checks } = await started();
    failTiles(disk, 'ENOSPC');
    await ledger.synced(ledger.append(event()));
    await clock.advance(21_000);
    expect(checks.ledger()).toEqual([
      {
        severity: 'failed',
        key: 'full',
        found: 'the ledger is full (ENOSPC): nothing is executed until there is room',
      },
    ]);
    delete disk.faults.write;
    await clock.advance(2_000);
    await turns();
    expect(checks.ledger()).toEqual([]);
    await ledger.stop();
  });

  it('is degraded to a role that goes on without', () => {
    const full: LedgerState = {
      ...{
        failure: undefined,
        refusal: undefined,
        room: 'none',
        unsignedMs: 0,
        unsignedEntries: 0,
        checkpointFailure: undefined,
      },
      roomFailure: Object.assign(new Error('read-only file system'), { code: 'EROFS' }),
    };
    const server = createLedgerChecks({ state: () => full }, { severity: 'degraded', effect: 'operators are refused' });
    expect(server.ledger()).toMatchObject([
      { severity: 'degraded', found: 'the ledger is full (EROFS): operators are refused until there is room' },
    ]);
  });
});

it('a ledger that is not shipped for too long is told as one that executes nothing, with where to look', () => {
  const refusal = new LedgerError('ERR_LEDGER_UNSHIPPED', 'entries of the last 24h are not shipped');
  const state = { failure: undefined, refusal, room: 'enough', unsignedMs: 0, unsignedEntries: 0 } as const;
  const watch: LedgerWatch = { state: () => ({ ...state, roomFailure: undefined, checkpointFailure: undefined }) };
  expect(createLedgerChecks(watch, GATEWAY).ledger()).toMatchObject([
    {
      ...{ severity: 'failed', key: 'unshipped' },
      found: 'entries of the last 24h are not shipped; nothing is executed until they are',
      remedy: expect.stringContaining('server'),
    },
  ]);
});

it('a disk that failed is told with what to do: the role ends', async () => {
  const failure = new LedgerError('ERR_LEDGER_IO', 'the disk failed to sync the ledger: EIO');
  const state = { failure, refusal: undefined, room: 'enough', unsignedMs: 0, unsignedEntries: 0 } as const;
  const watch: LedgerWatch = { state: () => ({ ...state, roomFailure: undefined, checkpointFailure: undefined }) };
  expect(createLedgerChecks(watch, GATEWAY).ledger()).toMatchObject([
    {
      severity: 'failed',
      found: expect.stringMatching(/EIO; .*start it again$/),
      remedy: expect.stringContaining('repairs'),
    },
  ]);
});

it('checkpoints that no longer come are told of with why, before nothing is taken any more; and no more once they come', async () => {
  const { ledger, disk, clock, checks } = await started();
  failTiles(disk, 'EIO');
  await ledger.synced(ledger.append(event()));
  await clock.advance(9_000);
  expect(checks.checkpoints()).toEqual([]);
  await clock.advance(2_000);
  expect(checks.checkpoints()).toMatchObject([
    { severity: 'degraded', found: expect.stringMatching(/wait for a checkpoint: .*no tiles/) },
  ]);
  expect(checks.ledger()).toEqual([]);
  await clock.advance(10_000);
  expect(checks.ledger()).toMatchObject([
    {
      severity: 'failed',
      found: expect.stringMatching(/no checkpoint can be signed.*no tiles; nothing is executed until one is$/),
    },
  ]);
  delete disk.faults.write;
  await clock.advance(2_000);
  await turns();
  expect([...checks.checkpoints(), ...checks.ledger()]).toEqual([]);
  await ledger.stop();
});

it('a ledger that is not started is not called broken', () => {
  const checks = createLedgerChecks({ state: () => undefined }, GATEWAY);
  expect([...checks.ledger(), ...checks.checkpoints()]).toEqual([]);
});
