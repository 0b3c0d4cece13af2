import { describe, expect, it } from 'vitest';
import { codeOf } from '../std/index.ts';
import { createLedger } from './index.ts';
import { event, never, operation, testDeps } from './testing/ledger-fixture.ts';
import { createMemoryDisk } from './testing/memory-disk.ts';

// What a role's health is told of its ledger.

async function started(bytesMax?: number) {
  const disk = createMemoryDisk();
  if (bytesMax !== undefined) disk.faults.bytesMax = bytesMax;
  const deps = { ...testDeps('/ledger'), files: disk };
  const ledger = createLedger({ ...deps, options: { segmentBytes: 64 * 1024 } });
  await ledger.start(never);
  return { ledger, disk, clock: deps.clock };
}

/** The tree is written between turns of the event loop. */
const settle = async () => {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
};

describe('the state of a ledger', () => {
  it('is told only between start and stop', async () => {
    const { ledger } = await started();
    expect(ledger.state()).toMatchObject({ failure: undefined, room: 'enough' });
    await ledger.stop();
    expect(ledger.state()).toBeUndefined();
  });

  it('says for how long entries have waited for a checkpoint that does not come, and why', async () => {
    const { ledger, disk, clock } = await started();
    await ledger.synced(ledger.append(event()));
    await clock.advance(2000);
    await settle();
    expect(ledger.state()).toMatchObject({ unsignedMs: 0, unsignedEntries: 0, checkpointFailure: undefined });
    disk.faults.write = (path) => {
      if (path.includes('/tile/')) throw Object.assign(new Error('EIO: no tiles'), { code: 'EIO' });
      return undefined;
    };
    await clock.advance(60_000);
    await settle();
    await ledger.synced(ledger.append(event({ operation: 'o2' })));
    await clock.advance(10_000);
    const state = ledger.state();
    expect(state).toMatchObject({ unsignedMs: 10_000, unsignedEntries: 1 });
    expect(state?.checkpointFailure?.message).toMatch(/no tiles/);
    delete disk.faults.write;
    await clock.advance(2000);
    await settle();
    expect(ledger.state()).toMatchObject({ unsignedMs: 0, unsignedEntries: 0, checkpointFailure: undefined });
    await ledger.stop();
  });

  it('says that room is low when no segment can be made, and that there is none when an intent would be refused', async () => {
    const { ledger, disk } = await started();
    disk.faults.bytesMax = 0;
    const seen = new Set<string | undefined>();
    for (let i = 0; ; i++) {
      seen.add(ledger.state()?.room);
      try {
        ledger.appendAll(operation(i));
      } catch (error) {
        expect(codeOf(error)).toBe('ERR_LEDGER_FULL');
        break;
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(ledger.state()?.room).toBe('none');
    expect([...seen]).toEqual(['enough', 'low', 'none']);
  });
});
