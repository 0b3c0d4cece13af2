import { describe, expect, it } from 'vitest';
import type { Role } from '../../app/role.ts';
import { createLedger, LedgerError } from '../../ledger/index.ts';
import { event, never, testDeps } from '../../ledger/testing/ledger-fixture.ts';
import { createMemoryDisk, systemError } from '../../ledger/testing/memory-disk.ts';
import { createManualClock } from '../../std/index.ts';
import { runRole } from './run-role.ts';

function setUp(changes: Partial<Role> = {}) {
  const seen: string[] = [];
  const clock = createManualClock(0);
  const end = new AbortController();
  const role: Role = {
    graceMs: 10_000,
    start: async () => void seen.push('start'),
    stop: async () => void seen.push('stop'),
    notReady: () => [],
    failure: () => undefined,
    ...changes,
  };
  let next = () => {};
  const context = {
    ...{ clock, signal: end.signal },
    nextSignal(call: () => void) {
      next = call;
    },
    warn: (line: string) => void seen.push(line.slice(0, 45)),
    exit: (code: number) => void seen.push(`exit ${code}`),
  };
  const run = runRole(context, role, () => void seen.push('started'));
  return { clock, end, run, seen, next: () => next() };
}

const failed = new LedgerError('ERR_LEDGER_IO', 'the disk failed to sync the ledger: EIO');

describe('a role that runs', () => {
  it('is stopped by a signal, and ends with 0', async () => {
    const { clock, end, run, seen } = setUp();
    await clock.advance(60_000);
    expect(seen).toEqual(['start', 'started']);
    end.abort();
    expect(await run).toBe(0);
    expect(seen).toEqual(['start', 'started', 'stop']);
    expect(clock.pending()).toBe(1); // What would end it if its process did not end now.
  });

  it('is stopped when it has nothing more to do, and ends with 0', async () => {
    let isOver = false;
    const { clock, run, seen } = setUp({ isOver: () => isOver });
    await clock.advance(5000);
    expect(seen).toEqual(['start', 'started']);
    isOver = true;
    await clock.advance(1000);
    expect(await run).toBe(0);
    expect(seen).toEqual(['start', 'started', 'stop']);
  });

  it.each([
    ['does not stop', { stop: () => new Promise<void>(() => {}) }],
    ['does not come to an end with its start', { start: () => new Promise<void>(() => {}) }],
  ])('and %s is ended with its process, after its grace and ten seconds', async (_name, changes) => {
    const { clock, end, seen } = setUp(changes);
    await clock.advance(5000);
    end.abort();
    await clock.advance(19_900);
    expect(seen.filter((event) => event.startsWith('exit'))).toEqual([]);
    await clock.advance(100);
    expect(seen.slice(-2)).toEqual(['countersign: it did not stop within 20000 ms,', 'exit 75']);
  });

  it('and fails, and then does not stop, is ended likewise', async () => {
    const { clock, seen } = setUp({ failure: () => failed, stop: () => new Promise<void>(() => {}) });
    await clock.advance(1000);
    await clock.advance(20_000);
    expect(seen.at(-1)).toBe('exit 75');
  });

  it('is stopped within a second when it has failed for good, and ends with its failure', async () => {
    let failure: Error | undefined;
    const { clock, run, seen } = setUp({ failure: () => failure });
    const ended = expect(run).rejects.toBe(failed);
    await clock.advance(5000);
    expect(seen).toEqual(['start', 'started']);
    failure = failed;
    await clock.advance(1000);
    await ended;
    expect(seen).toEqual(['start', 'started', 'stop']);
  });

  it('and waits for others when it is stopped does not any more once another signal comes', async () => {
    const stopped = Promise.withResolvers<void>();
    const { end, run, next } = setUp({ stop: () => stopped.promise, hurry: () => stopped.resolve() });
    next();
    end.abort();
    next();
    expect(await run).toBe(0);
  });

  it('ends with what it failed by, not with what stopping it failed by then', async () => {
    const stop = () => Promise.reject(new Error('no'));
    await expect(setUp({ failure: () => failed, stop }).run).rejects.toBe(failed);
    await expect(setUp({ start: () => Promise.reject(failed), stop }).run).rejects.toBe(failed);
  });

  it('does not end with 0 when it could not be stopped in good order', async () => {
    const { clock, end, run } = setUp({ stop: () => Promise.reject(failed) });
    const ended = expect(run).rejects.toBe(failed);
    await clock.advance(1000);
    end.abort();
    await ended;
  });
});

it('a role whose ledger can not sync ends, and started again it has what was told to be on disk, and goes on', async () => {
  const disk = createMemoryDisk();
  const ledgerOn = (files: typeof disk) => createLedger({ ...testDeps('/ledger'), files });
  const ledger = ledgerOn(disk);
  const { clock, run } = setUp({
    start: (signal) => ledger.start(signal),
    stop: () => ledger.stop(),
    failure: () => ledger.failure,
  });
  const ended = expect(run).rejects.toMatchObject({ code: 'ERR_LEDGER_IO' });
  await expect.poll(() => clock.pending()).toBe(1); // It runs.
  const kept = ledger.append(event({ operation: 'kept' }));
  await ledger.synced(kept);
  disk.faults.sync = () => {
    throw systemError('EIO');
  };
  await expect(ledger.synced(ledger.append(event({ operation: 'in doubt' })))).rejects.toThrow();
  await clock.advance(1000);
  await ended;
  delete disk.faults.sync;
  const again = ledgerOn(disk.nextProcess());
  await again.start(never);
  expect((await again.show(kept, never)).operation).toBe('kept');
  await again.synced(again.append(event({ operation: 'after' })));
  expect(again.failure).toBeUndefined();
  await again.stop();
});
