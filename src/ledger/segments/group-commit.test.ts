import { describe, expect, it } from 'vitest';
import { createManualClock, createSilentLog } from '../../std/index.ts';
import { LedgerError } from '../errors.ts';
import { createGroupCommit } from './group-commit.ts';

/** A group commit whose syncs end when the test says so. */
function setUp() {
  const clock = createManualClock(0);
  const syncs: { end: () => void; fail: (error: Error) => void }[] = [];
  let told = 0;
  const commit = createGroupCommit({
    clock,
    log: createSilentLog(),
    delayMs: 5,
    syncedSequence: -1,
    sync: () => new Promise((end, fail) => syncs.push({ end, fail })),
    onSynced: () => told++,
  });
  const end = async () => {
    syncs.at(-1)?.end();
    await clock.advance(0);
  };
  return { clock, commit, syncs, end, told: () => told };
}

describe('group commit', () => {
  it('begins a sync 5 ms after the first write when nobody waits, with one timer for all', async () => {
    const { clock, commit, syncs, end, told } = setUp();
    commit.wrote(0);
    await clock.advance(3);
    commit.wrote(1);
    expect(clock.pending()).toBe(1);
    expect(syncs).toHaveLength(0);
    await clock.advance(2);
    expect(syncs).toHaveLength(1);
    await end();
    expect([commit.syncedSequence, told()]).toEqual([1, 1]);
    await clock.advance(100);
    expect(syncs).toHaveLength(1);
  });

  it('begins at once when somebody waits, and everyone of that turn shares it', async () => {
    const { clock, commit, syncs, end } = setUp();
    commit.wrote(0);
    const first = commit.synced(0);
    commit.wrote(1);
    const second = commit.synced(1);
    expect(second).toBe(first);
    await clock.advance(0);
    expect(syncs).toHaveLength(1);
    await end();
    await first;
    expect(clock.pending()).toBe(0);
  });

  it('has one sync in flight; what is written meanwhile goes into the next', async () => {
    const { clock, commit, syncs, end } = setUp();
    commit.wrote(0);
    const first = commit.synced(0);
    await clock.advance(0);
    commit.wrote(1);
    const order: number[] = [];
    void first.then(() => order.push(0));
    const second = commit.synced(1).then(() => order.push(1));
    await clock.advance(50);
    expect(syncs).toHaveLength(1);
    await end();
    expect([order, commit.syncedSequence, syncs.length]).toEqual([[0], 0, 2]);
    await end();
    await second;
    expect(order).toEqual([0, 1]);
  });

  it('goes on by timer after a sync that someone else waited for', async () => {
    const { clock, commit, syncs, end } = setUp();
    commit.wrote(0);
    void commit.synced(0);
    await clock.advance(0);
    commit.wrote(1);
    await end();
    expect(syncs).toHaveLength(1);
    await clock.advance(5);
    expect(syncs).toHaveLength(2);
  });

  it('tells everyone of a failure, those in flight and those to come, and never syncs again', async () => {
    const { clock, commit, syncs } = setUp();
    commit.wrote(0);
    const waiting = commit.synced(0);
    await clock.advance(0);
    commit.wrote(1);
    const next = commit.synced(1);
    syncs[0]?.fail(new Error('EIO'));
    for (const each of [waiting, next, commit.synced(1)])
      await expect(each).rejects.toMatchObject({ code: 'ERR_LEDGER_IO' });
    commit.wrote(2);
    await clock.advance(100);
    expect([syncs.length, commit.syncedSequence]).toEqual([1, -1]);
  });

  it('does not count a sync that ends well after a write has failed', async () => {
    const { clock, commit, end } = setUp();
    commit.wrote(0);
    const waiting = commit.synced(0);
    await clock.advance(0);
    commit.fail(new LedgerError('ERR_LEDGER_IO', 'a write failed'));
    await end();
    await expect(waiting).rejects.toMatchObject({ message: 'a write failed' });
    expect(commit.syncedSequence).toBe(-1);
  });

  it('is done at once for what is on disk already', async () => {
    const { clock, commit, syncs, end } = setUp();
    commit.wrote(3);
    await clock.advance(5);
    await end();
    await commit.synced(2);
    expect(syncs).toHaveLength(1);
  });
});
